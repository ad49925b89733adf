import json
from collections.abc import Callable

import numpy as np
import pytest

from terradelta.geo.radiometry import relative_normalisation
from terradelta.geo.sample import Sample
from terradelta.synth import Scene

Sampled = Callable[..., Sample]


def ratio(village: Scene, sampled: Sampled, after: np.ndarray) -> np.ndarray:
    """Measured gain of ``after`` over that of the scene's own later date."""
    plain = relative_normalisation(sampled(village.before, village.after))
    changed = relative_normalisation(sampled(village.before, after))
    assert plain.trusted
    assert changed.trusted
    return np.array(changed.measured[0]) / np.array(plain.measured[0])


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.25])
@pytest.mark.parametrize("offset", [0, 15])
def test_a_gain_is_found_within_two_percent_among_real_changes(
    village: Scene, sampled: Sampled, gain: float, offset: int
) -> None:
    altered = np.clip(village.after * gain + offset + 0.5, 0, 255).astype(np.uint8)
    np.testing.assert_allclose(ratio(village, sampled, altered), gain, rtol=0.02)


def test_each_band_has_its_own_gain(village: Scene, sampled: Sampled) -> None:
    gains = np.array([0.7, 0.9, 1.2])
    altered = np.clip(village.after * gains + 0.5, 0, 255).astype(np.uint8)
    np.testing.assert_allclose(ratio(village, sampled, altered), gains, rtol=0.02)


def test_a_shift_of_two_pixels_hardly_matters(village: Scene, sampled: Sampled) -> None:
    moved = np.roll(village.after, (2, -2), (0, 1))
    np.testing.assert_allclose(ratio(village, sampled, moved), 1, rtol=0.05)


@pytest.mark.parametrize("unit", [0.5, 2.5])
def test_another_unit_is_no_other_fit(village: Scene, sampled: Sampled, unit: float) -> None:
    fits = [
        relative_normalisation(
            sampled(village.before.astype(dtype), village.after.astype(dtype) * k)
        )
        for dtype, k in ((np.float32, 1), (np.float32, unit))
    ]
    np.testing.assert_allclose(fits[1].measured[0], np.array(fits[0].measured[0]) * unit, rtol=1e-4)
    assert fits[1].invariant == pytest.approx(fits[0].invariant, abs=1e-3)


def test_swapping_the_dates_gives_the_inverse(village: Scene, sampled: Sampled) -> None:
    there = relative_normalisation(sampled(village.before, village.after))
    back = relative_normalisation(sampled(village.after, village.before))
    np.testing.assert_allclose(back.gain, there.measured[0], rtol=0.01)


def test_normalising_brings_the_dates_closer(village: Scene, sampled: Sampled) -> None:
    darker = (village.after * 0.6).astype(np.uint8)
    fit = relative_normalisation(sampled(village.before, darker))
    assert fit.distance[1] < 0.25 * fit.distance[0]
    assert 0.4 < fit.invariant < 0.9


def test_a_pair_of_equals_needs_nothing(village: Scene, sampled: Sampled) -> None:
    fit = relative_normalisation(sampled(village.before, village.before))
    np.testing.assert_allclose(fit.gain, 1, rtol=1e-9)
    np.testing.assert_allclose(fit.offset, 0, atol=1e-6)
    assert (fit.trusted, fit.distance) == (True, (0, 0))


def test_different_types_are_brought_to_one_scale(village: Scene, sampled: Sampled) -> None:
    wide = village.after.astype(np.uint16) * 200 + 3000
    fit = relative_normalisation(sampled(village.before, wide))
    plain = relative_normalisation(sampled(village.before, village.after))
    assert fit.trusted
    np.testing.assert_allclose(fit.gain, np.array(plain.gain) / 200, rtol=1e-3)
    assert fit.distance[1] == pytest.approx(plain.distance[1], rel=0.02)


