"""Reading one image or raster whole: its values, which pixels are valid, and where it lies."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import ExifTags, Image
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine

from terradelta.errors import InputError

READ_ERRORS = (RasterioError, CPLE_BaseError, OSError)
"""What GDAL's failures arrive as; rasterio leaves some of them in its private class."""

MAX_PIXELS = 40_000_000
COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)

GDAL_OPTIONS = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO", "GDAL_CACHEMAX": 64_000_000}
"""GDAL's fast path for PNG gives the content of unused memory for a truncated file, and no error. Its
block cache, in bytes, would otherwise grow to a twentieth of the machine's memory."""


@dataclass(frozen=True, slots=True)
class Georeference:
    """Where pixel edges lie on the ground: ``transform`` maps (column, row) to ``crs`` units."""

    crs: CRS
    transform: Affine


@dataclass(frozen=True, slots=True)
class Raster:
    """An image in memory.

    ``values`` [3, H, W] in the type of the file (a single band stands for all three); ``valid``
    bool [H, W], False for nodata, transparent, masked or non-finite pixels; ``source`` names it in
    messages; ``bands`` are the 1-based bands that were read.
    """

    values: NDArray[Any]
    valid: NDArray[np.bool_]
    georeference: Georeference | None
    source: str | Path
    bands: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.values.shape[1]), int(self.values.shape[2])


def read_raster(path: str | Path) -> Raster:
    """Read any image that GDAL reads: GeoTIFF, PNG, JPEG, WebP, JPEG 2000, VRT ...

    Colour bands are taken by their meaning where the file states it, else the first three; fewer
    than three bands are read as grey. The EXIF orientation of a photograph is applied, unless it has
    a georeference, which says where its pixels lie as they are stored.

    Raises:
        InputError: missing, empty, unreadable, truncated, too large or complex-valued.
    """
    path = Path(path)
    with opened(path) as source:
        return _read(source, path)


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """The rasterio dataset of a file, with what goes wrong inside the block told in one line.

    Raises:
        InputError: missing, a folder, empty, unreadable or truncated, or no bands of its own.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise InputError(f"{path} does not exist")
        if path.is_dir():
            raise InputError(f"{path} is a folder: give an image file")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is an empty file")
        with warnings.catch_warnings(), rasterio.Env(**GDAL_OPTIONS):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as source:
                _check_has_bands(source, path)
                yield source
    except READ_ERRORS as error:
        raise InputError(f"{path} cannot be read as an image: {reason_of(error)}") from error


def raster_of(array: NDArray[Any], source: str) -> Raster:
    """An array [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (the fourth is alpha) as a raster.

    Raises:
        InputError: another shape or type, or no pixels.
    """
    values = np.asarray(array)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4):
        raise InputError(
            f"{source} has the shape {np.shape(array)}: expected [H, W], [H, W, 3] or [H, W, 4]"
        )
    _check_type(values, source)
    opaque = values[..., 3] > 0 if values.shape[2] == 4 else np.ones(values.shape[:2], bool)
    colours = np.repeat(values, 3, 2) if values.shape[2] == 1 else values[..., :3]
    bands = (1,) if values.shape[2] == 1 else (1, 2, 3)
    return _raster(np.moveaxis(colours, -1, 0), opaque, None, source, bands)


def _check_has_bands(source: Any, name: Path) -> None:
    if source.count == 0:
        first = next(iter(source.subdatasets), name)
        raise InputError(
            f"{name} holds no bands of its own: cut out one of its {len(source.subdatasets)} parts "
            f"first, for example `gdal_translate {first} part.tif`"
        )


def _read(source: Any, name: Path) -> Raster:
    if source.width * source.height > MAX_PIXELS:
        raise InputError(
            f"{name} has {source.width} x {source.height} px, more than the {MAX_PIXELS:,} that are "
            f"read into memory at once: cut it into parts (`rio clip`, `gdal_translate -srcwin`)"
        )
    palette = palette_of(source)
    if palette is not None:
        bands: tuple[int, ...] = (1,)
        values = palette[source.read(1)].transpose(2, 0, 1)
        opaque = (values[3] > 0) & (source.dataset_mask() > 0)
        values = values[:3]
    else:
        bands = colour_bands(source)
        values = source.read(list(bands))
        values = np.repeat(values, 3, 0) if len(bands) == 1 else values
        opaque = source.dataset_mask() > 0
    georeference = georeference_of(source)
    if georeference is None:
        orientation = _orientation(source, name)
        values, opaque = _upright(values, orientation), _upright(opaque, orientation)
    return _raster(values, opaque, georeference, name, bands)


def _raster(
    values: NDArray[Any],
    opaque: NDArray[np.bool_],
    georeference: Georeference | None,
    source: str | Path,
    bands: tuple[int, ...],
) -> Raster:
    if values.size == 0:
        raise InputError(f"{source} has no pixels (shape {values.shape[1]} x {values.shape[2]})")
    _check_type(values, source)
    if values.dtype.kind == "b":
        values = values.astype(np.uint8) * 255
    valid = opaque & np.isfinite(values).all(0) if values.dtype.kind == "f" else opaque
    return Raster(values, valid, georeference, source, bands)


def _check_type(values: NDArray[Any], source: str | Path) -> None:
    if values.dtype.kind not in "buif":
        raise InputError(f"{source} holds {values.dtype} values: convert it to real numbers")


def colour_bands(source: Any) -> tuple[int, ...]:
    """1-based indices of red, green and blue, of the first three bands, or of the only one."""
    meaning = source.colorinterp
    if all(colour in meaning for colour in COLOURS):
        return tuple(meaning.index(colour) + 1 for colour in COLOURS)
    data = [i + 1 for i, kind in enumerate(meaning) if kind != ColorInterp.alpha]
    return tuple(data[:3]) if len(data) >= 3 else (data[0] if data else 1,)


def palette_of(source: Any) -> NDArray[np.uint8] | None:
    """uint8 [256, 4] RGBA of a paletted image, else None."""
    if source.colorinterp[0] != ColorInterp.palette or source.dtypes[0] != "uint8":
        return None
    table = np.zeros((256, 4), np.uint8)
    for index, colour in source.colormap(1).items():
        table[index] = colour
    return table


def _orientation(source: Any, name: Path) -> str:
    """EXIF orientation of a photograph, "1" to "8". GDAL tells it of JPEG only."""
    if source.driver in ("PNG", "WEBP"):
        with suppress(OSError, SyntaxError, ValueError), Image.open(name) as photo:
            if "exif" in photo.info:
                return str(photo.getexif().get(ExifTags.Base.Orientation, 1))
    return str(source.tags().get("EXIF_Orientation", "1"))


def _upright(image: NDArray[Any], orientation: str) -> NDArray[Any]:
    """Apply EXIF orientation 1 to 8 to the last two axes."""
    turns = {"3": 2, "4": 2, "5": 3, "6": 3, "7": 1, "8": 1}.get(orientation, 0)
    turned = np.rot90(image, turns, axes=(-2, -1))
    mirrored = orientation in ("2", "4", "5", "7")
    return np.ascontiguousarray(turned[..., ::-1] if mirrored else turned)


def georeference_of(source: Any) -> Georeference | None:
    """Where the pixels of an open dataset lie, None if it does not say."""
    transform = source.transform
    if source.crs is None or transform.is_identity or transform.is_degenerate:
        return None
    return Georeference(source.crs, transform)


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line; a read error of rasterio only points to the error that caused it."""
    stated = str(error.__cause__ or error) or type(error).__name__
    return stated.splitlines()[0]
