from typing import Any

import numpy as np
import pytest

from terradelta.baselines import mask_match
from terradelta.baselines.mask_match import SamMaskMatch, best_ious
from terradelta.sam.masks import Masks


def test_masks_without_a_match_are_changes(
    given: Any, rectangle: Any, any_pair: tuple[Any, Any]
) -> None:
    stays, moved = rectangle(0, 4, 0, 5), rectangle(0, 4, 1, 6)  # 16 of 24 px: a match
    gone = rectangle(5, 9, 0, 4)
    small, grown = rectangle(6, 8, 10, 14), rectangle(6, 10, 10, 14)  # 8 of 16 px: none
    changes = SamMaskMatch(given([stays, gone, small], [moved, grown])).detect(*any_pair)
    assert changes.score.tolist() == [1.0, 0.5, 0.5]
    np.testing.assert_array_equal(changes.masks()[0], gone)
    np.testing.assert_array_equal(changes.to_mask(), gone | grown)
    shown = changes.score_image()
    np.testing.assert_allclose(shown[stays | moved], 1 / 3, rtol=1e-6)
    assert (shown[gone] == 1).all()
    assert not shown[9, 5:9].any()


def test_a_match_in_either_direction_is_a_match(
    given: Any, rectangle: Any, any_pair: tuple[Any, Any]
) -> None:
    whole, half, rest = rectangle(0, 4, 0, 10), rectangle(0, 4, 0, 6), rectangle(0, 4, 6, 10)
    forth = SamMaskMatch(given([whole], [half, rest])).detect(*any_pair)
    back = SamMaskMatch(given([half, rest], [whole])).detect(*any_pair)
    for changes in (forth, back):  # 24 of 40 px match, 16 of 40 do not
        assert len(changes) == 1
        assert changes.score[0] == pytest.approx(0.6)
        np.testing.assert_array_equal(changes.masks()[0], rest)


@pytest.mark.parametrize("dates", [0, 1])
def test_where_one_date_has_no_mask_all_of_the_other_are_changes(
    given: Any, rectangle: Any, any_pair: tuple[Any, Any], dates: int
) -> None:
    masks = [[rectangle(0, 3, 0, 3), rectangle(5, 8, 5, 9)], []]
    changes = SamMaskMatch(given(masks[dates], masks[1 - dates])).detect(*any_pair)
    assert changes.score.tolist() == [1.0, 1.0]
    assert changes.to_mask().sum() == 9 + 12


def test_without_masks_there_is_no_change(given: Any, any_pair: tuple[Any, Any]) -> None:
    changes = SamMaskMatch(given([], [])).detect(*any_pair)
    assert (len(changes), changes.to_mask().any()) == (0, False)


def test_only_valid_pixels_are_matched(
    given: Any, rectangle: Any, holed_pair: tuple[Any, Any]
) -> None:
    left = rectangle(0, 4, 0, 10)
    wider, hidden = rectangle(0, 4, 0, 20), rectangle(5, 9, 12, 18)
    changes = SamMaskMatch(given([left], [wider, hidden])).detect(*holed_pair)
    assert len(changes) == 0
    assert not changes.score_image()[:, 10:].any()


@pytest.mark.parametrize("at_once", [1, 4, 256])
def test_ious_are_those_of_the_pixels(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(mask_match, "MASKS_AT_ONCE", at_once)
    random = np.random.default_rng(0)
    first, second = random.random((9, 14, 11)) > 0.6, random.random((6, 14, 11)) > 0.3
    second[2] = False
    expected = np.array([[(a & b).sum() / (a | b).sum() for b in second] for a in first])
    rows, columns = best_ious(Masks.from_dense(first), Masks.from_dense(second))
    np.testing.assert_allclose(rows, expected.max(1))
    np.testing.assert_allclose(columns, expected.max(0))
    assert columns[2] == 0


@pytest.mark.parametrize("shape", [(1, 1), (24, 40)])
def test_the_same_image_twice_has_no_change(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for one in (image, np.full_like(image, 90)):
        changes = SamMaskMatch(points_per_side=16).detect(one, one.copy())
        assert (len(changes), changes.to_mask().any()) == (0, False)


def test_sam_is_asked_by_path(sam_folder: Any, noise_pair: tuple[Any, Any]) -> None:
    model = SamMaskMatch(str(sam_folder), points_per_side=4, pred_iou=0, stability=0)
    changes = model.detect(*noise_pair)
    assert changes.pair.shape == (96, 160)
    assert changes.settings["model"] == "sam-mask-match"
    assert changes.settings["segmenter"] == str(sam_folder)
    assert changes.settings["points_per_side"] == 4
    union = changes.masks().any(0)
    np.testing.assert_array_equal(changes.to_mask(), union)
    assert union.any()
