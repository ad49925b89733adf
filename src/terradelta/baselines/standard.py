"""Bands on one scale: what takes a brightness, a contrast or a haze of a whole date out of a pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terradelta.geo.pair import Pair


def standardised(pair: Pair) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Before and after, float32 [H, W, 3], each band with mean 0 and variance 1 over valid pixels.

    Invalid pixels are 0, and so are constant bands.
    """
    return _standardised(pair.before, pair.valid), _standardised(pair.after, pair.valid)


def _standardised(image: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    values = image[valid]
    deviation = values.std(0, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, np.inf)
    table = (np.arange(256)[:, None] - values.mean(0, dtype=np.float64)) / scale
    bands = [table[image[..., band], band].astype(np.float32) for band in range(image.shape[2])]
    return np.where(valid[..., None], np.stack(bands, -1), np.float32(0))
