from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco
from skimage.filters import threshold_otsu

from terradelta.baselines import BaselineChanges
from terradelta.baselines.answer import otsu
from terradelta.geo.pair import Pair, load_pair
from terradelta.sam.masks import Masks

INTENSITY = np.array(
    [
        [9, 9, 0, 0, 0, 0],
        [0, 0, 5, 0, 0, 7],
        [0, 0, 0, 0, 0, 8],
        [0, 1, 0, 0, 0, 0],
    ],
    np.float32,
)
"""Three components above 2, the first two of which touch at a corner."""


def pair_of(valid: NDArray[np.bool_]) -> Pair:
    image = np.zeros((*valid.shape, 3), np.uint8)
    return Pair(image, image, valid, None, ("before", "after"), ((1, 2, 3), (1, 2, 3)))


@pytest.fixture
def pair() -> Pair:
    return pair_of(np.ones(INTENSITY.shape, bool))


def test_objects_are_connected_across_corners_and_scored_by_their_mean(pair: Pair) -> None:
    changes = BaselineChanges.of_intensity(INTENSITY, pair, {}, threshold=2)
    assert len(changes) == 2
    np.testing.assert_allclose(changes.score, [(9 + 9 + 5) / 3, (7 + 8) / 2])
    first, second = changes.masks()
    np.testing.assert_array_equal(first, (INTENSITY > 2) & (np.arange(6) < 4))
    np.testing.assert_array_equal(second, (INTENSITY > 2) & (np.arange(6) > 4))
    np.testing.assert_array_equal(changes.boxes, [[0, 0, 3, 2], [5, 1, 6, 3]])


def test_the_largest_score_comes_first(pair: Pair) -> None:
    changes = BaselineChanges.of_intensity(INTENSITY[:, ::-1].copy(), pair, {}, threshold=6)
    np.testing.assert_allclose(changes.score, [9, 7.5])
    assert changes.boxes[0].tolist() == [4, 0, 6, 1]


def test_pixels_are_changed_above_the_threshold_not_at_it(pair: Pair) -> None:
    changes = BaselineChanges.of_intensity(INTENSITY, pair, {}, threshold=5)
    np.testing.assert_array_equal(changes.to_mask(), INTENSITY > 5)
    assert changes.to_mask().sum() == 4
    np.testing.assert_array_equal(changes.score_image(), INTENSITY)
    np.testing.assert_array_equal(changes.masks().any(0), changes.to_mask())


def test_the_threshold_is_otsus_of_the_valid_pixels(pair: Pair) -> None:
    random = np.random.default_rng(0)
    shape = (30, 40)
    intensity = random.normal(1, 0.2, shape)
    intensity[10:20, 5:15] = random.normal(4, 0.2, (10, 10))
    valid = np.ones(shape, bool)
    valid[:, 30:] = False
    intensity[:, 30:] = 100
    changes = BaselineChanges.of_intensity(intensity, pair_of(valid), {})
    expected = threshold_otsu(intensity[:, :30].astype(np.float32))
    assert changes.threshold == pytest.approx(expected, abs=1e-5)
    truth = np.zeros(shape, bool)
    truth[10:20, 5:15] = True
    np.testing.assert_array_equal(changes.to_mask(), truth)
    assert (changes.score_image()[:, 30:] == 0).all()


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_where_all_pixels_are_alike_nothing_has_changed(pair: Pair, value: float) -> None:
    changes = BaselineChanges.of_intensity(np.full(INTENSITY.shape, value), pair, {})
    assert len(changes) == 0
    assert changes.masks().shape == (0, 4, 6)
    assert (changes.rles, changes.boxes.shape, changes.score.shape) == ([], (0, 4), (0,))
    assert not changes.to_mask().any()


def test_one_pixel_has_not_changed() -> None:
    changes = BaselineChanges.of_intensity(np.ones((1, 1)), pair_of(np.ones((1, 1), bool)), {})
    assert (len(changes), changes.to_mask().tolist()) == (0, [[False]])


def test_objects_are_ranked_with_their_masks(pair: Pair) -> None:
    dense = np.zeros((3, 4, 6), bool)
    for n in range(3):
        dense[n, n, n : n + 2] = True
    masks, score = Masks.from_dense(dense), np.array([0.2, 0.9, 0.5])
    intensity = masks.paint_max(score)
    changes = BaselineChanges.of_objects(masks, score, intensity, 0.1, pair, {"model": "hand"})
    np.testing.assert_allclose(changes.score, [0.9, 0.5, 0.2])
    np.testing.assert_array_equal(changes.masks(), dense[[1, 2, 0]])
    assert changes.settings == {"model": "hand"}


def test_run_lengths_are_the_masks(pair: Pair) -> None:
    changes = BaselineChanges.of_intensity(INTENSITY, pair, {}, threshold=2)
    for rle, mask in zip(changes.rles, changes.masks(), strict=True):
        np.testing.assert_array_equal(coco.decode(rle), mask)


def test_it_shows_as_one_line(pair: Pair) -> None:
    changes = BaselineChanges.of_intensity(INTENSITY, pair, {}, threshold=2)
    assert repr(changes) == "BaselineChanges(2 on 6 x 4 px, > 2)"


def test_an_answer_keeps_its_pair(any_pair: tuple[Any, Any]) -> None:
    pair = load_pair(*any_pair)
    changes = BaselineChanges.of_intensity(np.zeros(pair.shape), pair, {"model": "none"})
    assert changes.pair is pair
    assert changes.settings == {"model": "none"}


@pytest.mark.parametrize(("values", "expected"), [([], 0.0), ([2.5], 2.5), ([7.0, 7.0, 7.0], 7.0)])
def test_otsu_of_values_that_are_alike_is_the_value(values: list[float], expected: float) -> None:
    assert otsu(np.array(values, np.float32)) == expected


def test_otsu_tells_values_apart_that_differ_by_their_last_bit() -> None:
    one = np.float32(1)
    values = np.array([one, one, np.nextafter(one, np.float32(2))])
    threshold = otsu(values)
    assert (values > threshold).tolist() == [False, False, True]
