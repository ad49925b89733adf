"""One tile: read its window, look at it as at any pair, and keep what was found."""

from __future__ import annotations

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
from terradelta.run.model import SceneModel
from terradelta.run.parts import Part, no_candidates
from terradelta.sam.allocator import trim


@dataclass(frozen=True)
class TilePlan:
    """All that looking at any tile of a scene takes, but for the model; it can be pickled.

    ``contexts`` is what `SceneModel.restored` gave; ``aoi`` is a polygon in the CRS of the grid or None.
    """

    scene: ScenePair
    lattice: Lattice
    radiometry: Radiometry
    contexts: Any
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


def examine(plan: TilePlan, model: SceneModel, key: Key, pair: Pair) -> Part:
    """What the model finds in a window of `read_tile`; nothing if its core has no valid pixel."""
    # What earlier tiles have freed lies scattered, and would add up over a long run.
    trim()
    tile = plan.lattice[key]
    x0, y0, x1, y1 = tile.core_in_window
    if not pair.valid[max(y0, 0) : y1, max(x0, 0) : x1].any():
        return Part(key, no_candidates(tile.shape), pair.valid)
    return model.look(plan, tile, pair)


def _inside(plan: TilePlan, tile: Tile) -> NDArray[np.bool_]:
    """Which pixels of the window have their centre in the area of interest."""
    window = plan.scene.grid.window(*tile.window)
    near = shapely.intersection(plan.aoi, shapely.box(*window.bounds))
    if near.is_empty:
        return np.zeros(tile.shape, bool)
    inside = geometry_mask([near], tile.shape, window.transform, invert=True)
    return np.asarray(inside, bool)
