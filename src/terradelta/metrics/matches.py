"""Objects that were found, missed and invented, at an IoU of 0.5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terradelta.metrics.objects import Overlaps
from terradelta.metrics.ratio import ratio

IntArray = NDArray[np.int64]

IOU = 0.5


@dataclass(frozen=True, slots=True)
class ObjectMatches:
    """``matches`` of ``proposals`` with ``truths``; add counts to pool images.

    One proposal finds one object at most: `Overlaps.hits` with an IoU of 0.5. All proposals count, not
    only the best 1000 of an image.
    """

    matches: int = 0
    proposals: int = 0
    truths: int = 0

    @classmethod
    def of(cls, overlaps: Overlaps) -> ObjectMatches:
        """Counts of one image."""
        proposals, truths = overlaps.iou.shape
        return cls(int(np.count_nonzero(overlaps.hits(IOU))), proposals, truths)

    @classmethod
    def from_array(cls, counts: IntArray) -> ObjectMatches:
        """The inverse of `as_array`."""
        return cls(*counts.tolist())

    def as_array(self) -> IntArray:
        """int64 [3], in the order of the fields."""
        return np.array([self.matches, self.proposals, self.truths], np.int64)

    def __add__(self, other: ObjectMatches) -> ObjectMatches:
        return ObjectMatches.from_array(self.as_array() + other.as_array())

    @property
    def precision(self) -> float:
        """Share of the proposals that are an object; NaN without proposals."""
        return ratio(self.matches, self.proposals)

    @property
    def recall(self) -> float:
        """Share of the objects that were proposed; NaN without objects."""
        return ratio(self.matches, self.truths)

    @property
    def f1(self) -> float:
        return ratio(2 * self.matches, self.proposals + self.truths)

    def as_dict(self) -> dict[str, float]:
        """Every metric by name, in [0, 1]; NaN where it is not defined."""
        return {
            "object_precision": self.precision,
            "object_recall": self.recall,
            "object_f1": self.f1,
        }
