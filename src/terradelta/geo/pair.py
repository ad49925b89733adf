"""Two images of the same place, made comparable: same size, 8 bit, one validity mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.errors import InputError
from terradelta.geo.reader import Georeference, Raster, raster_of, read_raster

ImageLike = NDArray[Any] | str | Path

STRETCH_PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True, slots=True)
class Pair:
    """``before``, ``after`` uint8 [H, W, 3]; ``valid`` bool [H, W], pixels valid in both dates.

    Invalid pixels hold the mean colour of the valid ones. ``georeference`` is that of both files, or
    None; ``sources`` names both, by path if they are files, ``bands`` those read of each.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    georeference: Georeference | None
    sources: tuple[str | Path, str | Path]
    bands: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def shape(self) -> tuple[int, int]:
        height, width = self.valid.shape
        return height, width


def load_pair(before: ImageLike, after: ImageLike) -> Pair:
    """Two images (arrays or paths) as a pair.

    8-bit values are kept. Others are stretched to 8 bit band by band between the 1st and 99th
    percentile of both dates together: one stretch for both, so that it cannot make a difference.

    Raises:
        InputError: an image is unreadable; the sizes, grids or value types differ; or no pixel is
            valid in both.
    """
    rasters = _raster(before, "before"), _raster(after, "after")
    _check_sizes(*rasters)
    georeference = _common_georeference(*rasters)
    valid = rasters[0].valid & rasters[1].valid
    if not valid.any():
        empty = [str(r.source) for r in rasters if not r.valid.any()]
        which = (
            f"{' and '.join(empty)} has no valid pixel" if empty else "no pixel is valid in both"
        )
        raise InputError(f"nothing to compare: {which} (nodata, transparent or not a number)")
    first, second = _to_rgb8(rasters[0], rasters[1], valid)
    return Pair(
        _filled(first, valid),
        _filled(second, valid),
        valid,
        georeference,
        (rasters[0].source, rasters[1].source),
        (rasters[0].bands, rasters[1].bands),
    )


def _raster(image: ImageLike, name: str) -> Raster:
    return read_raster(image) if isinstance(image, str | Path) else raster_of(image, name)


def _check_sizes(before: Raster, after: Raster) -> None:
    if before.shape != after.shape:
        sizes = [f"{r.shape[1]} x {r.shape[0]} px" for r in (before, after)]
        raise InputError(
            f"the images differ in size: {before.source} is {sizes[0]}, {after.source} {sizes[1]}. "
            f"Cut or resample them to the same grid first (for GeoTIFFs: `rio warp --like`)"
        )


def _common_georeference(before: Raster, after: Raster) -> Georeference | None:
    """The grid of both, None unless both have one; a difference of over half a pixel is refused."""
    first, second = before.georeference, after.georeference
    if first is None or second is None:
        return None
    height, width = before.shape
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], float)
    here, there = (np.array(g.transform, float).reshape(3, 3) for g in (first, second))
    drift = np.linalg.solve(here, there @ corners) - corners
    if first.crs != second.crs or np.abs(drift).max() > 0.5:
        raise InputError(
            f"the rasters lie on different grids: {before.source} on {_grid(first)}, {after.source} "
            f"on {_grid(second)}. Warp one to the other: `rio warp AFTER OUT --like BEFORE`"
        )
    return first


def _grid(reference: Georeference) -> str:
    t = reference.transform
    return f"{reference.crs.to_string()} at ({t.c:.8g}, {t.f:.8g}), pixel {t.a:.6g} x {t.e:.6g}"


def _to_rgb8(
    before: Raster, after: Raster, valid: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both as uint8 [H, W, 3]; see `load_pair`."""
    kinds = before.values.dtype, after.values.dtype
    if kinds[0] != kinds[1]:
        raise InputError(
            f"the images hold different types: {before.source} {kinds[0]}, {after.source} "
            f"{kinds[1]}. Bring both to the same radiometric scale and type first"
        )
    if kinds[0] == np.uint8:
        first, second = before.values, after.values
    else:
        joint = np.concatenate([before.values[:, valid], after.values[:, valid]], axis=1)
        low, high = np.percentile(joint, STRETCH_PERCENTILES, axis=1)[..., None, None]
        span = np.where(high > low, high - low, 1)
        with np.errstate(invalid="ignore"):
            first, second = (
                (np.nan_to_num(np.clip((r.values - low) / span, 0, 1)) * 255 + 0.5).astype(np.uint8)
                for r in (before, after)
            )
    return first.transpose(1, 2, 0), second.transpose(1, 2, 0)


def _filled(image: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A copy in which invalid pixels hold the mean of the valid ones."""
    filled = np.ascontiguousarray(image)
    if not valid.all():
        filled = filled.copy()
        filled[~valid] = filled[valid].mean(0).round().astype(np.uint8)
    return filled
