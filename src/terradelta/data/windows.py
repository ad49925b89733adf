"""Crops: an image as squares side by side, and the part of a pair that one of them shows."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from rasterio.transform import Affine

from terradelta.errors import InputError, UsageError
from terradelta.geo.pair import Pair
from terradelta.geo.reader import Georeference


class Window(NamedTuple):
    """A part of an image, in pixels from its top left corner."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def label(self) -> str:
        """As "00512_00256", the row and column where it begins, for the name of a sample."""
        return f"{self.top:05d}_{self.left:05d}"


def windows_of(shape: tuple[int, int], crop: int) -> list[Window]:
    """Squares of ``crop`` px side by side from the top left, row by row.

    Those at the right and the bottom are cut short: every pixel lies in one window, none twice, and
    none is made up.

    Raises:
        UsageError: ``crop`` is not positive.
    """
    if crop < 1:
        raise UsageError(f"crop is {crop}: give the side of a square in pixels")
    height, width = shape
    return [
        Window(top, left, min(crop, height - top), min(crop, width - left))
        for top in range(0, height, crop)
        for left in range(0, width, crop)
    ]


def cut(pair: Pair, window: Window | None) -> Pair:
    """The part of a pair in a window; all of it if there is none.

    Raises:
        InputError: the window reaches beyond the pair.
    """
    if window is None:
        return pair
    check_inside(window, pair.shape, str(pair.sources[0]))
    part = window.slices
    return replace(
        pair,
        before=np.ascontiguousarray(pair.before[part]),
        after=np.ascontiguousarray(pair.after[part]),
        valid=np.ascontiguousarray(pair.valid[part]),
        georeference=moved(pair.georeference, window),
    )


def check_inside(window: Window, shape: tuple[int, int], source: str) -> None:
    """Raises InputError if a window reaches beyond an image of ``shape``."""
    if window.top + window.height > shape[0] or window.left + window.width > shape[1]:
        raise InputError(
            f"{source} is {shape[1]} x {shape[0]} px: it has no pixels for the window of "
            f"{window.width} x {window.height} px at column {window.left}, row {window.top}"
        )


def moved(georeference: Georeference | None, window: Window) -> Georeference | None:
    """Where the pixels of a window lie."""
    if georeference is None:
        return None
    offset = Affine.translation(window.left, window.top)
    return Georeference(georeference.crs, georeference.transform * offset)
