"""What the papers compare with, all with the same call as AnyChange."""

from terradelta.baselines.answer import BaselineChanges
from terradelta.baselines.registry import BASELINES, Card, load_baseline

__all__ = ["BASELINES", "BaselineChanges", "Card", "load_baseline"]
