"""How the angle above which a proposal is a change is chosen.

Larger angles are more changed. The paper's threshold T lies on the other side: angle = 180 - T.
"""

from __future__ import annotations

import numpy as np
from skimage.filters import threshold_otsu

from terradelta.errors import UsageError
from terradelta.sam.masks import FloatArray


def choose_threshold(
    angles: FloatArray,
    default: float,
    *,
    angle: float | None = None,
    threshold: str | None = None,
    top_k: int | None = None,
) -> float:
    """The threshold in degrees for proposals with ``angles`` (float32 [N], degrees).

    At most one of: ``angle``, a fixed angle; ``threshold="otsu"``, Otsu's threshold of the
    proposals' own angles (``default`` if they are all alike); ``top_k``, so that the k largest angles
    lie above it (fewer if equal angles straddle the k-th, or if there are fewer above zero). None of
    them: ``default``.

    Raises:
        UsageError: two of them together, or a value out of range.
    """
    given = [
        name
        for name, value in (("angle", angle), ("threshold", threshold), ("top_k", top_k))
        if value is not None
    ]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} contradict each other: give one")
    if threshold is not None:
        return _otsu(angles, threshold, default)
    if top_k is not None:
        return _top_k(angles, top_k)
    chosen = default if angle is None else angle
    if not 0 <= chosen <= 180:
        raise UsageError(f"the angle is {chosen}: it must lie between 0 and 180 degrees")
    return float(chosen)


def _otsu(angles: FloatArray, name: str, default: float) -> float:
    if name != "otsu":
        raise UsageError(f"unknown threshold {name!r}: give 'otsu', or a number as angle")
    if len(np.unique(angles)) < 2:
        return default
    return float(threshold_otsu(angles))


def _top_k(angles: FloatArray, k: int) -> float:
    if k < 1:
        raise UsageError(f"top_k is {k}: it must be at least 1")
    return float(np.sort(angles)[-k - 1]) if k < len(angles) else 0.0
