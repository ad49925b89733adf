import numpy as np
import pytest
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy import ndimage
from shapely.geometry import MultiPolygon, Point, Polygon, box

from terradelta.geo.polygons import SIMPLIFY_PX, mask_polygon


def test_a_rectangle_has_its_pixel_edges_as_outline() -> None:
    outline = mask_polygon(np.ones((3, 5), bool), 10, 20)
    assert outline.equals(box(10, 20, 15, 23))
    assert isinstance(outline, Polygon)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_what_is_one_pixel_wide_keeps_its_area(shape: tuple[int, int]) -> None:
    assert mask_polygon(np.ones(shape, bool), 0, 0).equals(box(0, 0, shape[1], shape[0]))


def test_a_hole_is_kept() -> None:
    mask = np.ones((7, 8), bool)
    mask[2:4, 3:6] = False
    outline = mask_polygon(mask, 1, 1)
    assert outline.equals(box(1, 1, 9, 8).difference(box(4, 3, 7, 5)))
    assert len(outline.interiors) == 1


def test_parts_that_touch_at_a_corner_are_a_valid_multipolygon() -> None:
    outline = mask_polygon(np.eye(3, dtype=bool), 0, 0)
    assert isinstance(outline, MultiPolygon)
    assert outline.is_valid
    assert outline.equals(MultiPolygon([box(n, n, n + 1, n + 1) for n in range(3)]))


def test_a_hole_that_touches_the_border_at_a_corner_is_valid() -> None:
    mask = np.ones((4, 4), bool)
    mask[0, 0] = mask[1, 1] = False
    outline = mask_polygon(mask, 0, 0)
    assert outline.is_valid
    assert not outline.contains(Point(1.5, 1.5))
    assert not outline.contains(Point(0.4, 0.4))


def test_a_transform_gives_coordinates_on_the_ground() -> None:
    transform = Affine(0.5, 0, 1000, 0, -0.5, 2000)
    outline = mask_polygon(np.ones((4, 6), bool), 10, 20, transform)
    assert outline.equals(box(1005, 1988, 1008, 1990))


def test_a_sheared_grid_shears_the_outline() -> None:
    outline = mask_polygon(np.ones((2, 3), bool), 4, 5, Affine(1.2, 0.5, 100, 1.6, -1.2, 200))
    corners = [(107.3, 200.4), (110.9, 205.2), (111.9, 202.8), (108.3, 198)]
    assert outline.symmetric_difference(Polygon(corners)).area == pytest.approx(0, abs=1e-9)
    assert outline.area == pytest.approx(2 * 3 * 2.24)


@pytest.mark.parametrize("seed", range(40))
def test_the_outline_of_any_mask_is_valid_and_off_by_half_a_pixel_at_most(seed: int) -> None:
    random = np.random.default_rng(seed)
    relief = ndimage.gaussian_filter(random.random((24, 31)), seed % 4 * 0.7)
    mask = relief > np.quantile(relief, random.uniform(0.2, 0.9))
    outline = mask_polygon(mask, 3, 5)
    assert outline.is_valid
    assert isinstance(outline, Polygon | MultiPolygon)
    rows, columns = np.nonzero(mask)
    exact = shapely.union_all(shapely.box(columns + 3, rows + 5, columns + 4, rows + 6))
    assert shapely.hausdorff_distance(outline.boundary, exact.boundary) <= SIMPLIFY_PX
    assert abs(outline.area - exact.area) <= SIMPLIFY_PX * exact.length


def test_an_outline_of_right_angles_rasterises_to_its_mask() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:12, 3:9] = mask[8:18, 7:25] = True
    mask[10:14, 12:17] = False
    outline = mask_polygon(mask, 0, 0)
    np.testing.assert_array_equal(rasterize([outline], mask.shape).astype(bool), mask)
