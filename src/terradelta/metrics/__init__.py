"""How good an answer is, and how sure that number is."""

from terradelta.metrics.bootstrap import Counts, Interval, bootstrap_intervals
from terradelta.metrics.matches import ObjectMatches
from terradelta.metrics.objects import Overlaps, connected_components
from terradelta.metrics.per_image import ImageCounts, write_per_image
from terradelta.metrics.pixel import PixelCounts
from terradelta.metrics.recall import RecallCounts
from terradelta.metrics.semantic import SemanticCounts

__all__ = [
    "Counts",
    "ImageCounts",
    "Interval",
    "ObjectMatches",
    "Overlaps",
    "PixelCounts",
    "RecallCounts",
    "SemanticCounts",
    "bootstrap_intervals",
    "connected_components",
    "write_per_image",
]
