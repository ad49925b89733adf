import numpy as np
import pytest
from scipy import stats
from scipy.linalg import eigh

from terradelta.baselines.irmad import mad_variates
from terradelta.baselines.isfa import Isfa, slow_variates
from terradelta.baselines.linear import reweighted_chi_square, weighted_moments
from terradelta.errors import UsageError
from terradelta.synth import make_scene
from terradelta.types import silent


def scene_values(seed: int = 0) -> np.ndarray:
    made = make_scene(128, seed=seed)
    return np.concatenate([made.before.reshape(-1, 3), made.after.reshape(-1, 3)], axis=1)


def by_the_published_formulas(values: np.ndarray, rounds: int) -> np.ndarray:
    """Chi-square of ISFA from standardised bands and the generalised eigenproblem A w = lambda B w."""
    values, weights = values.astype(float), np.ones(len(values))
    for _ in range(rounds):
        centred = values - np.average(values, axis=0, weights=weights)
        standard = centred / np.sqrt(np.average(centred**2, axis=0, weights=weights))
        before, after = standard[:, :3], standard[:, 3:]
        difference = before - after
        share = weights[:, None] / weights.sum()
        slowness, features = eigh(
            (share * difference).T @ difference,
            ((share * before).T @ before + (share * after).T @ after) / 2,
        )
        chi_square = ((difference @ features) ** 2 / slowness).sum(1)
        weights = stats.chi2.sf(chi_square, 3)
    return np.asarray(chi_square)


@pytest.mark.parametrize("rounds", [1, 2, 12])
def test_a_second_computation_agrees(rounds: int) -> None:
    values = scene_values()
    ours = reweighted_chi_square(values, slow_variates, rounds, 0, silent)
    np.testing.assert_allclose(ours, by_the_published_formulas(values, rounds), rtol=1e-6)


@pytest.mark.parametrize("rounds", [1, 20])
def test_gain_and_offset_of_a_date_change_nothing(rounds: int) -> None:
    values = scene_values(1).astype(float)
    expected = reweighted_chi_square(values, slow_variates, rounds, 0, silent)
    gained = values * [1, 1, 1, 0.3, 7, 120] + [0, 0, 0, 5, 900, -40]
    chi_square = reweighted_chi_square(gained, slow_variates, rounds, 0, silent)
    np.testing.assert_allclose(chi_square, expected, rtol=1e-6)


def test_slow_features_have_variance_1_and_differ_by_their_eigenvalue() -> None:
    values = scene_values()
    mean, covariance = weighted_moments(values, np.ones(len(values)))
    variates = slow_variates(covariance)
    before = (values - mean)[:, :3] @ variates.combinations[:3]
    after = -(values - mean)[:, 3:] @ variates.combinations[3:]
    both = (np.cov(before.T, ddof=0) + np.cov(after.T, ddof=0)) / 2
    np.testing.assert_allclose(both, np.eye(3), atol=1e-9)
    difference = np.cov((before - after).T, ddof=0)
    np.testing.assert_allclose(difference, np.diag(variates.variance), atol=1e-9)


def test_no_combination_is_slower_than_the_slowest() -> None:
    values = scene_values()
    mean, covariance = weighted_moments(values, np.ones(len(values)))
    standard = (values - mean) / np.sqrt(np.diag(covariance))
    before, after = standard[:, :3], standard[:, 3:]
    slowness = slow_variates(covariance).variance
    for combination in np.random.default_rng(0).normal(size=(200, 3)):
        x, y = before @ combination, after @ combination
        ratio = np.mean((x - y) ** 2) / ((x.var() + y.var()) / 2)
        assert slowness[0] - 1e-9 <= ratio <= slowness[-1] + 1e-9


def test_of_one_band_it_is_mad() -> None:
    made = make_scene(64, seed=0)
    values = np.column_stack([made.before[..., 1].ravel(), made.after[..., 1].ravel()])
    assert np.corrcoef(values.T)[0, 1] > 0
    slow = reweighted_chi_square(values, slow_variates, 5, 0, silent)
    mad = reweighted_chi_square(values, mad_variates, 5, 0, silent)
    np.testing.assert_allclose(slow, mad, rtol=1e-9)


def test_grey_is_one_band() -> None:
    made = make_scene(64, seed=0)
    grey = made.before[..., 1], made.after[..., 1]
    values = np.column_stack([image.ravel() for image in grey])
    expected = np.sqrt(reweighted_chi_square(values, slow_variates, 50, 1e-3, silent))
    np.testing.assert_allclose(Isfa().detect(*grey).score_image().ravel(), expected, rtol=1e-5)


def test_bad_settings_are_named() -> None:
    with pytest.raises(UsageError, match="rounds is 0"):
        Isfa(rounds=0)
    with pytest.raises(UsageError, match="tolerance is nan"):
        Isfa(tolerance=float("nan"))
