"""Pairs of 64 px: bright squares appear on dark ground; and a model that knows how to find them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.baselines.answer import BaselineChanges
from terradelta.geo.files import write_png
from terradelta.geo.pair import ImageLike, Pair, load_pair
from terradelta.types import Progress, silent

SIZE, SIDE = 64, 12
SQUARES = ((6, 8), (38, 10), (12, 40), (42, 42))


def squares(count: int) -> NDArray[np.bool_]:
    """bool [64, 64]: the first ``count`` of the squares."""
    mask = np.zeros((SIZE, SIZE), bool)
    for top, left in SQUARES[:count]:
        mask[top : top + SIDE, left : left + SIDE] = True
    return mask


def images_of(seed: int, count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Ground of its own for every seed, on which ``count`` squares appear."""
    coarse = np.random.default_rng(seed).integers(20, 90, (8, 8, 3), np.uint8)
    before = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    after = before + np.uint8(4)
    after[squares(count)] = 230
    return before, after


def pair_of(seed: int = 0, count: int = 2) -> Pair:
    return load_pair(*images_of(seed, count))


def write_pairs(folder: Path, counts: dict[str, int], *, labelled: bool = True) -> Path:
    """A folder with A, B and, if they are ``labelled``, label."""
    for seed, (name, count) in enumerate(counts.items()):
        before, after = images_of(seed, count)
        write_png(folder / "A" / f"{name}.png", before)
        write_png(folder / "B" / f"{name}.png", after)
        if labelled:
            mask = squares(count).astype(np.uint8) * np.uint8(255)
            write_png(folder / "label" / f"{name}.png", mask)
    return folder


class Brighter:
    """Change is as probable as *after* is brighter. ``calls`` counts the pairs that it was asked."""

    def __init__(self, name: str = "brighter", scale: float = 1 / 255) -> None:
        self.name, self.scale, self.calls = name, scale, 0

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        self.calls += 1
        pair = load_pair(before, after)
        brighter = (pair.after.astype(np.float32) - pair.before).mean(2).clip(0) * self.scale
        return BaselineChanges.of_intensity(brighter, pair, self.describe(), 0.5 * self.scale * 255)

    def describe(self) -> dict[str, Any]:
        return {"model": self.name}
