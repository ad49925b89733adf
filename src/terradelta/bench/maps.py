"""Where an answer is right and where it is wrong, as an image that can be kept and looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from terradelta.bench.cases import RGB, Answers, BoolArray, Row
from terradelta.bench.methods import slug
from terradelta.geo.files import write_png

LEGEND = {
    "found": (240, 240, 240),
    "wrongly found": (213, 94, 0),
    "missed": (86, 180, 233),
    "rightly unchanged": (25, 25, 25),
}
"""Colours that the colour-blind can tell apart (Okabe and Ito, 2008)."""


def agreement_map(answer: BoolArray, truth: BoolArray) -> RGB:
    """uint8 [H, W, 3] in the colours of `LEGEND`, from two masks bool [H, W]."""
    colours = np.array(list(LEGEND.values()), np.uint8)
    return colours[np.where(answer, np.where(truth, 0, 1), np.where(truth, 2, 3))]


def map_path(folder: Path, row: str, pair: str) -> Path:
    """Where the map of a row's first trial on a pair is kept."""
    return folder / "maps" / row / f"{slug(pair)}.png"


def panels_of(folder: Path, case: str, pair: str) -> dict[str, Path]:
    """The panels that a case has made of a pair, by caption, in their order."""
    there = sorted((folder / "panels" / case / slug(pair)).glob("*.png"))
    return {path.stem.partition("-")[2].replace("-", " "): path for path in there}


def save_maps(answers: Answers, folder: Path, case: str, pair: str) -> None:
    """Write the map of every row's first trial, and the panels.

    Raises:
        OutputError: a file cannot be written.
    """
    for row, (first, *_) in answers.trials.items():
        write_png(map_path(folder, row, pair), agreement_map(first.answer, first.truth))
    for number, (caption, panel) in enumerate(answers.panels.items()):
        name = f"{number}-{caption.replace(' ', '-')}.png"
        write_png(folder / "panels" / case / slug(pair) / name, panel)


def are_saved(folder: Path, rows: Sequence[Row], pair: str) -> bool:
    """Whether the maps of a pair are there."""
    return all(map_path(folder, row.key, pair).exists() for row in rows)
