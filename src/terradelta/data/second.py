"""SECOND: land cover of both dates where it changed (Yang et al., TGRS 2022).

``label1`` and ``label2`` are colours, white where nothing changed. Both name the land cover only of what
changed, so a pixel is change where either has a class; the change type is the pair of both classes. The
order of the classes is that of the public evaluations (Bi-SRNet), so that confusion matrices agree.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from terradelta.data.card import Card, alike
from terradelta.data.checks import look_at_colours, look_at_image
from terradelta.data.dataset import BoolArray, ClassArray, Sample
from terradelta.data.labels import Colour, read_coloured
from terradelta.data.layout import Files, Layout, read_pair, split_files, split_folders
from terradelta.data.windows import Window

COLOURS: dict[str, Colour] = {
    "unchanged": (255, 255, 255),
    "water": (0, 0, 255),
    "ground": (128, 128, 128),
    "low vegetation": (0, 128, 0),
    "tree": (0, 255, 0),
    "building": (128, 0, 0),
    "playground": (255, 0, 0),
}
ROLES = {"before": "im1", "after": "im2", "before label": "label1", "after label": "label2"}


def _splits(root: Path) -> tuple[str, ...]:
    return split_folders(root, ROLES)


def _files(root: Path, split: str) -> list[Files]:
    return split_files(root, split, ROLES)


def _sample(files: Files, window: Window | None, name: str) -> Sample:
    return Sample(
        name,
        partial(read_pair, files, window),
        partial(_truth, files, window),
        partial(_classes, files, window),
    )


def _truth(files: Files, window: Window | None) -> BoolArray:
    before, after = _classes(files, window)
    return (before > 0) | (after > 0)


def _classes(files: Files, window: Window | None) -> tuple[ClassArray, ClassArray]:
    before, after = (
        read_coloured(files.paths[f"{date} label"], files.paths[date], list(COLOURS.values()))
        for date in ("before", "after")
    )
    return (before, after) if window is None else (before[window.slices], after[window.slices])


_look_at_label = partial(look_at_colours, colours=list(COLOURS.values()))

SECOND = Layout(
    Card(
        name="second",
        title="SECOND",
        paper="Yang et al., 2022",
        url="https://captain-whu.github.io/SCD/",
        terms="none stated",
        labels="what changed, with the land cover of both dates",
        layout="train and test, each with im1, im2, label1 and label2",
        splits=alike(512, 512, train=2968, test=1694),
        crops={"anychange": 256, "changeanywhere": 256},
        classes=tuple(COLOURS),
    ),
    _splits,
    _files,
    _sample,
    {
        "before": look_at_image,
        "after": look_at_image,
        "before label": _look_at_label,
        "after label": _look_at_label,
    },
)
