"""OBCD: object-based change detection, change vector analysis of objects instead of pixels.

AnyChange's table 6 cites Xiao et al., "Change detection of built-up land: a framework of combining
pixel-based detection and object-based recognition", ISPRS Journal of Photogrammetry and Remote Sensing
119, 2016, a framework for one class of land, and does not say what of it was run on all. This is the
plain method that the name stands for: both dates are segmented as one image, so that objects are the
same in both; an object is described in each date by mean and deviation of its bands; the length of the
difference is cut at Otsu's threshold over the pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

from terradelta.baselines.answer import BaselineChanges
from terradelta.baselines.standard import standardised
from terradelta.errors import UsageError
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.types import Progress, silent

Image = NDArray[np.float32]

COMPACTNESS = 0.3
"""Difference of colour over all bands, as a share of their range, that counts as much as the distance
between neighbouring objects: objects follow edges, not noise."""


class Obcd:
    """Change by the descriptions of objects; the intensity is in standard deviations of the bands.

    Args:
        object_px: mean area of the objects, pixels.

    Raises:
        UsageError: a setting is out of range.
    """

    def __init__(self, *, object_px: int = 400) -> None:
        if object_px < 1:
            raise UsageError(f"object_px is {object_px}: it must be at least 1")
        self.object_px = object_px

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        """What changed between two images of one size, arrays or paths.

        Raises:
            InputError: the images cannot be read or do not fit each other.
        """
        pair = load_pair(before, after)
        dates = standardised(pair)
        progress("segmenting", 0, 2)
        objects = _objects(dates, self.object_px)
        progress("describing", 1, 2)
        first, second = (describe_objects(date, objects, pair.valid) for date in dates)
        intensity = np.linalg.norm(first - second, axis=1)[objects]
        return BaselineChanges.of_intensity(intensity, pair, self.describe())

    def describe(self) -> dict[str, Any]:
        return {"model": "obcd", "object_px": self.object_px}


def _objects(dates: tuple[Image, Image], object_px: int) -> NDArray[np.int64]:
    """Labels from 0, int64 [H, W], of superpixels of the bands of both dates."""
    bands = np.concatenate(dates, axis=-1)
    count = max(1, round(bands.shape[0] * bands.shape[1] / object_px))
    return np.asarray(
        slic(
            bands,
            n_segments=count,
            compactness=COMPACTNESS,
            convert2lab=False,
            start_label=0,
            channel_axis=-1,
        )
    )


def describe_objects(
    image: Image, objects: NDArray[np.int64], valid: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Mean and deviation of the B bands over the valid pixels of each object, float64 [N, 2 B].

    ``image`` [H, W, B], ``objects`` [H, W] from 0 to N - 1. Zeros for an object without valid pixels.
    """
    pixels, owner, count = image[valid].astype(np.float64), objects[valid], int(objects.max()) + 1
    area = np.maximum(np.bincount(owner, minlength=count), 1)[:, None]
    mean = np.stack([np.bincount(owner, band, count) for band in pixels.T], 1) / area
    squares = (pixels - mean[owner]) ** 2
    variance = np.stack([np.bincount(owner, band, count) for band in squares.T], 1) / area
    return np.concatenate([mean, np.sqrt(variance)], axis=1)
