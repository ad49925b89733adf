from typing import Any

import numpy as np
import pytest
import torch

from terradelta.geo.pair import Pair, load_pair
from terradelta.sam.masks import Masks
from terradelta.sam.proposals import ProposalSettings, propose
from terradelta.sam.regions import RegionSegmenter
from terradelta.sam.segmenter import Axis, Embedding, Encoded, Proposals, Segmenter
from terradelta.zeroshot.candidates import Candidates, Search, encode_view, match, search
from terradelta.zeroshot.matching import angles_between, mask_means
from terradelta.zeroshot.views import View

SETTINGS = ProposalSettings(points_per_side=24, pred_iou=0, stability=0, nms=0.7)


class RegionsByRulesOfSam(RegionSegmenter):
    """Duplicates go by their boxes, and a pixel is as changed as the most changed mask on it."""

    pixel_rule = "union"
    overlap_rule = "boxes"


class RegionsOneAfterTheOther(RegionSegmenter):
    encode_both = Segmenter.encode_both


class RegionsOnACanvas(RegionSegmenter):
    """Claims a canvas, so that a pair is looked at window by window."""

    canvas_px = 64


@pytest.fixture(scope="module")
def pair(village: Any) -> Pair:
    return load_pair(village.before, village.after)


@pytest.fixture(scope="module")
def found(pair: Pair) -> Search:
    return search(RegionSegmenter(), pair, SETTINGS, 1)


def encoded_as(vector: list[float], shape: tuple[int, int]) -> Encoded:
    """An embedding that is the same vector everywhere."""
    z = torch.tensor(vector)[:, None, None].expand(-1, 2, 2).contiguous()
    axes = Axis.aligned(shape[0], 2), Axis.aligned(shape[1], 2)
    return Encoded(shape, Embedding(z, *axes), None)


def proposals_of(count: int, shape: tuple[int, int], iou: float) -> Proposals:
    masks = Masks.from_dense(np.random.default_rng(count).random((count, *shape)) < 0.5)
    some = np.full(count, iou, np.float32)
    return Proposals(masks, some, some / 2, np.arange(count))


def test_masks_of_both_dates_are_matched_in_both_directions() -> None:
    shape = (6, 9)
    proposals = [proposals_of(2, shape, 0.8), proposals_of(3, shape, 0.6)]
    encoded = encoded_as([3.0, 0.0], shape), encoded_as([1.0, 1.0], shape)
    candidates = match(proposals, encoded)
    np.testing.assert_array_equal(candidates.date, [0, 0, 1, 1, 1])
    assert candidates.date.dtype == np.int8
    np.testing.assert_allclose(candidates.angle, [45] * 5, atol=1e-5)
    np.testing.assert_allclose(candidates.before, [[3, 0]] * 5, rtol=1e-6)
    np.testing.assert_allclose(candidates.after, [[1, 1]] * 5, rtol=1e-6)
    np.testing.assert_allclose(candidates.iou, [0.8, 0.8, 0.6, 0.6, 0.6])
    np.testing.assert_allclose(candidates.stability, [0.4, 0.4, 0.3, 0.3, 0.3])
    expected = np.concatenate([p.masks.dense() for p in proposals])
    np.testing.assert_array_equal(candidates.masks.dense(), expected)


def test_a_date_without_proposals_leaves_the_other() -> None:
    shape = (6, 9)
    encoded = encoded_as([1.0, 0.0], shape), encoded_as([-1.0, 0.0], shape)
    candidates = match([proposals_of(0, shape, 1), proposals_of(2, shape, 1)], encoded)
    np.testing.assert_array_equal(candidates.date, [1, 1])
    np.testing.assert_allclose(candidates.angle, [180, 180])


def rows(candidates: Candidates) -> list[Any]:
    names = ("iou", "stability", "date", "angle", "before", "after")
    return [candidates.masks.dense().tolist(), *(getattr(candidates, n).tolist() for n in names)]


def test_candidates_are_picked_and_joined_row_by_row(found: Search) -> None:
    ten = found.candidates[:10]
    odd = np.arange(10) % 2 == 1
    joined = Candidates.concatenate([ten[~odd], ten[odd]])
    order = np.argsort(np.concatenate([np.flatnonzero(~odd), np.flatnonzero(odd)]))
    assert rows(joined[order]) == rows(ten)
    assert len(ten[np.zeros(10, bool)].masks) == 0


def test_candidates_are_the_matched_proposals_of_both_dates(found: Search, pair: Pair) -> None:
    segmenter = RegionSegmenter()
    encoded = encode_view(segmenter, pair, View(pair.shape, 0, 0, 176, 128, 1))
    proposals = [propose(segmenter, e, SETTINGS, pair.valid) for e in encoded]
    candidates = found.candidates
    for date, proposed in enumerate(proposals):
        assert sorted(map(str, proposed.masks.rles())) == sorted(
            map(str, candidates.masks[candidates.date == date].rles())
        )
    means = [mask_means(candidates.masks, e.embedding) for e in encoded]
    np.testing.assert_allclose(candidates.before, means[0], atol=1e-6)
    np.testing.assert_allclose(candidates.after, means[1], atol=1e-6)
    np.testing.assert_allclose(candidates.angle, angles_between(*means), atol=1e-3)


