"""Pixel metrics of a binary change mask, pooled over images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terradelta.metrics.ratio import ratio

Mask = NDArray[np.bool_]
IntArray = NDArray[np.int64]

METRICS = (
    "precision",
    "recall",
    "f1",
    "iou",
    "accuracy",
    "kappa",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "macro_iou",
)


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels by answer and truth, change being the positive class; add counts to pool images.

    Metrics of the change class carry no prefix. Those that begin with ``macro_`` are the mean of the
    change and the no-change class, which some papers print under the same name. A metric whose
    denominator is 0 is NaN.
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

    @classmethod
    def from_array(cls, counts: IntArray) -> PixelCounts:
        """The inverse of `as_array`."""
        return cls(*counts.tolist())

    def as_array(self) -> IntArray:
        """int64 [4], in the order of the fields."""
        return np.array(
            [self.true_positive, self.false_positive, self.false_negative, self.true_negative],
            np.int64,
        )

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts.from_array(self.as_array() + other.as_array())

    @property
    def precision(self) -> float:
        return ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        return ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        wrong = self.false_positive + self.false_negative
        return ratio(2 * self.true_positive, 2 * self.true_positive + wrong)

    @property
    def iou(self) -> float:
        wrong = self.false_positive + self.false_negative
        return ratio(self.true_positive, self.true_positive + wrong)

    @property
    def accuracy(self) -> float:
        """Share of all pixels that are right."""
        right = self.true_positive + self.true_negative
        return ratio(right, right + self.false_positive + self.false_negative)

    @property
    def kappa(self) -> float:
        """Cohen's kappa in [-1, 1]: agreement beyond what both masks' shares give by chance.

        For two classes, (observed - expected) / (1 - expected) with both multiplied by the square of
        the number of pixels, so that all is exact in whole numbers.
        """
        tp, fp, fn, tn = (
            self.true_positive,
            self.false_positive,
            self.false_negative,
            self.true_negative,
        )
        return ratio(2 * (tp * tn - fp * fn), (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn))

    @property
    def macro_precision(self) -> float:
        return (self.precision + self._of_no_change().precision) / 2

    @property
    def macro_recall(self) -> float:
        """Also called balanced accuracy."""
        return (self.recall + self._of_no_change().recall) / 2

    @property
    def macro_f1(self) -> float:
        return (self.f1 + self._of_no_change().f1) / 2

    @property
    def macro_iou(self) -> float:
        """The mIoU of many papers."""
        return (self.iou + self._of_no_change().iou) / 2

    def as_dict(self) -> dict[str, float]:
        """Every metric by name; NaN where it is not defined."""
        return {name: getattr(self, name) for name in METRICS}

    def _of_no_change(self) -> PixelCounts:
        return PixelCounts(
            self.true_negative, self.false_negative, self.false_positive, self.true_positive
        )
