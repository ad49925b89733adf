"""Painting the ground: fields with their rows, gardens, yards, forest floor."""

from __future__ import annotations

from types import EllipsisType

import numpy as np
from numpy.typing import NDArray

from terradelta.synth.canvas import Canvas, blend, lit
from terradelta.synth.grid import Float32
from terradelta.synth.palette import GROUND, HEDGE, TRODDEN, ground_table
from terradelta.synth.shapes import Use
from terradelta.synth.survey import Survey
from terradelta.synth.texture import Layer, smoothstep, triangle_wave

Uses = NDArray[np.intp]
Pixels = tuple[NDArray[np.intp], NDArray[np.intp]]

_FIELDS = (
    Use.MEADOW,
    Use.CEREAL,
    Use.RIPE,
    Use.ROOTS,
    Use.STUBBLE,
    Use.BARE,
    Use.PLOUGHED,
)
_BASE, _PATCH, _VARY = ground_table("base"), ground_table("patch"), ground_table("vary")
_MOTTLE, _GRAIN, _STREAK = ground_table("mottle"), ground_table("grain"), ground_table("streak")
_GREEN, _TRAMLINES = ground_table("green"), ground_table("tramlines")


def paint_ground(survey: Survey) -> Canvas:
    """The land before anything stands on it."""
    use, tint = _uses(survey)
    albedo = ground_colour(survey, ..., use, tint, survey.rows)
    canvas = Canvas.level(albedo, _GREEN[use] * (1 + 0.5 * tint[1]))
    _paint_margins(survey, canvas, use)
    _paint_trails(survey, canvas, use)
    _paint_hedges(survey, canvas)
    return canvas


def _uses(survey: Survey) -> tuple[Uses, Float32]:
    """Land use [h, w] and the parcels' tint numbers [3, h, w]; rough grass along the rivers."""
    uses = np.array([parcel.use for parcel in survey.parcels] + [Use.VERGE], np.intp)
    tints = np.array([parcel.tint for parcel in survey.parcels] + [(0, 0, 0)], np.float32)
    use = uses[survey.parcel]
    use[(survey.bank + survey.mottle < 6.5) & np.isin(use, _FIELDS)] = Use.PASTURE
    return use, np.stack([column[survey.parcel] for column in tints.T])


def ground_colour(
    survey: Survey, at: Pixels | EllipsisType, use: Uses, tint: Float32, across: Float32
) -> Float32:
    """Colour [..., 3] of land uses with the texture of rows, soil and plants.

    ``at`` selects the pixels; ``use`` [...], ``tint`` [3, ...] and the position ``across`` the
    rows [...] belong to them.
    """
    noise = survey.noise
    patch, veins = survey.patch[at], survey.veins[at]
    mottle, grain = survey.mottle[at], survey.grain[at]
    wobble = across + 0.35 * mottle
    streak = 0.60 * noise.line(wobble, 0.95, Layer.STREAK)
    streak += 0.55 * noise.line(wobble, 2.7, Layer.STREAK, 1)
    streak += 0.50 * noise.line(across, 8.3, Layer.STREAK, 2)
    streak *= 0.75 + 0.25 * patch
    lightness = 1 + _VARY[use] * tint[0] + 0.045 * veins
    lightness += _MOTTLE[use] * mottle + _GRAIN[use] * grain + _STREAK[use] * streak
    lightness *= 1 - 0.16 * _tramlines(survey, use, across)
    lightness = np.maximum(lightness + _mown(use, tint, wobble), 0.3)
    strips = 0.30 * noise.line(across, 23, Layer.STREAK, 3) * (_STREAK[use] > 0.02)
    mix = np.clip(0.36 + 0.34 * tint[1] + 0.20 * patch + strips, 0, 1)
    albedo = _BASE[use]
    blend(albedo, _PATCH[use], mix)
    warmth = 0.035 * tint[2]
    albedo[..., 0] *= lightness * (1 + warmth)
    albedo[..., 1] *= lightness
    albedo[..., 2] *= lightness * (1 - warmth)
    return albedo


def _mown(use: Uses, tint: Float32, across: Float32) -> Float32:
    """Light and dark swaths, 7 m wide, of meadows that are mown up and down."""
    swaths = 0.05 * np.clip(2.5 * triangle_wave(across, 14), -1, 1)
    return np.where((use == Use.MEADOW) & (tint[2] > 0.1), swaths, np.float32(0))


def _tramlines(survey: Survey, use: Uses, across: Float32) -> Float32:
    """Coverage of the pairs of wheel tracks between which machines work."""
    pitch = _TRAMLINES[use]
    tracked = pitch > 0
    period = np.where(tracked, pitch, np.float32(1))
    position = across / period
    offset = np.abs(position - np.floor(position) - np.float32(0.5)) * period
    track = np.abs(offset - np.float32(0.95))
    width = np.float32(max(0.3, 0.7 * survey.step))
    return np.where(tracked, np.clip(1.4 - track / width, 0, 1), np.float32(0))


def _paint_margins(survey: Survey, canvas: Canvas, use: Uses) -> None:
    """Unmown grass along the edges of fields."""
    ragged = survey.edge + 0.35 * survey.mottle
    weight = smoothstep(1.7, 0.6, ragged) * np.isin(use, _FIELDS)
    verge = GROUND[Use.VERGE]
    colour = lit(verge.base, 1 + 0.1 * survey.grain + 0.1 * survey.mottle)
    blend(canvas.albedo, colour, weight)
    canvas.green += (np.float32(verge.green) - canvas.green) * weight


def _paint_trails(survey: Survey, canvas: Canvas, use: Uses) -> None:
    """Trodden paths across pastures and building plots."""
    winding = np.abs(survey.fractal((64.0, 27.0), Layer.TRAIL, 0.5))
    worn = np.isin(use, (Use.PASTURE, Use.PLOT))
    blend(canvas.albedo, TRODDEN, 0.42 * smoothstep(0.045, 0.015, winding) * worn)


def _paint_hedges(survey: Survey, canvas: Canvas) -> None:
    """Hedges with gaps around gardens."""
    hedged = np.array([parcel.hedged for parcel in survey.parcels] + [False])[survey.parcel]
    weight = smoothstep(0.85, 0.5, survey.edge + 0.15 * survey.leaf) * hedged
    weight *= smoothstep(-0.9, -0.3, survey.patch + survey.mottle)
    blend(canvas.albedo, lit(HEDGE, 1 + 0.18 * survey.leaf), weight)
    canvas.height += weight * (1.4 + 0.2 * survey.leaf)
