"""How much of either date looks like cloud: broad, white, far brighter than the other date there, and
without the edges that the other date has there, which bare or overexposed ground still shows.

It is a warning, not a cloud mask. Where both dates are cloudy it may keep silent: what is as bright as
the brightest of the other date is taken for ground, for fields lie bare now here and now there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terradelta.geo.register import edge_orientation
from terradelta.geo.sample import Sample
from terradelta.geo.stretch import Radiometry

BRIGHTER_BY = 50
"""Of 255, by which the darkest band of a cloud exceeds that of the other date."""
BRIGHTEST_PERCENTILE = 98.0
RADIUS_M = 25.0
RADII_PX = (4, 32)
RADIUS_UNKNOWN_PX = 16
DENSITY = 0.9
LEAST_AGREEMENT = 0.12
"""Share of the other date's edges in a region that show in this one, from which it is ground."""

Mask = NDArray[np.bool_]
Values = NDArray[Any]


def cloud_shares(
    sample: Sample, radiometry: Radiometry, pixel_m: float | None
) -> tuple[float, float]:
    """Share of the valid pixels of before and of after that look like cloud.

    ``pixel_m`` is the side of a pixel on the ground, None if unknown: what is narrower than 50 m, but
    at least 9 and at most 65 px, is no cloud.
    """
    radius = RADIUS_UNKNOWN_PX if pixel_m is None else round(RADIUS_M / pixel_m)
    radius = min(max(radius, RADII_PX[0]), RADII_PX[1])
    valid = [patch.valid for patch in sample]
    pairs = [radiometry.to_rgb8(p.before, p.after, p.valid) for p in sample]
    # The darkest band: high only where the light is white.
    white = [tuple(image.min(2).astype(np.int16) for image in pair) for pair in pairs]
    shares = []
    for date, other in ((0, 1), (1, 0)):
        reference = np.concatenate([w[other][v] for w, v in zip(white, valid, strict=True)])
        brightest = np.percentile(reference, BRIGHTEST_PERCENTILE)
        found = [
            _covered(
                _broad(
                    (w[date] > brightest) & (w[date] - w[other] > BRIGHTER_BY) & p.valid, radius
                ),
                *((p.before, p.after) if date == 0 else (p.after, p.before)),
                p.valid,
            )
            for w, p in zip(white, sample, strict=True)
        ]
        shares.append(sum(int(f.sum()) for f in found) / sum(int(v.sum()) for v in valid))
    return shares[0], shares[1]


def _broad(mask: Mask, radius: int) -> Mask:
    """The part of a mask near places around which it fills a square almost wholly."""
    side = 2 * radius + 1
    filled = ndimage.uniform_filter(mask.astype(np.float32), side, mode="nearest") >= DENSITY
    return np.asarray(ndimage.maximum_filter(filled, side) & mask)


def _covered(mask: Mask, cloudy: Values, clear: Values, valid: Mask) -> Mask:
    """The connected parts of a mask where the edges of the clear date do not show in the other."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    here, there = (edge_orientation(values, valid) for values in (cloudy, clear))
    numbers = np.arange(1, count + 1)
    common = ndimage.sum((here * there.conj()).real, labels, numbers)
    everything = ndimage.sum(np.abs(there) ** 2, labels, numbers)
    return np.asarray(np.isin(labels, numbers[common < LEAST_AGREEMENT * everything]))
