from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio import warp
from rasterio.crs import CRS
from rasterio.transform import Affine

from terradelta.errors import InputError
from terradelta.geo.grid import Grid, common_grid, offset_in

TRANSFORM = Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)
Write = Callable[..., Path]


def empty(height: int = 40, width: int = 60) -> np.ndarray:
    return np.zeros((3, height, width), np.uint8)


def test_equal_grids_are_kept(write: Write) -> None:
    found = common_grid(write("a.tif", empty()), write("b.tif", empty()))
    assert found.grid == Grid(CRS.from_epsg(32633), TRANSFORM, 60, 40)
    assert found.overlap == (1, 1)
    assert "neither is resampled" in found.choice


def test_the_grid_is_the_part_of_before_that_after_covers(write: Write) -> None:
    moved = TRANSFORM * Affine.translation(10, -5)
    found = common_grid(write("a.tif", empty()), write("b.tif", empty(), moved))
    assert found.grid.transform == TRANSFORM * Affine.translation(10, 0)
    assert found.grid.shape == (35, 50)
    assert found.overlap == pytest.approx((50 * 35 / 2400,) * 2)
    assert found.grid.bounds == (500_005, 5_399_982.5, 500_030, 5_400_000)


@pytest.mark.parametrize("part", [0.3, 0.49])
def test_a_fraction_of_a_pixel_does_not_move_the_lattice_of_before(
    write: Write, part: float
) -> None:
    moved = TRANSFORM * Affine.translation(7 + part, 3 + part)
    grid = common_grid(write("a.tif", empty()), write("b.tif", empty(), moved)).grid
    assert grid.transform.almost_equals(TRANSFORM * Affine.translation(7, 3))
    assert grid.shape == (37, 53)


def test_a_little_coarser_after_is_brought_to_before(write: Write) -> None:
    coarser = TRANSFORM * Affine.scale(1.4)
    grid = common_grid(write("a.tif", empty()), write("b.tif", empty(), coarser)).grid
    assert grid.transform == TRANSFORM


def test_a_much_coarser_after_gives_its_own_lattice(write: Write) -> None:
    coarse = TRANSFORM * Affine.translation(3, 5) * Affine.scale(4)
    found = common_grid(write("a.tif", empty()), write("b.tif", empty(), coarse))
    assert found.grid.transform == coarse
    # 60 - 3 and 40 - 5 pixels of before are 14.25 and 8.75 of after
    assert found.grid.shape == (9, 14)
    assert "coarser" in found.choice


def test_a_coarser_after_in_another_crs_gives_a_lattice_that_no_extent_moves(write: Write) -> None:
    (x,), (y,) = warp.transform("EPSG:32633", "EPSG:32632", [500_000], [5_400_000])
    coarse = Affine(2, 0, x - 300, 0, -2, y + 300)
    far = write("b.tif", np.zeros((3, 400, 400), np.uint8), coarse, crs="EPSG:32632")
    grids = [
        common_grid(write("a.tif", empty(*shape), TRANSFORM * Affine.translation(*by)), far).grid
        for shape, by in (((40, 60), (0, 0)), ((80, 100), (13, -7)))
    ]
    for grid in grids:
        assert (grid.transform.a, grid.transform.e) == (2.0, -2.0)
        assert grid.transform.c % 2 == pytest.approx(0)
        assert grid.transform.f % 2 == pytest.approx(0)


def test_a_rotated_before_gets_a_north_up_grid_of_its_pixel_size(write: Write) -> None:
    turned = TRANSFORM * Affine.rotation(30)
    found = common_grid(write("a.tif", empty(), turned), write("b.tif", empty(), turned))
    t = found.grid.transform
    assert (t.b, t.d) == (0, 0)
    assert (t.a, t.e) == pytest.approx((0.5, -0.5))
    high, wide = 40 * np.cos(np.pi / 6) + 60 * 0.5, 60 * np.cos(np.pi / 6) + 40 * 0.5
    assert found.grid.shape == (pytest.approx(high, abs=1), pytest.approx(wide, abs=1))
    assert "rotated" in found.choice


def test_a_south_up_before_is_turned_on_its_own_lattice(write: Write) -> None:
    upside_down = Affine(0.5, 0, 500_000, 0, 0.5, 5_399_980)
    grid = common_grid(write("a.tif", empty(), upside_down), write("b.tif", empty())).grid
    assert grid.transform == TRANSFORM
    assert grid.shape == (40, 60)


