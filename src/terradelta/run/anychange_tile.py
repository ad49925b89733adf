"""AnyChange on a scene: what it looks for in a tile, and how its changes are chosen and merged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.errors import UsageError
from terradelta.geo.pair import Pair
from terradelta.geo.tiles import Key, Lattice, Tile
from terradelta.run.choose import Choice, scene_threshold, tile_changes
from terradelta.run.model import Finder, TileAnswer, Tiling
from terradelta.run.parts import Part
from terradelta.run.seams import Links, TileObjects, links
from terradelta.run.tile import TilePlan
from terradelta.sam.fingerprint import fingerprint
from terradelta.sam.masks import FloatArray
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.candidates import search
from terradelta.zeroshot.changes import score_of
from terradelta.zeroshot.thresholds import check_choice
from terradelta.zeroshot.views import View, views_of

PX_OF_POINTS = 1024
"""`points_per_side` counts the points along this many pixels of a scene."""
LARGEST_PX = 256
"""Longest side of a mask for a segmenter that keeps the size of its images.

With a halo as wide every tile sees all masks on its core whole, so that a pixel has the same angle
however the scene is tiled. Larger regions are mixtures, which pull the angles of what changed in them
towards none: without them the made scenes are answered better (`docs/scenes.md`).
"""
CORE_PX, HALO_PX = 1024, LARGEST_PX
"""A tile for a segmenter that keeps the size of its images: its window shows all masks on the core."""
CANVAS_HALO_PX = 128
"""The halo for one that resamples them to its canvas, which core and halo fill."""


class AnyChangeScene:
    """A `SceneModel`; its intensity is the angle in degrees."""

    score_unit = "-cos(angle)"

    def __init__(self, model: AnyChange) -> None:
        self._model, self._segmenter = model, model.segmenter
        self.name = self._segmenter.name
        self._weights = fingerprint(*self._segmenter.networks())

    @property
    def device(self) -> str:
        return str(getattr(getattr(self._segmenter, "device", None), "type", "cpu"))

    def tiling(self, halo: int | None) -> Tiling:
        canvas = self._segmenter.canvas_px
        if canvas is None:
            return Tiling(CORE_PX, HALO_PX if halo is None else halo, clipped=True)
        halo = CANVAS_HALO_PX if halo is None else halo
        return Tiling(max(canvas - 2 * halo, canvas // 2), halo, clipped=False)

    def describe(self) -> dict[str, Any]:
        return self._model.describe()

    def identity(self) -> dict[str, Any]:
        described = self.describe()
        described.pop("default_angle_deg")
        dtype = str(getattr(self._segmenter, "dtype", "float32"))
        return {**described, "dtype": dtype, "weights_sha256": self._weights}

    def contexts(self, pair: Pair) -> list[Any]:
        if self._segmenter.canvas_px is None:
            (view,) = views_of(pair.shape, self._model.upscale, enlarge_windows=False)
        else:
            view = View(pair.shape, 0, 0, pair.shape[1], pair.shape[0], 1)
        both = self._segmenter.pair_contexts(
            view.look(pair.before), view.look(pair.after), view.enlarge_mask(pair.valid)
        )
        return [self._segmenter.store_context(one) for one in both]

    def restored(self, contexts: list[Any]) -> tuple[Any, Any]:
        first, second = (self._segmenter.restore_context(one) for one in contexts)
        return first, second

    def look(self, plan: TilePlan, tile: Tile, pair: Pair) -> Part:
        found = search(
            self._segmenter,
            pair,
            self._model.settings,
            self._model.upscale,
            contexts=plan.contexts,
            points=self._points(plan.lattice, tile),
            measure=self._model.measure,
        )
        candidates = found.candidates
        if self._segmenter.canvas_px is None:
            x0, y0, x1, y1 = candidates.masks.boxes.T
            candidates = candidates[np.maximum(x1 - x0, y1 - y0) <= LARGEST_PX]
        return Part(tile.key, candidates, pair.valid)

    def check(self, choice: Choice) -> None:
        if isinstance(choice.threshold, float):
            raise UsageError(
                f"the threshold {choice.threshold} is a detector's probability: give an angle, or 'otsu'"
            )
        check_choice(choice.angle, choice.threshold, choice.top_k)

    def threshold(
        self, choice: Choice, parts: Callable[[], Iterable[Part]], lattice: Lattice
    ) -> float:
        return scene_threshold(choice, self._model.angle, parts, lattice, self._segmenter)

    def finder(
        self,
        load: Callable[[Key], Part],
        keys: tuple[Key, ...],
        choice: Choice,
        threshold: float,
        lattice: Lattice,
    ) -> Finder:
        def find(key: Key) -> TileAnswer:
            part = load(key)
            found = tile_changes(part, choice, threshold, lattice, self._segmenter)
            return TileAnswer(*found, part.valid)

        return find

    def links(self, first: TileObjects, second: TileObjects, width: int, height: int) -> Links:
        return links(first, second, width, height)

    def score_of(self, intensity: FloatArray) -> FloatArray:
        return score_of(intensity)

    def columns(self, intensity: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        score = score_of(intensity.astype(np.float32))
        return {"angle": intensity, "score": score.astype(float)}

    def describe_threshold(self, threshold: float) -> dict[str, Any]:
        return {"threshold_deg": round(threshold, 4)}

    def _points(self, lattice: Lattice, tile: Tile) -> NDArray[np.float64] | None:
        """Points at even steps from the lattice's anchor, so that every tile tries the same places.

        None, a grid over the window, where the segmenter resamples the window to its canvas, or where
        it is all there is.
        """
        if self._segmenter.canvas_px is not None or lattice.is_single:
            return None
        step = PX_OF_POINTS / self._model.settings.points_per_side
        x0, y0, x1, y1 = tile.window
        anchor = lattice.anchor
        x = _steps(x0 + anchor[0], x1 + anchor[0], step)
        y = _steps(y0 + anchor[1], y1 + anchor[1], step)
        columns, rows = np.meshgrid(x, y)
        return np.stack([columns.ravel(), rows.ravel()], 1)


def _steps(start: int, stop: int, step: float) -> NDArray[np.float64]:
    """Multiples of ``step`` and a half in [start, stop), counted from ``start``."""
    first, last = math.ceil(start / step - 0.5), math.ceil(stop / step - 0.5)
    return np.asarray((np.arange(first, last) + 0.5) * step - start, np.float64)
