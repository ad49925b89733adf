"""The open country of a block: how land is divided, what grows on it, what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from terradelta.synth.events import EventKind
from terradelta.synth.grid import Float64
from terradelta.synth.layout import Block
from terradelta.synth.planting import plant_hedges, plant_orchard, plant_wood, scatter_trees
from terradelta.synth.polygons import area, distance_to, inner_distance, rectangle, split
from terradelta.synth.shapes import NO_EVENT, Parcel, Road, RoadKind, Use
from terradelta.synth.sketch import Site, Sketch
from terradelta.synth.yards import FARM_SIZE, back_barn, farmstead

Mix = Sequence[tuple[Use, float]]

_CROPS: Mix = (
    (Use.CEREAL, 0.27),
    (Use.MEADOW, 0.25),
    (Use.RIPE, 0.12),
    (Use.ROOTS, 0.12),
    (Use.STUBBLE, 0.09),
    (Use.BARE, 0.07),
    (Use.PASTURE, 0.08),
)
_GREEN: Mix = ((Use.CEREAL, 0.5), (Use.MEADOW, 0.3), (Use.RIPE, 0.2))
_GRASS: Mix = ((Use.PASTURE, 0.5), (Use.MEADOW, 0.38), (Use.ORCHARD, 0.12))
_WOODED: Mix = ((Use.WOOD, 0.76), (Use.MEADOW, 0.16), (Use.PASTURE, 0.08))

_LEAST_ROOM = 12.0  # metres around a pit's middle
_PIT_ROOM = 1.25  # half the side of a pit's polygon over the pit's mean radius


def subdivide(sketch: Sketch, corners: Float64, target: float) -> list[Float64]:
    """Cut a polygon across its longer side, a little askew, until pieces are near ``target`` m²."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    extent = high - low
    if np.prod(extent) < target * sketch.uniform(1.0, 1.9) or extent.min() < 34:
        return [corners]
    axis = int(np.argmax(extent))
    point = low + 0.5 * extent
    point[axis] = low[axis] + extent[axis] * sketch.uniform(0.36, 0.64)
    skew = 0.16 * sketch.signed()
    normal = np.array((np.cos(skew), np.sin(skew)) if axis == 0 else (np.sin(skew), np.cos(skew)))
    halves = (half for half in split(corners, point, normal) if len(half))
    return [piece for half in halves for piece in subdivide(sketch, half, target)]


def fill_fields(sketch: Sketch, corners: Float64, target: float, mix: Mix = _CROPS) -> None:
    """Divide a polygon into parcels of about ``target`` m² and plant them."""
    for piece in subdivide(sketch, corners, target):
        grow(sketch, sketch.parcel(piece, _draw_use(sketch, mix)))


def grow(sketch: Sketch, parcel: Parcel) -> None:
    """Plant what a parcel's use calls for."""
    if parcel.use is Use.WOOD:
        plant_wood(sketch, parcel.corners)
    elif parcel.use is Use.ORCHARD:
        plant_orchard(sketch, parcel)
    else:
        plant_hedges(sketch, parcel.corners)
    if parcel.use is Use.PASTURE:
        scatter_trees(sketch, parcel.corners)


def plan_waterside(sketch: Sketch, block: Block) -> None:
    """Meadows and orchards along the river."""
    fill_fields(sketch, rectangle(*block.bounds), 8000, _GRASS)


def plan_woodland(sketch: Sketch, block: Block, *, felled: bool) -> None:
    """Stands of trees with clearings; part of the stand at the node is felled."""
    pieces = subdivide(sketch, rectangle(*block.bounds), 9500)
    pieces.sort(key=lambda piece: distance_to(piece, block.node))
    stand = sketch.parcel(pieces[0], Use.WOOD)
    if felled:
        _plan_felling(sketch, stand.corners, block.node)
    else:
        grow(sketch, stand)
    for piece in pieces[1:]:
        grow(sketch, sketch.parcel(piece, _draw_use(sketch, _WOODED)))


def plan_farmland(sketch: Sketch, block: Block, *, ploughed: bool, dug: bool, built: bool) -> None:
    """Fields around a farm: one or two are ploughed, the one at the node first, one is dug into."""
    target = sketch.uniform(6000, 9000)
    land = _around_farm(sketch, block, built=built)
    pieces = [piece for part in land for piece in subdivide(sketch, part, target)]
    pieces.sort(key=lambda piece: distance_to(piece, block.node))
    _farm_track(sketch, max(pieces, key=area))
    pieces[:1] = sorted(
        subdivide(sketch, pieces[0], 3600), key=lambda piece: distance_to(piece, block.node)
    )
    pit = 1 + _pit_site(sketch, pieces[1:4])
    turned = {0, max(pit + 1, 4)} if sketch.chance(0.7) else {0}
    for rank, piece in enumerate(pieces):
        green = rank in turned or rank == pit
        grow(sketch, sketch.parcel(piece, _draw_use(sketch, _GREEN if green else _CROPS)))
        if rank in turned and ploughed:
            sketch.event(EventKind.PLOUGHED, piece)
        if rank == pit and dug:
            _plan_pit(sketch, piece, block.node)


