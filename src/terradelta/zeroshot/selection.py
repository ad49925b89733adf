"""Which candidates are changes, and what the pixels say, once a threshold is known."""

from __future__ import annotations

import numpy as np

from terradelta.sam.masks import FloatArray, Masks
from terradelta.sam.proposals import one_layer
from terradelta.sam.segmenter import BoolArray
from terradelta.zeroshot.candidates import Candidates


def contenders(candidates: Candidates, overlap_rule: str, top_k: int | None) -> Candidates:
    """Those that a threshold is chosen among: of the k largest angles none may hide another."""
    if overlap_rule == "layer" and top_k is not None:
        return candidates[one_layer(candidates.masks, candidates.angle)]
    return candidates


def select(
    candidates: Candidates,
    pixel_angle: FloatArray,
    threshold: float,
    overlap_rule: str,
    *,
    top_k: int | None = None,
    clicked: bool = False,
) -> tuple[Candidates, FloatArray]:
    """The changes among `contenders`, largest angle first, and the angle at every pixel.

    A click or ``top_k`` asks for certain objects: pixels outside them then have the angle 0.
    """
    layered = overlap_rule == "layer"
    kept = candidates[candidates.angle > threshold]
    if layered and top_k is None:
        kept = kept[_mostly_above(kept.masks, pixel_angle, threshold)]
    if top_k is not None:
        pixel_angle = kept.masks.paint_max(kept.angle)
    elif clicked:
        pixel_angle = np.where(kept.masks.union(), pixel_angle, np.float32(0))
    if layered and top_k is None:
        kept = kept[np.sort(one_layer(kept.masks, kept.iou))]
    return kept, pixel_angle


def _mostly_above(masks: Masks, pixel_angle: FloatArray, threshold: float) -> BoolArray:
    """Which masks agree with the pixel-level answer: at least half of their pixels are changed."""
    changed = (pixel_angle > threshold).astype(np.float64)
    return np.asarray(masks.sums(changed) >= masks.areas / 2)
