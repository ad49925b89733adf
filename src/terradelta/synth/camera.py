"""From the light of a scene to the grey levels of a picture: air, optics and sensor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from terradelta.synth.grid import Float32, Window
from terradelta.synth.nuisance import Acquisition, Bands
from terradelta.synth.texture import Layer, Noise

_POINT_SPREAD = 0.7  # standard deviation of the optics' blur in pixels
_TRUNCATE = 4.0
_LEVELS = 4096
_VEIL = (0.56, 0.585, 0.62)
_SEASON_GAIN = (0.17, 0.055, 0.03)


def camera_reach(shot: Acquisition) -> int:
    """Pixels around a pixel from which the camera mixes light into it."""
    blur = int(_TRUNCATE * _spread(shot) + 0.5)
    return blur + (int(np.ceil(np.abs(shot.shift).max())) + 2 if any(shot.shift) else 0)


def tint_by_season(albedo: Float32, green: Float32, season: float) -> Float32:
    """The albedo [h, w, 3] with dry (season > 0) or lush (< 0) vegetation."""
    tinted = np.empty_like(albedo)
    for band, gain in enumerate(_SEASON_GAIN):
        tinted[..., band] = albedo[..., band] * (1 + np.float32(gain * season) * green)
    return tinted


def expose(light: Float32, shot: Acquisition, margin: int, noise: Float32) -> NDArray[np.uint8]:
    """The picture [h, w, 3] of light [h + 2 margin, w + 2 margin, 3].

    ``margin`` is at least :func:`camera_reach`; ``noise`` [h, w, 3] has standard deviation 1.
    """
    image = _shifted(light, shot.shift)
    for axis in (0, 1):
        image = gaussian_filter1d(image, _spread(shot), axis=axis, truncate=_TRUNCATE)
    image = image[margin:-margin, margin:-margin]
    image = image * np.float32(1 - shot.haze) + np.array(_VEIL, np.float32) * np.float32(shot.haze)
    codes = np.clip(np.rint(image * np.float32(_LEVELS - 1)), 0, _LEVELS - 1).astype(np.intp)
    levels = np.empty(codes.shape, np.float32)
    for band, curve in enumerate(_curves(shot.gain, shot.gamma)):
        levels[..., band] = curve[codes[..., band]]
    levels += np.float32(shot.noise) * noise
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def sensor_noise(noise: Noise, window: Window, date: int) -> Float32:
    """Noise [h, w, 3] of deviation 1, in part common to the bands; each ``date`` has its own."""
    columns, rows = np.arange(window.x0, window.x1), np.arange(window.y0, window.y1)
    fields = [noise.white(columns, rows, Layer.SENSOR, 4 * date + k) for k in range(4)]
    common = np.float32(0.8) * fields[3]
    return np.stack([common + np.float32(0.6) * own for own in fields[:3]], axis=-1)


def _spread(shot: Acquisition) -> float:
    return float(np.sqrt(_POINT_SPREAD**2 + shot.blur**2))


def _curves(gain: Bands, gamma: Bands) -> list[Float32]:
    """Grey level in [0, 255] of each raw code, per band."""
    code = np.arange(_LEVELS) / (_LEVELS - 1)
    curves = [255 * np.clip(g * code**y, 0, 1) for g, y in zip(gain, gamma, strict=True)]
    # Rounded so that the last bit of the power function cannot reach the picture.
    return [np.round(curve, 6).astype(np.float32) for curve in curves]


def _shifted(image: Float32, shift: tuple[float, float]) -> Float32:
    """The image sampled ``shift`` (x, y) pixels away, by Catmull-Rom interpolation."""
    for axis, distance in ((1, shift[0]), (0, shift[1])):
        if distance == 0:
            continue
        whole = int(np.floor(distance))
        t = distance - whole
        weights = (
            0.5 * t * (t * (2 - t) - 1),
            0.5 * (t * t * (3 * t - 5) + 2),
            0.5 * t * (t * (4 - 3 * t) + 1),
            0.5 * t * t * (t - 1),
        )
        shifted = np.zeros_like(image)
        for k, weight in enumerate(weights):
            shifted += np.float32(weight) * np.roll(image, 1 - k - whole, axis=axis)
        image = shifted
    return image
