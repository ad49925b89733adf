"""Labels as they are published: masks of change, colours or codes that stand for classes.

What a label may hold is checked when it is read: a third value in a mask, or a colour that stands for
nothing, is a damaged or a wrong file, and would else count as change or as no change unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from terradelta.data.dataset import BoolArray, ClassArray
from terradelta.data.images import read_band, shape_of
from terradelta.errors import InputError
from terradelta.geo.reader import Raster, opened, read_raster

Colour = tuple[int, int, int]


def read_change(path: Path, partner: Path) -> BoolArray:
    """A mask of change, bool [H, W]: 0 is no change, the one other value that it may hold is change.

    Raises:
        InputError: unreadable, not of the size of its ``partner``, or three values and more.
    """
    raster = read_raster(path)
    check_size(path, raster.shape, partner)
    return change_of(raster)


def read_known(path: Path) -> BoolArray:
    """Where a mask of change says anything, bool [H, W]: all but where it has a band alpha that is 0.

    Nodata says nothing of the kind: many masks declare their 0 as such, and mean no change.

    Raises:
        InputError: unreadable.
    """
    with opened(path) as source:
        if ColorInterp.alpha not in source.colorinterp:
            return np.ones((source.height, source.width), bool)
        return np.asarray(source.read(source.colorinterp.index(ColorInterp.alpha) + 1) > 0)


def change_of(raster: Raster) -> BoolArray:
    """The same of a raster in memory, or of a window of one."""
    complaint = not_binary(values_of(raster.values))
    if complaint:
        raise InputError(f"{raster.source}: {complaint}")
    return np.asarray((raster.values != 0).any(0) & raster.valid)


def read_coloured(path: Path, partner: Path, colours: Sequence[Colour]) -> ClassArray:
    """Classes uint8 [H, W] of a label whose colours stand for 0, 1, 2 ... in their order.

    Raises:
        InputError: unreadable, not of the size of its ``partner``, or a colour that is not among them.
    """
    raster = read_raster(path)
    check_size(path, raster.shape, partner)
    codes = packed(raster.values)
    known = np.array([_packed_colour(colour) for colour in colours])
    complaint = not_among(set(np.unique(codes).tolist()), colours)
    if complaint:
        raise InputError(f"{path}: {complaint}")
    order = np.argsort(known)
    return order[np.searchsorted(known, codes, sorter=order)].astype(np.uint8)


def read_coded(path: Path, partner: Path, count: int) -> ClassArray:
    """Classes uint8 [H, W] of a label whose first band holds 0 to ``count - 1``.

    Raises:
        InputError: unreadable, not of the size of its ``partner``, or another value.
    """
    band = read_band(path)
    check_size(path, (band.shape[0], band.shape[1]), partner)
    complaint = not_coded(values_of(band), count)
    if complaint:
        raise InputError(f"{path}: {complaint}")
    return band.astype(np.uint8)


def check_size(path: Path, shape: tuple[int, int], partner: Path) -> None:
    """Raises InputError if an image of ``shape`` is not of the size of its partner."""
    expected = shape_of(partner)
    if shape != expected:
        # The head of a photograph does not tell how it is turned.
        expected = read_raster(partner).shape
    if shape != expected:
        raise InputError(
            f"{path} is {shape[1]} x {shape[0]} px, its partner {expected[1]} x {expected[0]}"
        )


def values_of(pixels: NDArray[Any]) -> set[Any]:
    """The distinct values of an image."""
    if pixels.dtype == np.uint8:
        return set(np.flatnonzero(np.bincount(pixels.ravel(), minlength=256)).tolist())
    return set(np.unique(pixels).tolist())


def packed(values: NDArray[Any]) -> NDArray[np.int64]:
    """Colours [3, H, W] as one number a pixel."""
    red, green, blue = values.astype(np.int64)
    return np.asarray(red << 16 | green << 8 | blue)


def not_binary(values: set[Any]) -> str | None:
    """What is wrong with the values of a mask of change."""
    if len(values - {0}) <= 1:
        return None
    return f"not a mask of change: it holds {_listed(values)}, not 0 and one other value"


def not_coded(values: set[Any], count: int) -> str | None:
    """What is wrong with the values of a class map."""
    strange = values - set(range(count))
    return f"holds {_listed(strange)}, which are no classes (0 to {count - 1})" if strange else None


def not_among(codes: set[int], colours: Sequence[Colour]) -> str | None:
    """What is wrong with the packed colours of a label."""
    strange = codes - {_packed_colour(colour) for colour in colours}
    if not strange:
        return None
    shown = [f"({code >> 16}, {code >> 8 & 255}, {code & 255})" for code in sorted(strange)[:3]]
    more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
    return f"holds colours that stand for no class: {', '.join(shown)}{more}"


def _packed_colour(colour: Colour) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _listed(values: set[Any]) -> str:
    first = [f"{value:g}" for value in sorted(values)[:6]]
    return ", ".join(first) + (f" and {len(values) - 6} more" if len(values) > 6 else "")
