"""Pixel metrics of a binary change mask, pooled over images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels by answer and truth, change being the positive class; add counts to pool images.

    Metrics of the change class carry no prefix. Those that begin with ``macro_`` are the mean of the
    change and the no-change class, which some papers print under the same name.
    """

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    @classmethod
    def of(cls, answer: Mask, truth: Mask) -> PixelCounts:
        """Counts of bool [H, W] masks of one image."""
        if answer.shape != truth.shape:
            raise ValueError(f"the answer is {answer.shape}, the truth {truth.shape}")
        both = int(np.count_nonzero(answer & truth))
        answered, true = int(np.count_nonzero(answer)), int(np.count_nonzero(truth))
        return cls(both, answered - both, true - both, answer.size - answered - true + both)

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )

    @property
    def precision(self) -> float:
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        wrong = self.false_positive + self.false_negative
        return _ratio(2 * self.true_positive, 2 * self.true_positive + wrong)

    @property
    def iou(self) -> float:
        wrong = self.false_positive + self.false_negative
        return _ratio(self.true_positive, self.true_positive + wrong)

    @property
    def accuracy(self) -> float:
        """Share of all pixels that are right."""
        right = self.true_positive + self.true_negative
        return _ratio(right, right + self.false_positive + self.false_negative)

    @property
    def macro_f1(self) -> float:
        return (self.f1 + self._of_no_change().f1) / 2

    @property
    def macro_iou(self) -> float:
        return (self.iou + self._of_no_change().iou) / 2

    def as_dict(self) -> dict[str, float]:
        """Every metric by name, in [0, 1]; NaN where it is not defined (no positive anywhere)."""
        names = ("precision", "recall", "f1", "iou", "macro_f1", "macro_iou", "accuracy")
        return {name: getattr(self, name) for name in names}

    def _of_no_change(self) -> PixelCounts:
        return PixelCounts(
            self.true_negative, self.false_negative, self.false_positive, self.true_positive
        )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
