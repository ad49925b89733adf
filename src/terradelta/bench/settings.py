"""What both sides are asked for: thresholds, and which points of the grid a peer really runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terradelta.errors import ModelError, UsageError
from terradelta.geo.pair import Pair
from terradelta.sam.masks import IntArray
from terradelta.sam.proposals import MAX_AREA, point_grid
from terradelta.sam.segmenter import Proposals, Segmenter
from terradelta.zeroshot.candidates import match

POINTS_PER_BATCH = 64
"""Points that a peer decodes at once: the default of both, and of segment-anything."""
MOST_POINTS_PER_SIDE = 128
PEERS = ("torchange", "transformers")
SAMPLE_PER_SIDE = 16
SURVIVE_IOU = 0.15
SURVIVE = 0.075
CHANGED = 0.5


@dataclass(frozen=True, slots=True)
class Thresholds:
    """``pred_iou`` and ``stability`` that masks must pass, IoU of box NMS, ``angle`` in degrees."""

    pred_iou: float
    stability: float
    nms: float
    angle: float

    @classmethod
    def of(cls, segmenter: Segmenter) -> Thresholds:
        """The segmenter's own."""
        own = segmenter.defaults
        return cls(own.pred_iou, own.stability, own.nms, own.angle)

    @classmethod
    def calibrated(cls, segmenter: Segmenter, pair: Pair) -> Thresholds:
        """Quantiles on a sample of points: 7.5 % of all masks survive, half of which are changes.

        Raises:
            ModelError: too few masks of the sample are neither empty nor the whole image.
        """
        encoded = segmenter.encode(pair.before), segmenter.encode(pair.after)
        points = point_grid(pair.shape, SAMPLE_PER_SIDE)
        found = Proposals.concatenate([segmenter.decode(date, points) for date in encoded])
        of_all = 2 * 3 * len(points)
        pred_iou = _keeping(found.iou, round(SURVIVE_IOU * of_all))
        found = found[(found.iou > pred_iou) & (found.masks.areas < MAX_AREA * pair.valid.size)]
        stability = _keeping(found.stability, round(SURVIVE * of_all))
        found = found[found.stability >= stability]
        if not len(found) or not (0 <= pred_iou < 1 and 0 < stability <= 1):
            raise ModelError("the random weights give no useful masks on these images: try others")
        angles = match([found, found[:0]], encoded).angle
        return cls(pred_iou, stability, segmenter.defaults.nms, _keeping(angles, len(angles) // 2))


def _keeping(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], count: int) -> float:
    """A threshold that ``count`` of the values exceed, halfway between two of them."""
    ranked = np.sort(values)[::-1].astype(float)
    if count >= len(ranked):
        return max(0.0, float(ranked[-1]) - 1e-3) if len(ranked) else 0.0
    return float(ranked[max(count, 1) - 1] + ranked[max(count, 1)]) / 2


def some_points(total: int, batches: int) -> IntArray:
    """Ascending indices, int64 [P], of the points of a grid that fill ``batches``, spread at random.

    All of them if ``batches`` is 0 or the grid has fewer.
    """
    count = total if batches == 0 else min(total, batches * POINTS_PER_BATCH)
    return np.sort(np.random.default_rng(0).permutation(total)[:count])


def batches_of(points: int) -> int:
    return math.ceil(points / POINTS_PER_BATCH)


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is measured; ``peer_batches`` None is 2 on the CPU and all on a GPU, 0 is all.

    Raises:
        UsageError: a value is out of its range.
    """

    against: str
    points_per_side: int = 32
    device: str = "cpu"
    dtype: str = "float32"
    model: str | None = None
    size: str = "vit-b"
    repeats: int = 3
    peer_batches: int | None = None

    def __post_init__(self) -> None:
        if self.against not in PEERS:
            raise UsageError(f"unknown peer {self.against!r}: choose from {', '.join(PEERS)}")
        if not 1 <= self.points_per_side <= MOST_POINTS_PER_SIDE:
            raise UsageError(
                f"points is {self.points_per_side}: it must lie between 1 and {MOST_POINTS_PER_SIDE}"
            )
        if self.repeats < 1:
            raise UsageError(f"repeats is {self.repeats}: it must be at least 1")
        if self.peer_batches is not None and self.peer_batches < 0:
            raise UsageError(
                f"peer-batches is {self.peer_batches}: it must be a number of batches, or 0 for all"
            )

    @property
    def points(self) -> int:
        return self.points_per_side**2

    @property
    def peer_points(self) -> IntArray:
        """Indices, int64 [P], of the points of the grid that the peer really runs."""
        batches = self.peer_batches
        if batches is None:
            batches = 2 if self.device == "cpu" else 0
        return some_points(self.points, batches)
