"""Houses on their lots, with drives, gardens and outbuildings.

A lot's frame has its origin in the middle of the front, x along the street, y into the lot.
"""

from __future__ import annotations

import numpy as np

from terradelta.synth.shapes import NO_EVENT, Colour, Cover, Roof, Wing
from terradelta.synth.sketch import Site, Sketch

# Display-referred reflectance in [0, 1], sunlit and horizontal.
RED_TILE: Colour = (0.52, 0.335, 0.265)
BROWN_TILE: Colour = (0.415, 0.345, 0.30)
GREY_TILE: Colour = (0.43, 0.425, 0.42)
SLATE: Colour = (0.315, 0.325, 0.345)
TAN_SHINGLE: Colour = (0.50, 0.46, 0.41)

_STYLES: tuple[tuple[Colour, ...], ...] = (
    (RED_TILE, RED_TILE, RED_TILE, BROWN_TILE, GREY_TILE, SLATE),
    (GREY_TILE, GREY_TILE, BROWN_TILE, TAN_SHINGLE, SLATE, TAN_SHINGLE),
    (BROWN_TILE, BROWN_TILE, RED_TILE, GREY_TILE, SLATE, TAN_SHINGLE),
)
STYLES = len(_STYLES)
_QUARTER = np.pi / 2


def roof_colour(sketch: Sketch, style: int) -> Colour:
    """A roof of the village's ``style``, in range(STYLES)."""
    return _STYLES[style][int(sketch.rng.integers(len(_STYLES[style])))]


def house_on_lot(sketch: Sketch, site: Site, width: float, depth: float, style: int) -> None:
    """A house in its garden on a lot of ``width`` by ``depth`` metres.

    If the site has an event it is the house's, its drive's and its patio's: the garden is there at
    both dates, without sheds or pools.
    """
    half_x = min(sketch.uniform(4.6, 7.2), width / 2 - 3.4)
    half_y = sketch.uniform(4.0, 5.4)
    hand = 1.0 if sketch.chance(0.5) else -1.0
    x, y = -hand * sketch.uniform(0.3, 1.2), sketch.uniform(4.5, 9.0) + half_y
    wings = house_wings(sketch, half_x, half_y)
    garage = sketch.chance(0.55)
    if garage:
        roof = Roof.FLAT if sketch.chance(0.5) else Roof.GABLE
        wings.append(Wing(hand * (half_x + 1.5), 1.4, 3.1, 1.8, roof, 2.6, 0.5, turned=True))
    _approach(sketch, site, (x, y), (half_x, half_y), hand, garage)
    colour = roof_colour(sketch, style)
    site.building((x, y), wings, colour, sketch.signed(), angle=0.03 * sketch.signed())
    back = y + half_y
    if sketch.chance(0.6):
        half = (sketch.uniform(1.5, 4), 1.8)
        site.slab((x, back + 1.2), half, Cover.PAVING, sketch.signed())
    _garden_trees(sketch, site, width, depth, back)
    if site.event == NO_EVENT:
        _garden(sketch, site, width, depth, back)


def house_wings(sketch: Sketch, half_x: float, half_y: float) -> list[Wing]:
    """A rectangle with a pitched roof, or two across each other."""
    eave, slope = sketch.uniform(3.0, 5.4), sketch.uniform(0.42, 0.78)
    roof = Roof.HIP if sketch.chance(0.4) else Roof.GABLE
    wings = [Wing(0, 0, half_x, half_y, roof, eave, slope)]
    if sketch.chance(0.5):
        half = half_x * sketch.uniform(0.36, 0.5)
        reach = half_y + sketch.uniform(1.0, 2.6)
        side = 1.0 if sketch.chance(0.5) else -1.0
        front = 1.0 if sketch.chance(0.6) else -1.0
        x, y = side * (half_x - half), front * (reach - half_y)
        wings.append(Wing(x, y, reach, half, roof, eave, slope * 0.96, turned=True))
    return wings


def car(sketch: Sketch, site: Site, x: float, y: float) -> None:
    """A car parked at right angles to the street."""
    angle = _QUARTER + 0.04 * sketch.signed()
    site.slab((x, y), (2.15, 0.88), Cover.CAR, sketch.signed(), angle=angle)


def _approach(
    sketch: Sketch,
    site: Site,
    house: tuple[float, float],
    half: tuple[float, float],
    hand: float,
    garage: bool,
) -> None:
    """The drive at one side of the house, the path to its door, perhaps a car."""
    x, y = house
    cover = (Cover.PAVING, Cover.GRAVEL, Cover.ASPHALT)[int(sketch.rng.integers(3))]
    tint = sketch.signed()
    drive_x = x + hand * (half[0] + 1.9)
    end = y - 1.5 if garage else y + half[1]
    site.slab((drive_x, end / 2 - 1.5), (sketch.uniform(1.6, 2.6), end / 2 + 1.5), cover, tint)
    front = (y - half[1]) / 2
    site.slab((x, front), (0.6, front), Cover.PAVING, tint)
    if sketch.chance(0.5):
        car(sketch, site, drive_x, sketch.uniform(0.5, 2 * front))


def _garden(sketch: Sketch, site: Site, width: float, depth: float, back: float) -> None:
    """A shed, and a pool or a vegetable bed."""
    room = depth - back
    if sketch.chance(0.55):
        half_x, half_y = sketch.uniform(1.2, 2.4), sketch.uniform(1, 1.7)
        side = 1.0 if sketch.chance(0.5) else -1.0
        shed = Wing(0, 0, half_x, half_y, Roof.GABLE, 2.1, 0.4)
        at = (side * (width / 2 - 3.2), depth - 3)
        site.building(at, [shed], GREY_TILE, sketch.signed())
    if room > 12 and sketch.chance(0.1):
        at = (sketch.uniform(-2, 2), back + 0.45 * room)
        site.slab(at, (3.6, 1.9), Cover.POOL, angle=0.2 * sketch.signed())
    elif room > 10 and sketch.chance(0.3):
        at = (sketch.signed() * (width / 2 - 6), depth - 0.35 * room)
        site.slab(at, (sketch.uniform(2, 3.6), 2.2), Cover.SOIL, sketch.signed())


def _garden_trees(sketch: Sketch, site: Site, width: float, depth: float, back: float) -> None:
    """Bushes by the street, trees behind the house, some of them old."""
    lush = sketch.uniform(1, 10)
    for _ in range(int(sketch.rng.integers(1, 4) + lush) - 1):
        old = sketch.chance(0.5)
        radius = sketch.uniform(2.0, 5.2) if old else sketch.uniform(0.8, 2.0)
        x = sketch.signed() * (width / 2 - 1)
        low = back + 0.8 * radius + 0.5
        y = sketch.uniform(low, max(depth, low + 1))
        if sketch.chance(0.22):
            y, radius = sketch.uniform(1.5, 3.2), min(radius, 1.8)
        height = radius * sketch.uniform(1.5, 2.3)
        site.tree((x, y), radius, height, sketch.signed(), sketch.chance(0.15))
