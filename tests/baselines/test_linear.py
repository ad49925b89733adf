import numpy as np
import pytest

from terradelta.baselines import linear
from terradelta.baselines.irmad import mad_variates
from terradelta.baselines.linear import (
    Variates,
    reweighted_chi_square,
    weighted_moments,
    whitening,
)
from terradelta.synth import make_scene
from terradelta.types import silent


def correlated(seed: int, count: int = 2000) -> np.ndarray:
    """float64 [N, 6]: three bands of two dates, those of the second follow those of the first."""
    random = np.random.default_rng(seed)
    before = random.normal(size=(count, 3)) @ random.normal(size=(3, 3))
    after = before @ random.normal(size=(3, 3)) + 0.3 * random.normal(size=(count, 3))
    return np.concatenate([before, after], axis=1)


def test_moments_are_those_of_numpy() -> None:
    values, weights = correlated(0), np.random.default_rng(1).random(2000)
    mean, covariance = weighted_moments(values, weights)
    np.testing.assert_allclose(mean, np.average(values, axis=0, weights=weights), atol=1e-12)
    expected = np.cov(values.T, aweights=weights, ddof=0)
    np.testing.assert_allclose(covariance, expected, rtol=1e-10)


def test_a_constant_band_has_no_variance_at_all() -> None:
    values = np.column_stack([np.random.default_rng(0).random(999), np.full(999, 17)])
    mean, covariance = weighted_moments(values, np.random.default_rng(1).random(999))
    assert mean[1] == 17
    assert (covariance[1] == 0).all()


def test_moments_do_not_lose_digits_to_a_large_mean() -> None:
    values = correlated(0)
    _, expected = weighted_moments(values, np.ones(2000))
    _, covariance = weighted_moments(values + 1e6, np.ones(2000))
    np.testing.assert_allclose(covariance, expected, atol=1e-8)


def test_the_size_of_the_parts_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    values = correlated(2)
    expected = reweighted_chi_square(values, mad_variates, 10, 0, silent)
    monkeypatch.setattr(linear, "PIXELS_PER_CHUNK", 300)
    in_parts = reweighted_chi_square(values, mad_variates, 10, 0, silent)
    np.testing.assert_allclose(in_parts, expected, rtol=1e-9)


def test_whitened_bands_are_uncorrelated_and_null_directions_are_left_out() -> None:
    values = np.random.default_rng(0).normal(size=(500, 2))
    three = np.column_stack([values, values.sum(1), np.ones(500)])
    correlation = np.cov(three.T)
    white = whitening(correlation)
    assert white.shape == (4, 2)
    np.testing.assert_allclose(white.T @ correlation @ white, np.eye(2), atol=1e-10)
    assert whitening(np.zeros((3, 3))).shape == (3, 0)


def test_the_fit_is_to_the_unchanged_background_alone() -> None:
    """A third of the pixels is replaced by something else; the variance of what is left is found."""
    random = np.random.default_rng(0)
    before = random.normal(size=(9000, 1))
    after = 3 * before + 7 + 0.1 * random.normal(size=(9000, 1))
    after[:3000] = 7 + 20 * random.normal(size=(3000, 1))
    values = np.concatenate([before, after], axis=1)
    unweighted = reweighted_chi_square(values, mad_variates, 1, 0, silent)
    reweighted = reweighted_chi_square(values, mad_variates, 50, 1e-6, silent)
    assert np.mean(unweighted[:3000] > unweighted[3000:].max()) < 0.3
    assert np.median(reweighted[:3000]) > 100 * np.median(reweighted[3000:])


def test_rounds_end_when_the_background_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates that have nothing to do with each other agree in the end in a few pixels, exactly."""
    values = np.random.default_rng(5).integers(0, 256, (1000, 6))
    kept = reweighted_chi_square(values, mad_variates, 200, 0, silent)
    monkeypatch.setattr(linear, "LEAST_BACKGROUND", 0)
    lost = reweighted_chi_square(values, mad_variates, 200, 0, silent)
    assert np.median(kept) < 1e4
    assert np.median(lost) > 1e6


def test_rounds_end_when_the_variances_settle() -> None:
    made = make_scene(128, seed=0)
    values = np.concatenate([made.before.reshape(-1, 3), made.after.reshape(-1, 3)], axis=1)
    variances: list[np.ndarray] = []

    def fit(covariance: np.ndarray) -> Variates:
        variates = mad_variates(covariance)
        variances.append(variates.variance)
        return variates

    reweighted_chi_square(values, fit, 100, 2e-3, silent)
    moves = np.abs(np.diff(variances, axis=0)).max(1)
    assert len(variances) < 100
    assert moves[-1] <= 2e-3
    assert (moves[:-1] > 2e-3).all()
