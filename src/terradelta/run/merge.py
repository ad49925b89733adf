"""The objects of a scene from those of its tiles: no duplicates, and nothing cut where tiles meet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from terradelta.geo.tiles import Box, Key, Lattice, Tile, intersection, is_empty, shifted
from terradelta.run.seams import Links, TileObjects, of_core
from terradelta.sam.segmenter import BoolArray

Join = Callable[[TileObjects, TileObjects, int, int], Links]
"""See `terradelta.run.seams`: which objects of two neighbours are one."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneObject:
    """An object of the scene: ``mask`` bool [h, w], its top left pixel (x0, y0) of the grid.

    ``intensity``, ``iou``, ``stability`` and ``valid_fraction`` are means over the tiles that see it,
    weighted by its pixels in their cores; ``date``, a number of `DATES`, is that of most of them.
    """

    mask: BoolArray
    x0: int
    y0: int
    intensity: float
    iou: float
    stability: float
    date: int
    valid_fraction: float


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    """Object ``number`` of a tile: its mask in its box, and the box on the grid."""

    tile: Tile
    mask: BoolArray
    box: Box
    values: tuple[float, ...]
    date: int

    @classmethod
    def of(cls, objects: TileObjects, n: int) -> _Member:
        mask, x, y = objects.masks.crop(n)
        x, y = x + objects.tile.window[0], y + objects.tile.window[1]
        values = (objects.intensity, objects.iou, objects.stability, objects.valid_fraction)
        return cls(
            objects.tile,
            mask,
            (x, y, x + mask.shape[1], y + mask.shape[0]),
            tuple(float(column[n]) for column in values),
            int(objects.date[n]),
        )


class Merger:
    """Takes the tiles of a lattice row by row and gives back whole objects.

    It holds the tiles of two rows, and what lies further up of objects that are not complete yet.
    """

    def __init__(self, lattice: Lattice, links: Join) -> None:
        self._lattice, self._links = lattice, links
        self._tiles: dict[Key, tuple[TileObjects, int]] = {}
        self._members: dict[int, _Member] = {}
        self._parent: dict[int, int] = {}
        self._count = 0

    def add(self, found: TileObjects) -> None:
        """A tile's objects; its neighbours above and to the left have been added before."""
        found = of_core(found)
        row, column = found.tile.key
        first = self._count
        self._count += len(found.masks)
        for n in range(len(found.masks)):
            self._members[first + n] = _Member.of(found, n)
            self._parent[first + n] = first + n
        size = self._lattice.width, self._lattice.height
        for dr, dc in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
            neighbour = self._tiles.get((row + dr, column + dc))
            if neighbour is not None:
                other, base = neighbour
                for a, b in self._links(other, found, *size):
                    self._join(base + a, first + b)
        self._tiles[row, column] = found, first

    def finished(self, row: int | None) -> Iterator[SceneObject]:
        """What the tiles after ``row``, all of which have been added, cannot change; None: the rest."""
        for numbers in self._groups():
            members = [self._members[n] for n in numbers]
            if row is None or all(member.tile.key[0] != row for member in members):
                for n in numbers:
                    del self._members[n], self._parent[n]
                whole = self._whole(members)
                if whole is not None:
                    yield whole
        for key in [key for key in self._tiles if key[0] != row]:
            del self._tiles[key]

    def _groups(self) -> list[list[int]]:
        groups = defaultdict(list)
        for n in self._members:
            groups[self._root(n)].append(n)
        return list(groups.values())

    def _root(self, n: int) -> int:
        while self._parent[n] != n:
            self._parent[n] = n = self._parent[self._parent[n]]
        return n

    def _join(self, a: int, b: int) -> None:
        low, high = sorted((self._root(a), self._root(b)))
        self._parent[high] = low

    def _whole(self, members: list[_Member]) -> SceneObject | None:
        """One object of those that were found to be the same.

        Every tile says which pixels of its core belong to it; of the rest any may say. An object most
        of which lies in the core of a tile that does not know it is none.
        """
        cores = {member.tile.key: member.tile.core for member in members}
        lows = np.min([member.box[:2] for member in members], 0)
        highs = np.max([member.box[2:] for member in members], 0)
        frame: Box = (int(lows[0]), int(lows[1]), int(highs[0]), int(highs[1]))
        mask = np.zeros((frame[3] - frame[1], frame[2] - frame[0]), bool)
        for member in members:
            _view(mask, frame, member.box)[...] |= member.mask
        for core in cores.values():
            _clear(mask, frame, core)
        weights = np.array([_paint_core(mask, frame, member) for member in members], float)
        if not mask.any() or self._owner(mask, frame) not in cores:
            return None
        mask, x0, y0 = _trimmed(mask, frame)
        means = np.average([member.values for member in members], 0, weights).tolist()
        intensity, iou, stability, valid = means
        date = np.bincount([member.date for member in members], weights).argmax()
        return SceneObject(mask, x0, y0, intensity, iou, stability, int(date), valid)

    def _owner(self, mask: BoolArray, frame: Box) -> Key:
        """The tile whose core holds most pixels; the first of equals."""
        lattice = self._lattice
        (top, left), (bottom, right) = (
            lattice.owner(*frame[:2]),
            lattice.owner(frame[2] - 1, frame[3] - 1),
        )
        shares = {}
        for key in product(range(top, bottom + 1), range(left, right + 1)):
            box = intersection(frame, lattice[key].core)
            shares[key] = np.count_nonzero(_view(mask, frame, box))
        return max(shares, key=lambda key: shares[key])


def _view(mask: BoolArray, frame: Box, box: Box) -> BoolArray:
    """The part of a mask in ``frame`` that lies in ``box``, both in pixels of the grid."""
    x0, y0, x1, y1 = shifted(intersection(frame, box), -frame[0], -frame[1])
    return mask[y0:y1, x0:x1]


def _clear(mask: BoolArray, frame: Box, core: Box) -> None:
    if not is_empty(intersection(frame, core)):
        _view(mask, frame, core)[...] = False


def _paint_core(mask: BoolArray, frame: Box, member: _Member) -> int:
    """Set what a member has in its tile's core; returns the number of those pixels."""
    box = intersection(member.box, member.tile.core)
    if is_empty(box):
        return 0
    own = _view(member.mask, member.box, box)
    _view(mask, frame, box)[...] |= own
    return int(np.count_nonzero(own))


def _trimmed(mask: BoolArray, frame: Box) -> tuple[BoolArray, int, int]:
    """The mask in its own box, and the box's corner on the grid."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return inside, frame[0] + int(columns[0]), frame[1] + int(rows[0])
