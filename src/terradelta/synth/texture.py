"""Coordinate-hashed noise: the grain of every surface, the same for a place whoever looks at it.

A lattice of pseudo-random values is hashed from integer coordinates and interpolated with cubic
B-splines. Per pixel only correctly rounded operations are used (no ``sin``, ``exp`` or ``pow``,
whose last bit depends on the processor), so the same place gives the same bits in any window and
on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from terradelta.synth.grid import Axes, Float32, Float64

Integers = NDArray[np.int64]

# Standard deviation of cubic B-spline noise over uniform [-1, 1) lattice values, in 2-D and 1-D:
# sqrt(1/3) times the root of the B-spline's autocorrelation at zero, 151/315, per axis.
_STD_2D = (1 / 3) ** 0.5 * (151 / 315)
_STD_1D = (1 / 3) ** 0.5 * (151 / 315) ** 0.5


class Layer(IntEnum):
    """What a noise field is for; each layer has its own salt."""

    BEND_U = 0
    BEND_V = auto()
    PATCH = auto()
    MOTTLE = auto()
    VEINS = auto()
    GRAIN = auto()
    LEAF = auto()
    STREAK = auto()
    TRAIL = auto()
    WEAR = auto()
    BANK = auto()
    MEANDER = auto()
    CHANNEL = auto()
    RELIEF = auto()
    SENSOR = auto()


def hash_lattice(ix: Integers, iy: Integers, salt: int) -> NDArray[np.uint32]:
    """Hash integer coordinates (broadcast together) to uint32."""
    x = ix.astype(np.uint32) * np.uint32(0x9E3779B1) + np.uint32(salt)
    y = iy.astype(np.uint32) * np.uint32(0x85EBCA77)
    h = np.asarray(x ^ ((y << np.uint32(13)) | (y >> np.uint32(19))))
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x7FEB352D)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x846CA68B)
    h ^= h >> np.uint32(16)
    return h


def hash_uniform(ix: Integers, iy: Integers, salt: int) -> Float32:
    """Hash integer coordinates to float32 in [0, 1), in steps of 2^-24."""
    bits = hash_lattice(ix, iy, salt) >> np.uint32(8)
    return bits.astype(np.float32) * np.float32(2**-24)


class Noise:
    """All noise fields of one seed. Values have mean 0 and standard deviation 1."""

    def __init__(self, seed: int) -> None:
        words = np.random.SeedSequence(seed).generate_state(len(Layer), np.uint32)
        self._salts = [int(word) for word in words]

    def salt(self, layer: Layer, octave: int = 0) -> int:
        return (self._salts[layer] + 0x632BE5AB * octave) & 0xFFFFFFFF

    def grid(self, axes: Axes, wavelength: float, layer: Layer, octave: int = 0) -> Float32:
        """Noise at every pixel [h, w]; ``wavelength`` in metres is the lattice's spacing."""
        first_x, weights_x = _taps(axes.x / wavelength)
        first_y, weights_y = _taps(axes.y / wavelength)
        nodes, column, row = self._nodes(first_x, first_y, layer, octave)
        rows = nodes[row] * weights_y[0][:, None]
        for k in (1, 2, 3):
            rows += nodes[row + k] * weights_y[k][:, None]
        out = rows.take(column, axis=1) * weights_x[0]
        for k in (1, 2, 3):
            out += rows.take(column + k, axis=1) * weights_x[k]
        return np.asarray(out, np.float32)

    def fractal(
        self, axes: Axes, wavelengths: Sequence[float], layer: Layer, gain: float
    ) -> Float32:
        """Octaves of :meth:`grid`, each ``gain`` times the one before; unit deviation together.

        Octaves finer than 1.5 pixels are left out: they would alias.
        """
        total = np.zeros(axes.shape, np.float32)
        power = sum(gain ** (2 * k) for k in range(len(wavelengths)))
        for octave, wavelength in enumerate(wavelengths):
            if wavelength >= 1.5 * axes.step:
                amplitude = np.float32(gain**octave / power**0.5)
                total += self.grid(axes, wavelength, layer, octave) * amplitude
        return total

    def at(
        self, x: Float64, y: Float64, wavelength: float, layer: Layer, octave: int = 0
    ) -> Float64:
        """:meth:`grid` at scattered points ``x``, ``y`` (same shape), in float64."""
        total = np.zeros(np.shape(x), np.float64)
        if total.size == 0:
            return total
        first_x, weights_x = _taps(x / wavelength)
        first_y, weights_y = _taps(y / wavelength)
        nodes, column, row = self._nodes(first_x, first_y, layer, octave)
        for j in range(4):
            for i in range(4):
                weight = weights_y[j].astype(np.float64) * weights_x[i]
                total += weight * nodes[row + j, column + i]
        return total

    def line(self, t: Float32, wavelength: float, layer: Layer, octave: int = 0) -> Float32:
        """One-dimensional noise along ``t`` (metres, any shape)."""
        if t.size == 0:
            return np.zeros_like(t)
        position = t * np.float32(1 / wavelength)
        cell = np.floor(position)
        f = position - cell
        index = cell.astype(np.int64)
        low, high = int(index.min()), int(index.max())
        index -= low
        steps = np.arange(low - 1, high + 3)
        nodes = _lattice(steps, np.zeros(1, np.int64), self.salt(layer, octave))
        nodes *= np.float32(1 / (6 * _STD_1D))
        # Each cell's cubic, so that a sample costs four look-ups.
        a, b, c, d = (nodes[k : len(nodes) - 3 + k] for k in range(4))
        value = (d - a + 3 * (b - c)).take(index)
        value = value * f + (3 * (a + c) - 6 * b).take(index)
        value = value * f + (3 * (c - a)).take(index)
        return np.asarray(value * f + (a + 4 * b + c).take(index), np.float32)

    def white(self, columns: Integers, rows: Integers, layer: Layer, octave: int) -> Float32:
        """Independent noise at every pixel of a window [h, w], of triangular distribution."""
        bits = hash_lattice(columns[None, :], rows[:, None], self.salt(layer, octave))
        halves = (bits >> np.uint32(16)).astype(np.float32) + (bits & np.uint32(0xFFFF))
        return np.asarray(halves * np.float32(6**0.5 / 2**16) - np.float32(6**0.5), np.float32)

    def _nodes(
        self, first_x: Integers, first_y: Integers, layer: Layer, octave: int
    ) -> tuple[Float32, Integers, Integers]:
        """The lattice nodes that taps need, and each tap's first column and row among them."""
        low_x, low_y = first_x.min(), first_y.min()
        nodes_x = np.arange(low_x, first_x.max() + 4)
        nodes_y = np.arange(low_y, first_y.max() + 4)
        nodes = _lattice(nodes_x[None, :], nodes_y[:, None], self.salt(layer, octave))
        nodes *= np.float32(1 / _STD_2D)
        return nodes, first_x - low_x, first_y - low_y


def smoothstep(low: float, high: float, value: Float32) -> Float32:
    """0 on the far side of ``low``, 1 beyond ``high``, smooth between; falls if high < low."""
    t = np.clip((value - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def triangle_wave(t: Float32, period: float) -> Float32:
    """A wave along ``t`` that rises and falls straight between -1 and 1."""
    phase = t * np.float32(1 / period)
    return np.asarray(4 * np.abs(phase - np.floor(phase) - np.float32(0.5)) - 1, np.float32)


def _lattice(ix: Integers, iy: Integers, salt: int) -> Float32:
    return np.asarray(hash_uniform(ix, iy, salt) * np.float32(2) - np.float32(1), np.float32)


def _taps(position: Float64) -> tuple[Integers, list[Float32]]:
    """First of the four lattice nodes around each position, and their B-spline weights."""
    cell = np.floor(position)
    t = position - cell
    s = 1 - t
    weights = (
        s * s * s / 6,
        (t * t * (3 * t - 6) + 4) / 6,
        (s * s * (3 * s - 6) + 4) / 6,
        t * t * t / 6,
    )
    return cell.astype(np.int64) - 1, [weight.astype(np.float32) for weight in weights]