@pytest.mark.parametrize("epsg", [32633, 3857, 4326, 2229])
def test_pixels_are_measured_on_the_ground(epsg: int) -> None:
    """Two metres on the ellipsoid, whatever the unit and scale of the CRS."""
    (x,), (y,) = warp.transform("EPSG:4326", f"EPSG:{epsg}", [-118.2], [34.0])
    (east,), (north,) = warp.transform("EPSG:4326", f"EPSG:{epsg}", [-118.2 + 1e-5], [34.0 + 1e-5])
    if epsg == 32633:  # zone 33 does not reach Los Angeles
        x, y, east, north = 500_000.0, 3_762_000.0, 500_000.923, 3_762_001.109
    grid = Grid(CRS.from_epsg(epsg), Affine(east - x, 0, x, 0, y - north, y), 1, 1)
    width, height = grid.pixel_m
    if epsg == 2229:  # its grid north is not true north
        assert grid.pixel_size_m == pytest.approx(np.sqrt(0.9237 * 1.1093), rel=0.02)
    else:
        assert width == pytest.approx(0.9237, rel=2e-3)
        assert height == pytest.approx(1.1093, rel=2e-3)


def test_a_window_is_the_grid_of_a_part() -> None:
    part = Grid(CRS.from_epsg(32633), TRANSFORM, 60, 40).window(-4, 10, 20, 50)
    assert (part.shape, part.transform.c, part.transform.f) == ((40, 24), 499_998, 5_399_995)


def test_the_description_is_plain(write: Write) -> None:
    import json

    found = common_grid(write("a.tif", empty()), write("b.tif", empty())).describe()
    assert json.loads(json.dumps(found)) == found
    assert found["crs"] == "EPSG:32633"
    assert found["after"]["overlap"] == 1


def test_where_nothing_overlaps_both_places_are_named(write: Write) -> None:
    far = write("b.tif", empty(), Affine(1e-5, 0, 20, 0, -1e-5, 10), crs="EPSG:4326")
    with pytest.raises(InputError, match=r"do not overlap: .*longitude 15\.0.*longitude 20\.0"):
        common_grid(write("a.tif", empty()), far)


def test_rasters_that_only_touch_do_not_overlap(write: Write) -> None:
    beside = write("b.tif", empty(), TRANSFORM * Affine.translation(60, 0))
    with pytest.raises(InputError, match="do not overlap"):
        common_grid(write("a.tif", empty()), beside)


def test_less_than_a_pixel_is_not_enough(write: Write) -> None:
    beside = write("b.tif", empty(), TRANSFORM * Affine.translation(59.7, 0))
    with pytest.raises(InputError, match="less than a pixel"):
        common_grid(write("a.tif", empty()), beside)


@pytest.mark.parametrize("lacking", ["before", "after"])
def test_a_raster_without_a_crs_is_named(write: Write, lacking: str) -> None:
    files = [
        write(f"{date}.tif", empty(), crs=None if date == lacking else "EPSG:32633")
        for date in ("before", "after")
    ]
    with pytest.raises(InputError, match=rf"{lacking}\.tif has no CRS: .*rio edit-info"):
        common_grid(*files)


def test_a_place_that_a_crs_cannot_show_is_refused(write: Write) -> None:
    pole = write("b.tif", empty(), Affine(1, 0, 0, 0, -1, 100), crs="EPSG:4326")
    with pytest.raises(InputError, match=r"b\.tif"):
        common_grid(write("a.tif", empty(), crs="EPSG:3857"), pole)


def test_the_offset_of_one_lattice_in_another() -> None:
    assert offset_in(TRANSFORM, TRANSFORM * Affine.translation(3, -4), (9, 9)) == (3, -4)
    assert offset_in(TRANSFORM, TRANSFORM * Affine.translation(3.5, 0), (9, 9)) is None
    assert offset_in(TRANSFORM, TRANSFORM * Affine.scale(1.001), (9, 9)) == (0, 0)
    assert offset_in(TRANSFORM, TRANSFORM * Affine.scale(1.001), (90, 90)) is None
    assert offset_in(TRANSFORM, TRANSFORM * Affine.scale(1, -1), (9, 9)) is None
