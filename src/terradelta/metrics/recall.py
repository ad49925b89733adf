"""Mask average recall at 1000 proposals, as COCO measures it, class-agnostic.

The instance-level metric of AnyChange's tables (section 4.1): the recall of truth objects by the 1000
best proposals of each image, averaged over the IoU thresholds 0.50, 0.55, ..., 0.95 (Lin et al., 2014).

The IoU is that of pycocotools. The matching is written out (`Overlaps.hits`), because COCOeval tries
every proposal with every object in a loop of Python: for a thousand proposals that takes as long as
finding them. A test holds the counts to those of COCOeval.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from terradelta.metrics.objects import Overlaps
from terradelta.metrics.ratio import ratio

IntArray = NDArray[np.int64]

MAX_PROPOSALS = 1000
THRESHOLDS = np.linspace(0.5, 0.95, 10)

SIZES = {
    "ar@1000": (0, 10**10),
    "ar_small@1000": (0, 32**2),
    "ar_medium@1000": (32**2, 96**2),
    "ar_large@1000": (96**2, 10**10),
}
"""COCO's smallest and largest area of an object in pixels, by metric. Both ends belong to the range."""


@dataclass(frozen=True, slots=True, eq=False)
class RecallCounts:
    """Truth objects that were found, and all there are, by size; add counts to pool images.

    ``matched`` int64 [4, 10], sizes in the order of `SIZES` by IoU threshold; ``truths`` int64 [4].
    """

    matched: IntArray = field(default_factory=lambda: np.zeros((len(SIZES), 10), np.int64))
    truths: IntArray = field(default_factory=lambda: np.zeros(len(SIZES), np.int64))

    @classmethod
    def of(cls, overlaps: Overlaps) -> RecallCounts:
        """Counts of one image."""
        counts = cls()
        for n, (smallest, largest) in enumerate(SIZES.values()):
            size = overlaps.truth_areas
            asked = overlaps.among((size >= smallest) & (size <= largest))
            counts.truths[n] = len(asked.truth_areas)
            counts.matched[n] = [
                np.count_nonzero(asked.hits(threshold)[:MAX_PROPOSALS]) for threshold in THRESHOLDS
            ]
        return counts

    @classmethod
    def from_array(cls, counts: IntArray) -> RecallCounts:
        """The inverse of `as_array`."""
        table = counts.reshape(len(SIZES), 11)
        return cls(table[:, :10], table[:, 10])

    def as_array(self) -> IntArray:
        """int64 [44]: of each size, the matched objects by threshold and their number."""
        return np.column_stack([self.matched, self.truths]).ravel()

    def __add__(self, other: RecallCounts) -> RecallCounts:
        return RecallCounts(self.matched + other.matched, self.truths + other.truths)

    def as_dict(self) -> dict[str, float]:
        """Average recall by name, in [0, 1]; NaN where there is no object of the size."""
        recall = zip(SIZES, self.matched.mean(1), self.truths, strict=True)
        return {name: ratio(float(matched), int(truths)) for name, matched, truths in recall}
