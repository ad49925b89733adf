"""Two georeferenced rasters of any size, read by window on one common grid."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from terradelta.errors import InputError, UsageError
from terradelta.geo.grid import CommonGrid, Grid, common_grid, offset_in, pixel_steps
from terradelta.geo.reader import (
    GDAL_OPTIONS,
    READ_ERRORS,
    colour_bands,
    opened,
    palette_of,
    reason_of,
)
from terradelta.geo.sample import Sample, take_sample

TOLERANCE_PX = 1e-6
"""Of the approximate reprojection, in pixels of the source. GDAL approximates anew for every window:
with a larger error the same place would have other values in another window."""
AVERAGE_FROM = 1.5
"""Ratio of pixel sizes from which a finer raster is averaged rather than interpolated."""

Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class SceneFile:
    """How one date is read: which file and bands, and from where.

    ``dtype`` is that of the file. ``offset`` is the column and row in the file of the grid's first
    pixel if their lattices coincide, and None if the file is resampled. ``scale`` is the number of
    pixels of the grid per pixel of the file along the file's columns and rows, at most 1.
    """

    path: Path
    bands: tuple[int, ...]
    dtype: np.dtype[Any]
    shape: tuple[int, int]
    offset: tuple[int, int] | None
    scale: tuple[float, float]

    @property
    def resampling(self) -> str:
        """ "none", "bilinear", or "average" for a file much finer than the grid."""
        if self.offset is not None:
            return "none"
        return "average" if self.scale[0] * self.scale[1] < AVERAGE_FROM**-2 else "bilinear"


class ScenePair:
    """Both dates on one grid, windows of which are read on demand.

    May be used from several threads, each of which gets its own datasets, and pickled: only paths and
    settings travel. A context manager; leaving it closes the datasets of the leaving thread.

    ``grid`` is the common :class:`Grid`, ``common`` tells how it came about; ``before`` and ``after``
    say how either file is read; ``shift`` is (x, y) in pixels of the grid by which *after* is moved.
    """

    def __init__(
        self,
        before: str | Path,
        after: str | Path,
        *,
        bands: Sequence[int] | None = None,
        shift: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """``bands``: 1-based, one (grey) or three of both files; by default those that the files
        declare red, green and blue, else the first three, else the first.

        Raises:
            InputError: see :func:`common_grid`; or values that are no real numbers; or a paletted
                raster off the grid.
            UsageError: ``bands`` that a file does not have.
        """
        self.common: CommonGrid = common_grid(before, after)
        self.grid: Grid = self.common.grid
        self.shift = float(shift[0]), float(shift[1])
        self.before = _scene_file(Path(before), bands, self.grid, (0.0, 0.0))
        self.after = _scene_file(Path(after), bands, self.grid, self.shift)
        self._local = threading.local()

    def shifted(self, shift: tuple[float, float]) -> ScenePair:
        """The same pair with *after* moved by (x, y) pixels of the grid."""
        moved = object.__new__(ScenePair)
        state = self.__getstate__()
        after = _scene_file(self.after.path, self.after.bands, self.grid, shift)
        moved.__setstate__({**state, "shift": (float(shift[0]), float(shift[1])), "after": after})
        return moved

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Values, Values, NDArray[np.bool_]]:
        """Columns x0 to x1 and rows y0 to y1 (exclusive) of the grid: before, after, valid.

        The dates are [3, h, w], a single band standing for all three, in the type of the file or
        float32 where it is resampled. ``valid`` is bool [h, w]: True where both have data. A window
        may reach beyond the grid; there, and wherever else a date has no data, it holds zeros or
        whatever the file holds.

        Raises:
            UsageError: the window is empty.
            InputError: the file is truncated or damaged there.
        """
        if x0 >= x1 or y0 >= y1:
            raise UsageError(f"the window ({x0}, {y0}, {x1}, {y1}) is empty")
        window = (x0, y0, x1, y1)
        before, valid = self._read_date(self.before, (0.0, 0.0), window)
        after, also_valid = self._read_date(self.after, self.shift, window)
        return before, after, valid & also_valid

    def sample(self) -> Sample:
        """Windows spread over the pair; see :func:`take_sample`."""
        dtypes = self.before.dtype, self.after.dtype
        names = f"{self.before.path} and {self.after.path}"
        return take_sample(self.read, self.grid.shape, dtypes, names)

    def describe(self) -> dict[str, Any]:
        """Plain values for a JSON file: the grid, its choice, and how either date is read."""
        files = {
            date: {
                "path": str(file.path),
                "bands": list(file.bands),
                "dtype": str(file.dtype),
                "resampling": file.resampling,
            }
            for date, file in (("before", self.before), ("after", self.after))
        }
        common = self.common.describe()
        merged = {date: {**files[date], **common[date]} for date in files}
        return {**common, **merged, "shift_px": list(self.shift)}

    def close(self) -> None:
        """Close the datasets that this thread has open."""
        stack = getattr(self._local, "stack", None)
        if stack is not None:
            del self._local.stack, self._local.sources
            stack.close()

    def __enter__(self) -> ScenePair:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def _read_date(
        self, file: SceneFile, shift: tuple[float, float], window: tuple[int, int, int, int]
    ) -> tuple[Values, NDArray[np.bool_]]:
        column, row = file.offset or (0, 0)
        x0, y0, x1, y1 = window
        there = (x0 + column, y0 + row, x1 + column, y1 + row)
        shape = self.grid.shape if file.offset is None else file.shape
        try:
            with rasterio.Env(**GDAL_OPTIONS):
                source = self._source(file, shift)
                values, valid = _read_padded(source, file, there, shape)
        except READ_ERRORS as error:
            raise InputError(
                f"{file.path} cannot be read in the window {window} of the grid: "
                f"{reason_of(error).rstrip('.')}. It may be truncated or damaged"
            ) from error
        _clear_beyond(valid, window, self.grid.shape)
        return values, valid

    def _source(self, file: SceneFile, shift: tuple[float, float]) -> Any:
        """This thread's dataset of a file, or its resampled view."""
        local = self._local
        if not hasattr(local, "stack"):
            local.stack, local.sources = ExitStack(), {}
        key = "before" if file is self.before else "after"
        if key not in local.sources:
            source = local.stack.enter_context(rasterio.open(file.path))
            if file.offset is None:
                source = local.stack.enter_context(_resampled(source, file, self.grid, shift))
            local.sources[key] = source
        return local.sources[key]


