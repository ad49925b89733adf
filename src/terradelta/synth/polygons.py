"""Convex polygons in plan coordinates: arrays of corners [n, 2] of positive shoelace area."""

from __future__ import annotations

import numpy as np

from terradelta.synth.grid import Float32, Float64

_SAME = 1e-6


def rectangle(u0: float, v0: float, u1: float, v1: float) -> Float64:
    """The rectangle between two opposite corners, given in any order."""
    (u0, u1), (v0, v1) = sorted((u0, u1)), sorted((v0, v1))
    return np.array([(u0, v0), (u1, v0), (u1, v1), (u0, v1)])


def area(corners: Float64) -> float:
    u, v = corners[:, 0], corners[:, 1]
    return float(0.5 * np.sum(u * np.roll(v, -1) - np.roll(u, -1) * v))


def split(corners: Float64, point: Float64, normal: Float64) -> tuple[Float64, Float64]:
    """Cut by the line through ``point``: the side that ``normal`` points to, and the other.

    A side that the line leaves nothing of has no corners.
    """
    side = (corners - point) @ normal
    front: list[Float64] = []
    back: list[Float64] = []
    for k, corner in enumerate(corners):
        after = (k + 1) % len(corners)
        (front if side[k] >= 0 else back).append(corner)
        if (side[k] >= 0) != (side[after] >= 0):
            crossing = corner + (corners[after] - corner) * side[k] / (side[k] - side[after])
            front.append(crossing)
            back.append(crossing)
    return _tidied(front), _tidied(back)


def _tidied(corners: list[Float64]) -> Float64:
    """Corners without repetitions; none at all if no surface is left."""
    distinct = [
        corner
        for k, corner in enumerate(corners)
        if float(np.abs(corner - corners[k - 1]).max()) > _SAME
    ]
    return np.array(distinct if len(distinct) >= 3 else []).reshape(-1, 2)


def inner_distance(corners: Float64, u: Float32 | Float64, v: Float32 | Float64) -> Float32:
    """Distance of points to the nearest edge's line, positive inside; float32 like ``u``."""
    least = np.full(np.shape(u), np.inf, np.float32)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        du, dv = (float(c) for c in (end - start) / np.hypot(*(end - start)))
        np.minimum(
            least, v * du - u * dv + (float(start[0]) * dv - float(start[1]) * du), out=least
        )
    return least


def distance_to(corners: Float64, point: tuple[float, float]) -> float:
    """Distance from the mean of the corners to a point."""
    return float(np.hypot(*(corners.mean(axis=0) - np.array(point))))
