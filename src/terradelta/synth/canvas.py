"""The surface of a window while it is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terradelta.synth.grid import Float32
from terradelta.synth.shapes import NO_EVENT, Colour

FlatIndex = NDArray[np.intp]


@dataclass
class Canvas:
    """Surface layers over a window [h, w].

    ``albedo`` [h, w, 3]; ``green``, how far the season tints it; ``height`` above level ground in
    metres; ``slope_x`` and ``slope_y``, the rise per metre eastwards and southwards of roofs and
    crowns; ``event``, the number of the event that the visible surface is due to.
    """

    albedo: Float32
    green: Float32
    height: Float32
    slope_x: Float32
    slope_y: Float32
    event: NDArray[np.int64]

    @classmethod
    def level(cls, albedo: Float32, green: Float32) -> Canvas:
        """A level surface without events."""
        height, slope_x, slope_y = np.zeros((3, *green.shape), np.float32)
        event = np.full(green.shape, NO_EVENT, np.int64)
        return cls(albedo, green, height, slope_x, slope_y, event)

    def copy(self) -> Canvas:
        return Canvas(
            self.albedo.copy(),
            self.green.copy(),
            self.height.copy(),
            self.slope_x.copy(),
            self.slope_y.copy(),
            self.event.copy(),
        )


def blend(albedo: Float32, colour: Float32 | Colour, weight: Float32) -> None:
    """Mix ``colour`` into ``albedo`` [..., 3] in place, by ``weight`` [...]."""
    albedo += (np.asarray(colour, np.float32) - albedo) * weight[..., None]


def lit(colour: Colour, lightness: Float32) -> Float32:
    """A colour times ``lightness`` [...], not below black: [..., 3]."""
    return np.asarray(np.array(colour, np.float32) * np.maximum(lightness, 0)[..., None])


def coverage(inside: Float32, step: float) -> Float32:
    """Share of a pixel within an outline, from its distance inside it (metres)."""
    share = np.clip(inside * np.float32(1 / step) + np.float32(0.5), 0, 1)
    return np.asarray(share, np.float32)
