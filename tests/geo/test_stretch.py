import json
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from terradelta.geo.radiometry import NO_NORMALISATION
from terradelta.geo.sample import Sample
from terradelta.geo.stretch import Radiometry, scene_radiometry

Sampled = Callable[..., Sample]


def image(dtype: str, seed: int = 0, low: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (60, 80, 3)).astype(dtype)


def rgb8(radiometry: Radiometry, before: np.ndarray, after: np.ndarray) -> list[np.ndarray]:
    valid = np.ones(before.shape[:2], bool)
    bands = (before.transpose(2, 0, 1), after.transpose(2, 0, 1))
    return list(radiometry.to_rgb8(*bands, valid))


def test_8_bit_values_are_kept(sampled: Sampled) -> None:
    before, after = image("uint8"), image("uint8", 1)
    radiometry = scene_radiometry(sampled(before, after), NO_NORMALISATION)
    kept = rgb8(radiometry, before, after)
    np.testing.assert_array_equal(kept[0], before)
    np.testing.assert_array_equal(kept[1], after)
    # So are those that come as float32 from a resampling.
    kept = rgb8(radiometry, before, after.astype(np.float32))
    np.testing.assert_array_equal(kept[1], after)


def test_the_normalisation_is_of_after_only(sampled: Sampled) -> None:
    before, after = image("uint8"), image("uint8", 1, 0, 100)
    doubled = replace(NO_NORMALISATION, gain=(2.0, 1.0, 1.0), offset=(0.0, 10.0, 0.0))
    first, second = rgb8(scene_radiometry(sampled(before, after), doubled), before, after)
    np.testing.assert_array_equal(first, before)
    np.testing.assert_array_equal(second, after * np.array([2, 1, 1]) + np.array([0, 10, 0]))


def test_what_normalisation_drives_out_of_range_is_clipped(sampled: Sampled) -> None:
    before = image("uint8")
    steep = replace(NO_NORMALISATION, gain=(3.0,) * 3, offset=(-200.0,) * 3)
    _, second = rgb8(scene_radiometry(sampled(before, before), steep), before, before)
    np.testing.assert_array_equal(second, np.clip(before * 3.0 - 200, 0, 255))


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_one_stretch_for_both_dates(sampled: Sampled, dtype: str) -> None:
    """Before fills 0 to 999, after 1000 to 1999: percentiles 1 and 99 of both are 20 and 1980."""
    ramp = np.repeat(np.arange(1000), 3).reshape(20, 50, 3)
    before, after = ramp.astype(dtype), (ramp + 1000).astype(dtype)
    radiometry = scene_radiometry(sampled(before, after), NO_NORMALISATION)
    assert radiometry.low == pytest.approx((19.99,) * 3, abs=0.1)
    assert radiometry.high == pytest.approx((1979.01,) * 3, abs=0.1)
    first, second = rgb8(radiometry, before, after)
    assert (first[0, 0, 0], second[-1, -1, 0]) == (0, 255)
    assert first.max() == pytest.approx(127, abs=1)
    assert second.min() == pytest.approx(128, abs=1)


def test_the_stretch_is_of_the_normalised_values(sampled: Sampled) -> None:
    before = image("uint16", 0, 0, 5000)
    after = (before // 2 + 100).astype(np.uint16)
    fit = replace(NO_NORMALISATION, gain=(2.0,) * 3, offset=(-200.0,) * 3)
    first, second = rgb8(scene_radiometry(sampled(before, after), fit), before, after)
    assert np.abs(first.astype(int) - second).max() <= 1


def test_invalid_pixels_hold_the_mean_colour(sampled: Sampled) -> None:
    before, after = image("uint8", 0, 10, 20), image("uint8", 1, 100, 200)
    radiometry = scene_radiometry(sampled(before, after), NO_NORMALISATION)
    valid = np.zeros(before.shape[:2], bool)
    first, second = radiometry.to_rgb8(before.transpose(2, 0, 1), after.transpose(2, 0, 1), valid)
    np.testing.assert_array_equal(first, np.broadcast_to(before.mean((0, 1)).round(), first.shape))
    np.testing.assert_array_equal(second, np.broadcast_to(after.mean((0, 1)).round(), first.shape))


def test_a_window_becomes_what_it_is_in_the_whole(sampled: Sampled) -> None:
    before, after = image("uint16", 0, 0, 9000), image("uint16", 1, 0, 9000)
    radiometry = scene_radiometry(sampled(before, after), NO_NORMALISATION)
    whole = rgb8(radiometry, before, after)
    part = rgb8(radiometry, before[10:20, 30:50], after[10:20, 30:50])
    for all_of_it, some in zip(whole, part, strict=True):
        np.testing.assert_array_equal(all_of_it[10:20, 30:50], some)


def test_one_even_value_is_no_division_by_zero(sampled: Sampled) -> None:
    even = np.full((20, 20, 3), 700, np.uint16)
    first, second = rgb8(scene_radiometry(sampled(even, even), NO_NORMALISATION), even, even)
    assert (first == second).all()


def test_it_travels_and_is_written_down(sampled: Sampled) -> None:
    before, after = image("uint16", 0, 0, 9000), image("uint16", 1, 0, 9000)
    radiometry = scene_radiometry(sampled(before, after), NO_NORMALISATION)
    assert pickle.loads(pickle.dumps(radiometry)) == radiometry  # noqa: S301
    assert Radiometry.of_dict(json.loads(json.dumps(radiometry.describe()))) == radiometry