def test_encoding_one_date_after_the_other_changes_nothing(found: Search, pair: Pair) -> None:
    slow = search(RegionsOneAfterTheOther(), pair, SETTINGS, 1)
    assert len(found.candidates.masks) > 10
    np.testing.assert_array_equal(slow.candidates.angle, found.candidates.angle)
    np.testing.assert_array_equal(slow.pixel_angle, found.pixel_angle)


def test_the_largest_angle_comes_first(found: Search) -> None:
    assert (np.diff(found.candidates.angle) <= 0).all()
    assert found.candidates.angle[0] > found.candidates.angle[-1] + 20


def test_a_pixel_has_the_weighted_mean_angle_of_its_masks(found: Search) -> None:
    dense = found.candidates.masks.dense().astype(float)
    weight = np.einsum("nyx,n->yx", dense, found.candidates.iou)
    total = np.einsum("nyx,n->yx", dense, found.candidates.iou * found.candidates.angle)
    expected = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    assert found.pixel_angle.dtype == np.float32
    np.testing.assert_allclose(found.pixel_angle, expected, rtol=1e-4, atol=1e-3)


def test_by_the_rules_of_sam_a_pixel_has_the_largest_angle_of_its_masks(pair: Pair) -> None:
    found = search(RegionsByRulesOfSam(), pair, SETTINGS, 1)
    dense, angle = found.candidates.masks.dense(), found.candidates.angle
    expected = np.where(dense, angle[:, None, None], 0).max(0)
    np.testing.assert_array_equal(found.pixel_angle, expected)


@pytest.mark.parametrize("iou", [0.3, 0.7])
def test_by_the_rules_of_sam_no_two_boxes_overlap_by_more_than_nms(pair: Pair, iou: float) -> None:
    settings = ProposalSettings(points_per_side=24, pred_iou=0, stability=0, nms=iou)
    boxes = search(RegionsByRulesOfSam(), pair, settings, 1).candidates.masks.boxes.astype(float)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    overlap = shared / (area[:, None] + area[None] - shared)
    np.fill_diagonal(overlap, 0)
    assert len(boxes) > 10
    assert overlap.max() <= iou


def test_masks_keep_clear_of_what_is_invalid_in_either_date(village: Any) -> None:
    transparent = np.full((*village.before.shape[:2], 2, 1), 255, np.uint8)
    transparent[:, :60, 0] = 0
    transparent[:50, :, 1] = 0
    before = np.concatenate([village.before, transparent[:, :, 0]], 2)
    after = np.concatenate([village.after, transparent[:, :, 1]], 2)
    found = search(RegionSegmenter(), load_pair(before, after), SETTINGS, 1)
    held = found.candidates.masks.union()
    assert held[50:, 60:].any()
    assert not held[:, :60].any()
    assert not held[:50].any()
    assert found.pixel_angle[~held].max() == 0


def test_small_changes_are_found_in_enlarged_windows_and_placed_in_the_image(
    village: Any, pair: Pair
) -> None:
    found = search(RegionsOnACanvas(), pair, SETTINGS, 2)
    assert [look.view.factor for look in found.examined] == [1, 2, 2, 2, 2]
    for name in village.boxes:
        truth = village.truth(name)
        dense = found.candidates.masks.dense()
        overlap = (dense & truth).sum((1, 2)) / (dense | truth).sum((1, 2))
        assert overlap.max() > 0.8
        assert found.candidates.angle[overlap.argmax()] > 30


def test_what_an_inner_border_of_a_window_cuts_is_left_to_the_other_views() -> None:
    before = np.full((128, 176, 3), 90, np.uint8)
    after = before.copy()
    after[40:90, 60:120] = 200
    found = search(RegionsOnACanvas(), load_pair(before, after), SETTINGS, 2)
    windows = [look.view for look in found.examined[1:]]
    assert {(v.x0, v.y0, v.x1, v.y1) for v in windows} == {
        *((0, 0, 101, 74), (75, 0, 176, 74), (0, 54, 101, 128), (75, 54, 176, 128))
    }
    boxes = found.candidates.masks.boxes
    assert len(boxes) > 0
    assert not (boxes == [75, 54, 101, 74]).any()


def test_progress_counts_up_to_all_steps(pair: Pair) -> None:
    told: list[tuple[str, int, int]] = []
    search(RegionsOnACanvas(), pair, SETTINGS, 2, lambda *step: told.append(step))
    assert [done for _, done, _ in told] == list(range(11))
    assert {total for _, _, total in told} == {10}
    assert {stage for stage, _, _ in told} == {"encoding", "matching"}


def test_the_time_of_every_stage_is_known(found: Search) -> None:
    assert list(found.seconds) == ["encode", "propose", "match", "select"]
    assert all(seconds >= 0 for seconds in found.seconds.values())
