"""A dataset: named samples of one split, read only when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terradelta.geo.pair import Pair

BoolArray = NDArray[np.bool_]
ClassArray = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sample:
    """Two images of one place with their truth; ``name`` is unique in the dataset.

    ``pair`` and ``truth`` read the files. ``truth`` is bool [H, W], True where changed; ``classes``,
    if the dataset has them, the land cover of both dates, uint8 [H, W] each. ``known`` tells where the
    truth says anything, bool [H, W]; without it, everywhere.
    """

    name: str
    pair: Callable[[], Pair]
    truth: Callable[[], BoolArray]
    classes: Callable[[], tuple[ClassArray, ClassArray]] | None = None
    known: Callable[[], BoolArray] | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """``samples`` of one ``split`` of a dataset that lies in ``root``, in the order of their names."""

    name: str
    root: Path
    split: str
    samples: tuple[Sample, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image of one date with its land cover; ``name`` is unique in the dataset.

    ``image`` reads uint8 [H, W, 3], ``classes`` uint8 [H, W].
    """

    name: str
    image: Callable[[], NDArray[np.uint8]]
    classes: Callable[[], ClassArray]


@dataclass(frozen=True, slots=True)
class ImageDataset:
    """``images`` of one ``split`` of a dataset of single dates, in the order of their names."""

    name: str
    root: Path
    split: str
    images: tuple[LabelledImage, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.images)
