"""Tiles: square cores that part the ground, each looked at in a window with a halo around it.

Cores lie on a lattice that is anchored where the pixel lattice of the coordinate system begins, so that
the same place falls into the same core whatever part of a raster is fed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from terradelta.errors import UsageError

ALIGNMENT_PX = 2
"""Windows begin and end at multiples of this, counted from the anchor: filters with a stride then see
the same cells from every tile."""
SMALLEST_CORE_PX = 32

Box = tuple[int, int, int, int]
Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile in pixels of the grid, (x0, y0, x1, y1) with x1 and y1 exclusive.

    ``key`` is (row, column) in the anchored lattice. ``core`` is what the tile owns, ``window`` what is
    looked at; both may reach beyond the grid.
    """

    key: Key
    core: Box
    window: Box

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the window."""
        x0, y0, x1, y1 = self.window
        return y1 - y0, x1 - x0

    @property
    def core_in_window(self) -> Box:
        """The core in pixels of the window."""
        return shifted(self.core, -self.window[0], -self.window[1])


@dataclass(frozen=True)
class Lattice:
    """The tiles of a grid of ``width`` x ``height`` px.

    ``anchor`` (x, y) is the grid's first pixel counted from the anchor, ``core`` and ``halo`` are px.
    Windows are cut off at the grid's border if ``clipped``. A grid that fits into one window is a single
    tile, whatever the anchor.
    """

    width: int
    height: int
    anchor: tuple[int, int]
    core: int
    halo: int
    clipped: bool = True

    def __post_init__(self) -> None:
        if self.core < SMALLEST_CORE_PX or self.core % ALIGNMENT_PX:
            raise UsageError(
                f"the tile is {self.core} px: it must be an even number, at least {SMALLEST_CORE_PX}"
            )
        if not 0 <= self.halo <= self.core // 2 or self.halo % ALIGNMENT_PX:
            raise UsageError(
                f"the halo is {self.halo} px: it must be an even number from 0 to half of the tile, "
                f"{self.core // 2} px"
            )

    @cached_property
    def is_single(self) -> bool:
        return max(self.width, self.height) <= self.core + 2 * self.halo

    @property
    def rows(self) -> range:
        """Numbers of the lattice rows that hold pixels of the grid."""
        return range(1) if self.is_single else _numbers(self.anchor[1], self.height, self.core)

    @property
    def columns(self) -> range:
        return range(1) if self.is_single else _numbers(self.anchor[0], self.width, self.core)

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __iter__(self) -> Iterator[Tile]:
        """All tiles, row by row from the top."""
        return (self[row, column] for row in self.rows for column in self.columns)

    def __getitem__(self, key: Key) -> Tile:
        grid = (0, 0, self.width, self.height)
        if self.is_single:
            return Tile(key, grid, grid)
        row, column = key
        x0, y0 = column * self.core - self.anchor[0], row * self.core - self.anchor[1]
        core = x0, y0, x0 + self.core, y0 + self.core
        window = x0 - self.halo, y0 - self.halo, core[2] + self.halo, core[3] + self.halo
        return Tile(key, core, self._cut(window) if self.clipped else window)

    def owner(self, x: int, y: int) -> Key:
        """The tile whose core holds a pixel of the grid."""
        if self.is_single:
            return 0, 0
        return (y + self.anchor[1]) // self.core, (x + self.anchor[0]) // self.core

    def _cut(self, window: Box) -> Box:
        """Cut at the grid, outwards to the alignment."""
        x, y = self.anchor
        return (
            max(window[0], _floor(x) - x),
            max(window[1], _floor(y) - y),
            min(window[2], -_floor(-(x + self.width)) - x),
            min(window[3], -_floor(-(y + self.height)) - y),
        )


def shifted(box: Box, dx: int, dy: int) -> Box:
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy


def intersection(a: Box, b: Box) -> Box:
    """What two boxes share; empty (x1 <= x0 or y1 <= y0) if nothing."""
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def is_empty(box: Box) -> bool:
    return box[2] <= box[0] or box[3] <= box[1]


def _numbers(anchor: int, length: int, core: int) -> range:
    return range(anchor // core, (anchor + length - 1) // core + 1)


def _floor(position: int) -> int:
    return position // ALIGNMENT_PX * ALIGNMENT_PX
