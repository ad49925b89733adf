"""Linear change variates under iterated reweighting: what IRMAD and ISFA share.

Both look for linear combinations of the bands of the two dates whose differences, the variates, are
small where nothing changed. There the sum of the squared standardised variates follows a chi-square
distribution; the probability of a larger sum is the weight of a pixel in the next round, so that in
the end the combinations are fitted to the unchanged background alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from terradelta.baselines.answer import BaselineChanges
from terradelta.errors import UsageError
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.types import Progress

Floats = NDArray[np.float64]

PIXELS_PER_CHUNK = 1 << 17

NULL_DIRECTION = 1e-9
"""Share of the largest eigenvalue of a correlation matrix below which a direction is rounding."""

LEAST_VARIANCE = 1e-9
"""Of a variate, for dates that agree exactly in the whole background."""

ROUNDING = 1e-9
"""A variate closer to zero than this, where the bands' deviations are 1, is zero."""

LEAST_BACKGROUND = 0.01
"""Mean weight of the pixels, one half where nothing changed. Below this the background is a handful of
saturated pixels that agree by chance, and a fit to them says nothing of the rest. A single variate
ends here: where its values lie evenly around 0, each round keeps but two thirds of the variance."""


@dataclass(frozen=True, slots=True)
class Variates:
    """k differences between linear combinations of the B bands of each date.

    ``combinations`` float64 [2 B, k] make them of the bands of both dates, the earlier first, less
    their means; ``variance`` float64 [k] is that over the pixels they were fitted to.
    """

    combinations: Floats
    variance: Floats


Fit = Callable[[Floats], Variates]
"""From the covariance of the bands of both dates, float64 [2 B, 2 B], to the variates."""


def detect_by_variates(
    before: ImageLike,
    after: ImageLike,
    fit: Fit,
    settings: Mapping[str, Any],
    progress: Progress,
) -> BaselineChanges:
    """What changed, by the variates of ``fit`` and the ``rounds`` and ``tolerance`` of the settings.

    The intensity is the square root of chi-square: a distance in standard deviations of the
    background, over which Otsu's threshold and 2-means, the usual choices with both methods, are the
    same. Chi-square itself is so skewed that either would keep only its far tail.
    """
    pair = load_pair(before, after)
    values = np.concatenate([pair.before[pair.valid], pair.after[pair.valid]], axis=1)
    distance = np.zeros(pair.shape, np.float32)
    distance[pair.valid] = np.sqrt(
        reweighted_chi_square(values, fit, settings["rounds"], settings["tolerance"], progress)
    )
    return BaselineChanges.of_intensity(distance, pair, settings)


def check_rounds(rounds: int, tolerance: float) -> None:
    """Raises UsageError for what no iteration can do."""
    if rounds < 1 or rounds != int(rounds):
        raise UsageError(f"rounds is {rounds}: it must be a whole number, at least 1")
    if not tolerance >= 0:
        raise UsageError(f"the tolerance is {tolerance}: it must not be negative")


def reweighted_chi_square(
    values: NDArray[Any], fit: Fit, rounds: int, tolerance: float, progress: Progress
) -> Floats:
    """Chi-square of every pixel, float64 [N], 0 if there is no variate.

    ``values`` [N, 2 B] holds the bands of both dates. The rounds end when no variance of a variate
    moves by more than ``tolerance``, or before the background is lost. One round is the method
    without weights.
    """
    weights, chi_square = np.ones(len(values)), np.zeros(len(values))
    last = np.array([np.inf])
    for done in range(rounds):
        progress("reweighting", done, rounds)
        if weights.mean() < LEAST_BACKGROUND:
            break
        mean, covariance = weighted_moments(values, weights)
        variates = fit(covariance)
        for part in _parts(len(values)):
            chi_square[part] = _chi_square(values[part] - mean, variates)
            weights[part] = chdtrc(max(len(variates.variance), 1), chi_square[part])
        if _settled(variates.variance, last, tolerance):
            break
        last = variates.variance
    return chi_square


def weighted_moments(values: NDArray[Any], weights: Floats) -> tuple[Floats, Floats]:
    """Mean [D] and covariance [D, D], float64, of ``values`` [N, D] with ``weights`` [N]."""
    parts, total, bands = list(_parts(len(values))), weights.sum(), values.shape[1]
    origin = values[0].astype(np.float64)  # so that a constant band has a variance of exactly 0
    mean, covariance = np.zeros(bands), np.zeros((bands, bands))
    for part in parts:
        mean += weights[part] @ (values[part] - origin) / total
    for part in parts:
        centred = values[part] - origin - mean
        covariance += (centred * weights[part, None]).T @ centred / total
    return origin + mean, covariance


def whitening(correlation: Floats) -> Floats:
    """float64 [B, rank]: combinations of B standardised bands that are uncorrelated, of variance 1.

    Directions in which the bands do not vary are left out: grey images, constant bands, few pixels.
    """
    variance, directions = np.linalg.eigh(correlation)
    kept = variance > NULL_DIRECTION * max(float(variance[-1]), NULL_DIRECTION)
    return np.asarray(directions[:, kept] / np.sqrt(variance[kept]))


def _parts(count: int) -> Iterator[slice]:
    return (slice(first, first + PIXELS_PER_CHUNK) for first in range(0, count, PIXELS_PER_CHUNK))


def _chi_square(centred: Floats, variates: Variates) -> Floats:
    difference = centred @ variates.combinations
    difference[np.abs(difference) < ROUNDING] = 0
    return np.asarray(difference**2 @ (1 / np.maximum(variates.variance, LEAST_VARIANCE)))


def _settled(variance: Floats, last: Floats, tolerance: float) -> bool:
    same_count = len(variance) == len(last)
    return same_count and bool(np.all(np.abs(variance - last) <= tolerance))
