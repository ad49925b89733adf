"""What a plan is made of: parcels and roads in plan coordinates, objects in world coordinates.

Lengths are in metres, angles in radians from x towards y. ``event`` is the number of the event
that an object belongs to, ``NO_EVENT`` for what is there at both dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from terradelta.synth.grid import Float64

NO_EVENT = 0

Colour = tuple[float, float, float]


class Use(IntEnum):
    """Land use of a parcel; a row of the palette."""

    VERGE = 0
    MEADOW = auto()
    PASTURE = auto()
    CEREAL = auto()
    RIPE = auto()
    ROOTS = auto()
    STUBBLE = auto()
    BARE = auto()
    PLOUGHED = auto()
    LAWN = auto()
    PLOT = auto()
    YARD = auto()
    ORCHARD = auto()
    WOOD = auto()


class RoadKind(IntEnum):
    """Class of a road, the lesser first; ``NONE`` is a boundary without a road."""

    NONE = 0
    TRACK = auto()
    STREET = auto()
    LANE = auto()
    MAIN = auto()


class Roof(IntEnum):
    FLAT = 0
    GABLE = auto()
    HIP = auto()


class Cover(IntEnum):
    """Surface of a slab."""

    PAVING = 0
    ASPHALT = auto()
    GRAVEL = auto()
    SOIL = auto()
    POOL = auto()
    HAY = auto()
    CAR = auto()


@dataclass(frozen=True)
class Parcel:
    """A convex polygon of one land use, in plan coordinates.

    ``corners`` [n, 2] run so that the shoelace area is positive; ``along`` is the unit vector of
    its rows, which ``phase`` shifts; ``tint`` holds numbers in [-1, 1) that vary its look;
    ``hedged`` parcels have hedges along their sides.
    """

    corners: Float64
    use: Use
    along: tuple[float, float]
    tint: tuple[float, float, float]
    phase: float
    hedged: bool = False


@dataclass(frozen=True)
class Road:
    """A stretch of road, straight between two plan points."""

    start: tuple[float, float]
    end: tuple[float, float]
    kind: RoadKind
    width: float
    tint: float


@dataclass(frozen=True)
class Slab:
    """A flat rectangle on the ground: a drive, a pool, a car. ``tint`` in [-1, 1)."""

    x: float
    y: float
    angle: float
    half_length: float
    half_width: float
    cover: Cover
    tint: float
    event: int = NO_EVENT


@dataclass(frozen=True)
class Wing:
    """A rectangle of a building with its own roof, in the building's frame.

    The ridge runs along the length, which lies on the building's x axis, on its y axis if
    ``turned``; ``eave`` is the height of the eaves, ``slope`` the rise of the roof per metre.
    """

    x: float
    y: float
    half_length: float
    half_width: float
    roof: Roof
    eave: float
    slope: float
    turned: bool = False

    @property
    def reach(self) -> float:
        half_x, half_y = self.half_length, self.half_width
        if self.turned:
            half_x, half_y = half_y, half_x
        return float(np.hypot(abs(self.x) + half_x, abs(self.y) + half_y))


@dataclass(frozen=True)
class Building:
    """Wings around a position; the first one gives the roof its style. ``tint`` in [-1, 1)."""

    x: float
    y: float
    angle: float
    wings: tuple[Wing, ...]
    colour: Colour
    tint: float
    event: int = NO_EVENT

    @property
    def reach(self) -> float:
        """Radius of a circle around (x, y) that holds the building."""
        return max(wing.reach for wing in self.wings)


@dataclass(frozen=True)
class Trees:
    """Trees as columns [n]; ``conifer`` and ``tint`` are shares, in [0, 1] and about [-1, 1]."""

    x: Float64
    y: Float64
    radius: Float64
    height: Float64
    conifer: Float64
    tint: Float64
    event: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Trees:
        return Trees(
            self.x[rows],
            self.y[rows],
            self.radius[rows],
            self.height[rows],
            self.conifer[rows],
            self.tint[rows],
            self.event[rows],
        )

    @classmethod
    def concat(cls, groups: list[Trees]) -> Trees:
        none = np.empty(0)
        return cls(
            np.concatenate([none, *(g.x for g in groups)]),
            np.concatenate([none, *(g.y for g in groups)]),
            np.concatenate([none, *(g.radius for g in groups)]),
            np.concatenate([none, *(g.height for g in groups)]),
            np.concatenate([none, *(g.conifer for g in groups)]),
            np.concatenate([none, *(g.tint for g in groups)]),
            np.concatenate([none.astype(np.int64), *(g.event for g in groups)]),
        )
