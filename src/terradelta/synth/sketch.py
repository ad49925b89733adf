"""A block's plan while it is drawn: objects hang on sites, which are set down in the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from terradelta.synth.events import EventKind, EventPlan
from terradelta.synth.frame import Frame
from terradelta.synth.grid import Float32, Float64
from terradelta.synth.shapes import (
    NO_EVENT,
    Building,
    Colour,
    Cover,
    Parcel,
    Road,
    Slab,
    Trees,
    Use,
    Wing,
)


@dataclass(frozen=True)
class BlockPlan:
    """All that stands and lies in one block, or comes and goes there."""

    parcels: list[Parcel]
    roads: list[Road]
    slabs: list[Slab]
    buildings: list[Building]
    trees: Trees
    events: list[EventPlan]


@dataclass
class Site:
    """A rigid group of objects, in metres from an anchor in the plan.

    The x axis is the plan direction ``axis``; y is a quarter turn on. Slabs, the buildings and
    their outbuildings carry the site's ``event``.
    """

    anchor: tuple[float, float]
    axis: tuple[float, float]
    event: int = NO_EVENT
    slabs: list[Slab] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    trees: list[tuple[float, float, float, float, bool, float]] = field(default_factory=list)

    @classmethod
    def facing(
        cls, anchor: tuple[float, float], inward: tuple[float, float], event: int = NO_EVENT
    ) -> Site:
        """A site whose y axis points along the plan direction ``inward``."""
        return cls(anchor, (inward[1], -inward[0]), event)

    def slab(
        self,
        at: tuple[float, float],
        half: tuple[float, float],
        cover: Cover,
        tint: float = 0.0,
        *,
        angle: float = 0.0,
    ) -> None:
        self.slabs.append(Slab(*at, angle, *half, cover, tint, self.event))

    def building(
        self,
        at: tuple[float, float],
        wings: list[Wing],
        colour: Colour,
        tint: float,
        *,
        angle: float = 0.0,
    ) -> None:
        self.buildings.append(Building(*at, angle, tuple(wings), colour, tint, self.event))

    def tree(
        self, at: tuple[float, float], radius: float, height: float, tint: float, conifer: bool
    ) -> None:
        """A tree, which stands at both dates whatever the site's event."""
        self.trees.append((*at, radius, height, conifer, tint))


class Sketch:
    """Collects a block's content; :meth:`finish` sets it down in the world."""

    def __init__(
        self,
        rng: np.random.Generator,
        first_number: int,
        river_distance: Callable[[Float64, Float64], Float32],
    ) -> None:
        """Events are numbered from ``first_number`` on."""
        self.rng = rng
        self.river_distance = river_distance
        self.parcels: list[Parcel] = []
        self.roads: list[Road] = []
        self.sites: list[Site] = []
        self.events: list[EventPlan] = []
        self._stands: list[Trees] = []
        self._numbers = count(first_number)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def signed(self) -> float:
        """A number in [-1, 1)."""
        return self.uniform(-1, 1)

    def parcel(self, corners: Float64, use: Use, *, hedged: bool = False) -> Parcel:
        """Add a parcel whose rows follow its longest side."""
        edges = np.roll(corners, -1, axis=0) - corners
        lengths = np.hypot(edges[:, 0], edges[:, 1])
        longest = edges[int(np.argmax(lengths))] / lengths.max()
        along = (float(longest[0]), float(longest[1]))
        tint = (self.signed(), self.signed(), self.signed())
        parcel = Parcel(corners, use, along, tint, self.uniform(0, 500), hedged)
        self.parcels.append(parcel)
        return parcel

    def event(self, kind: EventKind, corners: Float64 | None = None) -> int:
        """Plan an event; its number."""
        number = next(self._numbers)
        self.events.append(EventPlan(kind, number, corners))
        return number

    def stand(
        self,
        u: Float64,
        v: Float64,
        radius: Float64,
        height: Float64,
        *,
        conifer: Float64 | None = None,
        event: NDArray[np.int64] | None = None,
        tint: float = 0.0,
    ) -> None:
        """Add trees at plan positions [n], except in the river; ``tint`` is their mean."""
        tints = tint + 0.5 * self.rng.uniform(-1, 1, len(u))
        conifer = np.zeros(len(u)) if conifer is None else conifer
        event = np.full(len(u), NO_EVENT, np.int64) if event is None else event
        dry = self.river_distance(u, v) > 1
        self._stands.append(Trees(u, v, radius, height, conifer, tints, event).take(dry))

    def finish(self, frame: Frame) -> BlockPlan:
        """Set everything down in the world; no crown touches a building, standing or to come."""
        slabs: list[Slab] = []
        buildings: list[Building] = []
        groups: list[Trees] = []
        for site, pose in zip(self.sites, self._poses(frame), strict=True):
            slabs += [pose.slab(slab) for slab in site.slabs]
            buildings += [pose.building(building) for building in site.buildings]
            groups.append(pose.trees(site.trees))
        stands = Trees.concat(self._stands)
        x, y = frame.to_world(stands.x, stands.y)
        groups.append(replace(stands, x=x, y=y))
        trees = _clear_of(Trees.concat(groups), buildings)
        return BlockPlan(self.parcels, self.roads, slabs, buildings, trees, self.events)

    def _poses(self, frame: Frame) -> list[_Pose]:
        anchors = np.array([site.anchor for site in self.sites]).reshape(-1, 2).T
        axes = np.array([site.axis for site in self.sites]).reshape(-1, 2).T
        columns = frame.place(anchors[0], anchors[1], axes[0], axes[1])
        return [_Pose(*(float(c) for c in row)) for row in zip(*columns, strict=True)]


def _clear_of(trees: Trees, buildings: list[Building]) -> Trees:
    keep = np.ones(len(trees), bool)
    for building in buildings:
        away = np.hypot(trees.x - building.x, trees.y - building.y)
        keep &= away > building.reach + 0.7 * trees.radius
    return trees.take(keep)


class _Pose:
    """Position and angle of a site in the world."""

    def __init__(self, x: float, y: float, angle: float) -> None:
        self._x, self._y, self._angle = x, y, angle
        self._cos, self._sin = float(np.cos(angle)), float(np.sin(angle))

    def _move(self, x: Float64 | float, y: Float64 | float) -> tuple[Float64, Float64]:
        return (
            np.asarray(self._x + self._cos * x - self._sin * y),
            np.asarray(self._y + self._sin * x + self._cos * y),
        )

    def slab(self, slab: Slab) -> Slab:
        x, y = self._move(slab.x, slab.y)
        return replace(slab, x=float(x), y=float(y), angle=slab.angle + self._angle)

    def building(self, building: Building) -> Building:
        x, y = self._move(building.x, building.y)
        return replace(building, x=float(x), y=float(y), angle=building.angle + self._angle)

    def trees(self, rows: list[tuple[float, float, float, float, bool, float]]) -> Trees:
        columns = np.array(rows, np.float64).reshape(-1, 6).T
        x, y = self._move(columns[0], columns[1])
        radius, height, conifer, tint = columns[2:]
        return Trees(x, y, radius, height, conifer, tint, np.full(len(x), NO_EVENT, np.int64))
