"""Painting roads: worn edges, wheel tracks, lane marks, pavements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terradelta.synth.canvas import Canvas, blend, coverage, lit
from terradelta.synth.grid import Float32, gradient
from terradelta.synth.palette import GRASS, PAVEMENT, ROAD, ROAD_PAINT, SHOULDER
from terradelta.synth.shapes import NO_EVENT, Road, RoadKind
from terradelta.synth.survey import Survey
from terradelta.synth.texture import Layer, smoothstep

_BESIDE = 2.5  # how far beyond its edge a road marks the land, metres
_PAVEMENT_WIDTH = 1.5
_DASH_PERIOD = 12.0
_DASH_SHARE = 0.34


@dataclass(frozen=True)
class _Stretch:
    """The pixels near a road: distance from its middle and along it, in metres; two noises."""

    at: tuple[NDArray[np.intp], NDArray[np.intp]]
    across: Float32
    along: Float32
    mottle: Float32
    grain: Float32


def paint_roads(survey: Survey, canvas: Canvas) -> None:
    """All roads, the lesser ones first."""
    slopes = (*gradient(survey.u, survey.step), *gradient(survey.v, survey.step))
    for road in sorted(survey.roads, key=lambda road: road.kind):
        stretch = _stretch(survey, road, slopes)
        if stretch.across.size:
            _paint_road(survey, canvas, road, stretch)


def _stretch(
    survey: Survey, road: Road, slopes: tuple[Float32, Float32, Float32, Float32]
) -> _Stretch:
    """``slopes``: change of u eastwards and southwards, then of v."""
    start, end = np.array(road.start), np.array(road.end)
    length = float(np.hypot(*(end - start)))
    du, dv = (np.float32(c) for c in (end - start) / length)
    from_u, from_v = survey.u - np.float32(start[0]), survey.v - np.float32(start[1])
    across, along = from_v * du - from_u * dv, from_u * du + from_v * dv
    half = np.float32(road.width / 2)
    near = (np.abs(across) < 1.4 * (half + _BESIDE)) & (along > -half) & (along < length + half)
    rows, columns = np.nonzero(near)
    at = (rows, columns)
    # Metres of the plan per metre on the ground, so that the bends do not change the width.
    u_east, u_south, v_east, v_south = (slope[at] for slope in slopes)
    east, south = v_east * du - u_east * dv, v_south * du - u_south * dv
    scale = np.sqrt(east * east + south * south)
    return _Stretch(at, across[at] / scale, along[at], survey.mottle[at], survey.grain[at])


def _paint_road(survey: Survey, canvas: Canvas, road: Road, stretch: _Stretch) -> None:
    at, mottle = stretch.at, stretch.mottle
    worn = np.float32(0.4 if road.kind is RoadKind.TRACK else 0.16)
    half = np.float32(road.width / 2)
    inside = np.asarray(half - np.abs(stretch.across) + worn * mottle, np.float32)
    weight = coverage(inside, survey.step)
    if road.kind is RoadKind.STREET:
        side = coverage(inside + _PAVEMENT_WIDTH, survey.step)
        side_colour = lit(PAVEMENT, 1 + 0.04 * stretch.grain)
    else:
        share = 0.5 if road.kind is RoadKind.TRACK else 0.62
        side = share * smoothstep(-1.6, 0.2, inside)
        side_colour = lit(SHOULDER, 1 + 0.08 * stretch.grain)
    side = np.asarray(side * (survey.bank[at] > 0.5), np.float32)
    surface = _track if road.kind is RoadKind.TRACK else _asphalt
    albedo = canvas.albedo[at]
    blend(albedo, side_colour, side)
    blend(albedo, surface(survey, road, stretch), weight)
    canvas.albedo[at] = albedo
    taken = np.maximum(weight, side)
    canvas.green[at] *= 1 - taken
    canvas.height[at] *= taken < 0.5
    canvas.event[at] = np.where(taken >= 0.5, NO_EVENT, canvas.event[at])


def _track(survey: Survey, road: Road, stretch: _Stretch) -> Float32:
    """Two gravelled ruts with grass between them."""
    lightness = 1 + 0.07 * np.float32(road.tint) + 0.08 * stretch.mottle + 0.07 * stretch.grain
    surface = lit(ROAD[road.kind], lightness)
    middle = smoothstep(0.65, 0.2, np.abs(stretch.across) + 0.15 * stretch.mottle)
    blend(surface, GRASS, 0.75 * middle)
    return surface


def _asphalt(survey: Survey, road: Road, stretch: _Stretch) -> Float32:
    """Patched asphalt, lighter where wheels run, marked on main roads."""
    wheel = np.abs(np.abs(stretch.across) - np.float32(road.width / 4))
    lightness = 0.98 + 0.07 * np.float32(road.tint) + 0.025 * stretch.mottle
    lightness += 0.03 * stretch.grain + 0.035 * smoothstep(0.9, 0.3, wheel)
    lightness += 0.03 * survey.noise.line(stretch.along, 34, Layer.WEAR)
    surface = lit(ROAD[road.kind], lightness)
    if road.kind is RoadKind.MAIN:
        blend(surface, ROAD_PAINT, _marks(survey.step, road, stretch))
    return surface


def _marks(step: float, road: Road, stretch: _Stretch) -> Float32:
    """Coverage of a dashed middle line and two edge lines, partly worn off."""
    cycle = stretch.along * np.float32(1 / _DASH_PERIOD)
    dash = (cycle - np.floor(cycle)) < _DASH_SHARE
    beside = np.abs(stretch.across)
    middle = _line_coverage(beside, 0.15, step) * dash
    edge = _line_coverage(np.abs(beside - np.float32(road.width / 2 - 0.25)), 0.1, step)
    return np.asarray(np.maximum(middle, edge) * (0.8 + 0.1 * stretch.mottle), np.float32)


def _line_coverage(distance: Float32, width: float, step: float) -> Float32:
    """Share of a pixel that a painted line covers, from the distance to its middle."""
    half, full = np.float32((width + step) / 2), np.float32(min(width / step, 1))
    return np.asarray(np.clip((half - distance) * np.float32(1 / step), 0, full), np.float32)
