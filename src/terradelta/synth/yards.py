"""Larger buildings on their yards: farmsteads, blocks of flats, industrial halls.

Frames are those of a lot: origin in the middle of the front, x along the street, y inwards.
"""

from __future__ import annotations

import numpy as np

from terradelta.synth.houses import RED_TILE, car, house_wings, roof_colour
from terradelta.synth.shapes import Colour, Cover, Roof, Wing
from terradelta.synth.sketch import Site, Sketch

LIGHT_METAL: Colour = (0.66, 0.67, 0.68)
WHITE_MEMBRANE: Colour = (0.78, 0.78, 0.76)
GREY_GRAVEL: Colour = (0.53, 0.52, 0.50)
FIBRE_CEMENT: Colour = (0.50, 0.48, 0.455)
_QUARTER = np.pi / 2

FARM_SIZE = (54.0, 54.0)


def farmstead(sketch: Sketch, site: Site) -> None:
    """A farmhouse and a barn on a yard of ``FARM_SIZE``, with hay, trees and a gravel drive."""
    house = house_wings(sketch, sketch.uniform(6, 8), sketch.uniform(4.5, 5.5))
    colour = roof_colour(sketch, 0)
    site.building((-13, 12), house, colour, sketch.signed(), angle=_QUARTER)
    _barn(sketch, site, (14, 17), (11.5, 5.5), _QUARTER)
    site.slab((1, 12), (2.2, 15), Cover.GRAVEL, sketch.signed())
    for _ in range(int(sketch.rng.integers(3, 7))):
        at = (sketch.uniform(-4, 6), sketch.uniform(8, 30))
        half = (sketch.uniform(1, 2.4), 1.0)
        site.slab(at, half, Cover.HAY, sketch.signed(), angle=sketch.uniform(0, _QUARTER))
    for _ in range(7):
        radius = sketch.uniform(2.2, 4.5)
        at = (sketch.uniform(-25, -20), sketch.uniform(4, 46))
        site.tree(at, radius, 2.1 * radius, sketch.signed(), conifer=False)


def back_barn(sketch: Sketch, site: Site) -> None:
    """The barn at the back of a farmstead, on a site of its own at the same anchor."""
    _barn(sketch, site, (-2, 41), (13, 6), 0)


def _barn(
    sketch: Sketch, site: Site, at: tuple[float, float], half: tuple[float, float], turn: float
) -> None:
    half_length, half_width = (
        half[0] * sketch.uniform(0.85, 1.1),
        half[1] * sketch.uniform(0.9, 1.1),
    )
    eave, slope = sketch.uniform(4.5, 6), sketch.uniform(0.22, 0.4)
    wing = Wing(0, 0, half_length, half_width, Roof.GABLE, eave, slope)
    colour = (FIBRE_CEMENT, LIGHT_METAL, RED_TILE)[int(sketch.rng.integers(3))]
    site.building(at, [wing], colour, sketch.signed(), angle=turn + 0.03 * sketch.signed())


def hall(sketch: Sketch, site: Site, width: float, depth: float) -> None:
    """An industrial hall on an asphalt yard with a row of parked cars."""
    site.slab((0, depth / 2), (width / 2 - 1.5, depth / 2 - 1.5), Cover.ASPHALT, sketch.signed())
    site.slab((-width / 4, 0), (3.5, 4), Cover.ASPHALT)
    half_x = width / 2 - sketch.uniform(5, 8)
    half_y = depth / 2 - sketch.uniform(9, 12)
    wings = [Wing(0, 0, half_x, half_y, Roof.FLAT, sketch.uniform(6, 9), 0)]
    if sketch.chance(0.6):
        wings.append(Wing(0.55 * half_x, -half_y, 5, 3.5, Roof.FLAT, 4, 0))
    colours = (WHITE_MEMBRANE, LIGHT_METAL, GREY_GRAVEL, WHITE_MEMBRANE)
    colour = colours[int(sketch.rng.integers(len(colours)))]
    site.building((0, depth / 2 + 4), wings, colour, sketch.signed())
    _car_row(sketch, site, width / 2 - 6, 6.5)


def flats(sketch: Sketch, site: Site, width: float) -> None:
    """A block of flats parallel to the street, with parking in front."""
    half_x = min(width / 2 - 5, sketch.uniform(13, 18))
    half_y, eave = sketch.uniform(5.5, 6.8), sketch.uniform(8, 11)
    flat = sketch.chance(0.5)
    roof, colour = (Roof.FLAT, GREY_GRAVEL) if flat else (Roof.HIP, roof_colour(sketch, 1))
    site.slab((0, 6), (half_x, 4.5), Cover.ASPHALT, sketch.signed())
    site.slab((half_x - 3, 0), (2.6, 4), Cover.ASPHALT)
    site.building((0, 20), [Wing(0, 0, half_x, half_y, roof, eave, 0.45)], colour, sketch.signed())
    _car_row(sketch, site, half_x - 2, 8)


def _car_row(sketch: Sketch, site: Site, half: float, y: float) -> None:
    for x in np.arange(-half, half, 2.7):
        if sketch.chance(0.6):
            car(sketch, site, float(x), y + 0.3 * sketch.signed())
