"""Metrics of semantic change: what the ground was and what it became.

mIoU, SeK and the score are those of Yang et al., "Asymmetric Siamese networks for semantic change
detection in aerial images" (TGRS 2021), which introduced SECOND; F_scd is that of Ding et al.,
"Bi-temporal semantic reasoning for the semantic change detection in HR remote sensing images" (TGRS
2022). The published formulas are followed; with q[i, j] the pixels of answer i and truth j, 0 being no
change::

    IoU_1 = q00 / (sum_i q[i, 0] + sum_j q[0, j] - q00)
    IoU_2 = sum_{i, j > 0} q[i, j] / (sum q - q00)
    SeK   = exp(IoU_2 - 1) * kappa of q with q00 = 0
    score = 0.3 (IoU_1 + IoU_2) / 2 + 0.7 SeK
    F_scd = harmonic mean of  sum_{i > 0} q[i, i] / sum_{i > 0, j} q[i, j]  (precision)
                        and  sum_{i > 0} q[i, i] / sum_{i, j > 0} q[i, j]  (recall)

Public code differs in two details. Where kappa is 0 / 0 it takes 0; here it is NaN. And it differs in
what a class is: land cover, both dates counted into one matrix (7 classes of SECOND), as in the code
of Bi-SRNet; or the change type, from what to what (37), as in torchange. SeK and F_scd of the two are
not comparable, so each has a constructor of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terradelta.metrics.ratio import ratio

ClassArray = NDArray[np.uint8]
IntArray = NDArray[np.int64]

METRICS = ("miou", "sek", "score", "f_scd", "iou_no_change", "iou_change")


@dataclass(frozen=True, slots=True, eq=False)
class SemanticCounts:
    """Pixels by class of the answer (rows) and of the truth (columns); add counts to pool images.

    ``confusion`` int64 [C, C], class 0 being no change.
    """

    confusion: IntArray

    @classmethod
    def of_land_cover(
        cls,
        answer: tuple[ClassArray, ClassArray],
        truth: tuple[ClassArray, ClassArray],
        classes: int,
    ) -> SemanticCounts:
        """Counts of one image: the land cover of both dates, uint8 [H, W] each, 0 for no change.

        ``classes`` with no change among them: 7 for SECOND. Both dates go into one matrix.
        """
        before, after = (cls._of(*maps, classes) for maps in zip(answer, truth, strict=True))
        return before + after

    @classmethod
    def of_change_types(
        cls,
        answer: tuple[ClassArray, ClassArray],
        truth: tuple[ClassArray, ClassArray],
        classes: int,
    ) -> SemanticCounts:
        """The same maps as pairs of classes: (classes - 1)² types of change and no change."""
        types = (classes - 1) ** 2 + 1
        return cls._of(_change_types(answer, classes), _change_types(truth, classes), types)

    @classmethod
    def from_array(cls, counts: IntArray) -> SemanticCounts:
        """The inverse of `as_array`."""
        side = math.isqrt(counts.size)
        return cls(counts.reshape(side, side))

    @classmethod
    def _of(
        cls, answer: NDArray[np.integer], truth: NDArray[np.integer], classes: int
    ) -> SemanticCounts:
        if answer.shape != truth.shape:
            raise ValueError(f"the answer is {answer.shape}, the truth {truth.shape}")
        _check_classes(answer, classes)
        _check_classes(truth, classes)
        index = answer.astype(np.int64).ravel() * classes + truth.ravel()
        return cls(np.bincount(index, minlength=classes**2).reshape(classes, classes))

    def as_array(self) -> IntArray:
        """int64 [C * C], row by row."""
        return self.confusion.ravel()

    def __add__(self, other: SemanticCounts) -> SemanticCounts:
        return SemanticCounts(self.confusion + other.confusion)

    @property
    def iou_no_change(self) -> float:
        """IoU_1."""
        q = self.confusion
        return ratio(int(q[0, 0]), int(q[0].sum() + q[:, 0].sum() - q[0, 0]))

    @property
    def iou_change(self) -> float:
        """IoU_2: of change against no change, whatever the class."""
        q = self.confusion
        return ratio(int(q[1:, 1:].sum()), int(q.sum() - q[0, 0]))

    @property
    def miou(self) -> float:
        return (self.iou_no_change + self.iou_change) / 2

    @property
    def sek(self) -> float:
        """Separated kappa: rightly unchanged pixels, which are most, do not count."""
        q = self.confusion.astype(float)
        q[0, 0] = 0
        by_chance = float(q.sum(0) @ q.sum(1))
        kappa = ratio(q.sum() * np.trace(q) - by_chance, q.sum() ** 2 - by_chance)
        return math.exp(self.iou_change - 1) * kappa

    @property
    def score(self) -> float:
        """0.3 mIoU + 0.7 SeK."""
        return 0.3 * self.miou + 0.7 * self.sek

    @property
    def f_scd(self) -> float:
        """F1 of the changed pixels whose class is right."""
        q = self.confusion
        return ratio(2 * int(np.trace(q[1:, 1:])), int(q[1:].sum() + q[:, 1:].sum()))

    def as_dict(self) -> dict[str, float]:
        """Every metric by name; NaN where it is not defined."""
        return {name: getattr(self, name) for name in METRICS}


def _change_types(dates: tuple[ClassArray, ClassArray], classes: int) -> IntArray:
    """int64 [H, W]: 1 + (before - 1) * (classes - 1) + (after - 1), 0 where a date has no class."""
    for date in dates:
        _check_classes(date, classes)
    before, after = (date.astype(np.int64) for date in dates)
    types = 1 + (before - 1) * (classes - 1) + after - 1
    return np.where((before > 0) & (after > 0), types, 0)


def _check_classes(classes_of: NDArray[np.integer], classes: int) -> None:
    largest = int(classes_of.max(initial=0))
    if largest >= classes:
        raise ValueError(f"class {largest} is not one of {classes}")
