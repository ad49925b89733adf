"""Whether a dataset on the disk is what was published: every file there, whole, and like the others.

Files are decoded one after the other to their last pixel; of each only its size is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terradelta.data.dataset import LabelledImage, Sample
from terradelta.data.layout import Files, Layout
from terradelta.data.registry import IMAGES, PAIRS, locate
from terradelta.errors import InputError
from terradelta.types import Progress, silent

AnyLayout = Layout[Sample] | Layout[LabelledImage]
Shape = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file or a folder, in one line."""

    file: Path
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@dataclass(frozen=True, slots=True)
class Report:
    """What lies in ``root``: samples by split, how many files were looked through, every problem.

    ``published`` is how many samples there should be by split; empty if nothing is published.
    """

    dataset: str
    root: Path
    found: dict[str, int]
    published: dict[str, int]
    files: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "dataset": self.dataset,
            "root": str(self.root),
            "ok": self.ok,
            "found": self.found,
            "published": self.published,
            "files": self.files,
            "problems": [{"file": str(p.file), "problem": p.what} for p in self.problems],
        }


def verify(name: str, root: str | Path, *, progress: Progress = silent) -> Report:
    """Look through every file of a dataset.

    Named are: a split with another number of samples than was published; a missing partner; a file
    that is cut off or cannot be read; an image that is not of the published size, not of the size of
    its partners or, where nothing was published, not of that of most pairs; a label with values that
    it cannot have.

    Raises:
        UsageError: unknown name.
        InputError: ``root`` does not hold the dataset.
    """
    layout, folder = _located(name, Path(root))
    problems: list[Problem] = []
    listed = {split: _listed(layout, folder, split, problems) for split in _splits(layout, folder)}
    total = sum(len(files.paths) for split in listed.values() for files in split)
    done = 0

    def step() -> None:
        nonlocal done
        progress("files", done, total)
        done += 1

    shapes: dict[Path, Shape] = {}
    for split, samples in listed.items():
        published = layout.card.splits.get(split)
        for files in samples:
            found, shape = _look_through(layout, files, published.size if published else None, step)
            problems += found
            if shape is not None:
                shapes[next(iter(files.paths.values()))] = shape
    if not layout.card.splits:
        problems += _odd_ones(shapes)
    return Report(
        layout.card.name,
        folder,
        {split: len(samples) for split, samples in listed.items()},
        {split: published.count for split, published in layout.card.splits.items()},
        total,
        tuple(problems),
    )


def _located(name: str, root: Path) -> tuple[AnyLayout, Path]:
    return locate(root, IMAGES, name) if name in IMAGES else locate(root, PAIRS, name)


def _splits(layout: AnyLayout, folder: Path) -> list[str]:
    """Those that were published, and those that are there."""
    return list(dict.fromkeys([*layout.card.splits, *layout.splits(folder)]))


def _listed(layout: AnyLayout, folder: Path, split: str, problems: list[Problem]) -> list[Files]:
    """The samples of a split; a problem if they are not as many as were published."""
    try:
        files = layout.files(folder, split) if split in layout.splits(folder) else []
    except InputError as error:
        problems.append(Problem(folder, f"{split} cannot be listed: {error}"))
        return []
    published = layout.card.splits.get(split)
    if published and len(files) != published.count:
        problems.append(
            Problem(folder, f"{split} has {len(files)} samples, {published.count} are published")
        )
    return files


def _look_through(
    layout: AnyLayout, files: Files, published: Shape | None, step: Callable[[], None]
) -> tuple[list[Problem], Shape | None]:
    """The problems of one sample; its size, that of the first file that can be read."""
    problems: list[Problem] = []
    first: Shape | None = None
    for role, path in files.paths.items():
        step()
        if role in files.missing:
            problems.append(Problem(path, _missing(files)))
            continue
        try:
            look = layout.checks[role](path)
        except InputError as error:
            problems.append(Problem(path, _without(path, error)))
            continue
        if look.complaint:
            problems.append(Problem(path, look.complaint))
        if look.shape is None:
            continue
        first = first or look.shape
        expected = published or first
        if look.shape != expected:
            whose = "published are" if published else "its partner"
            problems.append(Problem(path, f"is {_px(look.shape)}, {whose} {_px(expected)}"))
    return problems, first


def _missing(files: Files) -> str:
    partner = next((p for role, p in files.paths.items() if role not in files.missing), None)
    return f"missing; its partner {partner} is there" if partner else "missing, with its partners"


def _odd_ones(shapes: dict[Path, Shape]) -> Iterator[Problem]:
    """Pairs of another size than most."""
    for common, _ in Counter(shapes.values()).most_common(1):
        for path, shape in shapes.items():
            if shape != common:
                yield Problem(path, f"is {_px(shape)}, most pairs {_px(common)}")


def _px(shape: Shape) -> str:
    return f"{shape[1]} x {shape[0]} px"


def _without(path: Path, error: InputError) -> str:
    """The message without the path with which it begins, on one line."""
    return " ".join(str(error).removeprefix(str(path)).lstrip(": ").split())
