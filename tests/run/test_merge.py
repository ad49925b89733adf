"""Two or four tiles of 64 px with a halo of 16 px, and objects drawn by hand."""

import numpy as np
import pytest
from scipy import ndimage

from terradelta.geo.tiles import Key, Lattice, Tile
from terradelta.run.merge import Merger, SceneObject
from terradelta.run.seams import TileObjects, links, touching
from terradelta.sam.masks import Masks

LATTICE = Lattice(128, 128, (0, 0), 64, 16)

Scene = np.ndarray


def rectangle(x0: int, y0: int, x1: int, y1: int) -> Scene:
    scene = np.zeros((128, 128), bool)
    scene[y0:y1, x0:x1] = True
    return scene


def seen(key: Key, *objects: Scene, angle: float = 50.0, date: int = 1) -> TileObjects:
    """What a tile reports: the scene's objects as far as its window shows them."""
    tile = LATTICE[key]
    x0, y0, x1, y1 = tile.window
    dense = np.array([scene[y0:y1, x0:x1] for scene in objects]).reshape(-1, y1 - y0, x1 - x0)
    dense = dense[dense.any((1, 2))]
    same = np.full(len(dense), angle, np.float32)
    return TileObjects(
        tile,
        Masks.from_dense(dense) if len(dense) else Masks.empty(tile.shape),
        same,
        same / 100,
        same / 200,
        np.full(len(dense), date, np.int8),
        np.ones(len(dense), np.float32),
    )


def merged(*tiles: TileObjects) -> list[SceneObject]:
    merger, found = Merger(LATTICE, links), []
    by_key = {tile.tile.key: tile for tile in tiles}
    for row in LATTICE.rows:
        for column in LATTICE.columns:
            merger.add(by_key.get((row, column), seen((row, column))))
        found += merger.finished(row)
    return found + list(merger.finished(None))


def painted(found: SceneObject) -> Scene:
    scene = np.zeros((128, 128), bool)
    height, width = found.mask.shape
    scene[found.y0 : found.y0 + height, found.x0 : found.x0 + width] = found.mask
    return scene


ALL = [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize(
    "box",
    [
        (5, 5, 20, 30),
        (50, 10, 60, 20),
        (58, 10, 70, 20),
        (60, 60, 70, 68),
        (64, 64, 70, 70),
        (55, 20, 64, 40),
        (10, 58, 40, 72),
    ],
)
def test_an_object_that_all_tiles_see_alike_comes_back_once_and_whole(
    box: tuple[int, int, int, int],
) -> None:
    scene = rectangle(*box)
    (found,) = merged(*(seen(key, scene) for key in ALL))
    np.testing.assert_array_equal(painted(found), scene)
    assert (found.intensity, found.date, found.valid_fraction) == (50.0, 1, 1.0)
    assert found.iou == pytest.approx(0.5)
    assert found.stability == pytest.approx(0.25)


@pytest.mark.parametrize(
    "scene", [rectangle(10, 40, 120, 50), rectangle(5, 5, 125, 125), rectangle(60, 2, 68, 126)]
)
def test_an_object_longer_than_the_halo_is_joined(scene: Scene) -> None:
    (found,) = merged(*(seen(key, scene) for key in ALL))
    np.testing.assert_array_equal(painted(found), scene)


def test_neighbours_that_do_not_touch_stay_apart() -> None:
    left, right = rectangle(50, 10, 63, 30), rectangle(65, 10, 78, 30)
    found = merged(*(seen(key, left, right) for key in ALL))
    assert len(found) == 2
    np.testing.assert_array_equal(painted(found[0]) | painted(found[1]), left | right)


def test_two_objects_that_meet_at_the_seam_within_both_windows_stay_two() -> None:
    left, right = rectangle(54, 10, 64, 30), rectangle(64, 10, 74, 30)
    assert len(merged(*(seen(key, left, right) for key in ALL))) == 2


def test_of_an_object_only_one_tile_sees_the_one_that_holds_most_of_it_is_believed() -> None:
    mostly_left = rectangle(52, 10, 68, 30)
    (found,) = merged(seen((0, 0), mostly_left))
    np.testing.assert_array_equal(painted(found), mostly_left)
    assert merged(seen((0, 1), mostly_left)) == []


def test_each_tile_says_what_belongs_to_the_object_in_its_core() -> None:
    wide, narrow = rectangle(50, 10, 76, 30), rectangle(50, 12, 76, 28)
    (found,) = merged(seen((0, 0), wide), seen((0, 1), narrow))
    expected = (wide & rectangle(0, 0, 64, 128)) | (narrow & rectangle(64, 0, 128, 128))
    np.testing.assert_array_equal(painted(found), expected)


def test_attributes_are_weighted_by_the_pixels_in_the_cores() -> None:
    scene = rectangle(56, 10, 80, 20)  # 8 columns in the left core, 16 in the right one
    (found,) = merged(seen((0, 0), scene, angle=30, date=0), seen((0, 1), scene, angle=60, date=1))
    assert found.intensity == pytest.approx((8 * 30 + 16 * 60) / 24)
    assert found.date == 1


def test_objects_are_given_back_as_soon_as_no_later_tile_can_change_them() -> None:
    merger = Merger(LATTICE, links)
    inner, crossing = rectangle(5, 5, 20, 20), rectangle(10, 56, 30, 76)
    for key in ((0, 0), (0, 1)):
        merger.add(seen(key, inner, crossing))
    assert list(merger.finished(0)) == []
    for key in ((1, 0), (1, 1)):
        merger.add(seen(key, inner, crossing))
    (first,) = merger.finished(1)
    np.testing.assert_array_equal(painted(first), inner)
    (second,) = merger.finished(None)
    np.testing.assert_array_equal(painted(second), crossing)


def test_a_part_of_an_object_and_the_whole_stay_two() -> None:
    whole, part = rectangle(50, 10, 78, 30), rectangle(50, 10, 67, 30)
    found = merged(*(seen(key, whole, part) for key in ALL))
    assert [int(one.mask.sum()) for one in found] == [560, 340]


@pytest.mark.parametrize("density", [0.2, 0.38, 0.45])
def test_components_cut_at_the_cores_are_those_of_the_whole(density: float) -> None:
    """Of noise: around a density of 0.4 components reach from end to end."""
    scene = np.random.default_rng(0).random((128, 128)) < density
    eight = np.ones((3, 3))
    merger, found = Merger(LATTICE, lambda a, b, *_: touching(a, b)), []
    for row in LATTICE.rows:
        for column in LATTICE.columns:
            x0, y0, x1, y1 = core = LATTICE[row, column].core
            labels, count = ndimage.label(scene[y0:y1, x0:x1], eight)
            same = np.ones(count, np.float32)
            merger.add(
                TileObjects(
                    Tile((row, column), core, core),
                    Masks.from_labels(labels.astype(np.int32) - 1, count),
                    *(same, same, same, same.astype(np.int8), same),
                )
            )
        found += merger.finished(row)
    found += merger.finished(None)
    labels, count = ndimage.label(scene, eight)
    expected = sorted((labels == n).tobytes() for n in range(1, count + 1))
    assert sorted(painted(one).tobytes() for one in found) == expected
