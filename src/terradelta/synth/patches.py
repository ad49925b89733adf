"""Painting changed ground: ploughed fields, pits, floods and clear-cuts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from terradelta.synth.canvas import Canvas, blend, coverage, lit
from terradelta.synth.events import EventKind
from terradelta.synth.grid import Float32, Float64, Region
from terradelta.synth.ground import Pixels, ground_colour
from terradelta.synth.palette import FLOOD, GRASS, SILT, SLASH, STUMP, SUBSOIL, TOPSOIL
from terradelta.synth.polygons import inner_distance
from terradelta.synth.rivers import water_colour
from terradelta.synth.shapes import Use
from terradelta.synth.survey import Survey
from terradelta.synth.texture import Layer, smoothstep


@dataclass(frozen=True)
class _Patch:
    """The pixels of an event's ground, their distance inside its outline, and noises there."""

    at: Pixels
    inside: Float32
    corners: Float64
    patch: Float32
    mottle: Float32
    leaf: Float32
    grain: Float32


def paint_patches(survey: Survey, canvas: Canvas) -> None:
    """Change the ground of every event that has a patch, as at the later date."""
    plans = [event for event in survey.events if event.corners is not None]
    polygons = [event.corners for event in plans if event.corners is not None]
    for event, corners, region in zip(plans, polygons, survey.regions(polygons), strict=True):
        outline, paint = _PAINTERS[event.kind]
        inside = outline(survey, region, corners)
        rows, columns = np.nonzero((inside > -survey.step) & (survey.bank[region] > 0))
        if len(rows) == 0:
            continue
        at = (rows + region[0].start, columns + region[1].start)
        fields = (f[at] for f in (survey.patch, survey.mottle, survey.leaf, survey.grain))
        patch = _Patch(at, inside[rows, columns], corners, *fields)
        weight = coverage(patch.inside, survey.step)
        albedo = canvas.albedo[at]
        blend(albedo, paint(survey, canvas, patch), weight)
        canvas.albedo[at] = albedo
        canvas.green[at] *= 1 - weight
        canvas.event[at] = np.where(weight >= 0.5, event.number, canvas.event[at])


def _field_outline(survey: Survey, region: Region, corners: Float64) -> Float32:
    edge = inner_distance(corners, survey.u[region], survey.v[region])
    ragged = edge - np.float32(1.3) + 0.25 * survey.mottle[region]
    return np.minimum(ragged, survey.bank[region] - 7)


def _paint_ploughed(survey: Survey, canvas: Canvas, patch: _Patch) -> Float32:
    use = np.full(len(patch.inside), Use.PLOUGHED, np.intp)
    tint = np.zeros((3, len(use)), np.float32)
    return ground_colour(survey, patch.at, use, tint, survey.rows[patch.at])


def _pit_outline(survey: Survey, region: Region, corners: Float64) -> Float32:
    """Between a disc and a square, as machines leave it: a superellipse of exponent 4."""
    du = survey.u[region] - np.float32(corners[:, 0].mean())
    dv = survey.v[region] - np.float32(corners[:, 1].mean())
    radius = np.float32(np.ptp(corners[:, 0]) / 2.5)
    bulge = 0.11 * survey.patch[region] + 0.025 * survey.mottle[region]
    bulge += 0.012 * survey.leaf[region]
    a, b = 0.92 * du / radius, 1.16 * dv / radius
    rim = np.sqrt(np.sqrt(a * a * a * a + b * b * b * b))
    return np.asarray(radius * (1 + np.clip(bulge, -0.25, 0.15) - rim), np.float32)


