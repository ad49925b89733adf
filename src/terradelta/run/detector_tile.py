"""A detector on a scene: of every tile the probability of change, of the scene its components.

Neighbouring windows fade into each other (`terradelta.detectors.windows`). What lies above the threshold
in the cores is parted into connected components, and those that touch across a border of cores are one:
the objects are the components of the whole scene's mask, wherever tiles meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.detectors.changes import DetectorModel, check_threshold, components
from terradelta.detectors.windows import CORE_PX, HALO_PX, Look, blended, part_of
from terradelta.errors import UsageError
from terradelta.geo.pair import Pair
from terradelta.geo.tiles import Box, Key, Lattice, Tile, intersection
from terradelta.run.choose import Choice, valid_fraction
from terradelta.run.model import Finder, TileAnswer, Tiling
from terradelta.run.parts import Part, no_candidates
from terradelta.run.seams import BOTH, Links, TileObjects, touching
from terradelta.run.tile import TilePlan
from terradelta.sam.masks import FloatArray

LEVELS = np.iinfo(np.uint16).max
STEP = np.float32(1 / LEVELS)
NEIGHBOURHOOD = 9
DEFAULT_THRESHOLD = 0.5


class DetectorScene:
    """A `SceneModel`; its intensity is the probability of change."""

    score_unit = "probability of change"

    def __init__(self, model: DetectorModel) -> None:
        self._model, self._stride = model, model.detector.multiple
        self.name = model.name

    @property
    def device(self) -> str:
        return self._model.device.type

    def tiling(self, halo: int | None) -> Tiling:
        return Tiling(CORE_PX, HALO_PX if halo is None else halo, True, 2 * self._stride)

    def describe(self) -> dict[str, Any]:
        return self._model.describe()

    def identity(self) -> dict[str, Any]:
        return self.describe()

    def contexts(self, pair: Pair) -> list[Any]:
        return []

    def restored(self, contexts: list[Any]) -> None:
        return None

    def look(self, plan: TilePlan, tile: Tile, pair: Pair) -> Part:
        seen = _cut(tile.window, plan.lattice, self._stride)
        before, after = (part_of(one, tile.window, seen) for one in (pair.before, pair.after))
        probability = np.zeros(tile.shape, np.uint16)
        inside = part_of(probability, tile.window, seen)
        inside[...] = np.rint(self._model.probability(before, after) * LEVELS)
        return Part(tile.key, no_candidates(tile.shape), pair.valid, probability)

    def check(self, choice: Choice) -> None:
        if (choice.angle, choice.top_k) != (None, None) or isinstance(choice.threshold, str):
            raise UsageError(
                "angle, otsu and top_k choose among AnyChange's proposals: a detector's changes are "
                "chosen by a probability"
            )
        check_threshold(self._of(choice))

    def threshold(
        self, choice: Choice, parts: Callable[[], Iterable[Part]], lattice: Lattice
    ) -> float:
        return self._of(choice)

    def finder(
        self,
        load: Callable[[Key], Part],
        keys: tuple[Key, ...],
        choice: Choice,
        threshold: float,
        lattice: Lattice,
    ) -> Finder:
        known = set(keys)
        # Along a row of tiles every neighbourhood shares six parts with the one before.
        recent = lru_cache(NEIGHBOURHOOD)(load)

        def around(key: Key) -> Iterator[Look]:
            for row, column in product((-1, 0, 1), repeat=2):
                near = key[0] + row, key[1] + column
                if near in known and (part := recent(near)).probability.size:
                    yield near, lattice[near].window, part.probability * STEP

        def find(key: Key) -> TileAnswer:
            tile = lattice[key]
            core = intersection(tile.core, (0, 0, lattice.width, lattice.height))
            valid = part_of(recent(key).valid, tile.window, core)
            probability = np.where(valid, blended(lattice, core, around(key)), np.float32(0))
            masks, means = components(probability, (probability > threshold) & valid)
            unknown = np.full(len(masks), np.nan, np.float32)
            objects = TileObjects(
                Tile(key, core, core),
                masks,
                means,
                unknown,
                unknown,
                np.full(len(masks), BOTH, np.int8),
                valid_fraction(masks, valid),
            )
            return TileAnswer(objects, probability, valid)

        return find

    def links(self, first: TileObjects, second: TileObjects, width: int, height: int) -> Links:
        return touching(first, second)

    def score_of(self, intensity: FloatArray) -> FloatArray:
        return intensity

    def columns(self, intensity: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"angle": np.full(len(intensity), np.nan), "score": intensity}

    def describe_threshold(self, threshold: float) -> dict[str, Any]:
        return {"threshold_probability": threshold}

    @staticmethod
    def _of(choice: Choice) -> float:
        return DEFAULT_THRESHOLD if choice.threshold is None else float(choice.threshold)


def _cut(window: Box, lattice: Lattice, stride: int) -> Box:
    """A window without what lies beyond the grid, from a multiple of the stride on.

    The cells of a network then lie on the same pixels of the grid in every window.
    """
    x0, y0, x1, y1 = intersection(window, (0, 0, lattice.width, lattice.height))
    return -(-x0 // stride) * stride, -(-y0 // stride) * stride, x1, y1
