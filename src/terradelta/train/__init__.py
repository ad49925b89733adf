"""Training detectors: one loop for all of them, with settings from a TOML file."""

from terradelta.train.loop import Trained, train
from terradelta.train.pairs import DatasetPairs, PairSource, open_pairs, open_split
from terradelta.train.settings import TrainSettings, load_settings, recipes
from terradelta.train.single import open_single_dates
from terradelta.train.validation import validate

__all__ = [
    "DatasetPairs",
    "PairSource",
    "TrainSettings",
    "Trained",
    "load_settings",
    "open_pairs",
    "open_single_dates",
    "open_split",
    "recipes",
    "train",
    "validate",
]
