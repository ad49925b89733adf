"""OpenEarthMap: land cover of single dates (Xia et al., WACV 2023).

``train.txt`` and ``val.txt`` list the images; those of the test set have no public labels. Images that
come from xBD are not in the release and are added by hand (its ``xbd_files.csv`` says which): as long as
they are not there, they are left out, labels and all.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terradelta.data.card import Card, Published
from terradelta.data.checks import look_at_codes, look_at_image
from terradelta.data.dataset import ClassArray, LabelledImage
from terradelta.data.labels import read_coded
from terradelta.data.layout import Files, Layout
from terradelta.data.windows import Window, check_inside
from terradelta.errors import InputError
from terradelta.geo.reader import read_raster

SPLITS = ("train", "val")
CLASSES = (
    "unlabelled",
    "bareland",
    "rangeland",
    "developed space",
    "road",
    "tree",
    "water",
    "agriculture land",
    "building",
)


def _splits(root: Path) -> tuple[str, ...]:
    if not any(folder.is_dir() for folder in root.glob("*/labels")):
        return ()
    return tuple(split for split in SPLITS if (root / f"{split}.txt").is_file())


def _files(root: Path, split: str) -> list[Files]:
    not_released = _of_xbd(root)
    found = []
    for name in _lines(root / f"{split}.txt"):
        region = root / name.rsplit("_", 1)[0]
        paths = {"image": region / "images" / name, "label": region / "labels" / name}
        missing = frozenset(role for role, path in paths.items() if not path.is_file())
        if not ("image" in missing and name in not_released):
            found.append(Files(Path(name).stem, paths, missing))
    return sorted(found, key=lambda files: files.name)


def _of_xbd(root: Path) -> set[str]:
    """The images that the release leaves out, by name."""
    path = root / "xbd_files.csv"
    return {line.split(",")[-1] for line in _lines(path)} if path.is_file() else set()


def _lines(path: Path) -> list[str]:
    """What a list names; of a name only the last part, so that it cannot lead out of the dataset."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return [Path(line.strip()).name for line in lines if line.strip()]


def _sample(files: Files, window: Window | None, name: str) -> LabelledImage:
    return LabelledImage(name, partial(_image, files, window), partial(_classes, files, window))


def _image(files: Files, window: Window | None) -> NDArray[np.uint8]:
    raster = read_raster(files.paths["image"])
    if raster.values.dtype != np.uint8:
        raise InputError(f"{raster.source} holds {raster.values.dtype}, not 8-bit colours")
    image = np.ascontiguousarray(np.moveaxis(raster.values, 0, -1))
    if window is None:
        return image
    check_inside(window, raster.shape, str(raster.source))
    return image[window.slices]


def _classes(files: Files, window: Window | None) -> ClassArray:
    classes = read_coded(files.paths["label"], files.paths["image"], len(CLASSES))
    return classes if window is None else classes[window.slices]


OPENEARTHMAP = Layout(
    Card(
        name="openearthmap",
        title="OpenEarthMap",
        paper="Xia et al., 2023",
        url="https://open-earth-map.org",
        terms="as the imagery of each region; else labels CC BY-NC-SA 4.0",
        labels="land cover of single dates, 8 classes",
        layout="train.txt and val.txt, and for every region images and labels (REGION_1.tif ...)",
        splits={"train": Published(3000), "val": Published(500)},
        classes=CLASSES,
    ),
    _splits,
    _files,
    _sample,
    {"image": look_at_image, "label": partial(look_at_codes, count=len(CLASSES))},
)
