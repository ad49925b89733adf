"""The pixel grid on which two georeferenced rasters are compared, and why it is that one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from rasterio import warp
from rasterio.crs import CRS
from rasterio.transform import Affine, array_bounds
from shapely import Polygon

from terradelta.errors import InputError
from terradelta.geo.reader import READ_ERRORS, georeference_of, opened

COARSER_BY = 1.5
"""From this ratio of pixel sizes on, the coarser date gives the resolution."""

_WGS84 = CRS.from_epsg(4326)
_ELLIPSOID = Geod(ellps="WGS84")
_POINTS_PER_EDGE = 32
_SAME_LATTICE_PX = 1e-2


@dataclass(frozen=True, slots=True)
class Grid:
    """A pixel grid with rows from north to south: ``transform`` maps (column, row) to ``crs`` units."""

    crs: CRS
    transform: Affine
    width: int
    height: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in ``crs`` units."""
        left, bottom, right, top = array_bounds(self.height, self.width, self.transform)
        return left, bottom, right, top

    @property
    def pixel_m(self) -> tuple[float, float]:
        """Width and height in metres on the ground of the pixel in the middle."""
        return _pixel_m(self.crs, self.transform, self.width / 2, self.height / 2)

    @property
    def pixel_size_m(self) -> float:
        """Side in metres of a square as large as the pixel in the middle is on the ground."""
        width, height = self.pixel_m
        return math.sqrt(width * height)

    def window(self, x0: int, y0: int, x1: int, y1: int) -> Grid:
        """The part from column x0 to x1 and row y0 to y1, exclusive; it may reach beyond the grid."""
        return Grid(self.crs, self.transform * Affine.translation(x0, y0), x1 - x0, y1 - y0)

    def describe(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "crs": self.crs.to_string(),
            "transform": list(self.transform)[:6],
            "width": self.width,
            "height": self.height,
            "bounds": list(self.bounds),
            "pixel_size_m": self.pixel_size_m,
        }


