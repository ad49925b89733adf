"""Sunlight: shading by slope, and shadows cast over the height map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terradelta.synth.canvas import Canvas
from terradelta.synth.grid import Float32, gradient

TALLEST = 21.0  # no shadow is longer than that of this many metres
_SKY = 0.37  # the sky's share of the light on level ground
_SKY_TINT = (0.90, 0.97, 1.13)
_BRIGHTEST = 1.75  # of a slope that faces the sun, over level ground
_PENUMBRA = 0.5  # metres of height over which a shadow's edge fades
_LOW = 2.5  # below this height the ground's own relief is shaded


@dataclass(frozen=True)
class Sun:
    """Direction to the sun in the image, a unit vector, and its elevation's tangent."""

    east: float
    south: float
    tangent: float

    @classmethod
    def at(cls, azimuth: float, elevation: float) -> Sun:
        """From azimuth (clockwise from north) and elevation in degrees."""
        angle = math.radians(azimuth)
        return cls(math.sin(angle), -math.cos(angle), math.tan(math.radians(elevation)))

    def reach(self, step: float) -> int:
        """Length in pixels of the longest shadow, with a pixel to interpolate."""
        return math.ceil(TALLEST / self.tangent / step) + 1


def illuminate(canvas: Canvas, sun: Sun, step: float) -> Float32:
    """Light leaving the surface [h, w, 3]; level ground in full sun keeps its albedo."""
    slope_x, slope_y = _slopes(canvas, step)
    rise = slope_x * np.float32(sun.east) + slope_y * np.float32(sun.south)
    length = np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    facing = np.clip((1 - rise / np.float32(sun.tangent)) / length, 0, _BRIGHTEST)
    direct = facing * (1 - shadow(canvas.height, sun, step))
    sky = 0.5 + 0.5 / length
    light = np.empty_like(canvas.albedo)
    for band, tint in enumerate(_SKY_TINT):
        share = np.float32(_SKY * tint)
        light[..., band] = canvas.albedo[..., band] * (direct * (1 - share) + sky * share)
    return light


def _slopes(canvas: Canvas, step: float) -> tuple[Float32, Float32]:
    """Slopes of roofs and crowns as painted; of low ground, from its height."""
    rise_x, rise_y = gradient(canvas.height, step)
    ground = (canvas.slope_x == 0) & (canvas.slope_y == 0) & (canvas.height < _LOW)
    ground &= (np.abs(rise_x) < _LOW) & (np.abs(rise_y) < _LOW)
    return (
        np.where(ground, rise_x, canvas.slope_x),
        np.where(ground, rise_y, canvas.slope_y),
    )


def shadow(height: Float32, sun: Sun, step: float) -> Float32:
    """Share of the sun that is hidden at every pixel, by marching over the height map.

    Each step of the march moves one pixel along the axis nearer to the sun's direction and
    interpolates along the other, so that a pixel depends on its surroundings only.
    """
    steep = abs(sun.south) >= abs(sun.east)
    z = height if steep else height.T
    major, minor = (sun.south, sun.east) if steep else (sun.east, sun.south)
    ratio = minor / abs(major)
    drop = math.hypot(1.0, ratio) * step * sun.tangent
    rows, columns = z.shape
    horizon = np.full(z.shape, -np.inf, np.float32)
    for n in range(1, min(math.ceil(TALLEST / drop), rows - 1) + 1):
        whole = math.floor(n * ratio)
        part = np.float32(n * ratio - whole)
        left, right = max(0, -whole), min(columns, columns - whole - 1)
        if left >= right:
            break
        towards, here = slice(n, rows), slice(0, rows - n)
        if major < 0:
            towards, here = here, towards
        near = z[towards, left + whole : right + whole]
        beyond = z[towards, left + whole + 1 : right + whole + 1]
        ray = near + (beyond - near) * part - np.float32(n * drop)
        view = horizon[here, left:right]
        np.maximum(view, ray, out=view)
    hidden = np.asarray(np.clip((horizon - z) * np.float32(1 / _PENUMBRA), 0, 1), np.float32)
    return hidden if steep else hidden.T
