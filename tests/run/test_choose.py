"""Two tiles of 64 px with a halo of 16 px side by side, and rectangles as their candidates."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from terradelta.geo.tiles import Box, Key, Lattice, shifted
from terradelta.run.choose import Choice, scene_threshold, tile_changes
from terradelta.run.parts import Part, no_candidates
from terradelta.sam.masks import Masks
from terradelta.zeroshot.candidates import Candidates
from terradelta.zeroshot.thresholds import choose_threshold

LATTICE = Lattice(128, 64, (0, 0), 64, 16)
ALONE = Lattice(80, 64, (0, 0), 64, 16)
LEFT, RIGHT = (0, 0), (0, 1)
REGIONS: Any = SimpleNamespace(pixel_rule="mean", overlap_rule="layer")
SAM: Any = SimpleNamespace(pixel_rule="union", overlap_rule="boxes")
DEFAULT = 23.0


class Object(NamedTuple):
    """A candidate: its box on the grid, angle, predicted IoU and date."""

    box: Box
    angle: float
    iou: float = 0.5
    date: int = 1


def part(key: Key, *objects: Object, lattice: Lattice = LATTICE) -> Part:
    """A tile's candidates, largest angle first, all of them whole in its window."""
    tile = lattice[key]
    if not objects:
        return Part(key, no_candidates(tile.shape), np.ones(tile.shape, bool))
    ranked = sorted(objects, key=lambda one: -one.angle)
    dense = np.zeros((len(ranked), *tile.shape), bool)
    for mask, one in zip(dense, ranked, strict=True):
        x0, y0, x1, y1 = shifted(one.box, -tile.window[0], -tile.window[1])
        mask[y0:y1, x0:x1] = True
    iou = np.array([one.iou for one in ranked], np.float32)
    nothing = np.zeros((len(ranked), 0))
    candidates = Candidates(
        Masks.from_dense(dense),
        iou,
        iou / 2,
        np.array([one.date for one in ranked], np.int8),
        np.array([one.angle for one in ranked], np.float32),
        nothing,
        nothing,
    )
    return Part(key, candidates, np.ones(tile.shape, bool))


def threshold(
    choice: Choice, *parts: Part, lattice: Lattice = LATTICE, segmenter: Any = SAM
) -> float:
    return scene_threshold(choice, DEFAULT, lambda: iter(parts), lattice, segmenter)


def row(count: int, x: int, angles: Any) -> list[Object]:
    """Objects of 4 x 4 px, one below the other."""
    return [Object((x, 5 * n, x + 4, 5 * n + 4), angles[n]) for n in range(count)]


# --- the choice ----------------------------------------------------------------------------------


def test_what_was_given_is_told_and_no_more() -> None:
    assert Choice().given == {}
    assert Choice(angle=0.0).given == {"angle": 0.0}
    assert Choice(threshold="otsu").given == {"threshold": "otsu"}


# --- the threshold of the scene ------------------------------------------------------------------


def test_no_part_is_read_for_an_angle_that_is_known() -> None:
    def unread() -> Iterator[Part]:
        pytest.fail("a part is read")

    assert scene_threshold(Choice(), DEFAULT, unread, LATTICE, SAM) == DEFAULT
    assert scene_threshold(Choice(angle=31), DEFAULT, unread, LATTICE, SAM) == 31.0


def test_of_an_object_in_two_windows_the_tile_with_its_middle_counts_it() -> None:
    """Middles at x = 63.5, 64 and 64.5: the last two belong to the right tile."""
    crossing = [
        Object((60, 0, 67, 4), 10),
        Object((60, 10, 68, 14), 20),
        Object((60, 20, 69, 24), 30),
    ]
    both = part(LEFT, *crossing), part(RIGHT, *crossing)
    # The largest of three angles, and so on: each was counted once.
    assert [threshold(Choice(top_k=k), *both) for k in (1, 2, 3)] == [20, 10, 0]
    assert threshold(Choice(top_k=1), both[0], part(RIGHT)) == 0
    assert threshold(Choice(top_k=1), part(LEFT), both[1]) == 20


def test_the_k_largest_are_those_of_the_scene_wherever_they_lie() -> None:
    left, right = row(4, 10, [50, 40, 12, 3]), row(3, 100, [45, 44, 5])
    parts = part(LEFT, *left), part(RIGHT, *right)
    together = np.array([one.angle for one in (*left, *right)], np.float32)
    for k in range(1, 9):
        expected = choose_threshold(together, DEFAULT, top_k=k)
        assert threshold(Choice(top_k=k), *parts) == expected
    assert threshold(Choice(top_k=3), *parts) == 40


def test_of_regions_that_cover_each_other_the_k_largest_count_one() -> None:
    nested = [Object((0, 0, 10, 10), 60), Object((0, 0, 10, 11), 50), Object((20, 0, 30, 9), 40)]
    assert threshold(Choice(top_k=1), part(LEFT, *nested), segmenter=REGIONS) == 40
    assert threshold(Choice(top_k=1), part(LEFT, *nested), segmenter=SAM) == 50


