"""The large lines of a scene: blocks between roads, what each block is about, and the rivers.

Roads follow the lines of a jittered lattice in plan coordinates: lines of constant u run through,
and each strip between two of them is cut on its own, so that crossings are mostly T-junctions.
Everything is a function of (seed, strip, row): any block can be planned without its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np

from terradelta.synth.grid import Float32, Float64
from terradelta.synth.shapes import Road, RoadKind
from terradelta.synth.texture import Layer, Noise, hash_uniform, smoothstep

PITCH = 256.0
_JITTER = 34.0
_RIVER_EVERY = 3  # groups of two strips

_HALF_WIDTH = {
    RoadKind.NONE: 0.0,
    RoadKind.TRACK: 1.5,
    RoadKind.LANE: 2.6,
    RoadKind.MAIN: 3.5,
}
_VERGE = {
    RoadKind.NONE: 0.4,
    RoadKind.TRACK: 0.6,
    RoadKind.LANE: 1.6,
    RoadKind.MAIN: 2.4,
}


class _Draw(IntEnum):
    """What a random number of the layout decides."""

    LINE = 0
    CUT = auto()
    LINE_KIND = auto()
    CUT_KIND = auto()
    LINE_TINT = auto()
    CUT_TINT = auto()
    THEME = auto()
    WATERSIDE_SIDE = auto()
    VILLAGE_SIDE = auto()
    WOODLAND_SIDE = auto()
    RIVER_SIDE = auto()
    RIVER_PLACE = auto()
    ANGLE = auto()
    ORIGIN_U = auto()
    ORIGIN_V = auto()


class Theme(IntEnum):
    """What a block is about."""

    VILLAGE = 0
    FARMLAND = auto()
    WOODLAND = auto()
    WATERSIDE = auto()


@dataclass(frozen=True)
class Block:
    """A rectangle (u0, v0, u1, v1) of the plan inside its roads and verges.

    ``node`` is the corner that it shares with the other three blocks of its group; ``complete``
    groups hold all four themes.
    """

    strip: int
    row: int
    theme: Theme
    bounds: tuple[float, float, float, float]
    node: tuple[float, float]
    complete: bool

    @property
    def near(self) -> tuple[float, float]:
        """The block's own corner (u, v) at the node."""
        u0, v0, u1, v1 = self.bounds
        return (
            min(u0, u1, key=lambda u: abs(u - self.node[0])),
            min(v0, v1, key=lambda v: abs(v - self.node[1])),
        )

    @property
    def far(self) -> tuple[float, float]:
        """The corner (u, v) opposite to :attr:`near`."""
        u0, v0, u1, v1 = self.bounds
        return (
            max(u0, u1, key=lambda u: abs(u - self.node[0])),
            max(v0, v1, key=lambda v: abs(v - self.node[1])),
        )


