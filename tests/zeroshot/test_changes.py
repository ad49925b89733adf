from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco
from shapely.geometry import MultiPolygon, Polygon, box

from terradelta import Changes
from terradelta.geo.pair import Pair
from terradelta.geo.reader import Georeference
from terradelta.sam.masks import Masks

Make = Callable[..., Changes]
SHAPE = (12, 20)


def masks_by_hand() -> NDArray[np.bool_]:
    """A ring of 32 px with a hole of 4 px, and a block of 20 px that overlaps it by 4 px."""
    dense = np.zeros((2, *SHAPE), bool)
    dense[0, 2:8, 3:9] = True
    dense[0, 4:6, 5:7] = False
    dense[1, 6:10, 7:12] = True
    return dense


@pytest.fixture
def changes(make_changes: Make) -> Changes:
    return make_changes(masks_by_hand(), [60, 45], ["after", "before"])


def test_every_attribute_is_as_the_contract_says(changes: Changes) -> None:
    assert len(changes) == 2
    for name in ("angle", "score", "iou", "stability"):
        values = getattr(changes, name)
        assert values.dtype == np.float32
        assert values.shape == (2,)
    assert changes.date == ["after", "before"]
    assert (changes.boxes.dtype, changes.boxes.shape) == (np.float32, (2, 4))
    assert (changes.masks().dtype, changes.masks().shape) == (bool, (2, *SHAPE))
    assert (changes.to_mask().dtype, changes.to_mask().shape) == (bool, SHAPE)
    assert (changes.score_image().dtype, changes.score_image().shape) == (np.float32, SHAPE)
    assert isinstance(changes.threshold, float)


def test_boxes_are_pixel_edges_and_areas_are_pixels(changes: Changes) -> None:
    np.testing.assert_array_equal(changes.boxes, [[3, 2, 9, 8], [7, 6, 12, 10]])
    np.testing.assert_array_equal(changes.area, [32, 20])


@pytest.mark.parametrize(("angle", "score"), [(0, -1), (60, -0.5), (90, 0), (120, 0.5), (180, 1)])
def test_the_score_is_minus_the_cosine_of_the_angle(
    make_changes: Make, angle: float, score: float
) -> None:
    changes = make_changes(masks_by_hand()[:1], [angle])
    np.testing.assert_allclose(changes.score, [score], atol=1e-6)
    inside = changes.score_image()[masks_by_hand()[0]]
    np.testing.assert_allclose(inside, score, atol=1e-6)


def test_masks_and_their_run_lengths_are_the_same(changes: Changes) -> None:
    np.testing.assert_array_equal(changes.masks(), masks_by_hand())
    assert [rle["size"] for rle in changes.rles] == [list(SHAPE)] * 2
    decoded = np.stack([coco.decode(rle) for rle in changes.rles]).astype(bool)
    np.testing.assert_array_equal(decoded, masks_by_hand())


def test_by_the_rule_of_sam_the_mask_is_the_union_of_the_changes(changes: Changes) -> None:
    np.testing.assert_array_equal(changes.to_mask(), masks_by_hand().any(0))


def test_by_the_rule_of_regions_a_pixel_must_itself_be_above_the_threshold(
    make_changes: Make,
) -> None:
    dense, iou = masks_by_hand(), np.array([0.9, 0.5])
    unchanged = np.zeros((1, *SHAPE), bool)
    unchanged[0, :, :8] = True
    masks = Masks.from_dense(np.concatenate([dense, unchanged]))
    mean = masks.paint_mean(np.array([60, 45, 5]), np.array([*iou, 0.9]))
    changes = make_changes(dense, [60, 45], threshold=30, pixel_angle=mean)
    # The ring alone has 60 degrees, with what is unchanged (60 + 5) / 2 = 32.5; the block alone 45,
    # with what is unchanged (0.5 * 45 + 0.9 * 5) / 1.4 = 19.3; all three (54 + 22.5 + 4.5) / 2.3 = 35.2.
    ring, block = dense
    np.testing.assert_array_equal(changes.to_mask(), ring | (block & ~unchanged[0]))
    assert (block & unchanged[0] & ~ring).sum() == 2
    stricter = make_changes(dense, [60, 45], threshold=33, pixel_angle=mean)
    outside = (ring | block) & ~unchanged[0]
    np.testing.assert_array_equal(stricter.to_mask(), outside | (ring & block))


