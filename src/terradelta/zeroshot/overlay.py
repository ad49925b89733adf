"""The picture of a detection: both dates, and the outline of every change on both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terradelta.geo.pair import Pair
from terradelta.geo.quicklook import legend, outlined
from terradelta.geo.style import COLOURS
from terradelta.sam.masks import Masks

GAP_PX = 8
SMALLEST_SIDE_PX = 512


def draw_overlay(pair: Pair, masks: Masks, dates: Sequence[str]) -> NDArray[np.uint8]:
    """uint8 [h, w, 3]: before (left) and after (right), outlined in the colour of the mask's date.

    Small images are enlarged so that outlines, drawn one pixel wide, do not cover them.
    """
    height, width = pair.shape
    factor = max(1, -(-SMALLEST_SIDE_PX // max(height, width)))
    edges = {
        date: _edges(masks, np.array([d == date for d in dates], bool), factor) for date in COLOURS
    }
    panels = [
        outlined(image.repeat(factor, 0).repeat(factor, 1), edges)
        for image in (pair.before, pair.after)
    ]
    gap = np.full((panels[0].shape[0], GAP_PX, 3), 255, np.uint8)
    picture = np.concatenate([panels[0], gap, panels[1]], axis=1)
    counts = {date: sum(d == date for d in dates) for date in COLOURS}
    return np.concatenate([picture, legend(picture.shape[1], counts)])


def _edges(masks: Masks, chosen: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """bool [H * factor, W * factor]: the inner boundary of each chosen mask."""
    height, width = masks.shape
    edges = np.zeros((height * factor, width * factor), bool)
    for n in np.flatnonzero(chosen):
        crop, x0, y0 = masks.crop(int(n))
        crop = crop.repeat(factor, 0).repeat(factor, 1)
        inner = ndimage.binary_erosion(np.pad(crop, 1))[1:-1, 1:-1]
        top, left = y0 * factor, x0 * factor
        edges[top : top + crop.shape[0], left : left + crop.shape[1]] |= crop & ~inner
    return edges
