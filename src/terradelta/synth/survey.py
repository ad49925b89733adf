"""What is known of a window before painting: coordinates, parcels and the shared noise fields."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from terradelta.synth.events import EventPlan
from terradelta.synth.grid import Axes, Float32, Float64, Region
from terradelta.synth.plan import Plan
from terradelta.synth.polygons import inner_distance
from terradelta.synth.shapes import Building, Parcel, Road, Slab, Trees
from terradelta.synth.texture import Layer

NO_PARCEL = -1
_HEADLAND = 9.0
_OVERHANG = 20.0  # how far objects reach beyond their block, plan metres
_STRIDE = 4


class Survey:
    """The plan's content in a window; serves both dates."""

    def __init__(self, plan: Plan, axes: Axes) -> None:
        self.axes = axes
        self.step = axes.step
        self.noise = plan.noise
        self._layout = plan.layout
        self._frame = plan.frame
        self.u, self.v = plan.frame.grid(axes)
        blocks = [plan.block(i, j) for i, j in self._blocks()]
        self.parcels: list[Parcel] = [item for block in blocks for item in block.parcels]
        self.roads: list[Road] = [item for block in blocks for item in block.roads]
        self.slabs: list[Slab] = [item for block in blocks for item in block.slabs]
        self.buildings: list[Building] = [item for block in blocks for item in block.buildings]
        self.events: list[EventPlan] = [item for block in blocks for item in block.events]
        self.trees = Trees.concat([block.trees for block in blocks])
        self.parcel, self.edge = self._rasterise()

    def _blocks(self) -> list[tuple[int, int]]:
        """The blocks (strip, row) with anything in the window, in a fixed order."""
        layout, margin = self._layout, _OVERHANG + 2 * _STRIDE * self.step
        u, v = self.u[::_STRIDE, ::_STRIDE], self.v[::_STRIDE, ::_STRIDE]
        around = (u.min() - margin, v.min() - margin, u.max() + margin, v.max() + margin)
        touched = []
        for i, j in layout.blocks_in(*(float(bound) for bound in around)):
            inside = (u > layout.line(i) - margin) & (u < layout.line(i + 1) + margin)
            inside &= (v > layout.cut(i, j) - margin) & (v < layout.cut(i, j + 1) + margin)
            if inside.any():
                touched.append((i, j))
        return touched

    def _rasterise(self) -> tuple[NDArray[np.int32], Float32]:
        """Index of the parcel at every pixel, and the distance in metres to that parcel's edge."""
        index = np.full(self.axes.shape, NO_PARCEL, np.int32)
        edge = np.zeros(self.axes.shape, np.float32)
        corners = [parcel.corners for parcel in self.parcels]
        for number, (polygon, region) in enumerate(
            zip(corners, self.regions(corners), strict=True)
        ):
            distance = inner_distance(polygon, self.u[region], self.v[region])
            inside = distance > 0
            index[region][inside] = number
            edge[region][inside] = distance[inside]
        return index, edge

    def regions(self, polygons: Sequence[Float64]) -> list[Region]:
        """Parts of the window that hold plan polygons, whose sides bend on the ground."""
        if not polygons:
            return []
        corners = np.concatenate(polygons)
        x, y = self._frame.to_world(corners[:, 0], corners[:, 1])
        stops = np.cumsum([len(polygon) for polygon in polygons])
        margins = [3 + 0.08 * float(np.ptp(polygon, axis=0).max()) for polygon in polygons]
        return [
            self.axes.crop(x[stop - len(polygon) : stop], y[stop - len(polygon) : stop], margin)
            for polygon, stop, margin in zip(polygons, stops, margins, strict=True)
        ]

    def fractal(self, wavelengths: Sequence[float], layer: Layer, gain: float) -> Float32:
        """Noise of several octaves over the window; see :meth:`Noise.fractal`."""
        return self.noise.fractal(self.axes, wavelengths, layer, gain)

    @cached_property
    def rows(self) -> Float32:
        """Position across the rows of each parcel in metres; headlands run along the edges."""
        along = np.array([parcel.along for parcel in self.parcels] + [(1, 0)], np.float32)
        phase = np.array([parcel.phase for parcel in self.parcels] + [0], np.float32)
        across = self.v * along[:, 0][self.parcel] - self.u * along[:, 1][self.parcel]
        headland = self.edge < _HEADLAND + 0.4 * self.mottle
        return np.asarray(np.where(headland, self.edge, across) + phase[self.parcel], np.float32)

    @cached_property
    def bank(self) -> Float32:
        """Distance in metres to the nearest river's ragged bank, negative in the water."""
        ragged = self.fractal((16.0, 6.5), Layer.BANK, 0.6)
        return np.asarray(self._layout.river_distance(self.u, self.v) + 0.9 * ragged, np.float32)

    @cached_property
    def patch(self) -> Float32:
        """Soil and moisture: blotches of 20 to 100 m."""
        return self.fractal((95.0, 41.0, 19.0), Layer.PATCH, 0.6)

    @cached_property
    def veins(self) -> Float32:
        """Winding lines of moist soil, as old drains and hollows draw them."""
        winding = np.abs(self.fractal((70.0, 33.0, 12.0), Layer.VEINS, 0.5))
        return np.asarray(0.6 - np.minimum(1.6 * winding, 1.6), np.float32)

    @cached_property
    def mottle(self) -> Float32:
        """Blotches of some metres."""
        return self.fractal((11.0, 5.1, 2.6), Layer.MOTTLE, 0.75)

    @cached_property
    def leaf(self) -> Float32:
        """Lumps of foliage of 1 to 3 m."""
        return self.fractal((2.9, 1.3), Layer.LEAF, 0.8)

    @cached_property
    def grain(self) -> Float32:
        """The finest texture, down to the pixel."""
        return self.fractal((1.5, 0.75), Layer.GRAIN, 1.1)