def _paint_pit(survey: Survey, canvas: Canvas, patch: _Patch) -> Float32:
    """A pit beside the mound of its topsoil, with wheel ruts, spoil heaps and puddles."""
    mottle, slow = patch.mottle, patch.patch
    u, v = _turned(survey, patch)
    size = np.float32(np.ptp(patch.corners[:, 0]) / 50)
    inside = patch.inside + 1.1 * mottle + 1.3 * slow
    pit = smoothstep(5.0, 11.0, inside + 0.22 * v)
    a, b = u / (17 * size), (v + 15 * size) / (5 * size)
    mound = smoothstep(1.0, 0.35, np.sqrt(a * a + b * b)) * smoothstep(0.5, 3.0, patch.inside)
    heaps = smoothstep(0.7, 1.8, mottle + 0.4 * slow) * smoothstep(1.0, 3.0, patch.inside)
    rise = (3.2 + 0.5 * mottle) * mound - 3.4 * pit * (1 - mound)
    canvas.height[patch.at] += rise + 0.9 * heaps + 0.12 * patch.leaf

    tracks = survey.noise.line(v + 0.35 * u + 1.6 * slow + 0.5 * mottle, 1.2, Layer.STREAK)
    ruts = smoothstep(0.4, 1.3, tracks) * (1 - mound)
    lightness = 1 + 0.06 * mottle + 0.08 * patch.grain + 0.07 * slow - 0.11 * ruts - 0.07 * pit
    colour = lit(SUBSOIL, lightness)
    stripped = smoothstep(5.5, 1.5, inside) * smoothstep(-0.8, 0.8, mottle + slow)
    topsoil = lit(TOPSOIL, 1 + 0.1 * patch.grain + 0.06 * mottle)
    blend(colour, topsoil, np.maximum(0.75 * mound, 0.65 * stripped))
    wet = smoothstep(0.9, 1.3, slow - 0.35 * mottle) * smoothstep(0.85, 1.0, pit)
    blend(colour, SILT, 0.75 * wet * (1 - mound))
    return colour


def _turned(survey: Survey, patch: _Patch) -> tuple[Float32, Float32]:
    """Plan coordinates about a patch's middle, turned by some quarters of a circle."""
    u = survey.u[patch.at] - np.float32(patch.corners[:, 0].mean())
    v = survey.v[patch.at] - np.float32(patch.corners[:, 1].mean())
    turns = int(7 * patch.corners[0, 0]) % 4
    return ((u, v), (v, -u), (-u, -v), (-v, u))[turns]


def _clearing_outline(survey: Survey, region: Region, corners: Float64) -> Float32:
    edge = inner_distance(corners, survey.u[region], survey.v[region])
    return np.asarray(edge + 0.7 * survey.mottle[region], np.float32)


def _paint_felled(survey: Survey, canvas: Canvas, patch: _Patch) -> Float32:
    """Slash in windrows, pale stumps and returning grass."""
    mottle, slow, leaf = patch.mottle, patch.patch, patch.leaf
    rows = survey.noise.line(survey.rows[patch.at] + 0.9 * mottle, 4.5, Layer.STREAK)
    windrow = smoothstep(0.3, 1.2, rows + 0.5 * leaf) * smoothstep(-1.2, 0.3, slow + 0.7 * mottle)
    canvas.height[patch.at] += 0.45 * windrow
    lightness = 1 + 0.08 * mottle + 0.15 * patch.grain - 0.17 * windrow + 0.06 * slow
    colour = lit(SLASH, lightness)
    blend(colour, GRASS, 0.45 * smoothstep(0.2, 1.4, slow + 0.6 * leaf))
    blend(colour, STUMP, 0.7 * smoothstep(1.5, 2.2, leaf + patch.grain))
    return colour


def _flood_outline(survey: Survey, region: Region, corners: Float64) -> Float32:
    """How far the water stands over the land: furthest at mid-length and where land is low."""
    middle, half_span = corners[:, 1].mean(), np.ptp(corners[:, 1]) / 2
    along = np.clip((survey.v[region] - np.float32(middle)) / np.float32(half_span), -1, 1)
    relief = survey.fractal((44.0, 17.0, 7.0), Layer.RELIEF, 0.6)[region]
    spread = (1 - along * along) * (22 + 8 * relief) - 1 - survey.bank[region]
    return np.asarray(np.minimum(spread, survey.edge[region] - np.float32(0.6)), np.float32)


def _paint_flooded(survey: Survey, canvas: Canvas, patch: _Patch) -> Float32:
    canvas.height[patch.at] = 0
    return water_colour(-patch.inside, patch.patch, 0.4 * patch.grain, deep=FLOOD, shallow=SILT)


_PAINTERS: dict[
    EventKind,
    tuple[
        Callable[[Survey, Region, Float64], Float32],
        Callable[[Survey, Canvas, _Patch], Float32],
    ],
] = {
    EventKind.PLOUGHED: (_field_outline, _paint_ploughed),
    EventKind.DUG: (_pit_outline, _paint_pit),
    EventKind.FELLED: (_clearing_outline, _paint_felled),
    EventKind.FLOODED: (_flood_outline, _paint_flooded),
}
