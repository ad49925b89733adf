"""What a baseline answers: a change intensity for every pixel, a threshold, and objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from terradelta.geo.pair import Pair
from terradelta.sam.masks import FloatArray, Masks

EIGHT_CONNECTED = np.ones((3, 3))


@dataclass(frozen=True, slots=True, eq=False)
class BaselineChanges:
    """N objects with a score each, float32 [N], the largest first, and the intensity they come from.

    ``intensity`` float32 [H, W], larger is more changed, in the unit of the method; pixels above
    ``threshold`` are change. It is 0 where the pair is not valid.
    """

    _masks: Masks
    score: FloatArray
    intensity: FloatArray
    threshold: float
    pair: Pair
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_intensity(
        cls,
        intensity: NDArray[Any],
        pair: Pair,
        settings: Mapping[str, Any],
        threshold: float | None = None,
    ) -> BaselineChanges:
        """The objects are the 8-connected components above the threshold, by default Otsu's.

        The score of an object is its mean intensity.
        """
        intensity = np.where(pair.valid, intensity, 0).astype(np.float32)
        if threshold is None:
            threshold = otsu(intensity[pair.valid])
        changed = (intensity > threshold) & pair.valid
        labels, count = ndimage.label(changed, structure=EIGHT_CONNECTED)
        masks = Masks.from_labels(labels.astype(np.int32) - 1, count)
        return cls.of_objects(
            masks, _means(labels, intensity, count), intensity, threshold, pair, settings
        )

    @classmethod
    def of_objects(
        cls,
        masks: Masks,
        score: NDArray[Any],
        intensity: FloatArray,
        threshold: float,
        pair: Pair,
        settings: Mapping[str, Any],
    ) -> BaselineChanges:
        """Objects in any order."""
        order = np.argsort(-score, kind="stable")
        ranked = np.asarray(score, np.float32)[order]
        return cls(masks[order], ranked, intensity, float(threshold), pair, settings)

    def __len__(self) -> int:
        return len(self._masks)

    def __repr__(self) -> str:
        height, width = self._masks.shape
        return f"BaselineChanges({len(self)} on {width} x {height} px, > {self.threshold:.4g})"

    @property
    def boxes(self) -> FloatArray:
        """float32 [N, 4]: x0, y0, x1, y1 in pixel edges, origin top left."""
        return self._masks.boxes

    @property
    def rles(self) -> list[dict[str, Any]]:
        """COCO run-length encodings: ``size`` [H, W] and compressed ``counts``."""
        return self._masks.rles()

    def masks(self) -> NDArray[np.bool_]:
        """bool [N, H, W]."""
        return self._masks.dense()

    def to_mask(self) -> NDArray[np.bool_]:
        """The pixel-level answer, bool [H, W]."""
        return np.asarray((self.intensity > self.threshold) & self.pair.valid)

    def score_image(self) -> FloatArray:
        """float32 [H, W], the intensity."""
        return self.intensity


def otsu(values: NDArray[Any]) -> float:
    """Otsu's threshold; the value itself where all are alike, so that nothing lies above it."""
    if not len(values):
        return 0.0
    if values.min() == values.max():
        return float(values.max())
    # In float32 the bins of values that differ in their last bit would have no width.
    return float(threshold_otsu(values.astype(np.float64)))


def _means(labels: NDArray[Any], intensity: FloatArray, count: int) -> NDArray[np.float64]:
    return np.asarray(ndimage.mean(intensity, labels, np.arange(1, count + 1)), np.float64).reshape(
        count
    )
