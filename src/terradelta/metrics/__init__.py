"""How good an answer is."""

from terradelta.metrics.objects import ObjectRecall, connected_components
from terradelta.metrics.pixel import PixelCounts

__all__ = ["ObjectRecall", "PixelCounts", "connected_components"]
