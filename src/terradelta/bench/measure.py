"""What is counted of every trial, as a line of the journal holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from terradelta.bench.cases import Answers, Trial
from terradelta.metrics import ImageCounts, ObjectMatches, PixelCounts, RecallCounts
from terradelta.zeroshot.query import Click

Stored = list[dict[str, list[Any]]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One row's trials on the pair ``name``, and the seconds that all rows of its case took."""

    name: str
    trials: tuple[ImageCounts, ...]
    clicks: tuple[tuple[Click, ...], ...]
    seconds: float

    @property
    def pooled(self) -> ImageCounts:
        """The counts of all trials together."""
        return ImageCounts(
            self.name,
            sum((trial.pixels for trial in self.trials), PixelCounts()),
            sum((trial.recall for trial in self.trials), RecallCounts()),
            sum((trial.objects for trial in self.trials), ObjectMatches()),
        )


def counts(answers: Answers) -> dict[str, Stored]:
    """The trials of a pair by the key of their row, as JSON values."""
    return {key: [_stored(trial) for trial in trials] for key, trials in answers.trials.items()}


def measured(name: str, rows: Mapping[str, Stored], seconds: float) -> dict[str, Measured]:
    """The inverse of `counts`."""
    return {
        key: Measured(
            name,
            tuple(_restored(name, trial) for trial in trials),
            tuple(tuple(Click(*click) for click in trial["clicks"]) for trial in trials),
            seconds,
        )
        for key, trials in rows.items()
    }


def _stored(trial: Trial) -> dict[str, list[Any]]:
    found = ImageCounts.of("", trial.answer, trial.rles, trial.score, trial.truth)
    return {
        "pixels": found.pixels.as_array().tolist(),
        "recall": found.recall.as_array().tolist(),
        "objects": found.objects.as_array().tolist(),
        "clicks": [list(click) for click in trial.clicks],
    }


def _restored(name: str, stored: Mapping[str, Sequence[int]]) -> ImageCounts:
    return ImageCounts(
        name,
        PixelCounts.from_array(np.array(stored["pixels"])),
        RecallCounts.from_array(np.array(stored["recall"])),
        ObjectMatches.from_array(np.array(stored["objects"])),
    )
