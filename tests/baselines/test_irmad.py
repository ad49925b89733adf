import numpy as np
import pytest
from scipy import stats
from scipy.linalg import block_diag, eigh

from terradelta.baselines.irmad import Irmad, mad_variates
from terradelta.baselines.linear import reweighted_chi_square, weighted_moments
from terradelta.errors import UsageError
from terradelta.synth import make_scene
from terradelta.types import silent


def scene_values(seed: int = 0) -> np.ndarray:
    made = make_scene(128, seed=seed)
    return np.concatenate([made.before.reshape(-1, 3), made.after.reshape(-1, 3)], axis=1)


def by_generalised_eigenproblem(values: np.ndarray, rounds: int) -> np.ndarray:
    """Chi-square of IRMAD from the eigenproblem of both sets of bands at once."""
    values, weights = values.astype(float), np.ones(len(values))
    for _ in range(rounds):
        centred = values - np.average(values, axis=0, weights=weights)
        covariance = np.cov(values.T, aweights=weights, ddof=0)
        own = block_diag(covariance[:3, :3], covariance[3:, 3:])
        canonical, vectors = eigh(covariance - own, own)
        a, b = vectors[:3, 3:], vectors[3:, 3:]
        a = a / np.sqrt(np.diag(a.T @ covariance[:3, :3] @ a))
        b = b / np.sqrt(np.diag(b.T @ covariance[3:, 3:] @ b))
        mad = centred[:, :3] @ a - centred[:, 3:] @ b
        chi_square = (mad**2 / (2 - 2 * canonical[3:])).sum(1)
        weights = stats.chi2.sf(chi_square, 3)
    return np.asarray(chi_square)


@pytest.mark.parametrize("rounds", [1, 2, 12])
def test_a_second_computation_agrees(rounds: int) -> None:
    values = scene_values()
    ours = reweighted_chi_square(values, mad_variates, rounds, 0, silent)
    np.testing.assert_allclose(ours, by_generalised_eigenproblem(values, rounds), rtol=1e-6)


@pytest.mark.parametrize("rounds", [1, 20])
def test_affine_changes_of_a_date_change_nothing(rounds: int) -> None:
    values = scene_values(1).astype(float)
    expected = reweighted_chi_square(values, mad_variates, rounds, 0, silent)
    gained = values * [1, 1, 1, 0.3, -7, 120] + [0, 0, 0, 5, 900, -40]
    mixed = np.concatenate(
        [values[:, :3], values[:, 3:] @ np.random.default_rng(0).normal(size=(3, 3))], axis=1
    )
    for other in (gained, mixed):
        chi_square = reweighted_chi_square(other, mad_variates, rounds, 0, silent)
        np.testing.assert_allclose(chi_square, expected, rtol=1e-6)


def test_variates_are_uncorrelated_and_have_the_variance_they_state() -> None:
    values = scene_values()
    mean, covariance = weighted_moments(values, np.ones(len(values)))
    variates = mad_variates(covariance)
    mad = (values - mean) @ variates.combinations
    np.testing.assert_allclose(np.cov(mad.T, ddof=0), np.diag(variates.variance), atol=1e-9)
    assert (np.diff(variates.variance) > 0).all()


def test_one_band_is_worked_out_by_hand() -> None:
    """Standardised, the bands are 1, -1, 1, -1 and 1, -1, -1, 1 times a half: correlation 0.6."""
    before = np.array([2, 0, 2, 0, 2, 0, 2, 0, 2, 0], np.uint8)[None]
    after = np.array([9, 5, 9, 5, 9, 5, 9, 5, 5, 9], np.uint8)[None]
    changes = Irmad(rounds=1).detect(before, after)
    expected = np.where([[False] * 8 + [True] * 2], 2 / np.sqrt(2 * (1 - 0.6)), 0)
    np.testing.assert_allclose(changes.score_image(), expected, atol=1e-6)
    np.testing.assert_array_equal(changes.to_mask(), expected > 0)


def test_without_change_the_sum_is_chi_square_distributed() -> None:
    random = np.random.default_rng(0)
    before = random.normal(size=(20_000, 3))
    values = np.concatenate([before, before + random.normal(size=(20_000, 3))], axis=1)
    chi_square = reweighted_chi_square(values, mad_variates, 1, 0, silent)
    assert stats.kstest(chi_square, stats.chi2(3).cdf).pvalue > 0.05


def test_a_date_of_one_colour_tells_nothing() -> None:
    before = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    changes = Irmad().detect(before, np.full_like(before, 80))
    assert len(changes) == 0
    assert not changes.score_image().any()


def test_a_constant_band_is_left_out() -> None:
    made = make_scene(64, seed=0)
    two_bands = [image.copy() for image in (made.before, made.after)]
    for image in two_bands:
        image[..., 1] = 17
    values = np.concatenate([image[..., [0, 2]].reshape(-1, 2) for image in two_bands], axis=1)
    expected = np.sqrt(reweighted_chi_square(values, mad_variates, 50, 1e-3, silent))
    intensity = Irmad().detect(*two_bands).score_image()
    np.testing.assert_allclose(intensity.ravel(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"rounds": 0}, "rounds is 0"), ({"rounds": 1.5}, "1.5"), ({"tolerance": -1.0}, "tolerance")],
)
def test_bad_settings_are_named(settings: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Irmad(**settings)  # type: ignore[arg-type]
