"""Change vector analysis on pixels (Bruzzone and Prieto, 2000): the length of the spectral change vector.

The source takes pairs whose difference in light has been corrected, and models the two classes of
lengths; AnyChange, which this is the baseline of, thresholds them, by Otsu in its other baselines
(appendix C.1). Here the correction is the simplest that treats both dates alike: each band of each
date is brought to zero mean and unit variance over the valid pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from terradelta.baselines.answer import BaselineChanges
from terradelta.baselines.standard import standardised
from terradelta.geo.pair import ImageLike, Pair, load_pair
from terradelta.sam.masks import FloatArray
from terradelta.types import Progress, silent


class Cva:
    """Pixels whose standardised values differ by more than Otsu's threshold; see the module."""

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        """Objects are connected components, their score the mean length, in standard deviations.

        Raises:
            InputError: the images cannot be read or do not fit each other.
        """
        pair = load_pair(before, after)
        progress("comparing", 0, 1)
        answer = BaselineChanges.of_intensity(spectral_change(pair), pair, self.describe())
        progress("comparing", 1, 1)
        return answer

    def describe(self) -> dict[str, Any]:
        return {"model": "cva"}


def spectral_change(pair: Pair) -> FloatArray:
    """float32 [H, W]: the L2 norm of the difference of the standardised bands."""
    first, second = standardised(pair)
    return np.asarray(np.linalg.norm(second - first, axis=2))
