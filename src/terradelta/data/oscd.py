"""OSCD: towns as Sentinel-2 sees them (Daudt et al., IGARSS 2018).

A folder ``imgs_1_rect`` holds the 13 bands of a date, registered and brought to 10 m, a file each. A pair
shows B04, B03 and B02, in their colours; a crop is cut from the pair as it was stretched whole, so that
crops of one town can be compared. The mask is ``cm/cm.png``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from terradelta.data.card import Card, Published
from terradelta.data.checks import look_at_change, look_at_image
from terradelta.data.dataset import BoolArray, Sample
from terradelta.data.images import pair_of
from terradelta.data.labels import read_change
from terradelta.data.layout import Files, Layout
from terradelta.data.windows import Window, cut
from terradelta.errors import InputError
from terradelta.geo.pair import Pair
from terradelta.geo.reader import Raster, read_raster

BANDS = (
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12",
)  # fmt: skip
COLOURS = ("B04", "B03", "B02")
DATES = {"before": "imgs_1_rect", "after": "imgs_2_rect"}
PREFIX = "onera"


def _splits(root: Path) -> tuple[str, ...]:
    parts = _parts(root)
    return tuple(s for s in ("train", "test") if "images" in parts and f"{s} labels" in parts)


def _parts(root: Path) -> dict[str, Path]:
    """The folders of images and labels, however the archive of the day spells their names."""
    found = {}
    for folder in root.iterdir():
        words = folder.name.lower().replace("_", " ")
        if words.startswith(PREFIX) and folder.is_dir():
            for part in ("images", "train labels", "test labels"):
                if words.endswith(part):
                    found[part] = folder
    return found


def _files(root: Path, split: str) -> list[Files]:
    parts = _parts(root)
    towns = [folder.name for folder in parts[f"{split} labels"].iterdir() if folder.is_dir()]
    return [
        _files_of(town, parts["images"], parts[f"{split} labels"])
        for town in sorted(towns)
        if not town.startswith(".")
    ]


def _files_of(town: str, images: Path, labels: Path) -> Files:
    paths = {
        f"{date} {band}": images / town / folder / f"{band}.tif"
        for date, folder in DATES.items()
        for band in BANDS
    }
    paths["label"] = labels / town / "cm" / "cm.png"
    missing = frozenset(role for role, path in paths.items() if not path.is_file())
    return Files(town, paths, missing)


def _sample(files: Files, window: Window | None, name: str) -> Sample:
    return Sample(name, partial(_pair, files, window), partial(_truth, files, window))


def _pair(files: Files, window: Window | None) -> Pair:
    return cut(pair_of(*(_in_colours(files, date) for date in DATES)), window)


def _in_colours(files: Files, date: str) -> Raster:
    red, green, blue = (read_raster(files.paths[f"{date} {band}"]) for band in COLOURS)
    for band in (green, blue):
        if band.shape != red.shape or band.values.dtype != red.values.dtype:
            raise InputError(f"{band.source} and {red.source} differ in size or type")
    return Raster(
        np.stack([band.values[0] for band in (red, green, blue)]),
        red.valid & green.valid & blue.valid,
        red.georeference,
        Path(red.source).parent,
        (4, 3, 2),
    )


def _truth(files: Files, window: Window | None) -> BoolArray:
    changed = read_change(files.paths["label"], files.paths["before B04"])
    return changed if window is None else changed[window.slices]


OSCD = Layout(
    Card(
        name="oscd",
        title="OSCD (Onera)",
        paper="Daudt et al., 2018",
        url="https://rcdaudt.github.io/oscd/",
        terms="see its page; imagery of Copernicus Sentinel-2",
        labels="urban change: new buildings and roads",
        layout="three folders named Onera ... Images, ... Train Labels and ... Test Labels: of every "
        "town imgs_1_rect and imgs_2_rect with B01.tif ..., and cm/cm.png",
        splits={"train": Published(14), "test": Published(10)},
    ),
    _splits,
    _files,
    _sample,
    {
        **{f"{date} {band}": look_at_image for date in DATES for band in BANDS},
        "label": look_at_change,
    },
)
