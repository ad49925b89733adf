"""The gently bent frame in which the plan is drawn.

Plan coordinates (u, v) in metres are the world turned by an angle of the seed's choice and bent
by smooth noise, so that what is straight in the plan is a little curved on the ground. The frame
knows nothing of the scene's size: a small scene is the middle of a large one.
"""

from __future__ import annotations

import math

import numpy as np

from terradelta.synth.grid import Axes, Float32, Float64
from terradelta.synth.texture import Layer, Noise

# (wavelength, amplitude) in metres. The bends are small against their wavelengths, so that the
# map stays one-to-one and nearly keeps lengths.
_BENDS = ((640.0, 30.0), (300.0, 9.0), (90.0, 1.2))
_ITERATIONS = 7


class Frame:
    """The map between world and plan coordinates of one seed."""

    def __init__(self, noise: Noise, angle: float, origin: tuple[float, float]) -> None:
        """The world's origin lies at ``origin`` in the plan, turned by ``angle`` radians."""
        self._noise = noise
        self._cos, self._sin = math.cos(angle), math.sin(angle)
        du, dv = self._bend(np.zeros(1), np.zeros(1))
        self._origin = origin[0] - float(du[0]), origin[1] - float(dv[0])

    def grid(self, axes: Axes) -> tuple[Float32, Float32]:
        """Plan coordinates (u, v) of every pixel, each float32 [h, w]."""
        x, y = axes.x[None, :], axes.y[:, None]
        u = (self._origin[0] + self._cos * x + self._sin * y).astype(np.float32)
        v = (self._origin[1] + self._cos * y - self._sin * x).astype(np.float32)
        for octave, (wavelength, amplitude) in enumerate(_BENDS):
            scale = np.float32(amplitude)
            u += scale * self._noise.grid(axes, wavelength, Layer.BEND_U, octave)
            v += scale * self._noise.grid(axes, wavelength, Layer.BEND_V, octave)
        return u, v

    def to_world(self, u: Float64, v: Float64) -> tuple[Float64, Float64]:
        """World coordinates of plan points (same shape), to about a centimetre."""
        u, v = u - self._origin[0], v - self._origin[1]
        du, dv = np.zeros_like(u), np.zeros_like(v)
        for _ in range(_ITERATIONS):
            x = self._cos * (u - du) - self._sin * (v - dv)
            y = self._sin * (u - du) + self._cos * (v - dv)
            du, dv = self._bend(x, y)
        return x, y

    def place(
        self, u: Float64, v: Float64, du: Float64, dv: Float64
    ) -> tuple[Float64, Float64, Float64]:
        """World position and angle (radians, from x towards y) of directions drawn in the plan."""
        x, y = self.to_world(u, v)
        ahead_x, ahead_y = self.to_world(u + 4 * du, v + 4 * dv)
        return x, y, np.arctan2(ahead_y - y, ahead_x - x)

    def _bend(self, x: Float64, y: Float64) -> tuple[Float64, Float64]:
        du, dv = np.zeros_like(x), np.zeros_like(y)
        for octave, (wavelength, amplitude) in enumerate(_BENDS):
            du += amplitude * self._noise.at(x, y, wavelength, Layer.BEND_U, octave)
            dv += amplitude * self._noise.at(x, y, wavelength, Layer.BEND_V, octave)
        return du, dv
