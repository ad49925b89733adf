"""Dense local descriptors of colour, texture and structure: the embedding of the `regions` segmenter.

No weights: every channel is a fixed filter of the CIELAB image. The weights say how much a channel
should turn the angle between two dates. Green-red (a*) follows the season and counts little;
blue-yellow (b*) sets roofs, roads and bare ground apart from vegetation and counts more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float32]

STRIDE = 2

CHANNEL_WEIGHTS = {
    "lightness_fine": 1.22,
    "lightness_coarse": 1.22,
    "green_red": 0.8,
    "blue_yellow_fine": 1.5,
    "blue_yellow_coarse": 1.5,
    "blue_yellow_wide": 1.25,
    "contrast_fine": 1.1,
    "contrast_coarse": 1.1,
    "contrast_wide": 1.1,
    "coherence": 1.5,
    "orientation_cos": 1.0,
    "orientation_sin": 1.0,
    "detail_fine": 1.0,
    "detail_coarse": 1.0,
    "detail_wide": 1.0,
    "bright_structures": 1.0,
    "dark_structures": 1.0,
}
CONSTANT_WEIGHT = 1.6 * sum(weight**2 for weight in CHANNEL_WEIGHTS.values()) ** 0.5


def describe(lab: Image) -> Image:
    """Descriptor channels of one image, not yet normalised.

    ``lab`` float32 [H, W, 3], CIELAB. Returns float32 [C, h, w] in the order of
    ``CHANNEL_WEIGHTS`` with h = ceil(H / 2), w = ceil(W / 2): cell (i, j) is centred on the corner
    that the pixels (2i, 2j) and (2i + 1, 2j + 1) share. Filter sizes in the code are pixels of the
    full image.
    """
    lightness, green_red, blue_yellow = (_halve(lab[..., k]) for k in range(3))
    squared = _halve(lab[..., 0] ** 2)
    blurred = {1: _blur(lightness, 1), 2: _blur(lightness, 2), 4: _blur(lightness, 4)}
    octave_8, octave_16 = _blur(lightness, 8), _blur(lightness, 16)
    rows, columns = _derivatives(lightness, 1.0)
    wide_rows, wide_columns = _derivatives(lightness, 3.0)
    coherence, _, _ = _structure(rows, columns)
    _, cosine, sine = _structure(wide_rows, wide_columns)
    return np.stack(
        [
            blurred[1],
            blurred[4],
            _blur(green_red, 2),
            _blur(blue_yellow, 1),
            _blur(blue_yellow, 4),
            _blur(blue_yellow, 8),
            _deviation(squared, 2, blurred[2]),
            _deviation(squared, 8, octave_8),
            _deviation(squared, 16, octave_16),
            coherence,
            cosine,
            sine,
            _blur(np.abs(blurred[1] - blurred[2]), 3),
            _blur(np.abs(blurred[2] - blurred[4]), 6),
            _blur(np.abs(octave_8 - octave_16), 12),
            _blur(lightness - ndimage.grey_opening(lightness, (5, 5)), 1.5),
            _blur(ndimage.grey_closing(lightness, (5, 5)) - lightness, 1.5),
        ]
    )


def _halve(channel: Image) -> Image:
    """Mean of 2 x 2 pixels; an odd last row or column stands for itself."""
    height, width = channel.shape
    even = np.pad(channel, ((0, height % 2), (0, width % 2)), mode="edge")
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4)


def _blur(channel: Image, sigma: float) -> Image:
    return np.asarray(ndimage.gaussian_filter(channel, sigma / STRIDE, truncate=3))


def _deviation(squared: Image, sigma: float, mean: Image) -> Image:
    return np.asarray(np.sqrt(np.maximum(_blur(squared, sigma) - mean**2, 0)))


def _derivatives(channel: Image, sigma: float) -> tuple[Image, Image]:
    scale = sigma / STRIDE
    rows = ndimage.gaussian_filter(channel, scale, order=(1, 0), truncate=4)
    columns = ndimage.gaussian_filter(channel, scale, order=(0, 1), truncate=4)
    return rows, columns


def _structure(rows: Image, columns: Image) -> tuple[Image, Image, Image]:
    """Coherence and double-angle direction of the structure tensor, each in [-1, 1].

    The added 1 (one lightness unit per cell, squared) keeps flat ground, whose direction is noise,
    near zero.
    """
    xx, yy = _blur(columns**2, 6), _blur(rows**2, 6)
    xy = _blur(rows * columns, 6)
    energy = xx + yy + 1
    cosine, sine = (xx - yy) / energy, 2 * xy / energy
    return np.hypot(cosine, sine), cosine, sine
