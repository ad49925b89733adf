import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from terradelta.sam.masks import BoolArray, FloatArray, Masks
from terradelta.sam.proposals import (
    ProposalSettings,
    box_nms,
    clean_masks,
    one_layer,
    point_grid,
    propose,
)
from terradelta.sam.regions import RegionSegmenter
from terradelta.sam.segmenter import RGB, Axis, Embedding, Encoded, Proposals, Segmenter

SHAPE = (20, 30)
EVERYTHING = ProposalSettings(points_per_side=4, pred_iou=0.0, stability=0.0, nms=1.0)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> BoolArray:
    dense = np.zeros(SHAPE, bool)
    dense[y0:y1, x0:x1] = True
    return dense


def boxes_of(*boxes: tuple[float, float, float, float]) -> FloatArray:
    return np.array(boxes, np.float32).reshape(-1, 4)


def intersection_over_union(a: FloatArray, b: FloatArray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = np.prod(np.maximum(sides, 0))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


class Given(Segmenter):
    """Answers every image with the same masks."""

    def __init__(self, masks: list[BoolArray], iou: list[float], stability: list[float]) -> None:
        self.found = Proposals(
            Masks.from_dense(np.stack(masks)),
            np.array(iou, np.float32),
            np.array(stability, np.float32),
            np.arange(len(masks)),
        )

    def encode(self, image: RGB, context: Any = None) -> Encoded:
        raise NotImplementedError

    def decode(
        self,
        encoded: Encoded,
        points: NDArray[Any],
        *,
        min_iou: float = 0.0,
        min_stability: float = 0.0,
        coarse_stability: bool = False,
    ) -> Proposals:
        self.points = points
        return self.found[(self.found.iou > min_iou) & (self.found.stability >= min_stability)]


def encoded() -> Encoded:
    axes = Axis.aligned(SHAPE[0], 1), Axis.aligned(SHAPE[1], 1)
    return Encoded(SHAPE, Embedding(None, *axes), None)


def test_grid_points_are_the_centres_of_equal_parts() -> None:
    points = point_grid((2, 4), 2)
    assert points.tolist() == [[1, 0.5], [3, 0.5], [1, 1.5], [3, 1.5]]


@pytest.mark.parametrize("per_side", [1, 5, 32])
def test_a_grid_is_symmetric_about_the_centre_of_the_image(per_side: int) -> None:
    points = point_grid((60, 90), per_side)
    assert points.shape == (per_side**2, 2)
    np.testing.assert_allclose(points + points[::-1], np.broadcast_to([90, 60], points.shape))


@pytest.mark.parametrize(("iou", "kept"), [(0.49, [1]), (0.5, [1, 0]), (0.51, [1, 0])])
def test_only_boxes_that_overlap_by_more_than_the_limit_are_dropped(
    iou: float, kept: list[int]
) -> None:
    half_of_the_other = boxes_of((0, 0, 10, 5), (0, 0, 10, 10))
    assert box_nms(half_of_the_other, np.array([0.1, 0.9]), iou).tolist() == kept


def test_a_dropped_box_drops_no_other() -> None:
    chain = boxes_of((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10))
    assert box_nms(chain, np.array([0.9, 0.8, 0.7]), 0.4).tolist() == [0, 2]


@pytest.mark.parametrize("iou", [0.5, 1.0, 2.0])
def test_boxes_come_highest_rank_first(iou: float) -> None:
    apart = boxes_of((0, 0, 1, 1), (5, 5, 6, 6), (9, 0, 10, 1))
    assert box_nms(apart, np.array([0.2, 0.9, 0.5]), iou).tolist() == [1, 2, 0]


def test_a_limit_of_one_keeps_even_equal_boxes() -> None:
    same = boxes_of((0, 0, 4, 4), (0, 0, 4, 4))
    assert box_nms(same, np.array([0.5, 0.5]), 1.0).tolist() == [0, 1]
    assert box_nms(same, np.array([0.5, 0.5]), 0.9).tolist() == [0]


def test_no_boxes_leave_no_boxes() -> None:
    assert box_nms(boxes_of(), np.zeros(0), 0.5).tolist() == []


@settings(max_examples=60, deadline=None, database=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 25), iou=st.floats(0.05, 0.95))
def test_boxes_are_kept_greedily(seed: int, count: int, iou: float) -> None:
    random = np.random.default_rng(seed)
    corner, size = random.uniform(0, 10, (count, 2)), random.uniform(1, 10, (count, 2))
    boxes = np.hstack([corner, corner + size]).astype(np.float32)
    rank = random.permutation(count).astype(np.float32)
    kept: list[int] = []
    for n in np.argsort(-rank):
        if all(intersection_over_union(boxes[n], boxes[k]) <= iou for k in kept):
            kept.append(int(n))
    assert box_nms(boxes, rank, iou).tolist() == kept


