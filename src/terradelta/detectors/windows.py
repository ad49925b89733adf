"""An image of any size in windows of a size that a network can take, put together without seams.

The windows are those of a lattice of tiles: cores side by side, each looked at with a halo around it. A
window counts fully on its core, not at all in the outer half of its halo, where the network lacks what
lies beyond the window, and less and less in between: where two windows meet one fades into the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.geo.tiles import Box, Key, Lattice, intersection, is_empty, shifted
from terradelta.sam.masks import FloatArray

CORE_PX, HALO_PX = 1024, 128
"""Of a window. With 64 px that do not count on every side a pixel is seen by a receptive field of 129 px
as if the window had no end."""

Look = tuple[Key, Box, FloatArray]
"""A tile, a box of the image, in px of it, and values [h, w] there."""


def blended(lattice: Lattice, box: Box, looks: Iterable[Look]) -> FloatArray:
    """float32 [h, w] of a box of the image: the weighted mean of what the windows say; 0 where none does.

    ``looks`` may come in any order and reach beyond the box.
    """
    total = np.zeros((box[3] - box[1], box[2] - box[0]), np.float32)
    weight = np.zeros_like(total)
    for key, seen, values in looks:
        common = intersection(box, seen)
        if is_empty(common):
            continue
        share = _share(lattice.halo, lattice[key].core, common)
        here = part_of(total, box, common)
        here += share * part_of(values, seen, common)
        there = part_of(weight, box, common)
        there += share
    np.divide(total, weight, out=total, where=weight > 0)
    return total


def part_of(image: NDArray[Any], place: Box, box: Box) -> NDArray[Any]:
    """The part of an image that lies in ``box``, where the image itself lies at ``place``."""
    x0, y0, x1, y1 = shifted(box, -place[0], -place[1])
    return image[y0:y1, x0:x1]


def _share(halo: int, core: Box, box: Box) -> FloatArray:
    """The weights of a tile's window in a box of the image."""
    x, y = (_ramp(halo, core[axis], core[axis + 2], box[axis], box[axis + 2]) for axis in (0, 1))
    return np.asarray(np.outer(y, x), np.float32)


def _ramp(halo: int, low: int, high: int, start: int, stop: int) -> FloatArray:
    """Along one axis: one half at the borders of the core, 0 and 1 half a halo before and behind."""
    middle = np.arange(start, stop, dtype=np.float32) + 0.5
    inside = np.minimum(middle - low, high - middle)
    return np.asarray(np.clip(inside / max(halo, 1) + 0.5, 0, 1), np.float32)
