"""A share of nothing is not a number."""

from __future__ import annotations


def ratio(part: float, whole: float) -> float:
    """``part / whole``, NaN where ``whole`` is 0."""
    return part / whole if whole else float("nan")
