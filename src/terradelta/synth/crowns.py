"""Painting tree crowns: lumpy domes and cones, the higher surface on top."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from terradelta.synth.canvas import Canvas, FlatIndex, blend, lit
from terradelta.synth.grid import Float32, gradient
from terradelta.synth.palette import BROADLEAF, CONIFER
from terradelta.synth.shapes import Trees
from terradelta.synth.survey import Survey
from terradelta.synth.texture import hash_uniform

_LOBES = 5
_RAGGED = 1.4  # the crown's outline reaches at most this many radii
_CHUNK = 400_000  # candidate pixels at a time

Owners = NDArray[np.int32]


def paint_crowns(survey: Survey, canvas: Canvas, trees: Trees) -> None:
    """Paint all trees at once; where crowns overlap, the higher surface shows."""
    trees = _within(survey, _with_lobes(trees))
    trees = trees.take(np.argsort(trees.radius, kind="stable"))
    top = np.zeros(canvas.green.size, np.float32)
    owner = np.full(top.shape, -1, np.int32)
    stamps = list(_stamps(survey, trees))
    for pixel, _, height in stamps:
        np.maximum.at(top, pixel, height)
    for pixel, tree, height in stamps:
        highest = height == top[pixel]
        owner[pixel[highest]] = tree[highest]
    _paint_owned(survey, canvas, trees, top, owner)


def _with_lobes(trees: Trees) -> Trees:
    """Broadleaf trees get smaller domes around the main one, which makes crowns uneven."""
    lobed = (trees.conifer < 0.5) & (trees.radius > 1.3)
    broad = trees.take(lobed)
    key = np.floor(broad.tint * 2**24).astype(np.int64)
    place = np.floor(broad.x * 64).astype(np.int64)
    groups = [replace(trees, radius=trees.radius * np.where(lobed, 0.78, 1.0))]
    for k in range(_LOBES):
        turn, size, lift = (
            hash_uniform(key + 7919 * k, place, 3 * k + n).astype(np.float64) for n in range(3)
        )
        angle = 2 * np.pi * (k + 0.8 * turn) / _LOBES
        radius = broad.radius * (0.34 + 0.26 * size)
        away = broad.radius * (0.92 - 0.50 * size)
        lobe = replace(
            broad,
            x=broad.x + away * np.cos(angle),
            y=broad.y + away * np.sin(angle),
            radius=radius,
            height=broad.height * (0.68 + 0.30 * lift),
            tint=broad.tint + 0.25 * (lift - 0.5),
        )
        groups.append(lobe)
    return Trees.concat(groups)


def _within(survey: Survey, trees: Trees) -> Trees:
    """The trees whose crowns may reach into the window."""
    x, y, reach = survey.axes.x, survey.axes.y, _RAGGED * trees.radius + survey.step
    inside = (trees.x > x[0] - reach) & (trees.x < x[-1] + reach)
    inside &= (trees.y > y[0] - reach) & (trees.y < y[-1] + reach)
    return trees.take(inside)


def _stamps(survey: Survey, trees: Trees) -> Iterator[tuple[FlatIndex, Owners, Float32]]:
    """For runs of trees of like size: flat pixels, tree numbers and crown heights there."""
    height, width = survey.axes.shape
    halves = np.ceil(_RAGGED * trees.radius / survey.step).astype(np.int64) + 1
    row = np.rint((trees.y - survey.axes.y[0]) / survey.step).astype(np.int64)
    column = np.rint((trees.x - survey.axes.x[0]) / survey.step).astype(np.int64)
    start = 0
    while start < len(trees):
        # Radii ascend: the run ends where a stamp of its last size would make it too large.
        sizes = (2 * halves[start:] + 1) ** 2 * np.arange(1, len(trees) - start + 1)
        stop = start + max(1, int(np.searchsorted(sizes, _CHUNK, side="right")))
        half = int(halves[stop - 1])
        span = np.arange(-half, half + 1)
        rows = row[start:stop, None, None] + span[:, None]
        columns = column[start:stop, None, None] + span
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        tree = np.broadcast_to(np.arange(start, stop)[:, None, None], inside.shape)[inside]
        pixel = (rows * width + columns)[inside]
        rho = _rho(survey, trees, pixel, tree.astype(np.int32))[0]
        crown = rho < 1
        pixel, owner = pixel[crown], tree[crown].astype(np.int32)
        yield pixel, owner, _profile(survey, trees, pixel, owner, rho[crown])
        start = stop


def _rho(
    survey: Survey, trees: Trees, pixel: FlatIndex, tree: Owners
) -> tuple[Float32, Float32, Float32]:
    """Distance from the trunk over the crown's ragged radius, and the offsets in metres."""
    row, column = np.divmod(pixel, survey.axes.shape[1])
    dx = (survey.axes.x[column] - trees.x[tree]).astype(np.float32)
    dy = (survey.axes.y[row] - trees.y[tree]).astype(np.float32)
    ragged = 1 + np.clip(0.17 * survey.leaf.ravel()[pixel], -0.4, _RAGGED - 1)
    radius = trees.radius.astype(np.float32)[tree] * ragged
    return np.sqrt(dx * dx + dy * dy) / radius, dx, dy


def _profile(survey: Survey, trees: Trees, pixel: FlatIndex, tree: Owners, rho: Float32) -> Float32:
    """Height of crowns above the ground: a dome for a broadleaf, a cone for a conifer."""
    height = trees.height.astype(np.float32)[tree]
    conifer = trees.conifer.astype(np.float32)[tree]
    dome = 0.5 + 0.5 * np.sqrt(np.maximum(1 - rho * rho, 0))
    cone = 1 - 0.7 * rho
    lumps = 0.35 * survey.leaf.ravel()[pixel] + 0.8
    return np.asarray(height * (dome + (cone - dome) * conifer) + lumps, np.float32)


def _paint_owned(survey: Survey, canvas: Canvas, trees: Trees, top: Float32, owner: Owners) -> None:
    """Write the highest crowns' colour, height, slope and event to the canvas."""
    pixel = np.flatnonzero(owner >= 0)
    tree = owner[pixel]
    at = np.unravel_index(pixel, survey.axes.shape)
    rho, dx, dy = _rho(survey, trees, pixel, tree)
    conifer = trees.conifer.astype(np.float32)[tree]
    tint = trees.tint.astype(np.float32)[tree]
    colour = lit(BROADLEAF, np.ones_like(rho))
    blend(colour, CONIFER, conifer)
    lightness = 1 + 0.20 * tint + 0.09 * survey.leaf[at] + 0.13 * survey.grain[at]
    colour[:, 0] *= lightness * (1 + 0.05 * tint)
    colour[:, 1] *= lightness
    colour[:, 2] *= lightness * (1 - 0.05 * tint)
    albedo = canvas.albedo[at]
    blend(albedo, colour, 0.35 + 0.65 * np.clip(3 * (1 - rho), 0, 1))
    canvas.albedo[at] = albedo
    canvas.green[at] = 0.8
    canvas.height[at] = np.maximum(top[pixel], canvas.height[at])
    dome = np.minimum(0.85 * rho / np.sqrt(np.maximum(1.04 - rho * rho, 0.04)), 1)
    steep = (dome + (0.8 - dome) * conifer) / np.maximum(np.sqrt(dx * dx + dy * dy), 0.2)
    lumps_x, lumps_y = gradient(survey.leaf, survey.step)
    canvas.slope_x[at] = 0.30 * lumps_x[at] - steep * dx
    canvas.slope_y[at] = 0.30 * lumps_y[at] - steep * dy
    canvas.event[at] = trees.event[tree]
