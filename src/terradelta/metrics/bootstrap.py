"""How much a pooled metric would differ on other images: percentile bootstrap (Efron, 1979).

The images are drawn anew, with replacement, as many as there are; their counts are pooled and every
metric computed; its interval lies between two percentiles over a thousand such draws. Images are drawn,
not pixels: the pixels of one image resemble each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Interval = tuple[float, float]


class Counts(Protocol):
    """What an image adds to a pool, as a vector, and the metrics of the pool."""

    def as_array(self) -> IntArray: ...

    @classmethod
    def from_array(cls, counts: IntArray) -> Self: ...

    def as_dict(self) -> dict[str, float]: ...


def bootstrap_intervals(
    per_image: Sequence[Counts], *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """The interval (low, high) of every metric of `Counts.as_dict`, from counts of one kind per image.

    The draws depend on ``seed`` and on the number of images alone, so that intervals of different
    counts of the same images rest on the same draws. Draws for which a metric is not defined are left
    out. The interval is (NaN, NaN) where fewer than two images define the metric by themselves: one
    image tells nothing about others.

    Raises:
        ValueError: no image.
    """
    counts = np.stack([one.as_array() for one in per_image])
    images = len(counts)
    times_drawn = np.random.default_rng(seed).multinomial(
        images, np.full(images, 1 / images), resamples
    )
    # Whole numbers as floats: exact below 2**53, and many times faster to multiply.
    pools = (times_drawn.astype(float) @ counts).astype(np.int64)
    kind = type(per_image[0])
    alone = _table(one.as_dict() for one in per_image)
    drawn = _table(kind.from_array(pool).as_dict() for pool in pools)
    return {name: _interval(alone[name], drawn[name], level) for name in drawn}


def _table(metrics: Iterable[dict[str, float]]) -> dict[str, NDArray[np.float64]]:
    rows = list(metrics)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _interval(alone: NDArray[np.float64], drawn: NDArray[np.float64], level: float) -> Interval:
    if np.count_nonzero(~np.isnan(alone)) < 2:
        return np.nan, np.nan
    tail = 50 * (1 - level)
    low, high = np.nanpercentile(drawn, [tail, 100 - tail])
    return float(low), float(high)
