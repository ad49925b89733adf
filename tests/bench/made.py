"""A made dataset: bright squares appear on textured ground."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terradelta.bench.cases import Answers, Case, Loaded, Row, Trial
from terradelta.data.dataset import Dataset, Sample
from terradelta.geo.files import write_png
from terradelta.geo.pair import Pair, load_pair

SQUARES = ((6, 8), (38, 10), (12, 40), (42, 42))
SIDE = 12
SIZE = 64


def squares(count: int) -> NDArray[np.bool_]:
    """bool [64, 64]: the first ``count`` of the squares."""
    mask = np.zeros((SIZE, SIZE), bool)
    for top, left in SQUARES[:count]:
        mask[top : top + SIDE, left : left + SIDE] = True
    return mask


def ground(seed: int) -> NDArray[np.uint8]:
    """Dark textured ground, uint8 [64, 64, 3]."""
    noise = np.random.default_rng(seed).normal(size=(SIZE, SIZE, 3))
    return np.clip(70 + 40 * ndimage.gaussian_filter(noise, (2, 2, 0)), 0, 255).astype(np.uint8)


def pair_of(number: int, count: int) -> Pair:
    """``count`` squares appear; both dates differ a little in light."""
    before, after = ground(number), ground(number) + np.uint8(4)
    after[squares(count)] = (210, 200, 190)
    return load_pair(before, after)


def made_sample(number: int, count: int = 4) -> Sample:
    pair = pair_of(number, count)
    return Sample(f"place_{number}", lambda: pair, lambda: squares(count))


def made_dataset(counts: Sequence[int] = (4, 3, 2), name: str = "folder") -> Dataset:
    samples = tuple(made_sample(number, count) for number, count in enumerate(counts))
    return Dataset(name, Path("made"), "all", samples)


def write_dataset(folder: Path, counts: Sequence[int] = (4, 3, 2)) -> Path:
    """The same on disk, with A, B and label."""
    for number, count in enumerate(counts):
        pair = pair_of(number, count)
        images = {"A": pair.before, "B": pair.after, "label": squares(count) * np.uint8(255)}
        for part, image in images.items():
            write_png(folder / part / f"place_{number}.png", image)
    return folder


class Guess:
    """A case that calls the left half changed, and counts how often it was asked and taught."""

    def __init__(self, name: str = "guess", *, settings: Any = None, learns: bool = False) -> None:
        self.asked: list[str] = []
        self.taught: list[list[str]] = []
        self.fails_on: dict[str, Exception] = {}
        row = Row(name, "Guess", "half")
        self.case = Case(name, (row,), self._load)
        self._settings, self._learns = settings or {"share": 0.5}, learns

    def _load(self) -> Loaded:
        return Loaded(self._settings, self._ask, self._learn if self._learns else None)

    def _learn(self, samples: Sequence[Sample], progress: Any) -> None:
        self.taught.append([sample.name for sample in samples])

    def _ask(self, sample: Sample) -> Answers:
        if sample.name in self.fails_on:
            raise self.fails_on[sample.name]
        self.asked.append(sample.name)
        truth = sample.truth()
        answer = np.zeros_like(truth)
        answer[:, : truth.shape[1] // 2] = True
        return Answers({self.case.name: [Trial(answer, truth)]})
