"""One tile: read its window, look at it as at any pair, and keep what was found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import geometry_mask

from terradelta.geo.pair import Pair
from terradelta.geo.scene import ScenePair
from terradelta.geo.stretch import Radiometry
from terradelta.geo.tiles import Key, Lattice, Tile
from terradelta.run.parts import Part
from terradelta.sam.allocator import trim
from terradelta.sam.masks import Masks
from terradelta.sam.proposals import ProposalSettings
from terradelta.sam.segmenter import Segmenter
from terradelta.zeroshot.candidates import Candidates, search

PX_OF_POINTS = 1024
"""`points_per_side` counts the points along this many pixels of a scene."""
LARGEST_PX = 256
"""Longest side of a mask for a segmenter that keeps the size of its images.

With a halo as wide every tile sees all masks on its core whole, so that a pixel has the same angle
however the scene is tiled. Larger regions are mixtures, which pull the angles of what changed in them
towards none: without them the made scenes are answered better (`docs/scenes.md`).
"""


@dataclass(frozen=True)
class TilePlan:
    """All that looking at any tile of a scene takes, but for the segmenter; it can be pickled.

    ``contexts`` are the segmenter's of both dates, of the whole scene; ``aoi`` is a polygon in the CRS
    of the grid or None.
    """

    scene: ScenePair
    lattice: Lattice
    radiometry: Radiometry
    contexts: tuple[Any, Any]
    settings: ProposalSettings
    upscale: int
    aoi: Any | None = None


def read_tile(plan: TilePlan, key: Key) -> Pair:
    """The window of a tile as a pair: 8 bit, valid where both dates are and in the area of interest.

    Raises:
        InputError: a file is truncated or damaged there.
    """
    tile = plan.lattice[key]
    before, after, valid = plan.scene.read(*tile.window)
    pictures = plan.radiometry.to_rgb8(before, after, valid)
    if plan.aoi is not None:
        valid &= _inside(plan, tile)
    return Pair(*pictures, valid, None, ("before", "after"), ((), ()))


def examine(plan: TilePlan, segmenter: Segmenter, key: Key, pair: Pair) -> Part:
    """What `search` finds in a window of `read_tile`; nothing if its core has no valid pixel."""
    # What earlier tiles have freed lies scattered, and would add up over a long run.
    trim()
    tile = plan.lattice[key]
    x0, y0, x1, y1 = tile.core_in_window
    if not pair.valid[max(y0, 0) : y1, max(x0, 0) : x1].any():
        return Part(key, no_candidates(tile.shape), pair.valid)
    found = search(
        segmenter,
        pair,
        plan.settings,
        plan.upscale,
        contexts=plan.contexts,
        points=_points(plan, segmenter, tile),
    )
    candidates = found.candidates
    if segmenter.canvas_px is None:
        x0, y0, x1, y1 = candidates.masks.boxes.T
        candidates = candidates[np.maximum(x1 - x0, y1 - y0) <= LARGEST_PX]
    return Part(key, candidates, pair.valid)


def no_candidates(shape: tuple[int, int]) -> Candidates:
    none, nothing = np.zeros(0, np.float32), np.zeros((0, 0))
    return Candidates(Masks.empty(shape), none, none, np.zeros(0, np.int8), none, nothing, nothing)


def _points(plan: TilePlan, segmenter: Segmenter, tile: Tile) -> NDArray[np.float64] | None:
    """Points at even steps from the lattice's anchor, so that every tile tries the same places.

    None, a grid over the window, where the segmenter resamples the window to its canvas, or where it
    is all there is.
    """
    if segmenter.canvas_px is not None or plan.lattice.is_single:
        return None
    step = PX_OF_POINTS / plan.settings.points_per_side
    x0, y0, x1, y1 = tile.window
    anchor = plan.lattice.anchor
    x = _steps(x0 + anchor[0], x1 + anchor[0], step)
    y = _steps(y0 + anchor[1], y1 + anchor[1], step)
    columns, rows = np.meshgrid(x, y)
    return np.stack([columns.ravel(), rows.ravel()], 1)


def _steps(start: int, stop: int, step: float) -> NDArray[np.float64]:
    """Multiples of ``step`` and a half in [start, stop), counted from ``start``."""
    first, last = math.ceil(start / step - 0.5), math.ceil(stop / step - 0.5)
    return np.asarray((np.arange(first, last) + 0.5) * step - start, np.float64)


def _inside(plan: TilePlan, tile: Tile) -> NDArray[np.bool_]:
    """Which pixels of the window have their centre in the area of interest."""
    window = plan.scene.grid.window(*tile.window)
    near = shapely.intersection(plan.aoi, shapely.box(*window.bounds))
    if near.is_empty:
        return np.zeros(tile.shape, bool)
    inside = geometry_mask([near], tile.shape, window.transform, invert=True)
    return np.asarray(inside, bool)