def _draw_use(sketch: Sketch, mix: Mix) -> Use:
    draw = sketch.rng.random()
    for use, share in mix:
        draw -= share
        if draw < 0:
            return use
    return mix[0][0]


def _around_farm(sketch: Sketch, block: Block, *, built: bool) -> list[Float64]:
    """Set a farm by the road, away from the node and the river; return the land around it."""
    (road_u, node_v), (other_u, far_v) = block.near, block.far
    into_u = 1.0 if other_u > road_u else -1.0
    to_node = 1.0 if node_v > far_v else -1.0
    set_off = sketch.uniform(38, 80) if sketch.chance(0.6) else 0.0
    back = far_v + to_node * set_off
    front = back + to_node * FARM_SIZE[0]
    inner = road_u + into_u * FARM_SIZE[1]
    yard = rectangle(road_u, back, inner, front)
    spots = np.concatenate([yard, yard.mean(axis=0)[None]])
    if sketch.river_distance(spots[:, 0], spots[:, 1]).min() < 8:
        return [rectangle(*block.bounds)]
    sketch.parcel(yard, Use.YARD)
    gate, inward = (road_u, (back + front) / 2), (into_u, 0.0)
    farm = Site.facing(gate, inward)
    new = built and sketch.chance(0.5)
    barn = Site.facing(gate, inward, sketch.event(EventKind.BUILT) if new else NO_EVENT)
    farmstead(sketch, farm)
    back_barn(sketch, barn)
    sketch.sites += [farm, barn]
    land = [rectangle(inner, back, other_u, front), rectangle(road_u, front, other_u, node_v)]
    if set_off > 0:
        land.append(rectangle(road_u, far_v, other_u, back))
    return land


def _farm_track(sketch: Sketch, corners: Float64) -> None:
    """A track along the longest side of a field, more often than not."""
    edges = np.roll(corners, -1, axis=0) - corners
    k = int(np.argmax(np.hypot(edges[:, 0], edges[:, 1])))
    (u0, v0), (u1, v1) = corners[k], corners[(k + 1) % len(corners)]
    if sketch.chance(0.65):
        ends = (float(u0), float(v0)), (float(u1), float(v1))
        sketch.roads.append(Road(*ends, RoadKind.TRACK, 3.0, sketch.signed()))


def _room(sketch: Sketch, corners: Float64) -> tuple[Float64, Float64, Float64]:
    """Points (u, v) over a polygon and their distance to its sides and to the river."""
    sides = (
        np.linspace(low, high, 25)
        for low, high in zip(corners.min(axis=0), corners.max(axis=0), strict=True)
    )
    u, v = (grid.ravel() for grid in np.meshgrid(*sides))
    room = np.minimum(inner_distance(corners, u, v), sketch.river_distance(u, v) - 8)
    return u, v, room.astype(np.float64)


def _pit_site(sketch: Sketch, pieces: list[Float64]) -> int:
    """The first piece with room for a good pit, or else the roomiest."""
    room = [float(_room(sketch, piece)[2].max()) for piece in pieces]
    return next((k for k, space in enumerate(room) if space > 33), int(np.argmax(room)))


def _plan_pit(sketch: Sketch, corners: Float64, node: tuple[float, float]) -> None:
    """An excavation inside a field: of the points with room for it, the one nearest the node."""
    u, v, room = _room(sketch, corners)
    if room.max() < _LEAST_ROOM:
        return
    reach = min(_PIT_ROOM * sketch.uniform(25, 34), float(room.max()))
    away = np.hypot(u - node[0], v - node[1])
    best = int(np.argmin(np.where(room >= reach, away, np.inf)))
    box = rectangle(u[best] - reach, v[best] - reach, u[best] + reach, v[best] + reach)
    sketch.event(EventKind.DUG, box)


def _plan_felling(sketch: Sketch, corners: Float64, node: tuple[float, float]) -> None:
    """Fell 3000 to 4600 m² of a stand, from the node's side."""
    middle, turn = corners.mean(axis=0), 0.9 * sketch.signed()
    cos, sin = np.cos(turn), np.sin(turn)
    towards = np.array(((cos, -sin), (sin, cos))) @ (np.array(node) - middle)
    towards /= np.hypot(*towards)
    target = sketch.uniform(3000, 4600)
    reach = (corners - middle) @ towards
    low, high = float(reach.min()) - 1, float(reach.max())
    for _ in range(24):
        cut = (low + high) / 2
        part = split(corners, middle + cut * towards, towards)[0]
        low, high = (cut, high) if len(part) and area(part) > target else (low, cut)
    part = split(corners, middle + low * towards, towards)[0]
    plant_wood(sketch, corners, (part, sketch.event(EventKind.FELLED, part)))
