"""Labelled images of single dates to learn change from: see `terradelta.train.star`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from terradelta.data import open_images
from terradelta.data.dataset import LabelledImage
from terradelta.data.folder import read_mask
from terradelta.data.images import pair_of
from terradelta.data.layout import check_complete, partners
from terradelta.data.openearthmap import CLASSES
from terradelta.errors import InputError
from terradelta.geo.reader import read_raster
from terradelta.train.losses import IGNORED
from terradelta.train.pairs import Image, Label, LabelledPair

ROLES = {"image": "images", "label": "labels"}
UNLABELLED, BUILDING = CLASSES.index("unlabelled"), CLASSES.index("building")


@dataclass(frozen=True)
class SingleDates:
    """Images as a `PairSource` whose dates are both the same image, and whose label its objects.

    ``readers`` each read a uint8 [H, W, 3] image and its label, float32 [H, W]: 1 on an object, 255
    where nobody knows.
    """

    readers: Sequence[Callable[[], tuple[Image, Label]]]

    def __len__(self) -> int:
        return len(self.readers)

    def __getitem__(self, index: int, /) -> LabelledPair:
        image, label = self.readers[index]()
        return image, image, label


def open_single_dates(root: Path, split: str) -> SingleDates:
    """A split of OpenEarthMap with its buildings, or a folder of one's own.

    That has ``images`` and ``labels`` of the same names, itself or within a folder named as the split. An
    object is what is not 0 in the label.

    Raises:
        InputError: neither of them, or a file is missing.
    """
    for folder in (root, root / split):
        if all((folder / name).is_dir() for name in ROLES.values()):
            files = partners({role: folder / name for role, name in ROLES.items()})
            check_complete(files)
            return SingleDates([partial(_read, each.paths) for each in files])
    try:
        dataset = open_images(root, split=split)
    except InputError as error:
        raise InputError(
            f"no labelled images of single dates in {root}: give a folder with images and labels, or "
            f"OpenEarthMap as it was published"
        ) from error
    return SingleDates([partial(_of_land_cover, sample) for sample in dataset.images])


def _read(paths: Mapping[str, Path]) -> tuple[Image, Label]:
    raster = read_raster(paths["image"])
    date = pair_of(raster, raster)
    objects = read_mask(paths["label"], raster.shape).astype(np.float32)
    return date.before, np.where(date.valid, objects, np.float32(IGNORED))


def _of_land_cover(sample: LabelledImage) -> tuple[Image, Label]:
    classes = sample.classes()
    label = np.where(classes == UNLABELLED, IGNORED, classes == BUILDING).astype(np.float32)
    return sample.image(), label