def _scene_file(
    path: Path, bands: Sequence[int] | None, grid: Grid, shift: tuple[float, float]
) -> SceneFile:
    with opened(path) as source:
        chosen = colour_bands(source) if bands is None else _checked_bands(bands, source, path)
        dtype = np.dtype(source.dtypes[chosen[0] - 1])
        if dtype.kind not in "buif":
            raise InputError(f"{path} holds {dtype} values: convert it to real numbers")
        target = _moved(grid, shift)
        same_crs = source.crs == grid.crs
        offset = offset_in(source.transform, target, grid.shape) if same_crs else None
        if offset is None and palette_of(source) is not None:
            raise InputError(
                f"{path} is a paletted raster off the grid of its partner, whose colour numbers "
                f"cannot be interpolated: expand it first, `gdal_translate -expand rgb {path} rgb.tif`"
            )
        scale = _scale(source, grid)
        return SceneFile(path, chosen, dtype, source.shape, offset, scale)


def _checked_bands(bands: Sequence[int], source: Any, path: Path) -> tuple[int, ...]:
    if len(bands) not in (1, 3) or not all(1 <= band <= source.count for band in bands):
        raise UsageError(
            f"bands must be one or three of the {source.count} of {path}, counted from 1; got "
            f"{','.join(map(str, bands))}"
        )
    return tuple(int(band) for band in bands)


def _moved(grid: Grid, shift: tuple[float, float]) -> Affine:
    """Where to look for the grid's pixels in a raster that is to be moved by ``shift`` pixels."""
    return grid.transform * Affine.translation(-shift[0], -shift[1])


def _scale(source: Any, grid: Grid) -> tuple[float, float]:
    """Pixels of the grid per pixel of a file along its columns and rows, at most 1."""
    middle = grid.width / 2, grid.height / 2
    steps = pixel_steps(grid.crs, grid.transform, source.crs, source.transform, *middle)
    across, down = np.hypot(steps[:, 0], steps[:, 1])
    return min(1.0, float(1 / across)), min(1.0, float(1 / down))


def _resampled(source: Any, file: SceneFile, grid: Grid, shift: tuple[float, float]) -> WarpedVRT:
    """A view of a file on the grid: float32, NaN where it has no data."""
    floats_without_nodata = file.dtype.kind == "f" and source.nodata is None
    return WarpedVRT(
        source,
        crs=grid.crs,
        transform=_moved(grid, shift),
        width=grid.width,
        height=grid.height,
        resampling=Resampling[file.resampling],
        tolerance=TOLERANCE_PX,
        dtype="float32",
        nodata=np.nan,
        src_nodata=np.nan if floats_without_nodata else source.nodata,
        # Else guessed from the shape of every window: the same place would be smoothed differently.
        XSCALE=file.scale[0],
        YSCALE=file.scale[1],
        # A pixel is without data if all of its bands are: black in one band is a colour.
        UNIFIED_SRC_NODATA="YES",
    )


def _read_padded(
    source: Any, file: SceneFile, window: tuple[int, int, int, int], shape: tuple[int, int]
) -> tuple[Values, NDArray[np.bool_]]:
    """Values [3, h, w] and validity [h, w] of a window of a dataset, invalid zeros beyond it."""
    x0, y0, x1, y1 = window
    height, width = shape
    left, right = (min(max(x, 0), width) for x in (x0, x1))
    top, bottom = (min(max(y, 0), height) for y in (y0, y1))
    size = (y1 - y0, x1 - x0)
    dtype = np.dtype("float32") if file.offset is None else file.dtype
    values, valid = np.zeros((3, *size), dtype), np.zeros(size, bool)
    if left < right and top < bottom:
        inside = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
        part = Window(left, top, right - left, bottom - top)
        values[:, *inside], valid[inside] = _read_part(source, file, part)
    return values, valid


def _read_part(source: Any, file: SceneFile, part: Window) -> tuple[Values, NDArray[np.bool_]]:
    """Values [3, h, w], or [1, h, w] of a single band, and validity [h, w]."""
    palette = palette_of(source) if file.offset is not None else None
    if palette is not None:
        values = palette[source.read(1, window=part)].transpose(2, 0, 1)
        opaque = source.read_masks(1, window=part) > 0
        return values[:3], opaque & (values[3] > 0)
    values = source.read(list(file.bands), window=part)
    if file.offset is None:
        return np.nan_to_num(values, copy=True), np.isfinite(values).all(0)
    valid = (source.read_masks(list(file.bands), window=part) > 0).any(0)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(0)
        values = np.nan_to_num(values)
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    return values, valid


def _clear_beyond(
    valid: NDArray[np.bool_], window: tuple[int, int, int, int], shape: tuple[int, int]
) -> None:
    """Mark what lies beyond the grid invalid, in place; a file may well go on there."""
    x0, y0, _, _ = window
    height, width = shape
    valid[: max(0, -y0)] = valid[max(0, height - y0) :] = False
    valid[:, : max(0, -x0)] = valid[:, max(0, width - x0) :] = False
