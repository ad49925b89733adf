"""Trained networks that find change: a pair in, change logits of the same size out."""

from terradelta.detectors.detector import Detector
from terradelta.detectors.files import load_detector, save_detector
from terradelta.detectors.registry import DETECTORS, Card, build_detector
from terradelta.features.backbones import normalise

__all__ = [
    "DETECTORS",
    "Card",
    "Detector",
    "build_detector",
    "load_detector",
    "normalise",
    "save_detector",
]
