"""Painting rivers, and the colour of water."""

from __future__ import annotations

import numpy as np

from terradelta.synth.canvas import Canvas, blend, coverage, lit
from terradelta.synth.grid import Float32
from terradelta.synth.palette import BANK, SHALLOW, WATER
from terradelta.synth.shapes import Colour
from terradelta.synth.survey import Survey
from terradelta.synth.texture import smoothstep


def paint_river(survey: Survey, canvas: Canvas) -> None:
    """Water with shallow edges between bare or reedy banks."""
    at = np.nonzero(survey.bank < 4.5)
    distance = survey.bank[at]
    patch, mottle, grain = survey.patch[at], survey.mottle[at], survey.grain[at]
    shore = smoothstep(2.6, 0.4, distance + 0.7 * mottle)
    wet = coverage(-distance, survey.step)
    albedo = canvas.albedo[at]
    blend(albedo, lit(BANK, 1 + 0.10 * mottle + 0.09 * grain), 0.8 * shore)
    blend(albedo, water_colour(distance, patch, grain, deep=WATER, shallow=SHALLOW), wet)
    canvas.albedo[at] = albedo
    bare = 1 - np.maximum(wet, 0.7 * shore)
    canvas.green[at] *= bare
    canvas.height[at] *= bare


def water_colour(
    distance: Float32, patch: Float32, ripple: Float32, *, deep: Colour, shallow: Colour
) -> Float32:
    """Colour [..., 3] of water at a ``distance`` from the shore (metres, negative in the water)."""
    depth = smoothstep(0.0, -4.0, distance + 0.5 * patch)
    colour = lit(shallow, 1 - depth) + lit(deep, depth)
    glint = 0.012 * ripple + 0.012 * patch
    return np.asarray(colour * (1 + 0.03 * patch)[..., None] + glint[..., None], np.float32)