@pytest.mark.parametrize(
    ("rank", "kept"),
    [([0.9, 0.5], [0, 1]), ([0.5, 0.9], [1])],
    ids=["what is around the better inner one stays", "the better outer one hides the inner one"],
)
def test_of_nested_masks_the_one_that_stands_out_is_left(
    rank: list[float], kept: list[int]
) -> None:
    house, yard = rectangle(10, 5, 14, 10), rectangle(5, 2, 25, 18)
    masks = Masks.from_dense(np.stack([house, yard]))
    assert one_layer(masks, np.array(rank)).tolist() == kept


@pytest.mark.parametrize(("covered", "kept"), [(6, [0, 1]), (7, [0]), (10, [0])])
def test_a_mask_seven_tenths_covered_is_dropped(covered: int, kept: list[int]) -> None:
    masks = Masks.from_dense(np.stack([rectangle(0, 0, covered, 1), rectangle(0, 0, 10, 1)]))
    assert one_layer(masks, np.array([1.0, 0.5])).tolist() == kept


def test_masks_that_cover_a_third_one_together_hide_it() -> None:
    left, right, both = rectangle(0, 0, 5, 4), rectangle(5, 0, 10, 4), rectangle(0, 0, 10, 4)
    masks = Masks.from_dense(np.stack([both, left, right]))
    assert one_layer(masks, np.array([0.1, 0.8, 0.9])).tolist() == [2, 1]


def test_one_layer_of_nothing_is_nothing() -> None:
    assert one_layer(Masks.empty(SHAPE), np.zeros(0)).tolist() == []


def test_an_empty_mask_is_in_no_layer() -> None:
    masks = Masks.from_dense(np.stack([rectangle(0, 0, 0, 0), rectangle(0, 0, 3, 2)]))
    assert one_layer(masks, np.array([0.9, 0.1], np.float32)).tolist() == [1]


def test_small_islands_go_and_small_holes_are_filled() -> None:
    house = rectangle(4, 4, 16, 16)
    seen = house | rectangle(4, 18, 7, 19)
    seen[8:10, 8:10] = False
    assert_cleaned(seen, 5, house)


def test_islands_and_holes_of_the_given_area_stay() -> None:
    seen = rectangle(4, 4, 16, 16) | rectangle(4, 18, 8, 19)
    seen[8:10, 8:10] = False
    assert_cleaned(seen, 4, seen)


def test_an_island_that_touches_at_a_corner_is_no_island() -> None:
    seen = rectangle(4, 4, 16, 16) | rectangle(16, 16, 18, 17)
    assert_cleaned(seen, 5, seen)


def assert_cleaned(mask: BoolArray, area: int, expected: BoolArray) -> None:
    other = rectangle(20, 2, 28, 10)
    cleaned = clean_masks(Masks.from_dense(np.stack([mask, other])), area)
    np.testing.assert_array_equal(cleaned.dense(), np.stack([expected, other]))


def test_a_mask_of_small_islands_alone_is_left_empty() -> None:
    seen = rectangle(0, 0, 2, 2) | rectangle(20, 10, 22, 12)
    assert clean_masks(Masks.from_dense(seen[None]), 5).areas.tolist() == [0]


def test_no_masks_need_no_cleaning() -> None:
    assert len(clean_masks(Masks.empty(SHAPE), 5)) == 0


def test_the_segmenter_is_asked_on_the_grid_and_the_best_comes_first() -> None:
    masks = [rectangle(0, 0, 4, 4), rectangle(6, 0, 10, 4), rectangle(12, 0, 16, 4)]
    segmenter = Given(masks, [0.6, 0.9, 0.7], [0.9, 0.8, 0.7])
    found = propose(segmenter, encoded(), EVERYTHING)
    np.testing.assert_array_equal(segmenter.points, point_grid(SHAPE, 4))
    assert found.point.tolist() == [1, 2, 0]
    np.testing.assert_array_equal(found.masks.dense(), np.stack(masks)[found.point])
    np.testing.assert_allclose(found.stability, [0.8, 0.7, 0.9])


@pytest.mark.parametrize(
    ("limits", "left"), [({"pred_iou": 0.6}, [1, 2]), ({"stability": 0.8}, [1, 0])]
)
def test_proposals_pass_the_limits(limits: dict[str, float], left: list[int]) -> None:
    masks = [rectangle(0, 0, 4, 4), rectangle(6, 0, 10, 4), rectangle(12, 0, 16, 4)]
    segmenter = Given(masks, [0.5, 0.9, 0.7], [0.9, 0.8, 0.7])
    settings = ProposalSettings(
        **{"points_per_side": 4, "pred_iou": 0, "stability": 0, "nms": 1} | limits
    )
    assert propose(segmenter, encoded(), settings).point.tolist() == left


