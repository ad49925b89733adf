"""The parts of a pair that are looked at: the whole, and for tiny changes enlarged windows of it.

Upsampling a region before segmenting it brings out changes of a few pixels (AnyChange, appendix F).
A segmenter with a fixed canvas shrinks whatever it is given, so that only windows can be enlarged;
the whole is looked at as well, for what no window holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from terradelta.sam.masks import FloatArray, Masks
from terradelta.sam.segmenter import RGB, BoolArray

OVERLAP = 0.25
"""Share of a window that its neighbour repeats."""


@dataclass(frozen=True, slots=True)
class View:
    """The window (x0, y0, x1, y1) px of an image of ``shape`` (H, W), enlarged by ``factor``."""

    shape: tuple[int, int]
    x0: int
    y0: int
    x1: int
    y1: int
    factor: int

    def look(self, image: RGB) -> RGB:
        """The enlarged window, uint8 [h * factor, w * factor, 3], bilinear."""
        window = image[self.y0 : self.y1, self.x0 : self.x1]
        if self.factor == 1:
            return np.ascontiguousarray(window)
        size = (window.shape[1] * self.factor, window.shape[0] * self.factor)
        return np.array(Image.fromarray(window).resize(size, Image.Resampling.BILINEAR))

    def enlarge_mask(self, valid: BoolArray) -> BoolArray:
        """The window of a bool [H, W] image, every pixel repeated."""
        window = valid[self.y0 : self.y1, self.x0 : self.x1]
        return window.repeat(self.factor, 0).repeat(self.factor, 1)

    def point(self, x: float, y: float) -> NDArray[np.float64]:
        """A point of the image in pixels of the enlarged window, float64 [1, 2]."""
        return np.array([[(x - self.x0) * self.factor, (y - self.y0) * self.factor]], float)

    def margin(self, x: float, y: float) -> float:
        """How far inside the window a point of the image lies, px; negative outside."""
        return min(x - self.x0, y - self.y0, self.x1 - x, self.y1 - y)

    def to_image(self, masks: Masks) -> Masks:
        """Masks of the enlarged window as masks of the image; a pixel is in if half of it is."""
        if self.factor == 1:
            return masks.moved(self.shape, self.x0, self.y0)
        small = (self.y1 - self.y0, self.x1 - self.x0)
        shrunk = [Masks.empty(small)]
        for n in range(len(masks)):
            crop, x0, y0 = masks.crop(n)
            shrunk.append(self._shrink(crop, x0, y0, small))
        return Masks.concatenate(shrunk).moved(self.shape, self.x0, self.y0)

    def _shrink(self, crop: BoolArray, x0: int, y0: int, small: tuple[int, int]) -> Masks:
        f = self.factor
        left, top = x0 // f, y0 // f
        right, bottom = -(-(x0 + crop.shape[1]) // f), -(-(y0 + crop.shape[0]) // f)
        fitted = np.zeros(((bottom - top) * f, (right - left) * f), bool)
        y, x = y0 - top * f, x0 - left * f
        fitted[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        blocks = fitted.reshape(bottom - top, f, right - left, f).sum((1, 3))
        return Masks.from_dense((2 * blocks >= f * f)[None]).moved(small, left, top)

    def is_cut(self, boxes: FloatArray) -> BoolArray:
        """Which boxes [N, 4] of the image touch a border of the window inside the image."""
        height, width = self.shape
        return np.asarray(
            ((boxes[:, 0] <= self.x0) & (self.x0 > 0))
            | ((boxes[:, 1] <= self.y0) & (self.y0 > 0))
            | ((boxes[:, 2] >= self.x1) & (self.x1 < width))
            | ((boxes[:, 3] >= self.y1) & (self.y1 < height))
        )


def views_of(shape: tuple[int, int], upscale: int, *, enlarge_windows: bool) -> list[View]:
    """The whole image; with ``upscale`` above 1 enlarged: whole, or window by window."""
    height, width = shape
    if not enlarge_windows:
        return [View(shape, 0, 0, width, height, upscale)]
    whole = View(shape, 0, 0, width, height, 1)
    if upscale == 1:
        return [whole]
    windows = [
        View(shape, x0, y0, x1, y1, upscale)
        for y0, y1 in _spans(height, upscale)
        for x0, x1 in _spans(width, upscale)
    ]
    return [whole, *windows]


def _spans(length: int, parts: int) -> list[tuple[int, int]]:
    """``parts`` equal, overlapping spans that cover 0 to ``length``."""
    span = min(length, int(np.ceil(length / (parts - (parts - 1) * OVERLAP))))
    starts = np.linspace(0, length - span, parts).astype(int)
    return [(int(start), int(start) + span) for start in dict.fromkeys(starts.tolist())]
