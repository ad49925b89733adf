"""Object proposals of one date: a grid of points, the segmenter's masks, and what is kept of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import remove_small_objects
from torchvision.ops import nms

from terradelta.sam.masks import FloatArray, IntArray, Masks
from terradelta.sam.segmenter import BoolArray, Encoded, Proposals, Segmenter

MAX_AREA = 0.8
"""A mask over more of the image than this is its background, not an object (torchange 0.0.4)."""
COVERED = 0.7
APPROXIMATIONS = {
    "grid": "segment every other point of every other row first, then only points in no mask of these",
    "stability": "measure SAM's stability on its low-resolution logits",
}


@dataclass(frozen=True, slots=True)
class ProposalSettings:
    """``points_per_side`` n of the n x n grid; lowest predicted IoU and stability; IoU of box NMS.

    ``min_region_area`` px: smaller islands of a mask are removed and smaller holes filled.
    ``approximate`` names of `APPROXIMATIONS`; none of them by default.
    """

    points_per_side: int
    pred_iou: float
    stability: float
    nms: float
    min_region_area: int = 0
    approximate: tuple[str, ...] = ()


def point_grid(shape: tuple[int, int], per_side: int) -> NDArray[np.float64]:
    """float64 [n * n, 2] as (x, y) px: the centres of n x n equal parts of an image [H, W]."""
    steps = (np.arange(per_side) + 0.5) / per_side
    x, y = np.meshgrid(steps * shape[1], steps * shape[0])
    return np.stack([x.ravel(), y.ravel()], 1)


def propose(
    segmenter: Segmenter,
    encoded: Encoded,
    settings: ProposalSettings,
    valid: BoolArray | None = None,
    points: NDArray[np.float64] | None = None,
) -> Proposals:
    """All masks of one date that pass the settings, best predicted IoU first.

    ``valid`` bool [H, W]: masks lose the pixels where it is False. ``points`` float64 [P, 2] as (x, y)
    px, if they are not to be the grid of the settings.
    """
    found = _on_grid(segmenter, encoded, settings, points)
    found = _replace_masks(found, found.masks if valid is None else found.masks.restrict(valid))
    area = encoded.shape[0] * encoded.shape[1]
    found = found[found.masks.areas < MAX_AREA * area]
    found = found[box_nms(found.masks.boxes, found.iou, settings.nms)]
    if settings.min_region_area > 0:
        cleaned = clean_masks(found.masks, settings.min_region_area)
        found = _replace_masks(found, cleaned)
        found = found[box_nms(found.masks.boxes, found.iou, settings.nms)]
    return found


def _on_grid(
    segmenter: Segmenter,
    encoded: Encoded,
    settings: ProposalSettings,
    given: NDArray[np.float64] | None,
) -> Proposals:
    points = point_grid(encoded.shape, settings.points_per_side) if given is None else given

    def decode(which: IntArray) -> Proposals:
        found = segmenter.decode(
            encoded,
            points[which],
            min_iou=settings.pred_iou,
            min_stability=settings.stability,
            coarse_stability="stability" in settings.approximate,
        )
        return replace(found, point=which[found.point])

    every = np.arange(len(points))
    if given is not None or "grid" not in settings.approximate:
        return decode(every)
    coarse = every.reshape((settings.points_per_side,) * 2)[::2, ::2].ravel()
    first = decode(coarse)
    small = first.masks.areas < MAX_AREA * encoded.shape[0] * encoded.shape[1]
    x, y = points.astype(np.int64).T
    left = ~first.masks[small].union()[y, x]
    left[coarse] = False
    return Proposals.concatenate([first, decode(every[left])]) if left.any() else first


def _replace_masks(proposals: Proposals, masks: Masks) -> Proposals:
    replaced = Proposals(masks, proposals.iou, proposals.stability, proposals.point)
    return replaced[masks.areas > 0]


def box_nms(boxes: FloatArray, rank: FloatArray, iou: float) -> IntArray:
    """Positions, highest ``rank`` first, of the boxes [N, 4] not overlapped by a higher one.

    Of boxes that overlap by more than ``iou`` (intersection over union) the first is kept.
    """
    if iou >= 1:
        return np.argsort(-rank, kind="stable")
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(rank.astype(np.float32)), iou)
    return np.asarray(kept.numpy())


def one_layer(masks: Masks, rank: FloatArray) -> IntArray:
    """Positions, highest ``rank`` first, of masks that higher ones do not already cover.

    A mask is dropped if `COVERED` of its pixels belong to kept ones: of nested regions, which box NMS
    tells apart, the one that stands out most is left, and what is around it.
    """
    taken = np.zeros(masks.shape[0] * masks.shape[1], bool)
    kept = []
    for n in np.argsort(-rank, kind="stable"):
        pixels = masks.pixels(int(n))
        if len(pixels) and np.count_nonzero(taken[pixels]) / len(pixels) < COVERED:
            kept.append(n)
            taken[pixels] = True
    return np.array(kept, np.int64)


def clean_masks(masks: Masks, area: int) -> Masks:
    """Masks without islands and holes smaller than ``area`` px (8-connected)."""
    cleaned = [Masks.empty(masks.shape)]
    for n in range(len(masks)):
        crop, x0, y0 = masks.crop(n)
        holes = ndimage.binary_fill_holes(crop, np.ones((3, 3))) & ~crop
        crop |= holes & ~remove_small_objects(holes, max_size=area - 1, connectivity=2)
        crop = remove_small_objects(crop, max_size=area - 1, connectivity=2)
        cleaned.append(Masks.from_dense(crop[None]).moved(masks.shape, x0, y0))
    return Masks.concatenate(cleaned)