def test_a_pixel_at_the_threshold_is_not_changed(make_changes: Make) -> None:
    at_threshold = np.full(SHAPE, 25, np.float32)
    at_threshold[:, :5] = np.nextafter(np.float32(25), np.float32(26))
    changes = make_changes(masks_by_hand(), [60, 45], threshold=25, pixel_angle=at_threshold)
    assert changes.to_mask()[:, :5].all()
    assert not changes.to_mask()[:, 5:].any()


def test_a_table_in_pixels_has_every_attribute_and_no_crs(changes: Changes) -> None:
    table = changes.to_geodataframe()
    assert list(table.columns) == [
        *("id", "date", "angle", "score", "iou", "stability", "area_px", "geometry")
    ]
    assert table.crs is None
    assert table["id"].tolist() == [1, 2]
    assert table["date"].tolist() == ["after", "before"]
    assert table["angle"].tolist() == [60, 45]
    assert table["score"].tolist() == [-0.5, -0.70711]
    assert table["iou"].tolist() == [0.9, 0.5]
    assert table["stability"].tolist() == [1.0, 0.8]
    assert table["area_px"].tolist() == [32, 20]


def test_outlines_in_pixels_follow_pixel_edges_and_keep_holes(changes: Changes) -> None:
    ring, block = changes.to_geodataframe().geometry
    assert ring.equals(box(3, 2, 9, 8) - box(5, 4, 7, 6))
    assert block.equals(box(7, 6, 12, 10))


def test_outlines_in_a_crs_lie_where_the_pixels_lie(
    make_changes: Make, make_pair: Callable[..., Pair], place: Georeference
) -> None:
    pair = make_pair(SHAPE, georeference=place)
    table = make_changes(masks_by_hand(), [60, 45], pair=pair).to_geodataframe()
    assert table.crs.to_epsg() == 32633
    ring, block = table.geometry
    east, north = 500_000, 5_400_000
    outer = box(east + 1.5, north - 4, east + 4.5, north - 1)
    assert ring.equals(outer - box(east + 2.5, north - 3, east + 3.5, north - 2))
    assert block.equals(box(east + 3.5, north - 5, east + 6, north - 3))
    np.testing.assert_allclose(table.area, table["area_px"] * 0.25)


def test_parts_that_touch_at_a_corner_are_one_valid_outline(make_changes: Make) -> None:
    dense = np.zeros((1, *SHAPE), bool)
    dense[0, 2:5, 2:5] = dense[0, 5:8, 5:8] = True
    (outline,) = make_changes(dense, [50]).to_geodataframe().geometry
    assert isinstance(outline, MultiPolygon)
    assert outline.is_valid
    assert outline.equals(box(2, 2, 5, 5) | box(5, 5, 8, 8))


@pytest.mark.parametrize("seed", range(5))
def test_outlines_of_any_mask_are_valid_and_off_by_less_than_a_pixel(
    make_changes: Make, seed: int
) -> None:
    dense = np.random.default_rng(seed).random((4, *SHAPE)) < 0.6
    for outline, mask in zip(
        make_changes(dense, [50] * 4).to_geodataframe().geometry, dense, strict=True
    ):
        assert isinstance(outline, Polygon | MultiPolygon)
        assert outline.is_valid
        y, x = np.nonzero(mask)
        exact = MultiPolygon([box(c, r, c + 1, r + 1) for r, c in zip(y, x, strict=True)]).buffer(0)
        assert outline.hausdorff_distance(exact) < 1


def test_no_changes_are_a_table_without_rows(make_changes: Make) -> None:
    none = make_changes(np.zeros((0, *SHAPE), bool), [])
    assert len(none) == 0
    assert len(none.to_geodataframe()) == 0
    assert none.masks().shape == (0, *SHAPE)
    assert none.boxes.shape == (0, 4)
    assert none.rles == []
    assert not none.to_mask().any()


def test_changes_are_frozen(changes: Changes) -> None:
    with pytest.raises(FrozenInstanceError):
        changes.threshold = 3.0  # type: ignore[misc]


def test_repr_says_how_many_where_and_above_what(changes: Changes) -> None:
    assert repr(changes) == "Changes(2 on 20 x 12 px, angle > 25.0)"


def test_save_gives_back_the_paths_that_it_wrote(changes: Changes, tmp_path: Path) -> None:
    written = changes.save(str(tmp_path / "new" / "out"))
    assert {path.parent for path in written} == {tmp_path / "new" / "out"}
    assert set(written) == set((tmp_path / "new" / "out").iterdir())
