"""A raster of a whole scene, written window by window and then made a cloud-optimised GeoTIFF."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import DTypeLike, NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.rio.overview import get_maximum_overview_level
from rasterio.shutil import copy
from rasterio.transform import Affine
from rasterio.windows import Window
from rio_cogeo import cog_validate

from terradelta.geo.reader import GDAL_OPTIONS
from terradelta.geo.scratch import built_aside, output_errors

BLOCK_PX = 512
WRITING_OPTIONS = {**GDAL_OPTIONS, "GDAL_NUM_THREADS": 2}


class Mosaic:
    """One band, open for writing; made by `mosaic`."""

    def __init__(self, raster: Any, path: Path) -> None:
        self._raster, self._path = raster, path

    def write(self, x0: int, y0: int, pixels: NDArray[Any]) -> None:
        """Write pixels [h, w] whose top left one is (x0, y0); what lies beyond the edges is left out.

        Windows may overlap and be written again: what came last stays.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        left, top = max(x0, 0), max(y0, 0)
        right = min(x0 + pixels.shape[1], self._raster.width)
        bottom = min(y0 + pixels.shape[0], self._raster.height)
        if left < right and top < bottom:
            window = Window(left, top, right - left, bottom - top)
            with output_errors(self._path):
                inside = pixels[top - y0 : bottom - y0, left - x0 : right - x0]
                self._raster.write(inside, 1, window=window)


@contextmanager
def mosaic(
    path: str | Path,
    shape: tuple[int, int],
    dtype: DTypeLike,
    *,
    crs: CRS | str,
    transform: Affine,
    nodata: float | None = None,
    description: str | None = None,
) -> Iterator[Mosaic]:
    """A raster of ``shape`` (height, width) to be written by windows in any order.

    Leaving the context makes the COG, reads it back and puts it at ``path``; leaving it by an
    exception leaves nothing. A pixel never written is ``nodata``, or 0 without one. ``dtype`` is
    float32 or uint8; overviews are averages of floats and the nearest of integers. Memory does not
    grow with the raster; the disk must hold it once more for a while, uncompressed.

    Raises:
        OutputError: on entering, writing or leaving, if the file cannot be written.
    """
    path = Path(path)
    profile = {
        "driver": "GTiff",
        "dtype": np.dtype(dtype).name,
        "count": 1,
        "height": shape[0],
        "width": shape[1],
        "crs": crs,
        "transform": transform,
        "nodata": nodata,
        "bigtiff": "yes",
        "tiled": True,
        "blockxsize": _block_px(shape[1]),
        "blockysize": _block_px(shape[1]),
    }
    with built_aside(path) as target, rasterio.Env(**WRITING_OPTIONS):
        windows = target.with_name(f"windows.{target.name}")
        with output_errors(path):
            raster = rasterio.open(windows, "w", **profile)
        raster.descriptions = (description,)
        try:
            yield Mosaic(raster, path)
        except BaseException:
            with suppress(RasterioError):
                raster.close()
            raise
        with output_errors(path, "; is the disk full?"):
            raster.close()
            _add_overviews(windows)
            _check_blocks(windows)
            _translate(windows, target)
            _check_blocks(target)
            valid, errors, _ = cog_validate(target, quiet=True)
            if not valid:
                raise OSError(f"it is not a valid cloud-optimised GeoTIFF ({errors[0]})")


def _add_overviews(path: Path) -> None:
    with rasterio.open(path, "r+") as raster:
        is_float = raster.dtypes[0].startswith("f")
        levels = get_maximum_overview_level(raster.width, raster.height, minsize=BLOCK_PX)
        kind = Resampling.average if is_float else Resampling.nearest
        raster.build_overviews([2**n for n in range(1, levels + 1)], kind)


def _translate(windows: Path, target: Path) -> None:
    """The last step of rio_cogeo's `cog_translate`. A full disk may spoil the overviews in another of its
    steps, and nothing tells.
    """
    with rasterio.open(windows) as source:
        options = {
            "tiled": True,
            "blockxsize": source.profile["blockxsize"],
            "blockysize": source.profile["blockysize"],
            "bigtiff": "if_safer",
            "compress": "deflate",
            "predictor": 3 if source.dtypes[0].startswith("f") else 2,
        }
        copy(source, target, driver="GTiff", copy_src_overviews=True, **options)


def _check_blocks(path: Path) -> None:
    """GDAL does not tell of a disk that fills up while a file is being closed.

    A block that was lost has no offset and would be read as nodata, or lies beyond the end.
    """
    with rasterio.open(path) as raster:
        levels = len(raster.overviews(1))
    for level in range(-1, levels):
        with rasterio.open(path, **({} if level < 0 else {"overview_level": level})) as raster:
            for (row, column), window in raster.block_windows(1):
                if raster.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=1) is None:
                    raise OSError("a part of what was written is lost")
                raster.read(1, window=window)


def _block_px(width: int) -> int:
    """`cog_validate` takes a level that is just one block wide for one without tiles."""
    widths = {-(-width // 2**n) for n in range(width.bit_length())}
    return BLOCK_PX // 2 if BLOCK_PX in widths else BLOCK_PX
