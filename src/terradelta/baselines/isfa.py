"""ISFA: iterative slow feature analysis.

Wu, Du and Zhang, "Slow feature analysis for change detection in multispectral imagery", IEEE
Transactions on Geoscience and Remote Sensing 52(5), 2014. With each band of each date standardised,
slow features are the combinations, the same for both dates, that differ least between them: the
generalised eigenproblem A w = lambda B w, A the covariance of the difference of the dates, B the mean
of their covariances. Each feature has variance 1, its difference the variance lambda.

Chi-square divides the squared difference by that variance; a public implementation from the same group
divides by its root.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from terradelta.baselines.answer import BaselineChanges
from terradelta.baselines.linear import (
    Floats,
    Variates,
    check_rounds,
    detect_by_variates,
    whitening,
)
from terradelta.geo.pair import ImageLike
from terradelta.types import Progress, silent


class Isfa:
    """Change by slow features, in standard deviations of the unchanged background; see `linear`.

    Args:
        rounds: of reweighting, at most; 1 is slow feature analysis without weights.
        tolerance: the rounds end when no eigenvalue moves by more than this.

    Raises:
        UsageError: a setting is out of range.
    """

    def __init__(self, *, rounds: int = 50, tolerance: float = 1e-3) -> None:
        check_rounds(rounds, tolerance)
        self.rounds, self.tolerance = int(rounds), tolerance

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        """What changed between two images of one size, arrays or paths.

        Raises:
            InputError: the images cannot be read or do not fit each other.
        """
        return detect_by_variates(before, after, slow_variates, self.describe(), progress)

    def describe(self) -> dict[str, Any]:
        return {"model": "isfa", "rounds": self.rounds, "tolerance": self.tolerance}


def slow_variates(covariance: Floats) -> Variates:
    """The differences of the slow features, slowest first, of a covariance [2 B, 2 B]."""
    bands = len(covariance) // 2
    scale = np.sqrt(np.diag(covariance))
    scale[scale == 0] = 1
    correlation = covariance / np.outer(scale, scale)
    before, after = correlation[:bands, :bands], correlation[bands:, bands:]
    across = correlation[:bands, bands:]
    white = whitening((before + after) / 2)
    slowness, turn = np.linalg.eigh(white.T @ (before + after - across - across.T) @ white)
    features = white @ turn
    combinations = np.concatenate([features, -features]) / scale[:, None]
    return Variates(combinations, np.maximum(slowness, 0))
