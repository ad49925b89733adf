"""Any folder with ``A``, ``B`` and ``label``, whole or in ``train``, ``val`` and ``test``.

Images belong together by their name without suffix. A label is change where it is valid and not 0;
where it has a band alpha that is 0, nobody knows.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from terradelta.data.card import Card
from terradelta.data.checks import look_at_change, look_at_image
from terradelta.data.dataset import BoolArray, Sample
from terradelta.data.labels import check_size
from terradelta.data.layout import (
    Files,
    Layout,
    known_of,
    read_pair,
    split_files,
    split_folders,
)
from terradelta.data.windows import Window
from terradelta.errors import InputError
from terradelta.geo.reader import read_raster

ROLES = {"before": "A", "after": "B", "label": "label"}


def read_mask(path: Path, shape: tuple[int, int] | None = None) -> BoolArray:
    """A mask of change, bool [H, W]: what is valid and not 0.

    Raises:
        InputError: unreadable, or not of the ``shape`` of its partner.
    """
    raster = read_raster(path)
    if shape is not None and raster.shape != shape:
        raise InputError(
            f"{path} is {raster.shape[1]} x {raster.shape[0]} px, its partner "
            f"{shape[1]} x {shape[0]}"
        )
    return np.asarray((raster.values != 0).any(0) & raster.valid)


def _splits(root: Path) -> tuple[str, ...]:
    if all((root / folder).is_dir() for folder in ROLES.values()):
        return ("all",)
    return split_folders(root, ROLES)


def _files(root: Path, split: str) -> list[Files]:
    return split_files(root, "" if split == "all" else split, ROLES)


def _sample(files: Files, window: Window | None, name: str) -> Sample:
    known = partial(known_of, files, window)
    return Sample(
        name, partial(read_pair, files, window), partial(_truth, files, window), known=known
    )


def _truth(files: Files, window: Window | None) -> BoolArray:
    label = files.paths["label"]
    changed = read_mask(label)
    check_size(label, (changed.shape[0], changed.shape[1]), files.paths["before"])
    return changed if window is None else changed[window.slices]


FOLDER = Layout(
    Card(
        name="folder",
        title="Any folder of pairs",
        paper="",
        url="your own",
        terms="your own",
        labels="what is not 0",
        layout="A (before), B (after) and label with images of the same names; or the three of them in "
        "train, val and test",
        splits={},
    ),
    _splits,
    _files,
    _sample,
    {"before": look_at_image, "after": look_at_image, "label": look_at_change},
)