@pytest.mark.parametrize(("width", "left"), [(23, [0]), (24, []), (30, [])])
def test_a_mask_over_four_fifths_of_the_image_is_its_background(
    width: int, left: list[int]
) -> None:
    segmenter = Given([rectangle(0, 0, width, 20)], [0.9], [0.9])
    assert propose(segmenter, encoded(), EVERYTHING).point.tolist() == left


def test_proposals_lose_invalid_pixels_before_they_are_judged() -> None:
    masks = [rectangle(0, 0, 10, 10), rectangle(0, 10, 10, 20), rectangle(0, 0, 30, 20)]
    segmenter = Given(masks, [0.9, 0.8, 0.7], [1, 1, 1])
    valid = rectangle(4, 0, 30, 20)
    valid[10:, :15] = False
    found = propose(segmenter, encoded(), EVERYTHING, valid)
    assert found.point.tolist() == [0, 2]
    expected = [rectangle(4, 0, 10, 10), valid]
    np.testing.assert_array_equal(found.masks.dense(), np.stack(expected))


def test_of_proposals_with_the_same_box_the_best_is_kept() -> None:
    masks = [rectangle(0, 0, 10, 10), rectangle(0, 0, 10, 9), rectangle(12, 0, 20, 9)]
    segmenter = Given(masks, [0.7, 0.9, 0.5], [1, 1, 1])
    settings = ProposalSettings(points_per_side=4, pred_iou=0, stability=0, nms=0.7)
    assert propose(segmenter, encoded(), settings).point.tolist() == [1, 2]


def test_proposals_are_cleaned_and_then_compared_again() -> None:
    house, far_island = rectangle(0, 0, 10, 10), rectangle(26, 16, 28, 18)
    masks = [house | far_island, house, far_island]
    segmenter = Given(masks, [0.7, 0.9, 0.8], [1, 1, 1])
    settings = ProposalSettings(4, 0, 0, 0.7, min_region_area=5)
    found = propose(segmenter, encoded(), settings)
    assert found.point.tolist() == [1]
    np.testing.assert_array_equal(found.masks.dense(), house[None])


def test_every_roof_of_a_village_is_proposed() -> None:
    image = np.full((96, 128, 3), (60, 120, 60), np.uint8)
    roofs = [(slice(y, y + 14), slice(x, x + 18)) for y in (12, 60) for x in (10, 50, 92)]
    for roof in roofs:
        image[roof] = (190, 80, 60)
    segmenter = RegionSegmenter()
    settings = ProposalSettings(points_per_side=16, pred_iou=0.0, stability=0.0, nms=0.7)
    masks = propose(segmenter, segmenter.encode(image), settings).masks.dense()
    for roof in roofs:
        truth = np.zeros(image.shape[:2], bool)
        truth[roof] = True
        assert max((m & truth).sum() / (m | truth).sum() for m in masks) > 0.95


def test_what_is_outside_a_round_mask_is_no_hole() -> None:
    y, x = np.mgrid[:64, :64]
    disc = (y - 32) ** 2 + (x - 32) ** 2 <= 10**2
    cleaned = clean_masks(Masks.from_dense(disc[None]), 50)
    np.testing.assert_array_equal(cleaned.dense()[0], disc)


class Halved(Given):
    """One mask, the left half, wherever it is asked; remembers the points."""

    def __init__(self) -> None:
        super().__init__([rectangle(0, 0, 15, 20)], [0.9], [0.9])
        self.asked: list[NDArray[Any]] = []

    def decode(self, encoded: Encoded, points: NDArray[Any], **limits: Any) -> Proposals:
        self.asked.append(points)
        return super().decode(encoded, points, **limits)


def test_an_approximate_grid_is_dense_only_where_the_coarse_one_found_nothing() -> None:
    segmenter = Halved()
    settings = dataclasses.replace(EVERYTHING, approximate=("grid",))
    found = propose(segmenter, encoded(), settings)
    coarse, dense = segmenter.asked
    full = point_grid(SHAPE, 4).reshape(4, 4, 2)
    np.testing.assert_array_equal(coarse, full[::2, ::2].reshape(-1, 2))
    right = [(row, column) for row in range(4) for column in (2, 3) if row % 2 or column % 2]
    np.testing.assert_array_equal(dense, [full[place] for place in right])
    assert found.point.tolist() == [0, 3]  # of the whole grid


@pytest.mark.parametrize("per_side", [1, 3])
def test_an_approximate_grid_may_be_odd(per_side: int) -> None:
    segmenter = Halved()
    propose(
        segmenter,
        encoded(),
        dataclasses.replace(EVERYTHING, points_per_side=per_side, approximate=("grid",)),
    )
    asked = np.concatenate(segmenter.asked)
    assert len(np.unique(asked, axis=0)) == len(asked)
    assert {tuple(p) for p in asked} <= {tuple(p) for p in point_grid(SHAPE, per_side)}
