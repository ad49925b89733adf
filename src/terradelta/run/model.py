"""What a run of a scene asks of a model of change: the same of AnyChange as of a trained detector."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from terradelta.geo.pair import Pair
from terradelta.geo.tiles import Key, Lattice, Tile
from terradelta.run.choose import Choice
from terradelta.run.parts import Part
from terradelta.run.seams import Links, TileObjects
from terradelta.sam.masks import FloatArray
from terradelta.sam.segmenter import BoolArray

if TYPE_CHECKING:
    from terradelta.run.tile import TilePlan


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles that suit a model, px, and the least halo with which it can do; see `Lattice`."""

    core: int
    halo: int
    clipped: bool
    least_halo: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class TileAnswer:
    """The changes of a tile, and of its window the intensity and bool [h, w], where it is valid."""

    objects: TileObjects
    intensity: FloatArray
    valid: BoolArray


Finder = Callable[[Key], TileAnswer]


class SceneModel(Protocol):
    """It is handed to every worker once, so it must be possible to pickle it.

    Intensity, of pixels and of objects, is what changes are told by: larger is more changed, in the
    unit of the model.
    """

    @property
    def name(self) -> str: ...

    @property
    def device(self) -> str:
        """Where it runs, as cpu or cuda."""
        ...

    def tiling(self, halo: int | None) -> Tiling:
        """The tiles that suit it, with this halo if one is wished."""
        ...

    @property
    def score_unit(self) -> str:
        """What the score is, in words."""
        ...

    def describe(self) -> dict[str, Any]:
        """What `run.json` tells of it."""
        ...

    def identity(self) -> dict[str, Any]:
        """All of it that the content of the tiles depends on."""
        ...

    def contexts(self, pair: Pair) -> list[Any]:
        """What it must know of the whole scene, from a sample of it, as JSON has it."""
        ...

    def restored(self, contexts: list[Any]) -> Any:
        """The same as it is used in `look`."""
        ...

    def look(self, plan: TilePlan, tile: Tile, pair: Pair) -> Part:
        """What it finds in a window with valid pixels in its core."""
        ...

    def check(self, choice: Choice) -> None:
        """Raises UsageError where this is no way to choose for it."""
        ...

    def threshold(
        self, choice: Choice, parts: Callable[[], Iterable[Part]], lattice: Lattice
    ) -> float:
        """The intensity above which all in the scene is change.

        ``parts`` gives all parts, one at a time, as often as it is called.
        """
        ...

    def finder(
        self,
        load: Callable[[Key], Part],
        keys: tuple[Key, ...],
        choice: Choice,
        threshold: float,
        lattice: Lattice,
    ) -> Finder:
        """What gives the answer of a tile, of all ``keys`` in order."""
        ...

    def links(self, first: TileObjects, second: TileObjects, width: int, height: int) -> Links:
        """See `terradelta.run.seams`."""
        ...

    def score_of(self, intensity: FloatArray) -> FloatArray: ...

    def columns(self, intensity: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The columns angle and score of objects."""
        ...

    def describe_threshold(self, threshold: float) -> dict[str, Any]:
        """As `run.json` tells it."""
        ...
