"""Datasets as they lie on the disk, as they were published: found, checked, read sample by sample."""

from terradelta.data.card import Card, Published
from terradelta.data.dataset import Dataset, ImageDataset, LabelledImage, Sample
from terradelta.data.registry import DATASETS, open_dataset, open_images
from terradelta.data.subsets import FEW_SHOT
from terradelta.data.verify import Problem, Report, verify

__all__ = [
    "DATASETS",
    "FEW_SHOT",
    "Card",
    "Dataset",
    "ImageDataset",
    "LabelledImage",
    "Problem",
    "Published",
    "Report",
    "Sample",
    "open_dataset",
    "open_images",
    "verify",
]