def test_otsu_is_that_of_all_angles_together() -> None:
    random = np.random.default_rng(0)
    left = row(11, 5, random.uniform(1, 8, 11)) + row(6, 20, random.uniform(40, 60, 6))
    right = row(9, 90, random.uniform(2, 9, 9)) + row(5, 110, random.uniform(45, 70, 5))
    chosen = threshold(Choice(threshold="otsu"), part(LEFT, *left), part(RIGHT, *right))
    angles = np.array([one.angle for one in (*left, *right)], np.float32)
    assert chosen == pytest.approx(float(threshold_otsu(angles)), rel=1e-6)


def test_otsu_counts_the_tiles_of_a_scene_and_not_their_windows() -> None:
    """Seen by both tiles, the group of the right core would outweigh the rest if counted twice."""
    low, high = row(6, 10, np.linspace(1, 5, 6)), row(10, 70, np.linspace(50, 70, 10))
    chosen = threshold(Choice(threshold="otsu"), part(LEFT, *low, *high), part(RIGHT, *high))
    angles = np.array([one.angle for one in (*low, *high)], np.float32)
    assert chosen == pytest.approx(float(threshold_otsu(angles)), rel=1e-6)


@pytest.mark.parametrize("angles", [[], [12.5], [60, 60, 60]])
def test_otsu_of_equal_angles_or_none_is_the_default(angles: list[float]) -> None:
    parts = part(LEFT, *row(len(angles), 5, angles)), part(RIGHT)
    assert threshold(Choice(threshold="otsu"), *parts) == DEFAULT


def test_in_a_scene_of_one_tile_all_candidates_count() -> None:
    objects = row(5, 70, [50, 40, 30, 20, 10])
    alone = part(LEFT, *objects, lattice=ALONE)
    assert threshold(Choice(top_k=2), alone, lattice=ALONE) == 30


# --- the changes of a tile -----------------------------------------------------------------------


def test_the_changes_of_a_tile_keep_their_columns_and_order() -> None:
    strong, weak = Object((100, 0, 110, 10), 60, 0.8, 0), Object((70, 30, 80, 40), 40, 0.6, 1)
    kept, angle = tile_changes(
        part(RIGHT, weak, Object((90, 50, 99, 60), 20), strong), Choice(), 30, LATTICE, REGIONS
    )
    assert kept.tile == LATTICE[RIGHT]
    np.testing.assert_array_equal(kept.intensity, [60, 40])
    np.testing.assert_allclose(kept.iou, [0.8, 0.6])
    np.testing.assert_allclose(kept.stability, [0.4, 0.3])
    np.testing.assert_array_equal(kept.date, [0, 1])
    np.testing.assert_array_equal(kept.valid_fraction, [1, 1])
    # Boxes are those of the window, which begins at x = 48.
    np.testing.assert_array_equal(kept.masks.boxes, [[52, 0, 62, 10], [22, 30, 32, 40]])
    assert angle.shape == LATTICE[RIGHT].shape
    assert (angle[5, 55], angle[35, 25], angle[55, 45], angle[20, 20]) == (60, 40, 20, 0)


def test_the_k_largest_leave_no_angle_outside_of_them() -> None:
    objects = Object((0, 0, 10, 10), 60), Object((20, 0, 30, 10), 40), Object((0, 20, 9, 30), 35)
    kept, angle = tile_changes(part(LEFT, *objects), Choice(top_k=1), 40, LATTICE, REGIONS)
    np.testing.assert_array_equal(kept.intensity, [60])
    assert (angle[5, 5], angle[5, 25], angle[25, 5]) == (60, 0, 0)


def test_the_pixels_follow_the_rule_of_the_segmenter() -> None:
    inner, outer = Object((4, 4, 8, 8), 60, 0.75), Object((0, 0, 20, 20), 20, 0.25)
    angles = {
        name: tile_changes(part(LEFT, inner, outer), Choice(), 30, LATTICE, one)[1]
        for name, one in (("union", SAM), ("mean", REGIONS))
    }
    assert angles["union"][5, 5] == 60
    assert angles["mean"][5, 5] == pytest.approx(0.75 * 60 + 0.25 * 20)
    assert angles["union"][10, 10] == angles["mean"][10, 10] == 20


def test_the_valid_fraction_is_that_of_the_box() -> None:
    """A gap of 5 x 4 px in the corner of a box of 10 x 8; another beside it, which does not count."""
    objects = Object((10, 10, 20, 18), 60), Object((40, 40, 50, 50), 50)
    seen = part(LEFT, *objects)
    seen.valid[10:14, 10:15] = False
    seen.valid[18:20, 10:20] = False
    kept, _ = tile_changes(seen, Choice(), 30, LATTICE, SAM)
    assert kept.valid_fraction.dtype == np.float32
    np.testing.assert_allclose(kept.valid_fraction, [1 - 20 / 80, 1])


@pytest.mark.parametrize("segmenter", [SAM, REGIONS], ids=["boxes", "layer"])
@pytest.mark.parametrize("asked", [{}, {"top_k": 3}, {"angle": 5}])
def test_a_tile_without_candidates_has_no_changes(segmenter: Any, asked: dict[str, Any]) -> None:
    kept, angle = tile_changes(part(LEFT), Choice(**asked), 30, LATTICE, segmenter)
    assert len(kept.masks) == len(kept.intensity) == len(kept.valid_fraction) == 0
    assert angle.shape == LATTICE[LEFT].shape
    assert not angle.any()
