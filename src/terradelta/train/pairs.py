"""Labelled pairs to learn from: what a source of them is, and one made of a dataset on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from terradelta.data import Dataset, open_dataset
from terradelta.data.registry import PAIRS, locate
from terradelta.errors import InputError
from terradelta.geo.reader import read_raster
from terradelta.train.losses import IGNORED

Image = NDArray[np.uint8]
Label = NDArray[np.float32] | NDArray[np.uint8]
LabelledPair = tuple[Image, Image, Label]


class PairSource(Protocol):
    """So many pairs; the i-th is two images uint8 [H, W, 3] and their label [H, W].

    The label is float32 in [0, 1], 1 for change, or uint8 class ids, 0 for no change; 255 in either is
    left out of the loss and of the scores. The same i always gives the same pair.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> LabelledPair: ...


class DatasetPairs:
    """The pairs of a dataset with float32 labels; 255 where a date is not valid or the truth unknown.

    ``soft``: a folder with an image for each sample, by its name, that says how sure change is: integers
    from 0 to the largest of their type, or numbers in [0, 1], NaN for unknown. It replaces the truth.
    """

    def __init__(self, dataset: Dataset, soft: Path | None = None) -> None:
        self._samples = dataset.samples
        self._soft = None if soft is None else _by_name(soft, [s.name for s in self._samples])

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int, /) -> LabelledPair:
        sample = self._samples[index]
        pair = sample.pair()
        if self._soft is None:
            label = sample.truth().astype(np.float32)
            if sample.known is not None:
                label[~sample.known()] = IGNORED
        else:
            label = read_soft_label(self._soft[sample.name])
        if label.shape != pair.valid.shape:
            raise InputError(
                f"the label of {sample.name} is {label.shape[1]} x {label.shape[0]} px, its images "
                f"{pair.valid.shape[1]} x {pair.valid.shape[0]}"
            )
        label[~pair.valid] = IGNORED
        return pair.before, pair.after, label


def open_pairs(root: Path, split: str, *, soft: bool = False) -> DatasetPairs:
    """The pairs of a split of a dataset, or of the whole dataset if it has no splits.

    With ``soft`` their labels are those in the folder ``soft`` beside the images.

    Raises:
        UsageError: no such split, or several datasets.
        InputError: no dataset, or a file of it is missing.
    """
    layout, folder = locate(root, PAIRS, None)
    whole = layout.splits(folder) == ("all",)
    dataset = open_dataset(folder, layout.card.name, "all" if whole else split)
    # LEVIR-CD may lie in one folder, its splits told apart by names.
    base = folder / split if (folder / split).is_dir() else folder
    return DatasetPairs(dataset, base / "soft" if soft else None)


def open_split(root: Path, split: str) -> DatasetPairs | None:
    """The pairs of a split of a dataset, None if it has no such split; else as `open_pairs`."""
    layout, folder = locate(root, PAIRS, None)
    return open_pairs(root, split) if split in layout.splits(folder) else None


def read_soft_label(path: Path) -> NDArray[np.float32]:
    """float32 [H, W] in [0, 1], 255 where it is not valid.

    Raises:
        InputError: unreadable, or numbers beyond [0, 1].
    """
    raster = read_raster(path)
    values: NDArray[Any] = raster.values[0]
    if values.dtype.kind in "ui":
        values = values / np.float32(np.iinfo(values.dtype).max)
    known = raster.valid & np.isfinite(values)
    if known.any() and not (values[known].min() >= 0 and values[known].max() <= 1):
        raise InputError(f"{path} is no soft label: its numbers do not lie in [0, 1]")
    return np.where(known, values, IGNORED).astype(np.float32)


def _by_name(folder: Path, names: list[str]) -> dict[str, Path]:
    found = {path.stem: path for path in folder.iterdir()} if folder.is_dir() else {}
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"{folder} has no soft label for {missing[0]} ({len(missing)} are missing)"
        )
    return {name: found[name] for name in names}
