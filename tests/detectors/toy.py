"""A network that can be worked out by hand, saved and loaded as any other."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from terradelta.detectors import DETECTORS, Card, Detector, save_detector
from terradelta.features.backbones import IMAGENET_COLOURS


class Toy(Detector):
    """The logit of change is (d - level) / 10, with d the mean difference of grey levels in a square of
    ``2 * reach + 1`` px. Of more than one class the others share it."""

    multiple = 4

    def __init__(self, classes: int, reach: int) -> None:
        super().__init__(classes)
        self.reach = reach
        self.level = nn.Parameter(torch.tensor(50.0))

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        scale = 255 * torch.tensor(IMAGENET_COLOURS[1]).view(3, 1, 1)
        difference = ((after - before) * scale).abs().mean(1, keepdim=True)
        side = 2 * self.reach + 1
        near = functional.avg_pool2d(difference, side, 1, self.reach, count_include_pad=False)
        change = (near - self.level) / 10
        if self.classes == 1:
            return change
        return torch.cat([torch.zeros_like(change), change.expand(-1, self.classes - 1, -1, -1)], 1)


def toy(*, classes: int = 1, reach: int = 0) -> Toy:
    return Toy(classes, reach)


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``toy`` a name of `build_detector`."""
    module = ModuleType("terradelta_toy")
    module.toy = toy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "terradelta_toy", module)
    monkeypatch.setitem(DETECTORS, "toy", Card("Toy", "", "terradelta_toy:toy", None, ""))


def saved(folder: Path, *, level: float = 50.0, **settings: int) -> Path:
    from terradelta.detectors import build_detector

    detector = build_detector("toy", **settings)
    with torch.no_grad():
        detector.level.fill_(level)
    return save_detector(detector, folder)
