"""Trees over parcels and along their edges."""

from __future__ import annotations

import numpy as np

from terradelta.synth.grid import Float64
from terradelta.synth.polygons import inner_distance
from terradelta.synth.shapes import NO_EVENT, Parcel
from terradelta.synth.sketch import Sketch

_ORCHARD_REACH = 160.0


def plant_wood(sketch: Sketch, corners: Float64, felled: tuple[Float64, int] | None = None) -> None:
    """A dense stand: broadleaf, mixed or conifer.

    Trees inside the polygon of ``felled`` carry the event of its number.
    """
    rng = sketch.rng
    share = (0.04, 0.35, 0.93)[int(rng.integers(3))]
    spacing = sketch.uniform(3.7, 4.6) if share > 0.9 else sketch.uniform(4.4, 6.2)
    u, v = _jittered(sketch, corners, spacing, 0.42)
    keep = inner_distance(corners, u, v) > rng.uniform(-0.5, 3.5, len(u))
    u, v = u[keep], v[keep]
    conifer = (rng.random(len(u)) < share).astype(np.float64)
    radius = spacing * rng.uniform(0.48, 0.86, len(u)) * np.where(conifer > 0, 0.86, 1.0)
    height = np.where(conifer > 0, 3.0 * radius + 4, 1.8 * radius + 6)
    height *= rng.uniform(0.85, 1.1, len(u))
    event = np.full(len(u), NO_EVENT, np.int64)
    if felled is not None:
        event[inner_distance(felled[0], u, v) > 0] = felled[1]
    tint = 0.3 * sketch.signed()
    sketch.stand(u, v, radius, height, conifer=conifer, event=event, tint=tint)


def plant_orchard(sketch: Sketch, parcel: Parcel) -> None:
    """Fruit trees in a square lattice along the parcel's rows."""
    spacing = sketch.uniform(6.5, 8.5)
    steps = np.arange(-_ORCHARD_REACH, _ORCHARD_REACH, spacing)
    a, b = (grid.ravel() for grid in np.meshgrid(steps, steps))
    middle, (along_u, along_v) = parcel.corners.mean(axis=0), parcel.along
    u = middle[0] + a * along_u - b * along_v
    v = middle[1] + a * along_v + b * along_u
    keep = (inner_distance(parcel.corners, u, v) > 3.5) & (sketch.rng.random(len(u)) < 0.9)
    radius = sketch.rng.uniform(1.7, 2.6, int(keep.sum()))
    sketch.stand(u[keep], v[keep], radius, 1.9 * radius, tint=0.3)


def scatter_trees(sketch: Sketch, corners: Float64) -> None:
    """Single trees here and there in a pasture."""
    u, v = _jittered(sketch, corners, 22.0, 0.5)
    keep = (inner_distance(corners, u, v) > 4) & (sketch.rng.random(len(u)) < 0.22)
    radius = sketch.rng.uniform(1.5, 4.8, int(keep.sum()))
    sketch.stand(u[keep], v[keep], radius, 2.0 * radius + 1)


def plant_hedges(sketch: Sketch, corners: Float64) -> None:
    """Hedges with gaps and standard trees along some sides of a field."""
    rng = sketch.rng
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = float(np.hypot(*(end - start)))
        if length < 20 or not sketch.chance(0.3):
            continue
        t = rng.uniform(1, length - 1, int(length / 1.5))
        gaps = np.sin(t / sketch.uniform(5, 16) + sketch.uniform(0, 6))
        t = t[rng.random(len(t)) < sketch.uniform(0.35, 1.0) + 0.4 * gaps]
        along_u, along_v = (end - start) / length
        inward = rng.uniform(-0.3, 1.9, len(t))
        standard = rng.random(len(t)) < sketch.uniform(0.02, 0.25)
        tall, low = rng.uniform(2.4, 5.2, len(t)), rng.uniform(0.7, 2.0, len(t))
        sketch.stand(
            start[0] + along_u * t - along_v * inward,
            start[1] + along_v * t + along_u * inward,
            np.where(standard, tall, low),
            np.where(standard, 2.2 * tall, 1.5 * low),
        )


def plant_row(
    sketch: Sketch, start: tuple[float, float], end: tuple[float, float], off: float
) -> None:
    """A row of trees ``off`` metres beside a line, with gaps."""
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    along_u, along_v = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    t = np.arange(8.0, length - 8, sketch.uniform(9, 15))
    t = t[sketch.rng.random(len(t)) < 0.8]
    radius = sketch.rng.uniform(1.6, 3.4, len(t))
    u = start[0] + along_u * t - along_v * off
    v = start[1] + along_v * t + along_u * off
    sketch.stand(u, v, radius, 2.1 * radius + 1)


def _jittered(
    sketch: Sketch, corners: Float64, spacing: float, jitter: float
) -> tuple[Float64, Float64]:
    """Points (u, v) of a jittered triangular lattice over a polygon's bounding box."""
    (u0, v0), (u1, v1) = corners.min(axis=0), corners.max(axis=0)
    u, v = np.meshgrid(np.arange(u0, u1, spacing), np.arange(v0, v1, 0.87 * spacing))
    u[1::2] += spacing / 2
    u += jitter * spacing * sketch.rng.uniform(-1, 1, u.shape)
    v += jitter * spacing * sketch.rng.uniform(-1, 1, v.shape)
    return u.ravel(), v.ravel()
