from typing import Any

import numpy as np
import pytest

from terradelta.baselines.cva_match import SamCvaMatch, shares
from terradelta.baselines.feature_cva import change_magnitude
from terradelta.sam.masks import Masks
from terradelta.sam.regions import RegionSegmenter
from terradelta.synth import Scene


@pytest.fixture
def z(rectangle: Any) -> tuple[Any, Any]:
    """A cell a pixel; columns 0 to 10 differ by (6, 8), the others by (0, 1)."""
    before = np.random.default_rng(0).normal(size=(2, 10, 20))
    difference = np.where(rectangle(0, 10, 0, 10), [[[6.0]], [[8.0]]], [[[0.0]], [[1.0]]])
    return before, before + difference


def test_masks_of_a_majority_of_changed_pixels_are_changes(
    given: Any, rectangle: Any, z: Any, any_pair: tuple[Any, Any]
) -> None:
    inside, most = rectangle(0, 4, 0, 4), rectangle(5, 7, 5, 13)  # 16 of 16 px, 10 of 16 px
    half, outside = rectangle(8, 10, 6, 14), rectangle(0, 3, 12, 18)  # 8 of 16 px, none
    changes = SamCvaMatch(given([inside, half], [most, outside], z)).detect(*any_pair)
    assert changes.score.tolist() == pytest.approx([1.0, 10 / 16])
    np.testing.assert_array_equal(changes.masks(), [inside, most])
    np.testing.assert_array_equal(changes.to_mask(), inside | most)
    shown = changes.score_image()
    assert (shown[half] == 0.5).all()
    assert not shown[outside].any()


def test_the_same_object_of_both_dates_is_one_change(
    given: Any, rectangle: Any, z: Any, any_pair: tuple[Any, Any]
) -> None:
    mask = rectangle(2, 8, 2, 9)
    segmenter = given([mask], [mask], z)
    assert len(SamCvaMatch(segmenter, nms=0.7).detect(*any_pair)) == 1


def test_invalid_pixels_do_not_vote(
    given: Any, rectangle: Any, z: Any, holed_pair: tuple[Any, Any]
) -> None:
    before, after = z
    after[:, :, :5] = before[:, :, :5]
    across = rectangle(0, 4, 5, 18)
    changes = SamCvaMatch(given([across], [], (before, after))).detect(*holed_pair)
    np.testing.assert_array_equal(changes.to_mask(), rectangle(0, 4, 5, 10))
    assert changes.score.tolist() == [1.0]


def test_shares_are_counted() -> None:
    random = np.random.default_rng(0)
    dense, changed = random.random((5, 8, 9)) > 0.5, random.random((8, 9)) > 0.4
    dense[3] = False
    expected = [changed[mask].mean() if mask.any() else 0.0 for mask in dense]
    np.testing.assert_allclose(shares(Masks.from_dense(dense), changed), expected, rtol=1e-6)


def test_equal_embeddings_have_no_change(
    given: Any, rectangle: Any, z: Any, any_pair: tuple[Any, Any]
) -> None:
    segmenter = given([rectangle(0, 4, 0, 4)], [rectangle(0, 5, 0, 5)], (z[0], z[0]))
    changes = SamCvaMatch(segmenter).detect(*any_pair)
    assert (len(changes), changes.to_mask().any()) == (0, False)


@pytest.mark.parametrize("shape", [(1, 1), (24, 40)])
def test_the_same_image_twice_has_no_change(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for one in (image, np.full_like(image, 90)):
        changes = SamCvaMatch(points_per_side=16).detect(one, one.copy())
        assert (len(changes), changes.to_mask().any()) == (0, False)


def test_the_embedding_is_the_segmenters_of_the_pair(scene: Scene) -> None:
    before, after = scene.before[:64, :96], scene.after[:64, :96]
    regions = RegionSegmenter()
    contexts = regions.pair_contexts(before, after, np.ones((64, 96), bool))
    first, second = regions.encode_both(before, after, contexts)
    magnitude = change_magnitude(first.embedding, second.embedding)
    changes = SamCvaMatch(points_per_side=32).detect(before, after)
    found = changes.to_mask()
    assert 0 < found.mean() < 1
    assert magnitude[found].mean() > 1.5 * magnitude[~found].mean()


def test_sam_is_asked_by_path(sam_folder: Any, noise_pair: tuple[Any, Any]) -> None:
    model = SamCvaMatch(str(sam_folder), points_per_side=4, pred_iou=0, stability=0)
    changes = model.detect(*noise_pair)
    assert changes.settings["model"] == "sam-cva-match"
    np.testing.assert_array_equal(changes.to_mask(), changes.masks().any(0))
    assert (changes.score > 0.5).all()
    assert changes.to_mask().any()
