"""Which objects of neighbouring tiles are the same.

Every tile finds objects in its whole window. Two objects of neighbouring tiles are the same if they are
alike where both windows see them. An object that leaves a window is known to its tile in part only: it
goes on in what the neighbour has along their common border.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from terradelta.geo.tiles import Box, Tile, intersection, is_empty, shifted
from terradelta.sam.masks import FloatArray, Masks
from terradelta.sam.segmenter import BoolArray
from terradelta.zeroshot.candidates import DATES as ONE_DATE

SAME_IOU = 0.5
"""Intersection over union from which two objects are the same."""
GOES_ON = 0.5
"""Share of the shorter of two ends at a border along which the objects must touch to be one."""

DATES = (*ONE_DATE, "both")
"""Whose mask an object is. Which ``both`` has, a detector's, is that of either date."""
BOTH = DATES.index("both")

Links = list[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class TileObjects:
    """The changes of a tile's window: N masks and, float32 or int8 [N], what is known of each.

    ``intensity`` is in the unit of the model, ``date`` a number of `DATES`; what is not known is NaN.
    """

    tile: Tile
    masks: Masks
    intensity: FloatArray
    iou: FloatArray
    stability: FloatArray
    date: NDArray[np.int8]
    valid_fraction: FloatArray

    def __getitem__(self, index: Any) -> TileObjects:
        columns = (self.intensity, self.iou, self.stability, self.date, self.valid_fraction)
        return TileObjects(self.tile, self.masks[index], *(column[index] for column in columns))


def of_core(objects: TileObjects) -> TileObjects:
    """Those with a pixel in their tile's core.

    The rest are its neighbours'. Cut off by the window's border they may resemble several objects at
    once, a part and the whole, and would tie these to one.
    """
    _, inside = _within(objects, intersection(objects.tile.core, objects.tile.window))
    return objects[inside]


def links(first: TileObjects, second: TileObjects, width: int, height: int) -> Links:
    """Pairs (n of first, m of second) that are one object.

    The tiles are neighbours, ``second`` to the right of or below ``first`` or diagonal to it, in a grid
    of ``width`` x ``height`` px.
    """
    same = _alike(first, second)
    vertical = first.tile.key[0] == second.tile.key[0]
    horizontal = first.tile.key[1] == second.tile.key[1]
    if vertical or horizontal:
        same |= _continued(first, second, vertical, (width, height))
    return sorted(same)


def touching(first: TileObjects, second: TileObjects) -> Links:
    """Pairs (n of first, m of second) with pixels side by side or corner to corner.

    For components of a mask that was cut along the borders of windows that do not overlap.
    """
    x0, y0, x1, y1 = second.tile.window
    border = intersection(first.tile.window, (x0 - 1, y0 - 1, x1 + 1, y1 + 1))
    a, here = _within(first, border)
    found: set[tuple[int, int]] = set()
    for dx, dy in product((-1, 0, 1), repeat=2):
        b, there = _within(second, shifted(border, dx, dy))
        if len(a) and len(b):
            common = _overlaps(a, b)
            found |= _pairs(here[common.row], there[common.col])
    return sorted(found)


def _alike(first: TileObjects, second: TileObjects) -> set[tuple[int, int]]:
    """Pairs most alike to each other of all, in the overlap of both windows, and alike enough.

    Objects of one tile may overlap: a part and the whole stay two.
    """
    shared = intersection(first.tile.window, second.tile.window)
    (a, here), (b, there) = (_within(objects, shared) for objects in (first, second))
    if not len(a) or not len(b):
        return set()
    common = _overlaps(a, b)
    iou = common.data / (a.areas[common.row] + b.areas[common.col] - common.data)
    best_here, best_there = np.zeros(len(a)), np.zeros(len(b))
    np.maximum.at(best_here, common.row, iou)
    np.maximum.at(best_there, common.col, iou)
    mutual = (iou == best_here[common.row]) & (iou == best_there[common.col])
    alike = mutual & (iou >= SAME_IOU)
    return _pairs(here[common.row[alike]], there[common.col[alike]])


def _continued(
    first: TileObjects, second: TileObjects, vertical: bool, size: tuple[int, int]
) -> set[tuple[int, int]]:
    """Pairs that touch along the border of the cores, one of which leaves its window beyond it."""
    x0, y0, x1, y1 = intersection(first.tile.core, (0, 0, *size))
    before: Box = (x1 - 1, y0, x1, y1) if vertical else (x0, y1 - 1, x1, y1)
    after = shifted(before, 1, 0) if vertical else shifted(before, 0, 1)
    (a, here), (b, there) = _within(first, before), _within(second, after)
    if not len(a) or not len(b):
        return set()
    touching = _overlaps(a, b)
    ends = np.minimum(a.areas[touching.row], b.areas[touching.col])
    here, there = here[touching.row], there[touching.col]
    axis = 0 if vertical else 1
    leaving = _leaves(first, axis, +1, size)[here] | _leaves(second, axis, -1, size)[there]
    one = leaving & (touching.data >= GOES_ON * ends)
    return _pairs(here[one], there[one])


def _pairs(first: NDArray[Any], second: NDArray[Any]) -> set[tuple[int, int]]:
    return set(zip(first.tolist(), second.tolist(), strict=True))


def _leaves(objects: TileObjects, axis: int, side: int, size: tuple[int, int]) -> BoolArray:
    """Which masks touch the window's border on a side, where that is not the border of the grid."""
    window, boxes = objects.tile.window, objects.masks.boxes
    if side > 0:
        inner = window[axis + 2] < size[axis]
        return np.asarray(inner & (boxes[:, axis + 2] + window[axis] >= window[axis + 2]))
    return np.asarray((window[axis] > 0) & (boxes[:, axis] <= 0))


def _within(objects: TileObjects, box: Box) -> tuple[Masks, NDArray[Any]]:
    """The parts of masks that lie in a box of the grid, and of which masks they are."""
    if is_empty(box):
        return Masks.empty((0, 0)), np.zeros(0, np.int64)
    x, y = objects.tile.window[:2]
    inside = objects.masks.cropped(*shifted(box, -x, -y))
    filled = np.flatnonzero(inside.areas)
    return inside[filled], filled


def _overlaps(first: Masks, second: Masks) -> Any:
    """Pixels that two masks share, as a sparse [N, M] matrix of coordinates."""
    return (_membership(first) @ _membership(second).T).tocoo()


def _membership(masks: Masks) -> Any:
    """Sparse int32 [N, pixels]: 1 where a pixel is in a mask."""
    pixels = [masks.pixels(n) for n in range(len(masks))]
    offsets = np.concatenate([[0], np.cumsum(masks.areas)])
    index = np.concatenate(pixels)
    shape = (len(masks), masks.shape[0] * masks.shape[1])
    return sparse.csr_matrix((np.ones(len(index), np.int32), index, offsets), shape)
