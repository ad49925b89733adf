import numpy as np
import pytest
import torch
from torch import Tensor

from terradelta.detectors import Detector
from terradelta.metrics import PixelCounts
from terradelta.train.pairs import LabelledPair
from terradelta.train.validation import changed, validate


class Brighter(Detector):
    """Change where the first band grew."""

    def __init__(self, classes: int = 1) -> None:
        super().__init__(classes)
        self.weight = torch.nn.Parameter(torch.ones(1))

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        grown = (after - before)[:, :1] - 1e-3
        return grown if self.classes == 1 else torch.cat([-grown, grown, grown - 1], 1)


class Pixels:
    """Two images of one row and unequal widths."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int, /) -> LabelledPair:
        # Answer 1 1 0 0 1, truth 1 0 1 0 and one unknown; then answer 0 1, truth 0 1.
        grown, label = [([1, 1, 0, 0, 1], [0.9, 0, 0.6, 0.5, 255]), ([0, 1], [0.0, 1.0])][index]
        before = np.full((1, len(grown), 3), 50, np.uint8)
        after = before + 20 * np.array(grown, np.uint8)[None, :, None]
        return before, after, np.array([label], np.float32)


@pytest.mark.parametrize("classes", [1, 3])
def test_counts_by_hand_leave_the_unknown_out(classes: int) -> None:
    assert validate(Brighter(classes), Pixels()) == PixelCounts(2, 1, 1, 2)


def test_processes_share_the_pairs() -> None:
    parts = [validate(Brighter(), Pixels(), process=p, processes=2) for p in (0, 1)]
    assert parts == [PixelCounts(1, 1, 1, 1), PixelCounts(1, 0, 0, 1)]


def test_the_mode_is_left_as_it_was() -> None:
    detector = Brighter().train()
    validate(detector, Pixels())
    assert detector.training


def test_of_several_kinds_all_but_the_first_are_change() -> None:
    logits = torch.tensor([[2.0, 1, 0], [0, 3, 0], [0, 0, 1]]).T[None, :, None, :]
    assert changed(logits).tolist() == [[[False, True, True]]]
