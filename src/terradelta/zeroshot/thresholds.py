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
        UsageError: see `check_choice`.
    """
    check_choice(angle, threshold, top_k)
    if threshold is not None:
        return _otsu(angles, default)
    if top_k is not None:
        return _top_k(angles, int(top_k))
    return float(default if angle is None else angle)


def check_choice(angle: float | None, threshold: str | None, top_k: int | None) -> None:
    """What can be said of a choice before any work is done.

    Raises:
        UsageError: two of them together, or a value out of range.
    """
    named = {"angle": angle, "threshold": threshold, "top_k": top_k}
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} contradict each other: give one")
    if threshold not in (None, "otsu"):
        raise UsageError(f"unknown threshold {threshold!r}: give 'otsu', or a number as angle")
    if top_k is not None and (top_k < 1 or top_k != int(top_k)):
        raise UsageError(f"top_k is {top_k}: it must be a whole number, at least 1")
    if angle is not None and not 0 <= angle <= 180:
        raise UsageError(f"the angle is {angle}: it must lie between 0 and 180 degrees")


def _otsu(angles: FloatArray, default: float) -> float:
    if len(np.unique(angles)) < 2:
        return default
    return float(threshold_otsu(angles))


def _top_k(angles: FloatArray, k: int) -> float:
    return float(np.sort(angles)[-k - 1]) if k < len(angles) else 0.0
