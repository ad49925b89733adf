"""WHU-CD: buildings of Christchurch after the earthquake (Ji et al., TGRS 2019).

One pair of scenes of 32507 x 15354 px, which is never read whole: samples are windows. With squares of
512 px, those at the right and bottom cut short, there are 64 x 30 = 1,920, the number that ChangeCLIP
gives. It is published twice: as one scene (``whu-cd``), and parted into train and test (``whu-cd-add``,
the archive "Building change detection dataset_add").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from terradelta.data.binary import CHECKS
from terradelta.data.card import Card, Published
from terradelta.data.dataset import BoolArray, Sample
from terradelta.data.images import pair_of, read_window, shape_of
from terradelta.data.labels import change_of
from terradelta.data.layout import Files, Layout
from terradelta.data.windows import Window
from terradelta.geo.pair import Pair

CROP = 512


def _scene(root: Path, split: str) -> dict[str, Path]:
    return {
        "before": root / "before" / "before.tif",
        "after": root / "after" / "after.tif",
        "label": root / "change label" / "change_label.tif",
    }


def _part(root: Path, split: str) -> dict[str, Path]:
    before, after = (
        root / year / "whole_image" / split / "image" / f"{year}_{split}.tif"
        for year in ("2012", "2016")
    )
    return {
        "before": before,
        "after": after,
        "label": root / "change_label" / split / "change_label.tif",
    }


def _layout(
    card: Card, paths: Callable[[Path, str], dict[str, Path]], splits: tuple[str, ...]
) -> Layout[Sample]:
    def files(root: Path, split: str) -> list[Files]:
        there = paths(root, split)
        missing = frozenset(role for role, path in there.items() if not path.is_file())
        return [Files("scene" if split == "all" else split, there, missing)]

    def found(root: Path) -> tuple[str, ...]:
        return tuple(s for s in splits if any(p.is_file() for p in paths(root, s).values()))

    return Layout(card, found, files, _sample, CHECKS, crop=CROP)


def _sample(files: Files, window: Window | None, name: str) -> Sample:
    part = window or Window(0, 0, *shape_of(files.paths["before"]))
    return Sample(name, partial(_pair, files, part), partial(_truth, files, part))


def _pair(files: Files, window: Window) -> Pair:
    return pair_of(*(read_window(files.paths[date], window) for date in ("before", "after")))


def _truth(files: Files, window: Window) -> BoolArray:
    return change_of(read_window(files.paths["label"], window))


WHU_CD = _layout(
    Card(
        name="whu-cd",
        title="WHU-CD",
        paper="Ji et al., 2019",
        url="http://gpcv.whu.edu.cn/data/building_dataset.html",
        terms="see its page",
        labels="new and vanished buildings",
        layout="before/before.tif, after/after.tif and change label/change_label.tif",
        splits={"all": Published(1, (15354, 32507))},
        crops={"changeclip": CROP},
    ),
    _scene,
    ("all",),
)

WHU_CD_ADD = _layout(
    Card(
        name="whu-cd-add",
        title="WHU-CD, parted into train and test",
        paper="Ji et al., 2019",
        url="http://gpcv.whu.edu.cn/data/building_dataset.html",
        terms="see its page",
        labels="new and vanished buildings",
        layout="2012 and 2016, each with whole_image/SPLIT/image/YEAR_SPLIT.tif, and "
        "change_label/SPLIT/change_label.tif",
        splits={"train": Published(1, (15354, 21243)), "test": Published(1, (15354, 11265))},
    ),
    _part,
    ("train", "test"),
)
