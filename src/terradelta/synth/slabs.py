"""Painting slabs: drives, patios, beds, pools, hay and cars."""

from __future__ import annotations

import numpy as np

from terradelta.synth.canvas import Canvas, blend, coverage, lit
from terradelta.synth.grid import Float32
from terradelta.synth.palette import CAR_GLASS, CAR_PAINTS, COVER
from terradelta.synth.shapes import NO_EVENT, Cover, Slab
from terradelta.synth.survey import Survey

_ROUGH = (Cover.GRAVEL, Cover.SOIL)
_HEIGHT = {Cover.HAY: 1.3, Cover.CAR: 1.4}
_POOL_RIM = 0.9


def paint_slab(survey: Survey, canvas: Canvas, slab: Slab) -> None:
    """Paint one slab; it lies on the ground and hides what event the ground is due to."""
    region = survey.axes.around(slab.x, slab.y, float(np.hypot(slab.half_length, slab.half_width)))
    if canvas.green[region].size == 0:
        return
    p, q = survey.axes.local(region, slab.x, slab.y, slab.angle)
    grain, mottle = survey.grain[region], survey.mottle[region]
    half_length, half_width = np.float32(slab.half_length), np.float32(slab.half_width)
    inside = np.asarray(np.minimum(half_length - np.abs(p), half_width - np.abs(q)), np.float32)
    if slab.cover in _ROUGH:
        inside += 0.2 * mottle
    weight = coverage(inside, survey.step)
    if slab.cover is Cover.CAR:
        colour = _car_colour(survey, slab, p)
    elif slab.cover is Cover.POOL:
        rim = coverage(inside + _POOL_RIM, survey.step)
        blend(canvas.albedo[region], COVER[Cover.PAVING], rim)
        colour = lit(COVER[Cover.POOL], 1 + 0.03 * grain)
    else:
        lightness = 1 + 0.09 * np.float32(slab.tint) + 0.035 * mottle + 0.045 * grain
        colour = lit(COVER[slab.cover], lightness)
    blend(canvas.albedo[region], colour, weight)
    covered = weight >= 0.5
    canvas.green[region] *= 1 - weight
    canvas.height[region][covered] = _HEIGHT.get(slab.cover, 0)
    canvas.event[region][covered] = NO_EVENT


def _car_colour(survey: Survey, slab: Slab, along: Float32) -> Float32:
    """Paint with the dark bands of the windscreen and the rear window."""
    paint = CAR_PAINTS[int((0.5 * slab.tint + 0.5) * len(CAR_PAINTS)) % len(CAR_PAINTS)]
    colour = lit(paint, np.ones_like(along))
    from_pane = np.abs(np.abs(along + np.float32(0.2)) - np.float32(1))
    blend(colour, CAR_GLASS, 0.8 * coverage(0.35 - from_pane, survey.step))
    return colour
