"""Values of any type to 8 bit, by one rule for a whole scene and both dates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.geo.radiometry import Normalisation
from terradelta.geo.sample import Sample

PERCENTILES = (1.0, 99.0)

Bands = tuple[float, float, float]
RGB = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Radiometry:
    """How the values of a scene become 8 bit, each of three bands by itself.

    ``gain`` and ``offset`` bring *after* to the scale of *before* (``gain * value + offset``); ``low``
    and ``high``, in that scale, become 0 and 255 in both dates. ``fill_before`` and ``fill_after`` are
    the mean colours, which stand where a pixel is invalid.
    """

    gain: Bands
    offset: Bands
    low: Bands
    high: Bands
    fill_before: Bands
    fill_after: Bands

    def to_rgb8(
        self, before: NDArray[Any], after: NDArray[Any], valid: NDArray[np.bool_]
    ) -> tuple[RGB, RGB]:
        """Both dates of a window, [3, h, w] of any type, as uint8 [h, w, 3]."""
        identity = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
        return (
            self._rgb8(before, *identity, self.fill_before, valid),
            self._rgb8(after, self.gain, self.offset, self.fill_after, valid),
        )

    def describe(self) -> dict[str, Any]:
        """Plain values for a JSON file; ``Radiometry.of_dict`` reads them."""
        return {name: list(values) for name, values in asdict(self).items()}

    @classmethod
    def of_dict(cls, values: dict[str, Any]) -> Radiometry:
        """The radiometry that :meth:`describe` described."""
        return cls(**{name: tuple(bands) for name, bands in values.items()})

    def _rgb8(
        self,
        values: NDArray[Any],
        gain: Bands,
        offset: Bands,
        fill: Bands,
        valid: NDArray[np.bool_],
    ) -> RGB:
        image = np.empty((*valid.shape, 3), np.uint8)
        for band in range(3):
            scale = 255 / (self.high[band] - self.low[band])
            slope, start = gain[band] * scale, (offset[band] - self.low[band]) * scale
            if values.dtype == np.uint8 and (slope, start) == (1, 0):
                image[..., band] = values[band]
            else:
                stretched = values[band].astype(np.float32) * np.float32(slope) + np.float32(start)
                image[..., band] = (np.clip(stretched, 0, 255) + 0.5).astype(np.uint8)
        image[~valid] = np.round(fill).astype(np.uint8)
        return image


def scene_radiometry(sample: Sample, normalisation: Normalisation) -> Radiometry:
    """The one stretch of a scene, from a sample of it.

    If *before* is an 8-bit file its values are kept, and *after* is brought to them. Otherwise 0 and
    255 are the 1st and 99th percentile of both dates together, after normalisation.
    """
    before, after = sample.pixels()
    gain, offset = normalisation.gain, normalisation.offset
    slope, start = (np.array(bands, np.float32)[:, None] for bands in (gain, offset))
    after = after * slope + start
    low, high = np.zeros(3), np.full(3, 255.0)
    if sample.dtypes[0] != np.uint8:
        low, high = np.percentile(np.concatenate([before, after], 1), PERCENTILES, axis=1)
        high = np.where(high > low, high, low + 1)
    means = [_bands(np.clip((v.mean(1) - low) / (high - low), 0, 1) * 255) for v in (before, after)]
    return Radiometry(gain, offset, _bands(low), _bands(high), *means)


def _bands(values: NDArray[Any]) -> Bands:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
