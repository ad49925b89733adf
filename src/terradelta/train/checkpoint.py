"""All that a training needs to go on where it was killed, in one file that is replaced at once.

One file, so that weights, optimiser and step are never of different moments. Random numbers are not in
it: they follow from the seed and the step (`terradelta.train.order`).
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from terradelta.errors import ModelError, UsageError
from terradelta.geo.files import replacing
from terradelta.train.settings import TrainSettings

NAME = "resume.pt"
FREE = {"workers"}
"""Settings that change no result: a training may go on with others."""

LEFTOVERS = (".resume.*.pt", ".curves.*.csv", "*/.*.safetensors", "*/.*.json")
"""The temporary names under which a training writes."""

Row = dict[str, float]


@dataclass
class Checkpoint:
    """A training after ``step`` steps.

    ``settings`` are those that decide the result, ``pairs`` the number of pairs learnt from, ``rows``
    the curves so far. The rest are the states of torch's objects.
    """

    settings: dict[str, Any]
    pairs: int
    step: int = 0
    rows: list[Row] = field(default_factory=list)
    detector: dict[str, Any] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] | None = None


def begin(settings: TrainSettings, pairs: int) -> Checkpoint:
    """The checkpoint before the first step."""
    return Checkpoint(settings.model_dump(mode="json", exclude=FREE), pairs)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``resume.pt`` into the folder.

    Raises:
        OutputError: it cannot be written.
    """
    content = {each.name: getattr(checkpoint, each.name) for each in fields(checkpoint)}
    with replacing(folder / NAME) as temporary:
        torch.save(content, temporary)


def load(folder: Path, start: Checkpoint) -> Checkpoint:
    """What ``folder`` holds of the training that begins as ``start``; ``start`` itself if nothing.

    What an earlier process was writing when it was killed is removed.

    Raises:
        UsageError: the folder holds another training.
        ModelError: the file is damaged.
    """
    for pattern in LEFTOVERS:
        for leftover in folder.glob(pattern):
            leftover.unlink(missing_ok=True)
    path = folder / NAME
    if not path.is_file():
        return start
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found = Checkpoint(**content)
    except (OSError, RuntimeError, EOFError, TypeError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"{path} is damaged: delete it to train from the start, or choose another folder"
        ) from error
    _check_same(found, start, folder)
    return found


def _check_same(found: Checkpoint, start: Checkpoint, folder: Path) -> None:
    pairs = {"pairs": (found.pairs, start.pairs)} if found.pairs != start.pairs else {}
    differing = {**pairs, **_differences(found.settings, start.settings)}
    if differing:
        told = ", ".join(f"{key} {was!r}, now {now!r}" for key, (was, now) in differing.items())
        raise UsageError(
            f"{folder} holds another training ({told}): choose another folder, or delete {NAME} in it"
        )


def _differences(was: Any, now: Any, place: str = "") -> dict[str, tuple[Any, Any]]:
    if isinstance(was, dict) and isinstance(now, dict):
        each = [
            _differences(was.get(key), now.get(key), f"{place}.{key}" if place else key)
            for key in sorted(was.keys() | now.keys())
        ]
        return {key: pair for found in each for key, pair in found.items()}
    return {} if was == now else {place: (was, now)}
