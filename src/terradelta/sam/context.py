"""What `regions` must know of both dates before it encodes one: radiometry and channel statistics.

The histograms of both dates are matched to their common middle, so that swapping the dates changes
nothing. Changed pixels would spoil the match: a first pass measures the angle at every cell and gives
the cells that seem changed little weight in the histograms of the next (iteratively reweighted
relative radiometric normalisation on pseudo-invariant pixels).

Where everything changed there is nothing to match on, and matching would turn new roofs into old
meadow. The match is therefore trusted only as far as a cell resembles the same cell of the other date
more than it resembles other cells of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab

from terradelta.sam.descriptors import CHANNEL_WEIGHTS, CONSTANT_WEIGHT, describe
from terradelta.sam.segmenter import RGB, BoolArray
from terradelta.sam.threads import in_threads

Floats = NDArray[np.float32]

REWEIGHTINGS = 2
HALF_WEIGHT_OFFSET_DEG = 2.0
RATIO_OF_FULL_TRUST = 0.85
TRUST_CELLS = 1 << 14
SMALLEST_DEVIATION = 1e-3
WEIGHTS = np.array(list(CHANNEL_WEIGHTS.values()), np.float32)[:, None, None]


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """An image after its curves: ``lab`` float32 [H, W, 3], descriptor ``channels`` [C, h, w]."""

    image: RGB
    lab: Floats
    channels: Floats

    @classmethod
    def of(cls, image: RGB, curves: Floats) -> Described:
        lab = _lab(image, curves)
        return cls(image, lab, describe(lab))


@dataclass(frozen=True, slots=True, eq=False)
class RegionContext:
    """How one date is encoded: radiometric curves, then the statistics that normalise its channels.

    ``curves`` float32 [3, 256] maps each 8-bit band to [0, 1]; ``mean`` and ``deviation`` float32 [C]
    of the descriptor channels over both dates; ``contrast`` standard deviation of L* over both dates.
    ``described`` is what the statistics were taken from, so that encoding need not work it out again.
    """

    curves: Floats
    mean: Floats
    deviation: Floats
    contrast: float
    described: Described | None = None

    def describe(self, image: RGB) -> Described:
        """Colour and channels of an image: those at hand if it is the one the context was made of."""
        if self.described is not None and self.described.image is image:
            return self.described
        return Described.of(image, self.curves)

    def stored(self) -> dict[str, Any]:
        """Plain values, for `restored`; without ``described``, which only saves time."""
        arrays = {"curves": self.curves, "mean": self.mean, "deviation": self.deviation}
        return {**{name: a.tolist() for name, a in arrays.items()}, "contrast": self.contrast}

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> RegionContext:
        curves, mean, deviation = (
            np.array(stored[name], np.float32) for name in ("curves", "mean", "deviation")
        )
        return cls(curves, mean, deviation, float(stored["contrast"]))

    def lab(self, image: RGB) -> Floats:
        """CIELAB float32 [H, W, 3] of a uint8 image after its radiometric curves."""
        return _lab(image, self.curves)

    def normalise(self, channels: Floats) -> Floats:
        """The embedding: weighted z-scores and the constant channel, float32 [C + 1, h, w].

        The constant keeps the angle between two featureless places small; without it their noise
        would point in random directions.
        """
        count, height, width = channels.shape
        embedding = np.full((count + 1, height, width), CONSTANT_WEIGHT, np.float32)
        scored = np.subtract(channels, self.mean[:, None, None], out=embedding[:-1])
        scored /= self.deviation[:, None, None]
        scored *= WEIGHTS
        return embedding


def region_contexts(
    before: RGB, after: RGB, valid: BoolArray
) -> tuple[RegionContext, RegionContext]:
    """The contexts of both dates of a pair, uint8 [H, W, 3] each, over the pixels in ``valid``."""
    coarse = _halve(before), _halve(after)
    coarse_valid = _halve_mask(valid)
    cells = _halve_mask(coarse_valid)
    weight: NDArray[Any] = coarse_valid.astype(np.float32)
    for _ in range(REWEIGHTINGS):
        angle = _cell_angles(*_embeddings(coarse, _contexts(coarse, weight, 1.0, coarse_valid)))
        half_weight = _median(angle, cells) + HALF_WEIGHT_OFFSET_DEG
        weight = coarse_valid / (1 + (_double(angle, coarse_valid.shape) / half_weight) ** 4)
    trust = _trust(*_embeddings(coarse, _contexts(coarse, weight, 1.0, coarse_valid)), cells)
    return _contexts((before, after), _double(weight, valid.shape) * valid, trust, valid)


def _contexts(
    images: tuple[RGB, RGB], weight: NDArray[Any], trust: float, valid: BoolArray
) -> tuple[RegionContext, RegionContext]:
    """Contexts from histograms with a weight per pixel; ``trust`` 0 leaves the radiometry alone."""
    identity = np.arange(256, dtype=np.float32) / 255
    matching = _matching_curves(*images, weight)
    curves = [np.asarray(trust * c + (1 - trust) * identity, np.float32) for c in matching]
    seen = in_threads(Described.of, images, curves)
    cells = _halve_mask(valid)
    mean, deviation = _statistics([one.channels for one in seen], cells)
    lightness = np.concatenate([one.lab[..., 0][valid] for one in seen])
    contrast = max(float(lightness.std()) if lightness.size else 0.0, SMALLEST_DEVIATION)
    before, after = (
        RegionContext(curve, mean, deviation, contrast, one)
        for curve, one in zip(curves, seen, strict=True)
    )
    return before, after


def _statistics(channels: list[Floats], cells: BoolArray) -> tuple[Floats, Floats]:
    """Mean and standard deviation, float32 [C] each, of [C, h, w] of both dates over ``cells``.

    The deviation is at least `SMALLEST_DEVIATION`.
    """
    inside = np.concatenate([one.reshape(len(one), -1).T[cells.ravel()] for one in channels])
    if not len(inside):
        nothing = np.zeros(len(WEIGHTS), np.float32)
        return nothing, nothing + np.float32(SMALLEST_DEVIATION)
    mean = inside.mean(0)
    inside -= mean
    np.square(inside, out=inside)
    return mean, np.maximum(np.sqrt(inside.mean(0)), SMALLEST_DEVIATION)


def _matching_curves(before: RGB, after: RGB, weight: NDArray[Any]) -> tuple[Floats, Floats]:
    """Per band, the curves (float32 [3, 256], to [0, 1]) that meet in the middle of both histograms."""
    grey = np.arange(256.0)
    curves = np.empty((2, 3, 256), np.float32)
    for band in range(3):
        first, second = (_cumulative(image[..., band], weight) for image in (before, after))
        curves[0, band] = (grey + np.interp(first, second, grey)) / 2
        curves[1, band] = (grey + np.interp(second, first, grey)) / 2
    return curves[0] / 255, curves[1] / 255


def _cumulative(band: NDArray[np.uint8], weight: NDArray[Any]) -> NDArray[np.float64]:
    """Strictly rising cumulative distribution at the 256 grey levels, each level counted by half."""
    histogram = np.bincount(band.ravel(), weight.ravel(), 256)
    histogram = ndimage.gaussian_filter1d(histogram, 0.7, mode="nearest")
    histogram += 1e-9 * max(histogram.sum(), 1e-9)
    return np.asarray((np.cumsum(histogram) - histogram / 2) / histogram.sum())


def _trust(before: Floats, after: Floats, cells: BoolArray) -> float:
    """How far the match is trusted, in [0, 1], from the embeddings it leads to.

    With r the median angle at a cell over the median angle to other places (those a multiple of a
    quarter of the image away): 1 up to `RATIO_OF_FULL_TRUST`, falling to 0 where the dates are no more
    alike than any two places.
    """
    step = max(1, int((cells.size / TRUST_CELLS) ** 0.5))
    cells = cells[::step, ::step]
    height, width = (4 * (side // 4) for side in cells.shape)
    before, after = (z[:, ::step, ::step][:, :height, :width] for z in (before, after))
    cells = cells[:height, :width]
    elsewhere = []
    for quarters in list(np.ndindex(4, 4))[1:]:
        shift = height * quarters[0] // 4, width * quarters[1] // 4
        both = cells & np.roll(cells, shift, (0, 1))
        if both.any():
            elsewhere.append(_median(_cell_angles(before, np.roll(after, shift, (1, 2))), both))
    if not elsewhere:
        return 1.0
    here = _median(_cell_angles(before, after), cells)
    ratio = here / max(float(np.mean(elsewhere)), SMALLEST_DEVIATION)
    return float(np.clip((1 - ratio) / (1 - RATIO_OF_FULL_TRUST), 0, 1))


def _median(angle: Floats, cells: BoolArray) -> float:
    return float(np.median(angle[cells])) if cells.any() else 0.0


def _embeddings(
    images: tuple[RGB, RGB], contexts: tuple[RegionContext, RegionContext]
) -> tuple[Floats, Floats]:
    """The embeddings, float32 [C + 1, h, w], of both dates."""
    before, after = (
        context.normalise(context.describe(image).channels)
        for image, context in zip(images, contexts, strict=True)
    )
    return before, after


def _cell_angles(before: Floats, after: Floats) -> Floats:
    """Angle in degrees at every cell of two embeddings [C, h, w], float32 [h, w]."""
    norms = np.sqrt((before**2).sum(0) * (after**2).sum(0))
    cosine = (before * after).sum(0) / norms
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))), np.float32)


def _lab(image: RGB, curves: Floats) -> Floats:
    bands = [curve[image[..., band]] for band, curve in enumerate(curves)]
    return np.asarray(rgb2lab(np.stack(bands, -1)), np.float32)


def _halve(image: RGB) -> RGB:
    return np.asarray(Image.fromarray(image).reduce(2))


def _halve_mask(valid: BoolArray) -> BoolArray:
    """A cell is valid where any of its pixels is: bool [ceil(H / 2), ceil(W / 2)]."""
    height, width = valid.shape
    even = np.pad(valid, ((0, height % 2), (0, width % 2)), mode="edge")
    return even[::2, ::2] | even[1::2, ::2] | even[::2, 1::2] | even[1::2, 1::2]


def _double(cells: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    return np.repeat(np.repeat(cells, 2, 0), 2, 1)[: shape[0], : shape[1]]
