"""IRMAD: iteratively reweighted multivariate alteration detection.

Nielsen, "The regularized iteratively reweighted MAD method for change detection in multi- and
hyperspectral data", IEEE Transactions on Image Processing 16(2), 2007. Canonical correlation analysis
finds the combinations of bands that agree most between the dates; the MAD variates are their
differences. Any invertible affine change of the bands of a date leaves them as they are.

The paper regularises singular covariances by a penalty on the length or curvature of the combinations,
meant for hundreds of bands; here, with three, directions without variance are left out instead.
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


class Irmad:
    """Change by MAD variates, in standard deviations of the unchanged background; see `linear`.

    Args:
        rounds: of reweighting, at most; 1 is MAD without weights.
        tolerance: the rounds end when no variance of a MAD variate, 2 (1 - canonical correlation),
            moves by more than this.

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
        return detect_by_variates(before, after, mad_variates, self.describe(), progress)

    def describe(self) -> dict[str, Any]:
        return {"model": "irmad", "rounds": self.rounds, "tolerance": self.tolerance}


def mad_variates(covariance: Floats) -> Variates:
    """The MAD variates, largest canonical correlation first, of a covariance [2 B, 2 B].

    There are as many as the date with fewer independent bands has.
    """
    bands = len(covariance) // 2
    scale = np.sqrt(np.diag(covariance))
    scale[scale == 0] = 1
    correlation = covariance / np.outer(scale, scale)
    before = whitening(correlation[:bands, :bands])
    after = whitening(correlation[bands:, bands:])
    left, canonical, right = np.linalg.svd(
        before.T @ correlation[:bands, bands:] @ after, full_matrices=False
    )
    combinations = np.concatenate([before @ left, -after @ right.T]) / scale[:, None]
    return Variates(combinations, 2 * (1 - np.minimum(canonical, 1)))
