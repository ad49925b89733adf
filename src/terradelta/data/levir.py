"""LEVIR-CD: new buildings in Texas (Chen and Shi, Remote Sensing 2020).

It is published as three archives, each with A, B and label. Unpacked side by side they are ``train``,
``val`` and ``test``; unpacked into one folder, ``A/train_1.png`` and so on: the names keep the splits.
"""

from __future__ import annotations

import re
from pathlib import Path

from terradelta.data.binary import CHECKS
from terradelta.data.card import Card, alike
from terradelta.data.folder import ROLES
from terradelta.data.layout import (
    SPLITS,
    Files,
    Layout,
    binary_sample,
    images_of,
    partners,
    split_files,
    split_folders,
)
from terradelta.errors import InputError


def _splits(root: Path) -> tuple[str, ...]:
    if not _is_flat(root):
        return split_folders(root, ROLES)
    return tuple(split for split in SPLITS if any((root / "A").glob(f"{split}_*")))


def _files(root: Path, split: str) -> list[Files]:
    if not _is_flat(root):
        return split_files(root, split, ROLES)
    everything = partners({role: root / folder for role, folder in ROLES.items()})
    return [files for files in everything if files.name.startswith(f"{split}_")]


def _is_flat(root: Path) -> bool:
    return all((root / folder).is_dir() for folder in ROLES.values())


def _belongs(root: Path) -> bool:
    """Whether every image is named as LEVIR-CD names it; LEVIR-CD+ has a train_638 in ``test``."""
    if _is_flat(root):
        return _are_named(root / "A", "(train|val|test)")
    return all(_are_named(root / split / "A", split) for split in _splits(root))


def _are_named(folder: Path, split: str) -> bool:
    try:
        return all(re.fullmatch(rf"{split}_\d+", name) for name in images_of(folder))
    except InputError:
        return False


LEVIR_CD = Layout(
    Card(
        name="levir-cd",
        title="LEVIR-CD",
        paper="Chen and Shi, 2020",
        url="https://justchenhao.github.io/LEVIR/",
        terms="academic use, imagery of Google Earth",
        labels="new and vanished buildings",
        layout="train, val and test, each with A, B and label; or one A, B and label with images "
        "named train_1, val_1, test_1 and so on",
        splits=alike(1024, 1024, train=445, val=64, test=128),
        crops={"anychange": 512, "stanet": 256},
    ),
    _splits,
    _files,
    binary_sample,
    CHECKS,
    _belongs,
)
