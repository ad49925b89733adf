"""`regions`: a promptable segmenter without weights, in seconds on a CPU.

An image becomes a hierarchy of regions; a point is answered by the regions that hold it at three
scales. The embedding is a map of local descriptors. Both are relative to the pair: see `context`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from terradelta.sam.context import RegionContext, region_contexts
from terradelta.sam.descriptors import STRIDE
from terradelta.sam.hierarchy import Partition, region_hierarchy
from terradelta.sam.masks import Masks
from terradelta.sam.segmenter import (
    RGB,
    Axis,
    BoolArray,
    Defaults,
    Embedding,
    Encoded,
    Proposals,
    Segmenter,
)
from terradelta.sam.threads import in_threads

SCALES = (0.5, 2.0, 8.0)


@dataclass(frozen=True, slots=True)
class _Level:
    partition: Partition
    masks: Masks


class RegionSegmenter(Segmenter):
    """Regions of a hierarchy as masks; see the module's docstring.

    Predicted IoU of a region is its contrast (Fisher ratio against its neighbours); stability is the
    area of its largest part a little below its scale over the area of the whole a little above it.
    """

    pixel_rule: ClassVar[Literal["union", "mean"]] = "mean"
    overlap_rule: ClassVar[Literal["boxes", "layer"]] = "layer"
    name = "regions"
    canvas_px = None
    defaults = Defaults(
        angle=23.0, object_angle=22.0, points_per_side=128, pred_iou=0.0, stability=0.0, nms=0.7
    )

    def pair_contexts(
        self, before: RGB, after: RGB, valid: BoolArray
    ) -> tuple[RegionContext, RegionContext]:
        return region_contexts(before, after, valid)

    def store_context(self, context: RegionContext) -> dict[str, Any]:
        return context.stored()

    def restore_context(self, stored: dict[str, Any]) -> RegionContext:
        return RegionContext.restored(stored)

    def encode(self, image: RGB, context: RegionContext | None = None) -> Encoded:
        if context is None:
            context, _ = region_contexts(image, image, np.ones(image.shape[:2], bool))
        described = context.describe(image)
        lab = described.lab
        channels = context.normalise(described.channels)
        height, width = image.shape[:2]
        embedding = Embedding(
            torch.from_numpy(channels),
            Axis.half_pixel(height, 1 / STRIDE, channels.shape[1]),
            Axis.half_pixel(width, 1 / STRIDE, channels.shape[2]),
        )
        smooth = [ndimage.gaussian_filter(lab[..., k], 1.0, truncate=3) for k in range(3)]
        colour = np.asarray(np.stack(smooth) / context.contrast, np.float32)
        partitions = region_hierarchy(colour, SCALES)
        levels = [_Level(p, Masks.from_labels(p.labels, len(p.contrast))) for p in partitions]
        return Encoded((height, width), embedding, levels)

    def encode_both(
        self, before: RGB, after: RGB, contexts: tuple[Any, Any] = (None, None)
    ) -> tuple[Encoded, Encoded]:
        """In two threads: one image keeps one core busy at most."""
        first, second = in_threads(self.encode, (before, after), contexts)
        return first, second

    def decode(
        self,
        encoded: Encoded,
        points: NDArray[Any],
        *,
        min_iou: float = 0.0,
        min_stability: float = 0.0,
        coarse_stability: bool = False,
    ) -> Proposals:
        """See `Segmenter.decode`. A region hit by several points is returned once, for the first."""
        height, width = encoded.shape
        x = np.clip(points[:, 0].astype(np.int64), 0, width - 1)
        y = np.clip(points[:, 1].astype(np.int64), 0, height - 1)
        parts = []
        for level in encoded.state:
            region, point = np.unique(level.partition.labels[y, x], return_index=True)
            iou = level.partition.contrast[region]
            stability = level.partition.stability[region]
            keep = (iou > min_iou) & (stability >= min_stability)
            picked = level.masks[region[keep]]
            parts.append(Proposals(picked, iou[keep], stability[keep], point[keep]))
        return Proposals.concatenate(parts)