def test_grey_is_fitted_like_colour(village: Scene, sampled: Sampled) -> None:
    before, after = (date[..., 1:2].repeat(3, 2) for date in (village.before, village.after))
    fit = relative_normalisation(sampled(before, after))
    assert fit.trusted
    assert fit.gain[0] == fit.gain[1] == fit.gain[2]
    again = relative_normalisation(sampled(before, (after * 0.8 + 0.5).astype(np.uint8)))
    assert fit.gain[0] / again.gain[0] == pytest.approx(0.8, rel=0.02)


def test_clipped_and_invalid_blocks_take_no_part(village: Scene, sampled: Sampled) -> None:
    clean = relative_normalisation(sampled(village.before, village.after))
    after, valid = village.after.copy(), np.ones(village.after.shape[:2], bool)
    after[:160] = 255
    after[160:240] = 90
    valid[160:240] = False
    fit = relative_normalisation(sampled(village.before, after, valid))
    np.testing.assert_allclose(fit.gain, clean.gain, rtol=0.05)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_unrelated_images_are_left_as_they_are(
    village: Scene, sampled: Sampled, dtype: type
) -> None:
    fit = relative_normalisation(sampled(village.before, village.before[::-1, ::-1].astype(dtype)))
    assert not fit.trusted
    assert "hardly correlate" in fit.reason
    if dtype == np.uint8:
        assert (fit.gain, fit.offset) == ((1, 1, 1), (0, 0, 0))


def test_untrusted_types_are_matched_in_median_and_spread(sampled: Sampled) -> None:
    random = np.random.default_rng(0)
    before = random.integers(50, 100, (200, 200, 3)).astype(np.uint8)
    after = random.integers(1000, 11000, (200, 200, 3)).astype(np.uint16)
    fit = relative_normalisation(sampled(before, after))
    assert not fit.trusted
    assert "median and spread" in fit.reason
    np.testing.assert_allclose(fit.gain, 50 / 10_000, rtol=0.2)
    middle = np.array(fit.gain) * 6000 + np.array(fit.offset)
    np.testing.assert_allclose(middle, 74.5, atol=1)


@pytest.mark.parametrize("even", ["before", "after", "both"])
def test_a_date_of_one_colour_cannot_be_fitted(village: Scene, sampled: Sampled, even: str) -> None:
    flat = np.full_like(village.before, 77)
    before = flat if even != "after" else village.before
    after = flat if even != "before" else village.after
    fit = relative_normalisation(sampled(before, after))
    assert not fit.trusted
    assert (fit.gain, fit.offset) == ((1, 1, 1), (0, 0, 0))


def test_a_gain_beyond_three_is_not_believed(village: Scene, sampled: Sampled) -> None:
    faint = (village.after.astype(np.float32) * 0.2).astype(np.float32)
    fit = relative_normalisation(sampled(village.before.astype(np.float32), faint))
    assert (fit.trusted, fit.gain) == (False, (1, 1, 1))
    assert "beyond 1/3 to 3" in fit.reason


def test_a_few_pixels_are_too_few(sampled: Sampled) -> None:
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    fit = relative_normalisation(sampled(image, image))
    assert not fit.trusted
    assert fit.reason.startswith("only")


def test_the_description_is_plain(village: Scene, sampled: Sampled) -> None:
    told = relative_normalisation(sampled(village.before, village.after)).describe()
    assert json.loads(json.dumps(told)) == told
    assert told["trusted"] is True


def test_where_most_is_one_flat_value_the_rest_decides_nothing(sampled: Sampled) -> None:
    random = np.random.default_rng(0)
    before, after = (np.full((200, 200, 3), 80, np.uint8) for _ in range(2))
    before[:60], after[:60] = (random.integers(1, 250, (60, 200, 3)) for _ in range(2))
    fit = relative_normalisation(sampled(before, after))
    assert (fit.trusted, fit.gain) == (False, (1, 1, 1))