@dataclass(frozen=True, slots=True)
class CommonGrid:
    """The grid of a pair of rasters.

    ``overlap`` is the share of the ground of *before* and of *after* that the other covers too;
    ``pixel_m`` the ground size of a pixel of either file; ``crs`` the CRS of both files; ``choice``
    says in words which grid was taken and which date is resampled to it.
    """

    grid: Grid
    overlap: tuple[float, float]
    pixel_m: tuple[tuple[float, float], tuple[float, float]]
    crs: tuple[CRS, CRS]
    choice: str

    def describe(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        sides = zip(("before", "after"), self.crs, self.pixel_m, self.overlap, strict=True)
        files = {
            date: {"crs": crs.to_string(), "pixel_m": list(pixel), "overlap": share}
            for date, crs, pixel, share in sides
        }
        return {**self.grid.describe(), "choice": self.choice, **files}


@dataclass(frozen=True, slots=True)
class _Extent:
    """Where one file lies."""

    name: Path
    crs: CRS
    transform: Affine
    width: int
    height: int

    @property
    def north_up(self) -> bool:
        t = self.transform
        lean = abs(t.b * self.height) + abs(t.d * self.width)
        return bool(lean < _SAME_LATTICE_PX * min(abs(t.a), abs(t.e)))

    @property
    def pixel_m(self) -> tuple[float, float]:
        return _pixel_m(self.crs, self.transform, self.width / 2, self.height / 2)

    @property
    def corners(self) -> Any:
        """float64 [2, n]: x and y along the four edges, densely, for edges bend in another CRS."""
        steps = np.linspace(0, 1, _POINTS_PER_EDGE, endpoint=False)
        zeros, ones = np.zeros_like(steps), np.ones_like(steps)
        columns = np.concatenate([steps, ones, 1 - steps, zeros]) * self.width
        rows = np.concatenate([zeros, steps, ones, 1 - steps]) * self.height
        return np.array(self.transform * (columns, rows))


def common_grid(before: str | Path, after: str | Path) -> CommonGrid:
    """The grid on which the rasters of two files are compared: that of *before* where both lie.

    The CRS and pixel lattice are those of *before*, whose pixels therefore stay untouched. A rotated
    *before* gets a north-up lattice in its own CRS. Where *after* is coarser by more than
    ``COARSER_BY``, its resolution is taken: its own lattice if the CRS is the same, else one of that
    pixel size (two digits) counted from the origin of the CRS. So the lattice does not depend on
    which part of a scene is fed in. Pixels whose centre lies in the bounding box of the overlap belong
    to the grid.

    Raises:
        InputError: a file is unreadable, has no CRS or geotransform, or the two do not overlap.
    """
    first, second = _extent(Path(before)), _extent(Path(after))
    outlines = Polygon(first.corners.T), _outline_in(second, first.crs)
    shared = shapely.make_valid(outlines[0]).intersection(shapely.make_valid(outlines[1]))
    if shared.area == 0:
        raise InputError(
            f"{first.name} and {second.name} do not overlap: the first lies at {_place(first)}, the "
            f"second at {_place(second)}. Give two rasters of the same place, or correct their CRS"
        )
    lattice, choice = _lattice(first, second, shared)
    grid = _covering(first.crs, lattice, shared.bounds)
    if min(grid.shape) < 1:
        raise InputError(f"{first.name} and {second.name} overlap by less than a pixel")
    overlap = (shared.area / outlines[0].area, shared.area / outlines[1].area)
    pixels = first.pixel_m, second.pixel_m
    return CommonGrid(grid, overlap, pixels, (first.crs, second.crs), choice)


def offset_in(source: Affine, grid: Affine, shape: tuple[int, int]) -> tuple[int, int] | None:
    """Column and row of a source's pixel that is the grid's first, None if their pixels differ.

    ``shape`` is the grid's (height, width), over which the lattices must stay within a hundredth of
    a pixel of each other.
    """
    height, width = shape
    relative = ~source * grid
    column, row = round(relative.c), round(relative.f)
    for x, y in ((0, 0), (width, 0), (0, height), (width, height)):
        u, v = relative * (x, y)
        if max(abs(u - x - column), abs(v - y - row)) > _SAME_LATTICE_PX:
            return None
    return column, row


def pixel_steps(
    crs: CRS, transform: Affine, other_crs: CRS, other: Affine, column: float, row: float
) -> NDArray[np.float64]:
    """How far a step of one pixel to the right (first column) and down (second) goes in another grid.

    float64 [2, 2]: columns and rows of the other, at (column, row) of the first.
    """
    x, y = transform * (np.array([0, 1, 0]) + column, np.array([0, 0, 1]) + row)
    if other_crs != crs:
        x, y = (np.array(v) for v in warp.transform(crs, other_crs, x, y))
    there = np.array(~other * (x, y))
    return np.asarray(there[:, 1:] - there[:, :1])


def _extent(path: Path) -> _Extent:
    with opened(path) as source:
        place = georeference_of(source)
        if place is None:
            lacking = "no CRS" if source.crs is None else "no geotransform"
            by_points = bool(source.gcps[0] or source.rpcs)
            remedy = (
                "it has ground control points or RPCs only: orthorectify it, for example with "
                f"`gdalwarp {path} ortho.tif`"
                if by_points
                else f"state where it lies, for example with `rio edit-info {path} --crs EPSG:32633`"
            )
            raise InputError(f"{path} has {lacking}: {remedy}")
        return _Extent(path, place.crs, place.transform, source.width, source.height)


def _lattice(before: _Extent, after: _Extent, shared: Any) -> tuple[Affine, str]:
    """Pixel size and origin of the common grid, and the choice in words."""
    own = _north_up(before)
    ratio = _pixel_ratio(before, after, shared.centroid)
    here, there = (f"{_unit(e)} px in {e.crs.to_string()}" for e in (before, after))
    if ratio > COARSER_BY:
        if before.crs == after.crs and after.north_up:
            return _north_up(after), (
                f"the grid of after ({there}), which is coarser; before ({here}) is averaged to it"
            )
        width, height = (_two_digits(size * ratio) for size in (own.a, -own.e))
        return Affine(width, 0, 0, 0, -height, 0), (
            f"the CRS of before ({here}) in pixels of {width:g} x {height:g}, for after ({there}) is "
            f"coarser; both are resampled to it"
        )
    if not before.north_up:
        return own, (
            f"the CRS of before ({here}), north up in pixels of {own.a:.6g} x {-own.e:.6g}, for it is "
            f"rotated or sheared; both are resampled to it"
        )
    same = before.crs == after.crs and offset_in(
        after.transform, before.transform, (before.height, before.width)
    )
    if same:
        return own, f"the grid that both have ({here}); neither is resampled"
    return own, f"the grid of before ({here}); after ({there}) is resampled to it"


def _north_up(extent: _Extent) -> Affine:
    """The lattice of a file, turned north up if need be (square pixels of the same area)."""
    t = extent.transform
    if extent.north_up:
        left = t.c + min(0, t.a * extent.width)
        top = t.f + max(0, t.e * extent.height)
        return Affine(abs(t.a), 0, left, 0, -abs(t.e), top)
    side = math.sqrt(abs(t.determinant))
    return Affine(side, 0, 0, 0, -side, 0)


def _covering(crs: CRS, lattice: Affine, bounds: tuple[float, float, float, float]) -> Grid:
    """The pixels of a north-up lattice whose centres lie within bounds."""
    left, bottom, right, top = bounds
    (x0, y0), (x1, y1) = ~lattice * (left, top), ~lattice * (right, bottom)
    column, row = round(x0), round(y0)
    corner = lattice * (column, row)
    transform = Affine(lattice.a, 0, corner[0], 0, lattice.e, corner[1])
    return Grid(crs, transform, round(x1) - column, round(y1) - row)


def _outline_in(extent: _Extent, crs: CRS) -> Polygon:
    """The footprint of a file in another CRS."""
    x, y = extent.corners
    if extent.crs != crs:
        try:
            x, y = warp.transform(extent.crs, crs, x, y)
        except READ_ERRORS:
            x = y = np.array([np.nan])
    outline = np.array([x, y], float)
    if not np.isfinite(outline).all():
        raise InputError(
            f"{extent.name} ({extent.crs.to_string()}) lies outside of what {crs.to_string()} can "
            f"show: warp it to the CRS of the other first, or correct its CRS"
        )
    return Polygon(outline.T)


def _pixel_ratio(before: _Extent, after: _Extent, place: Any) -> float:
    """Side of a pixel of after in pixels of before, at a point in the CRS of before."""
    x, y = [place.x], [place.y]
    if after.crs != before.crs:
        x, y = warp.transform(before.crs, after.crs, x, y)
    column, row = ~after.transform * (x[0], y[0])
    step = pixel_steps(after.crs, after.transform, before.crs, before.transform, column, row)
    return math.sqrt(abs(np.linalg.det(step)))


def _pixel_m(crs: CRS, transform: Affine, column: float, row: float) -> tuple[float, float]:
    """Ground width and height in metres of a pixel."""
    x, y = transform * (
        np.array([column, column + 1, column]),
        np.array([row, row, row + 1]),
    )
    try:
        lon, lat = warp.transform(crs, _WGS84, x, y)
    except READ_ERRORS:  # a local CRS that is tied to no place on the globe
        factor = crs.linear_units_factor[1]
        sides = np.hypot(x[1:] - x[0], y[1:] - y[0]) * factor
        return float(sides[0]), float(sides[1])
    _, _, width = _ELLIPSOID.inv(lon[0], lat[0], lon[1], lat[1])
    _, _, height = _ELLIPSOID.inv(lon[0], lat[0], lon[2], lat[2])
    return float(width), float(height)


def _unit(extent: _Extent) -> str:
    width, height = extent.pixel_m
    return f"{width:.3g} x {height:.3g} m"


def _two_digits(value: float) -> float:
    return float(f"{value:.1e}")


def _place(extent: _Extent) -> str:
    """The middle of a file, in longitude and latitude if it can be told."""
    x, y = extent.transform * (extent.width / 2, extent.height / 2)
    try:
        (lon,), (lat,) = warp.transform(extent.crs, _WGS84, [x], [y])
    except READ_ERRORS:
        return f"({x:.8g}, {y:.8g}) in {extent.crs.to_string()}"
    return f"longitude {lon:.4f}, latitude {lat:.4f} ({extent.crs.to_string()})"
