"""Painting buildings from above, and the plots of those that have gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terradelta.synth.canvas import Canvas, blend, coverage, lit
from terradelta.synth.grid import Float32, Region
from terradelta.synth.palette import RUBBLE, SOLAR_PANEL, TOPSOIL
from terradelta.synth.shapes import Building, Roof, Wing
from terradelta.synth.survey import Survey
from terradelta.synth.texture import hash_uniform, smoothstep

_PARAPET = 0.35
_BOX_CELL = 6.0


@dataclass
class _Surface:
    """A roof over some pixels: distance inside its outline, height, slopes along p and q."""

    inside: Float32
    height: Float32
    slope_p: Float32
    slope_q: Float32


def paint_building(survey: Survey, canvas: Canvas, building: Building) -> None:
    """Paint a building; its footprint shows its event."""
    region = survey.axes.around(building.x, building.y, building.reach)
    if canvas.green[region].size == 0:
        return
    p, q = survey.axes.local(region, building.x, building.y, building.angle)
    roof = _roof(building, p, q)
    colour, furniture = _roof_colour(survey, region, building, p, q, roof.inside)
    weight = coverage(roof.inside, survey.step)
    blend(canvas.albedo[region], colour, weight)
    canvas.green[region] *= 1 - weight
    cos, sin = np.float32(np.cos(building.angle)), np.float32(np.sin(building.angle))
    covered = weight >= 0.5
    canvas.height[region][covered] = (roof.height + furniture)[covered]
    canvas.slope_x[region][covered] = (cos * roof.slope_p - sin * roof.slope_q)[covered]
    canvas.slope_y[region][covered] = (sin * roof.slope_p + cos * roof.slope_q)[covered]
    canvas.event[region][covered] = building.event


def paint_rubble(survey: Survey, canvas: Canvas, building: Building) -> None:
    """Rubble and bare soil on the footprint of a building that has gone."""
    region = survey.axes.around(building.x, building.y, building.reach)
    if canvas.green[region].size == 0:
        return
    p, q = survey.axes.local(region, building.x, building.y, building.angle)
    weight = coverage(_roof(building, p, q).inside, survey.step)
    mottle, grain, leaf = survey.mottle[region], survey.grain[region], survey.leaf[region]
    tint = np.float32(building.tint)
    colour = lit(RUBBLE, 1 + 0.10 * mottle + 0.16 * grain + 0.08 * leaf + 0.06 * tint)
    blend(colour, lit(TOPSOIL, 1.15 + 0.08 * grain), 0.6 * smoothstep(-0.2, 0.9, mottle + tint))
    blend(canvas.albedo[region], colour, weight)
    canvas.green[region] *= 1 - weight
    covered = weight >= 0.5
    canvas.height[region][covered] = 0.3 * np.abs(leaf[covered])
    canvas.event[region][covered] = building.event


def _roof(building: Building, p: Float32, q: Float32) -> _Surface:
    """The highest of the wings at every pixel."""
    roof = _wing_roof(building.wings[0], p, q)
    roof.height = np.where(roof.inside > 0, roof.height, np.float32(0))
    for wing in building.wings[1:]:
        other = _wing_roof(wing, p, q)
        above = (other.inside > 0) & (other.height > roof.height)
        roof = _Surface(
            np.maximum(roof.inside, other.inside),
            np.where(above, other.height, roof.height),
            np.where(above, other.slope_p, roof.slope_p),
            np.where(above, other.slope_q, roof.slope_q),
        )
    return roof


def _wing_roof(wing: Wing, p: Float32, q: Float32) -> _Surface:
    along, across = (q - wing.y, p - wing.x) if wing.turned else (p - wing.x, q - wing.y)
    to_end = np.float32(wing.half_length) - np.abs(along)
    to_side = np.float32(wing.half_width) - np.abs(across)
    inside = np.minimum(to_end, to_side)
    eave, slope, level = np.float32(wing.eave), np.float32(wing.slope), np.zeros_like(p)
    if wing.roof is Roof.FLAT:
        parapet = np.where(inside < 0.45, np.float32(_PARAPET), np.float32(0))
        return _Surface(inside, eave + parapet, level, level)
    hipped = (to_end < to_side) & (wing.roof is Roof.HIP)
    height = eave + slope * np.where(hipped, to_end, to_side)
    slope_along = np.where(hipped, -slope * np.sign(along), level)
    slope_across = np.where(hipped, level, -slope * np.sign(across))
    if wing.turned:
        return _Surface(inside, height, slope_across, slope_along)
    return _Surface(inside, height, slope_along, slope_across)


def _roof_colour(
    survey: Survey, region: Region, building: Building, p: Float32, q: Float32, inside: Float32
) -> tuple[Float32, Float32]:
    """Albedo [h, w, 3] of a roof, and the height of what stands on it."""
    mottle, grain = survey.mottle[region], survey.grain[region]
    lightness = 1 + 0.10 * np.float32(building.tint) + 0.03 * mottle + 0.05 * grain
    main = building.wings[0]
    if main.roof is Roof.FLAT:
        box = _roof_boxes(building, p, q, inside)
        lightness += 0.05 * survey.patch[region] + 0.03 * mottle - 0.24 * box
        lightness += np.where(inside < 0.5, np.float32(0.06), np.float32(0))
        return lit(building.colour, lightness), 1.2 * box
    lightness += np.where(np.abs(q) < 0.3, np.float32(0.07), np.float32(0))
    colour = lit(building.colour, lightness)
    if building.tint > 0.6:
        panels = np.abs(p) < 0.55 * main.half_length
        panels &= (q > 0.7) & (q < main.half_width - 0.9)
        blend(colour, SOLAR_PANEL, panels.astype(np.float32))
    chimney = np.abs(p - np.float32(0.45 * main.half_length)) < 0.45
    chimney &= np.abs(q - np.float32(0.25 * main.half_width)) < 0.4
    return colour, np.where(chimney, np.float32(1.1), np.float32(0))


def _roof_boxes(building: Building, p: Float32, q: Float32, inside: Float32) -> Float32:
    """Where machines and roof lights stand on a flat roof: in some cells of a lattice."""
    a, b = p * np.float32(1 / _BOX_CELL), q * np.float32(1 / _BOX_CELL)
    i, j = np.floor(a), np.floor(b)
    salt = int(abs(building.tint) * 2**31)
    draw = hash_uniform(i.astype(np.int64), j.astype(np.int64), salt)
    half = np.float32(0.10) + np.float32(0.4) * draw
    box = (np.abs(a - i - np.float32(0.5)) < half) & (np.abs(b - j - np.float32(0.5)) < 0.16)
    return np.asarray(box & (draw < 0.3) & (inside > 1.5), np.float32)
