"""Pairs to label: a dataset as it was published, or a folder with A and B and no labels at all."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from terradelta.data import Dataset, open_dataset
from terradelta.data.dataset import BoolArray, Sample
from terradelta.data.folder import ROLES
from terradelta.data.images import shape_of
from terradelta.data.layout import Files, check_complete, partners, read_pair
from terradelta.data.registry import PAIRS, locate
from terradelta.data.windows import Window, windows_of
from terradelta.errors import InputError

UNLABELLED = "unlabelled"


def open_unlabelled(
    root: str | Path, name: str | None = None, split: str | None = None, *, crop: int | None = None
) -> Dataset:
    """The pairs of a split of a dataset, by default ``train``, or else all; or those of A and B.

    A dataset of the name `UNLABELLED` has no truth: to ask for it is an InputError. The arguments are
    those of `open_dataset`.

    Raises:
        UsageError: unknown name or split, or a crop out of range.
        InputError: no dataset, or a file of it is missing.
    """
    root = Path(root)
    dates = {role: root / folder for role, folder in ROLES.items() if role != "label"}
    bare = all(folder.is_dir() for folder in dates.values())
    if name is None and bare and not (root / ROLES["label"]).is_dir():
        files = partners(dates)
        check_complete(files)
        return Dataset(UNLABELLED, root, "all", tuple(_samples(files, crop)))
    layout, folder = locate(root, PAIRS, name)
    if split is None:
        split = "train" if "train" in layout.splits(folder) else "all"
    return open_dataset(folder, layout.card.name, split, crop=crop)


def _samples(files: list[Files], crop: int | None) -> list[Sample]:
    found = []
    for each in files:
        shape = shape_of(each.paths["before"])
        windows: list[Window | None] = [None] if crop is None else [*windows_of(shape, crop)]
        for window in windows:
            name = each.name if window is None else f"{each.name}_{window.label()}"
            truth = partial(_no_truth, each.name)
            found.append(Sample(name, partial(read_pair, each, window), truth))
    return sorted(found, key=lambda sample: sample.name)


def _no_truth(name: str) -> BoolArray:
    raise InputError(f"{name} has no label: there is no truth in a folder with A and B alone")
