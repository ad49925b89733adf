"""A layout: how a dataset lies on the disk, and how its files become samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from terradelta.data.card import Card
from terradelta.data.checks import Check
from terradelta.data.dataset import BoolArray, LabelledImage, Sample
from terradelta.data.labels import read_change, read_known
from terradelta.data.windows import Window, cut
from terradelta.errors import InputError
from terradelta.geo.pair import Pair, load_pair

IMAGE_SUFFIXES = {".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp", ".jp2"}
SPLITS = ("train", "val", "test")

S = TypeVar("S", bound=Sample | LabelledImage)


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one sample by role; of those ``missing`` the path says where they ought to lie.

    The first is an image: its head tells the size of the sample.
    """

    name: str
    paths: Mapping[str, Path]
    missing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Layout(Generic[S]):
    """``splits`` lists those that lie in a folder, none if it is laid out otherwise.

    ``belongs`` tells this dataset from others that are laid out alike. ``files`` lists a split, and does
    not stop at a missing file. ``sample`` makes a sample, or a window of it, under a name. ``checks``
    looks through a file by its role. Without a crop asked for ``crop`` is taken.
    """

    card: Card
    splits: Callable[[Path], tuple[str, ...]]
    files: Callable[[Path, str], list[Files]]
    sample: Callable[[Files, Window | None, str], S]
    checks: Mapping[str, Check]
    belongs: Callable[[Path], bool] = lambda folder: True
    crop: int | None = None


def binary_sample(files: Files, window: Window | None, name: str) -> Sample:
    """A sample of ``before``, ``after`` and a mask of change, ``label``."""
    known = partial(known_of, files, window)
    return Sample(
        name, partial(read_pair, files, window), partial(_truth, files, window), known=known
    )


def known_of(files: Files, window: Window | None) -> BoolArray:
    """Where the mask of change ``label`` says anything; see `read_known`."""
    known = read_known(files.paths["label"])
    return known if window is None else known[window.slices]


def read_pair(files: Files, window: Window | None) -> Pair:
    """The images ``before`` and ``after``, of which a window is kept."""
    return cut(load_pair(files.paths["before"], files.paths["after"]), window)


def _truth(files: Files, window: Window | None) -> BoolArray:
    changed = read_change(files.paths["label"], files.paths["before"])
    return changed if window is None else changed[window.slices]


def split_folders(root: Path, roles: Mapping[str, str]) -> tuple[str, ...]:
    """The splits below ``root``; none unless one of them has a folder for every role."""
    whole = [s for s in SPLITS if all((root / s / folder).is_dir() for folder in roles.values())]
    some = [s for s in SPLITS if any((root / s / folder).is_dir() for folder in roles.values())]
    return tuple(some) if whole else ()


def split_files(root: Path, split: str, roles: Mapping[str, str]) -> list[Files]:
    """The files of a split with a folder for every role."""
    return partners({role: root / split / folder for role, folder in roles.items()})


def partners(folders: Mapping[str, Path]) -> list[Files]:
    """The images of a folder for every role, matched by name without suffix, in order of the names.

    Raises:
        InputError: a folder is missing or holds no images, or two images have one name.
    """
    listings = {role: images_of(folder) for role, folder in folders.items()}
    everything: dict[str, Path] = {}
    for listing in reversed(listings.values()):
        everything.update(listing)
    return [
        Files(
            name,
            {
                role: listing.get(name, folders[role] / everything[name].name)
                for role, listing in listings.items()
            },
            frozenset(role for role, listing in listings.items() if name not in listing),
        )
        for name in sorted(everything)
    ]


def images_of(folder: Path) -> dict[str, Path]:
    """The images of a folder by their name without suffix, hidden files left out.

    Raises:
        InputError: no folder, no images in it, or two of one name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise InputError(f"{found[path.stem]} and {path} have the same name: keep one")
            found[path.stem] = path
    if not found:
        raise InputError(f"{folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return found


def check_complete(files: Sequence[Files]) -> None:
    """Raises InputError if a file is missing, and says of which folder, how many, and the first."""
    for role in files[0].paths if files else ():
        missing = [each for each in files if role in each.missing]
        if missing:
            path = missing[0].paths[role]
            kind = "images" if path.suffix.lower() in IMAGE_SUFFIXES else "files"
            raise InputError(
                f"{path.parent} lacks {len(missing)} of {len(files)} {kind}, the first is "
                f"{missing[0].name!r}: names must agree between the folders"
            )