class Layout:
    """Lattice lines, themes and rivers of one seed."""

    def __init__(self, seed: int, noise: Noise) -> None:
        self._noise = noise
        self._salt = int(np.random.SeedSequence((seed, 1)).generate_state(1)[0])

    def _draw(self, i: int, j: int, purpose: _Draw) -> float:
        """A number in [0, 1) that belongs to lattice place (i, j)."""
        salt = (self._salt + 0x51ED270B * purpose) & 0xFFFFFFFF
        return float(hash_uniform(np.array([i]), np.array([j]), salt)[0])

    def orientation(self) -> tuple[float, tuple[float, float]]:
        """The frame's angle in radians, and the plan point in the middle of the scene."""
        angle, u, v = (
            self._draw(0, 0, purpose) for purpose in (_Draw.ANGLE, _Draw.ORIGIN_U, _Draw.ORIGIN_V)
        )
        return 2 * np.pi * angle, (_JITTER * (2 * u - 1), _JITTER * (2 * v - 1))

    def line(self, i: int) -> float:
        """Position u of the i-th line of constant u."""
        return PITCH * i + _JITTER * (2 * self._draw(i, 0, _Draw.LINE) - 1)

    def cut(self, i: int, j: int) -> float:
        """Position v of the j-th cut of strip i, between lines i and i + 1."""
        return PITCH * j + _JITTER * (2 * self._draw(i, j, _Draw.CUT) - 1)

    def line_kind(self, i: int) -> RoadKind:
        draw = self._draw(i, 0, _Draw.LINE_KIND)
        if i % 2 == 0:
            return RoadKind.MAIN if draw < 0.4 else RoadKind.LANE
        return (RoadKind.LANE, RoadKind.TRACK, RoadKind.NONE)[int(draw * 3)]

    def cut_kind(self, i: int, j: int) -> RoadKind:
        draw = self._draw(i, j, _Draw.CUT_KIND)
        if Theme.VILLAGE in (self.theme(i, j - 1), self.theme(i, j)):
            return RoadKind.LANE
        if j % 2 == 0:
            return RoadKind.LANE if draw < 0.5 else RoadKind.TRACK
        return RoadKind.TRACK if draw < 0.33 else RoadKind.NONE

    def theme(self, i: int, j: int) -> Theme:
        """Theme of the block at row j of strip i.

        Blocks come in groups of four around a node. Every second group along a river, the one in
        the middle of the scene among them, holds all four themes, with the waterside block on the
        river and the village off it.
        """
        group, group_row = (i + 1) // 2, (j + 1) // 2
        by_river = self.has_river(group) and i == self.river_strip(group)
        south = j % 2 == 0
        if self._is_complete(group, group_row):
            wood_by_river = self._draw(group, group_row, _Draw.WOODLAND_SIDE) < 0.5
            if by_river:
                if south == (self._draw(group, group_row, _Draw.WATERSIDE_SIDE) < 0.5):
                    return Theme.WATERSIDE
                return Theme.WOODLAND if wood_by_river else Theme.FARMLAND
            if south == (self._draw(group, group_row, _Draw.VILLAGE_SIDE) < 0.5):
                return Theme.VILLAGE
            return Theme.FARMLAND if wood_by_river else Theme.WOODLAND
        draw = self._draw(i, j, _Draw.THEME)
        if by_river:
            return Theme.WATERSIDE if draw < 0.4 else Theme.FARMLAND
        if draw < 0.22:
            return Theme.VILLAGE
        return Theme.FARMLAND if draw < 0.72 else Theme.WOODLAND

    def block(self, i: int, j: int) -> Block:
        """The block at row j of strip i."""
        west, east = self.line_kind(i), self.line_kind(i + 1)
        north, south = self.cut_kind(i, j), self.cut_kind(i, j + 1)
        bounds = (
            self.line(i) + _HALF_WIDTH[west] + _VERGE[west],
            self.cut(i, j) + _HALF_WIDTH[north] + _VERGE[north],
            self.line(i + 1) - _HALF_WIDTH[east] - _VERGE[east],
            self.cut(i, j + 1) - _HALF_WIDTH[south] - _VERGE[south],
        )
        group, group_row = (i + 1) // 2, (j + 1) // 2
        node = (self.line(2 * group), self.cut(i, 2 * group_row))
        complete = self._is_complete(group, group_row)
        return Block(i, j, self.theme(i, j), bounds, node, complete)

    def blocks_in(self, u0: float, v0: float, u1: float, v1: float) -> list[tuple[int, int]]:
        """Blocks (strip, row) whose cell of the lattice touches a plan rectangle, in order."""
        strips = range(int(u0 // PITCH) - 1, int(u1 // PITCH) + 2)
        rows = range(int(v0 // PITCH) - 1, int(v1 // PITCH) + 2)
        return [
            (i, j)
            for i in strips
            for j in rows
            if self.line(i) <= u1
            and self.line(i + 1) >= u0
            and self.cut(i, j) <= v1
            and self.cut(i, j + 1) >= v0
        ]

    def roads(self, i: int, j: int) -> list[Road]:
        """The lattice roads along the low-u and low-v sides of a block."""
        u0, u1 = self.line(i), self.line(i + 1)
        v0, v1 = self.cut(i, j), self.cut(i, j + 1)
        sides = (
            ((u0, v1), self.line_kind(i), self._draw(i, 0, _Draw.LINE_TINT)),
            ((u1, v0), self.cut_kind(i, j), self._draw(i, j, _Draw.CUT_TINT)),
        )
        return [
            Road((u0, v0), end, kind, 2 * _HALF_WIDTH[kind], 2 * tint - 1)
            for end, kind, tint in sides
            if kind is not RoadKind.NONE
        ]

    def _is_complete(self, group: int, group_row: int) -> bool:
        return self.has_river(group) and group_row % 2 == 0

    def has_river(self, group: int) -> bool:
        """Whether a river runs along the group column, which lies around line 2 group."""
        return group % _RIVER_EVERY == 0

    def river_strip(self, group: int) -> int:
        """The strip in which a group column's river keeps."""
        return 2 * group if self._draw(group, 0, _Draw.RIVER_SIDE) < 0.5 else 2 * group - 1

    def river_group(self, u: float) -> int:
        """The group column whose river is nearest to u."""
        return _RIVER_EVERY * round(u / (2 * PITCH * _RIVER_EVERY))

    def river_middle(self, v: Float32, group: int) -> tuple[Float32, Float32]:
        """Position u of a river's middle line at v, and its half width there."""
        noise, along = self._noise, v + np.float32(1000 * group)
        wander = 15 * noise.line(along, 150, Layer.MEANDER)
        wander += 4 * noise.line(along, 47, Layer.MEANDER, 1)
        side = 1 if self.river_strip(group) == 2 * group else -1
        away = 70 + 22 * self._draw(group, 0, _Draw.RIVER_PLACE)
        middle = np.float32(self.line(2 * group) + side * away) + np.clip(wander, -34, 40)
        width = noise.line(along, 120, Layer.CHANNEL)
        half_width = 6.5 + 1.6 * width + 7 * smoothstep(0.9, 1.8, width)
        return np.asarray(middle, np.float32), np.asarray(half_width, np.float32)

    def river_distance(self, u: Float64 | Float32, v: Float64 | Float32) -> Float32:
        """Distance of plan points to the nearest river's bank, negative in the water."""
        u, v = np.asarray(u, np.float32), np.asarray(v, np.float32)
        nearest = np.full(u.shape, np.inf, np.float32)
        if u.size == 0:
            return nearest
        first, last = self.river_group(float(u.min())), self.river_group(float(u.max()))
        for group in range(first, last + 1, _RIVER_EVERY):
            middle, half_width = self.river_middle(v, group)
            np.minimum(nearest, np.abs(u - middle) - half_width, out=nearest)
        return nearest
