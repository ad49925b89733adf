"""From labels, made one after another, to a folder: curated, noted, and gone on with if interrupted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from terradelta.engine.curate import (
    Curation,
    fingerprint,
    repeated,
    too_much_or_little,
    with_neighbours,
)
from terradelta.engine.labels import Label, LabelFolder
from terradelta.errors import InputError, QueryError
from terradelta.geo.pair import Pair
from terradelta.types import Progress

REPETITION, NOT_CLICKED = "repeats another pair", "not clicked"


@dataclass(frozen=True, slots=True)
class Labels:
    """A folder of labels, and its ``summary``: as `labels.json` holds it."""

    folder: Path
    summary: dict[str, Any] = field(repr=False)

    def __len__(self) -> int:
        return int(self.summary["labelled"])


@dataclass(frozen=True, slots=True)
class Item:
    """One pair that is to be labelled: ``label`` gives None if there is nothing to tell of it."""

    name: str
    pair: Callable[[], Pair]
    label: Callable[[], Label | None]


def write_labels(
    folder: LabelFolder, items: Sequence[Item], curation: Curation, progress: Progress
) -> Labels:
    """Make and write the labels that are not there yet.

    A pair that cannot be read, or whose click finds no object, is left out and told in the summary.

    Raises:
        InputError: that is so of all of them.
        OutputError: a file cannot be written.
    """
    failed = _drop_repeated(folder, items, curation, progress)
    for done, item in enumerate(items):
        progress("labelling pairs", done, len(items))
        if item.name in failed or folder.is_settled(item.name):
            continue
        try:
            made = item.label()
        except (InputError, QueryError) as error:
            failed[item.name] = str(error)
            continue
        if made is None:
            folder.drop(item.name, NOT_CLICKED, {})
        else:
            _settle(folder, item.name, made, curation)
    progress("labelling pairs", len(items), len(items))
    if failed and len(failed) == len(items):
        raise InputError(f"no pair could be labelled; the first: {next(iter(failed.values()))}")
    names = [item.name for item in items]
    return Labels(folder.path, folder.finish(names, failed))


def hash_of(names: Sequence[str]) -> str:
    """Tells one list of names from another."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _settle(folder: LabelFolder, name: str, made: Label, curation: Curation) -> None:
    curated = with_neighbours(made, curation)
    reason = too_much_or_little(curated, curation)
    if reason is None:
        folder.write(name, curated)
    else:
        fraction = {"changed_fraction": round(made.changed_fraction, 6)}
        folder.drop(name, reason, {**made.facts, **fraction})


def _drop_repeated(
    folder: LabelFolder, items: Sequence[Item], curation: Curation, progress: Progress
) -> dict[str, str]:
    """Drop the pairs that repeat another, before any is labelled; what could not be read, and why."""
    failed: dict[str, str] = {}
    if curation.alike is None:
        return failed
    read, fingerprints = [], []
    for done, item in enumerate(items):
        progress("comparing pairs", done, len(items))
        try:
            fingerprints.append(fingerprint(item.pair()))
            read.append(item.name)
        except InputError as error:
            failed[item.name] = str(error)
    if read:
        for name, of in zip(read, repeated(np.stack(fingerprints), curation.alike), strict=True):
            if of >= 0 and not folder.is_settled(name):
                folder.drop(name, REPETITION, {"of": read[of]})
    return failed
