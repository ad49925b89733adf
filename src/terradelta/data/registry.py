"""The datasets by name, and opening one: its layout is recognised, its files are found, none is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from terradelta.data.binary import CLCD, DSIFN, S2LOOKING, SYSU_CD
from terradelta.data.card import Card
from terradelta.data.dataset import Dataset, ImageDataset, LabelledImage, Sample
from terradelta.data.folder import FOLDER, ROLES
from terradelta.data.images import shape_of
from terradelta.data.layout import Files, Layout, S, check_complete
from terradelta.data.levir import LEVIR_CD
from terradelta.data.openearthmap import OPENEARTHMAP
from terradelta.data.oscd import OSCD
from terradelta.data.second import SECOND
from terradelta.data.subsets import subset
from terradelta.data.whu import WHU_CD, WHU_CD_ADD
from terradelta.data.windows import Window, windows_of
from terradelta.data.xview2 import XVIEW2
from terradelta.errors import InputError, UsageError

PAIRS: dict[str, Layout[Sample]] = {
    layout.card.name: layout
    for layout in (
        LEVIR_CD, S2LOOKING, XVIEW2, SECOND, WHU_CD, WHU_CD_ADD, SYSU_CD, DSIFN, OSCD, CLCD, FOLDER,
    )
}  # fmt: skip
"""The last one, any folder, is taken where no other is recognised."""

IMAGES: dict[str, Layout[LabelledImage]] = {OPENEARTHMAP.card.name: OPENEARTHMAP}

DATASETS: dict[str, Card] = {
    name: layout.card for layouts in (PAIRS, IMAGES) for name, layout in layouts.items()
}

LEVELS = 3
"""An archive unpacks into a folder of its own name, at times twice: so deep a dataset is looked for."""

DEFAULT_SPLITS = ("test", "val")


def open_dataset(
    root: str | Path,
    name: str | None = None,
    split: str | None = None,
    *,
    crop: int | None = None,
    share: float | None = None,
    seed: int = 0,
) -> Dataset:
    """The pairs of one split of a dataset in ``root``, or in one of its folders.

    ``name`` is one of `DATASETS`; without it the layout is recognised. ``split`` is an official one or
    ``"all"``, and by default that for testing, or all where there is none. ``crop`` cuts every pair into
    squares of so many px; ``share`` keeps a seeded part of the pairs (of the squares, if the split is one
    scene), larger shares holding smaller ones.

    Raises:
        UsageError: unknown name or split, or a crop or share out of range.
        InputError: no dataset, or a file of it is missing.
    """
    layout, folder = locate(Path(root), PAIRS, name)
    split = _split(layout, folder, split)
    samples = _samples(layout, folder, split, crop, share, seed)
    return Dataset(layout.card.name, folder, split, tuple(samples))


def open_images(
    root: str | Path,
    name: str | None = None,
    split: str | None = None,
    *,
    crop: int | None = None,
    share: float | None = None,
    seed: int = 0,
) -> ImageDataset:
    """The images of one split of a dataset of single dates; else as `open_dataset`."""
    layout, folder = locate(Path(root), IMAGES, name)
    split = _split(layout, folder, split)
    images = _samples(layout, folder, split, crop, share, seed)
    return ImageDataset(layout.card.name, folder, split, tuple(images))


def locate(
    root: Path, layouts: Mapping[str, Layout[S]], name: str | None
) -> tuple[Layout[S], Path]:
    """The layout of what lies in ``root``, and the folder in which it lies.

    Raises:
        UsageError: unknown name, or several datasets.
        InputError: none.
    """
    if name is not None and name not in layouts:
        raise UsageError(_unknown(name, layouts))
    wanted = list(layouts.values()) if name is None else [layouts[name]]
    if not root.is_dir():
        published = len(wanted) == 1 and wanted[0].card.splits
        source = f": {wanted[0].card.source()}" if published else ""
        raise InputError(f"{root} is not a folder{source}")
    for folders in _levels(root):
        found = [
            (layout, folder)
            for folder in folders
            for layout in wanted
            if layout.splits(folder) and (name is not None or layout.belongs(folder))
        ]
        exact = [each for each in found if each[0].card is not FOLDER.card] or found
        if len(exact) == 1:
            return exact[0]
        if exact:
            several = ", ".join(f"{layout.card.name} in {folder}" for layout, folder in exact)
            raise UsageError(f"{root} holds several datasets: choose one of {several}")
    raise InputError(_not_laid_out(root, layouts, name))


def _levels(root: Path) -> Iterator[list[Path]]:
    """The folder, those in it, and those in these."""
    folders = [root]
    for _ in range(LEVELS):
        yield folders
        folders = [inner for folder in folders for inner in _inside(folder)]


def _inside(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error.strerror}") from error
    return [path for path in paths if path.is_dir() and not path.name.startswith(".")]


def _unknown(name: str, layouts: Mapping[str, Layout[S]]) -> str:
    if name in DATASETS:
        opener = "open_images" if name in IMAGES else "open_dataset"
        return f"{name} is opened by {opener}"
    return f"unknown dataset {name!r}: choose from {', '.join(layouts)}"


def _not_laid_out(root: Path, layouts: Mapping[str, Layout[S]], name: str | None) -> str:
    card = None if name is None else layouts[name].card
    if card is not None and card.splits:
        return f"{root} is not laid out as {name} is published: {card.layout}. Or {card.source()}"
    lacking = next((root / part for part in ROLES.values() if not (root / part).is_dir()), root)
    return (
        f"no dataset in {root}: {lacking} is not a folder. Give a folder with A, B and label, or a "
        f"dataset as it was published (`terradelta data list`)"
    )


def _split(layout: Layout[S], folder: Path, split: str | None) -> str:
    there = layout.splits(folder)
    if split is None:
        return next((name for name in DEFAULT_SPLITS if name in there), "all")
    if split != "all" and split not in there:
        choices = there if "all" in there else (*there, "all")
        raise UsageError(f"{folder} has no split {split!r}: choose from {', '.join(choices)}")
    return split


def _samples(
    layout: Layout[S], folder: Path, split: str, crop: int | None, share: float | None, seed: int
) -> list[S]:
    files = _listed(layout, folder, split)
    scene = len(files) == 1
    if share is not None and not scene:
        files = subset(files, share, seed, lambda each: each.name)
    units = _cropped(files, layout.crop if crop is None else crop)
    if share is not None and scene:
        units = subset(units, share, seed, lambda unit: unit[0])
    units.sort(key=lambda unit: unit[0])
    return [layout.sample(each, window, name) for name, each, window in units]


def _cropped(files: list[Files], crop: int | None) -> list[tuple[str, Files, Window | None]]:
    if crop is None:
        return [(each.name, each, None) for each in files]
    return [
        (f"{each.name}_{window.label()}", each, window)
        for each in files
        for window in windows_of(shape_of(next(iter(each.paths.values()))), crop)
    ]


def _listed(layout: Layout[S], folder: Path, split: str) -> list[Files]:
    """The files of a split, all there; of all splits their names come first, for two may share one."""
    there = layout.splits(folder)
    if split in there:
        files = layout.files(folder, split)
    else:
        files = [
            Files(f"{part}_{each.name}", each.paths, each.missing)
            for part in there
            for each in layout.files(folder, part)
        ]
    check_complete(files)
    return files
