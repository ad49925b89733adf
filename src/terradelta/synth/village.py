"""Village blocks: rows of lots along streets, with buildings that come and go among them."""

from __future__ import annotations

from dataclasses import dataclass

from terradelta.synth.events import EventKind
from terradelta.synth.fields import fill_fields, grow
from terradelta.synth.grid import Float64
from terradelta.synth.houses import STYLES, house_on_lot
from terradelta.synth.layout import Block
from terradelta.synth.polygons import distance_to, rectangle
from terradelta.synth.shapes import NO_EVENT, Road, RoadKind, Use
from terradelta.synth.sketch import Site, Sketch
from terradelta.synth.yards import flats, hall

_STREET_WIDTH = 5.6
_STREET_SPACE = 8.2
_WIDE = 34.0


@dataclass(frozen=True)
class _Lot:
    """A plot: its corners in the plan, the middle of its front, and the way into it."""

    corners: Float64
    front: tuple[float, float]
    inward: tuple[float, float]
    width: float
    depth: float


class _Rows:
    """Maps (a, b), metres along and across the rows from the node's corner, to the plan."""

    def __init__(self, block: Block, along_u: bool) -> None:
        extent = (block.far[0] - block.near[0], block.far[1] - block.near[1])
        self._along_u = along_u
        self._origin = block.near
        self._sign = tuple(1.0 if e > 0 else -1.0 for e in extent)
        self.length, self.breadth = (abs(extent[k]) for k in ((0, 1) if along_u else (1, 0)))

    def point(self, a: float, b: float) -> tuple[float, float]:
        du, dv = (a, b) if self._along_u else (b, a)
        return self._origin[0] + self._sign[0] * du, self._origin[1] + self._sign[1] * dv

    def across(self, sign: float) -> tuple[float, float]:
        """The plan direction in which b grows (sign +1) or falls (-1)."""
        return (0.0, sign * self._sign[1]) if self._along_u else (sign * self._sign[0], 0.0)

    def rectangle(self, a0: float, b0: float, a1: float, b1: float) -> Float64:
        return rectangle(*self.point(a0, b0), *self.point(a1, b1))


def plan_village(sketch: Sketch, block: Block, *, built: bool, demolished: bool) -> None:
    """Fill a block with lots, streets and, away from the node, fields.

    ``built`` and ``demolished`` say whether buildings may appear and vanish.
    """
    rows = _Rows(block, along_u=sketch.chance(0.5))
    depth = sketch.uniform(32, 40)
    lots = _row_of_lots(sketch, rows, 0, depth)
    b = depth
    for _ in range(int(sketch.rng.integers(1, 3))):
        if b + 2 * depth + _STREET_SPACE > rows.breadth:
            break
        lots += _row_of_lots(sketch, rows, b + depth, b)
        b += depth + _STREET_SPACE
        _street(sketch, rows, b - _STREET_SPACE / 2)
        lots += _row_of_lots(sketch, rows, b, b + depth)
        b += depth
    if rows.breadth - b > 12:
        fill_fields(sketch, rows.rectangle(0, b + 0.6, rows.length, rows.breadth), target=7000)
    _populate(sketch, block, lots, built=built, demolished=demolished)


def _street(sketch: Sketch, rows: _Rows, b: float) -> None:
    start, end = rows.point(-3, b), rows.point(rows.length + 3, b)
    sketch.roads.append(Road(start, end, RoadKind.STREET, _STREET_WIDTH, sketch.signed()))


def _row_of_lots(sketch: Sketch, rows: _Rows, front: float, back: float) -> list[_Lot]:
    """Lots side by side along the block, with their fronts at b = ``front``."""
    inward = rows.across(1.0 if back > front else -1.0)
    lots: list[_Lot] = []
    a = 0.0
    while rows.length - a > 15:
        wide = sketch.chance(0.08)
        width = sketch.uniform(40, 62) if wide else sketch.uniform(17, 27)
        if rows.length - a - width < 15:
            width = rows.length - a
        corners = rows.rectangle(a, front, a + width, back)
        at = rows.point(a + width / 2, front)
        lots.append(_Lot(corners, at, inward, width, abs(back - front)))
        a += width
    return lots


def _populate(
    sketch: Sketch, block: Block, lots: list[_Lot], *, built: bool, demolished: bool
) -> None:
    """Decide what each lot holds at either date."""
    style = int(sketch.rng.integers(STYLES))
    order = sorted(range(len(lots)), key=lambda k: distance_to(lots[k].corners, block.node))
    new = _new_lots(sketch, lots, order) if built else []
    standing = [k for k in order if k not in new and lots[k].width < _WIDE]
    gone = standing[1 : int(sketch.rng.integers(3, 5))] if demolished else []
    for k, lot in enumerate(lots):
        if k in new:
            sketch.parcel(lot.corners, Use.PLOT)
            _build(sketch, lot, style, sketch.event(EventKind.BUILT))
        elif k in gone:
            sketch.parcel(lot.corners, Use.LAWN, hedged=sketch.chance(0.4))
            _build_house(sketch, lot, style, sketch.event(EventKind.DEMOLISHED))
        elif lot.width < _WIDE and sketch.chance(0.1):
            use = (Use.MEADOW, Use.ORCHARD, Use.LAWN)[int(sketch.rng.integers(3))]
            grow(sketch, sketch.parcel(lot.corners, use))
        else:
            sketch.parcel(lot.corners, Use.LAWN, hedged=sketch.chance(0.4))
            _build(sketch, lot, style, NO_EVENT)


def _new_lots(sketch: Sketch, lots: list[_Lot], order: list[int]) -> list[int]:
    """Three to five neighbours facing one street near the node, and the nearest wide lot."""
    first = order[int(sketch.rng.integers(2, 5))]
    candidates = [first + step for step in (0, 1, -1, 2, -2, 3)]
    neighbours = [
        k
        for k in candidates
        if 0 <= k < len(lots) and lots[k].inward == lots[first].inward and lots[k].width < _WIDE
    ]
    wide = [k for k in order if lots[k].width >= _WIDE]
    return neighbours[: int(sketch.rng.integers(3, 6))] + wide[:1]


def _build(sketch: Sketch, lot: _Lot, style: int, event: int) -> None:
    if lot.width < _WIDE:
        _build_house(sketch, lot, style, event)
        return
    site = Site.facing(lot.front, lot.inward, event)
    sketch.sites.append(site)
    if sketch.chance(0.5):
        flats(sketch, site, lot.width)
    else:
        hall(sketch, site, lot.width, lot.depth)


def _build_house(sketch: Sketch, lot: _Lot, style: int, event: int) -> None:
    site = Site.facing(lot.front, lot.inward, event)
    sketch.sites.append(site)
    house_on_lot(sketch, site, lot.width, lot.depth, style)
