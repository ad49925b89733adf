"""Windows of a scene and the world coordinates of their pixels.

World coordinates are metres from the middle of the scene, x to the east, y to the south.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Region = tuple[slice, slice]


class Window(NamedTuple):
    """The pixels ``x0 <= column < x1``, ``y0 <= row < y1`` of a scene."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    def grow(self, margin: int) -> Window:
        """The window with ``margin`` more pixels on every side."""
        return Window(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)


@dataclass(frozen=True)
class Axes:
    """World coordinates of a window's pixel centres, x [w] and y [h], and the pixel size."""

    x: Float64
    y: Float64
    step: float

    @classmethod
    def of(cls, window: Window, size: tuple[int, int], step: float) -> Axes:
        """Axes of ``window`` in a scene of ``size`` (height, width) pixels of ``step`` metres."""
        columns = np.arange(window.x0, window.x1, dtype=np.float64) + (0.5 - size[1] / 2)
        rows = np.arange(window.y0, window.y1, dtype=np.float64) + (0.5 - size[0] / 2)
        return cls(columns * step, rows * step, step)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.y), len(self.x)

    def crop(self, x: Float64, y: Float64, margin: float) -> Region:
        """Rows and columns of the pixels within ``margin`` metres of the points' bounding box."""
        columns = np.searchsorted(self.x, (x.min() - margin, x.max() + margin))
        rows = np.searchsorted(self.y, (y.min() - margin, y.max() + margin))
        return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))

    def around(self, x: float, y: float, reach: float) -> Region:
        """Rows and columns of the pixels within ``reach`` metres of a point, and one more."""
        return self.crop(np.array([x]), np.array([y]), reach + self.step)

    def local(self, region: Region, x: float, y: float, angle: float) -> tuple[Float32, Float32]:
        """Coordinates of a region's pixels in a frame at (x, y), turned by ``angle`` radians."""
        dx = (self.x[region[1]] - x)[None, :]
        dy = (self.y[region[0]] - y)[:, None]
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        p, q = cos * dx + sin * dy, cos * dy - sin * dx
        return p.astype(np.float32), q.astype(np.float32)


def gradient(field: Float32, step: float) -> tuple[Float32, Float32]:
    """Change of a raster [h, w] per metre eastwards and southwards, each float32 [h, w]."""
    south, east = np.gradient(field, np.float32(step))
    return np.asarray(east, np.float32), np.asarray(south, np.float32)
