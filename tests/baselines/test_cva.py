from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from terradelta.baselines.cva import Cva, spectral_change
from terradelta.errors import InputError
from terradelta.geo.pair import load_pair


def noise(shape: tuple[int, int] = (40, 60), seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(50, 130, (*shape, 3)).astype(np.uint8)


def test_lengths_are_worked_out_in_standard_deviations() -> None:
    before = np.zeros((1, 4, 3), np.uint8)
    before[0, :, 0] = [10, 10, 30, 30]
    before[0, :, 1] = [0, 4, 0, 4]
    after = before.copy()
    after[0, :, 0] = [30, 10, 10, 30]
    # Both bands have a standard deviation, 10 and 2, the third has none.
    expected = [[2.0, 0.0, 2.0, 0.0]]
    np.testing.assert_allclose(spectral_change(load_pair(before, after)), expected, atol=1e-6)
    after[0, :, 1] = [4, 0, 0, 4]
    expected = [[8**0.5, 2.0, 2.0, 0.0]]
    np.testing.assert_allclose(spectral_change(load_pair(before, after)), expected, atol=1e-6)


def test_a_pasted_rectangle_is_found() -> None:
    before, truth = noise(), np.zeros((40, 60), bool)
    truth[8:20, 30:50] = True
    after = before.copy()
    after[truth] += 120
    changes = Cva().detect(before, after)
    np.testing.assert_array_equal(changes.to_mask(), truth)
    assert len(changes) == 1
    assert changes.boxes.tolist() == [[30, 8, 50, 20]]
    assert changes.score[0] > changes.threshold


def test_swapping_the_dates_changes_nothing() -> None:
    before, after = noise(seed=1), noise(seed=2)
    forth, back = Cva().detect(before, after), Cva().detect(after, before)
    np.testing.assert_array_equal(forth.score_image(), back.score_image())
    assert forth.threshold == back.threshold


def test_a_change_of_light_is_no_change() -> None:
    before = noise()
    after = (before.astype(int) * [1, 2, 1] - [20, 60, -30]).astype(np.uint8)
    lengths = spectral_change(load_pair(before, after))
    np.testing.assert_allclose(lengths, 0, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (20, 30)])
def test_the_same_image_twice_has_no_change(shape: tuple[int, int]) -> None:
    changes = Cva().detect(noise(shape), noise(shape))
    assert len(changes) == 0
    assert not changes.score_image().any()


def test_flat_images_have_no_change() -> None:
    changes = Cva().detect(np.full((9, 9, 3), 40, np.uint8), np.full((9, 9, 3), 200, np.uint8))
    assert len(changes) == 0
    assert not changes.to_mask().any()


def test_pixels_without_values_count_nowhere(holed_pair: tuple[Any, Any]) -> None:
    holed = Cva().detect(*holed_pair)
    whole = Cva().detect(*(image[:, :10] for image in holed_pair))
    assert not holed.score_image()[:, 10:].any()
    np.testing.assert_allclose(
        holed.score_image()[:, :10], whole.score_image(), atol=1e-5, rtol=1e-5
    )
    assert holed.threshold == pytest.approx(whole.threshold, rel=1e-4)


def test_images_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="differ in size"):
        Cva().detect(noise((4, 5)), noise((5, 4)))
