"""Reading the images of a dataset: whole or by window, two rasters as a pair, one band as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.windows
from numpy.typing import NDArray

from terradelta.data.windows import Window, check_inside, moved
from terradelta.errors import InputError
from terradelta.geo.pair import Pair, load_pair
from terradelta.geo.reader import Raster, colour_bands, georeference_of, opened


def shape_of(path: Path) -> tuple[int, int]:
    """(height, width) in px as the head of the file says; nothing is decoded.

    Raises:
        InputError: missing or no image.
    """
    with opened(path) as source:
        return int(source.height), int(source.width)


def read_band(path: Path) -> NDArray[Any]:
    """The first band [H, W] with its values as they are stored, whatever colours stand for them.

    Raises:
        InputError: unreadable.
    """
    with opened(path) as source:
        return np.asarray(source.read(1))


def read_window(path: Path, window: Window) -> Raster:
    """A part of a raster of any size; the rest is not read.

    Raises:
        InputError: unreadable, or the window reaches beyond the raster.
    """
    with opened(path) as source:
        check_inside(window, (source.height, source.width), str(path))
        part = rasterio.windows.Window(window.left, window.top, window.width, window.height)
        bands = colour_bands(source)
        values = source.read(list(bands), window=part)
        values = np.repeat(values, 3, 0) if len(bands) == 1 else values
        valid = source.dataset_mask(window=part) > 0
        return Raster(values, valid, moved(georeference_of(source), window), path, bands)


def pair_of(before: Raster, after: Raster) -> Pair:
    """Two rasters of one size as a pair, by the rules of `load_pair`; it lies where ``before`` does.

    Raises:
        InputError: the sizes or value types differ, or no pixel is valid in both.
    """
    if before.shape != after.shape:
        raise InputError(
            f"{after.source} is {after.shape[1]} x {after.shape[0]} px, its partner "
            f"{before.source} {before.shape[1]} x {before.shape[0]}"
        )
    return replace(
        load_pair(_with_alpha(before), _with_alpha(after)),
        georeference=before.georeference,
        sources=(before.source, after.source),
        bands=(before.bands, after.bands),
    )


def _with_alpha(raster: Raster) -> NDArray[Any]:
    """[H, W, 4]: colours, and a fourth band that is not 0 where valid."""
    alpha = raster.valid[None].astype(raster.values.dtype)
    return np.moveaxis(np.concatenate([raster.values, alpha]), 0, -1)
