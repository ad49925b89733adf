"""Answers against the truth, over a dataset or over masks on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.data import Dataset, open_dataset
from terradelta.data.folder import read_mask
from terradelta.data.layout import check_complete, partners
from terradelta.errors import InputError
from terradelta.geo.files import write_json
from terradelta.geo.pair import Pair
from terradelta.metrics import (
    ImageCounts,
    Interval,
    ObjectMatches,
    PixelCounts,
    RecallCounts,
    bootstrap_intervals,
    connected_components,
    write_per_image,
)
from terradelta.metrics.objects import areas
from terradelta.types import ChangeModel, Progress, silent


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The counts of every image; metrics are those of the pooled counts."""

    per_image: tuple[ImageCounts, ...]

    @property
    def pixels(self) -> PixelCounts:
        return sum((image.pixels for image in self.per_image), PixelCounts())

    @property
    def recall(self) -> RecallCounts:
        return sum((image.recall for image in self.per_image), RecallCounts())

    @property
    def objects(self) -> ObjectMatches:
        return sum((image.objects for image in self.per_image), ObjectMatches())

    def metrics(self) -> dict[str, float]:
        """Every metric by name; NaN where it is not defined."""
        return {**self.pixels.as_dict(), **self.recall.as_dict(), **self.objects.as_dict()}

    def intervals(self) -> dict[str, Interval]:
        """Of every metric the 95 % interval (low, high); see `bootstrap_intervals`."""
        return {
            **bootstrap_intervals([image.pixels for image in self.per_image]),
            **bootstrap_intervals([image.recall for image in self.per_image]),
            **bootstrap_intervals([image.objects for image in self.per_image]),
        }

    def as_dict(self) -> dict[str, Any]:
        """The numbers of ``images``, ``truths`` and ``proposals``; every metric; ``interval_95``.

        As JSON has them: an interval is a list of two, and None stands where a number is not defined.
        """
        objects = self.objects
        return {
            "images": len(self.per_image),
            "truths": objects.truths,
            "proposals": objects.proposals,
            **{name: _number(value) for name, value in self.metrics().items()},
            "interval_95": {
                name: [_number(end) for end in ends] for name, ends in self.intervals().items()
            },
        }

    def save(self, folder: Path, **protocol: Any) -> None:
        """Write ``per_image.csv`` and, with what else tells how it was measured, ``metrics.json``.

        Raises:
            OutputError: a file cannot be written.
        """
        write_per_image(folder / "per_image.csv", self.per_image)
        write_json(folder / "metrics.json", {**self.as_dict(), **protocol})


def evaluate_pairs(
    model: ChangeModel,
    data: Dataset | str | Path,
    *,
    progress: Progress = silent,
    **asked: Any,
) -> Evaluation:
    """Run a model on every pair of a dataset, or of a folder that `open_dataset` knows.

    ``asked`` is handed to ``model.detect``, as ``angle`` or ``threshold`` to that of `AnyChange`. A
    model that learns from the pairs must have been fitted.

    Raises:
        InputError: the folder is no dataset, a file is missing, or an image does not fit.
    """
    dataset = data if isinstance(data, Dataset) else open_dataset(Path(data))
    if not len(dataset):
        raise InputError(f"{dataset.root} holds no pairs")
    images = []
    for done, sample in enumerate(dataset.samples):
        progress("pairs", done, len(dataset))
        pair, truth = sample.pair(), sample.truth()
        answer = model.detect(*_dates(pair), **asked)
        images.append(
            ImageCounts.of(sample.name, answer.to_mask(), answer.rles, answer.score, truth)
        )
    return Evaluation(tuple(images))


def evaluate_masks(pred: Path, truth: Path, *, progress: Progress = silent) -> Evaluation:
    """Compare the masks of two folders; change is what is valid and not 0.

    The objects of a predicted mask are its connected components, the largest first.

    Raises:
        InputError: a folder or a partner is missing, or the sizes differ.
    """
    files = partners({"pred": pred, "truth": truth})
    check_complete(files)
    images = []
    for done, masks in enumerate(files):
        progress("masks", done, len(files))
        answer = read_mask(masks.paths["pred"])
        true = read_mask(masks.paths["truth"], (answer.shape[0], answer.shape[1]))
        found = connected_components(answer)
        images.append(ImageCounts.of(masks.name, answer, found, areas(found), true))
    return Evaluation(tuple(images))


def _dates(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both images as arrays; what is not valid is transparent."""
    if pair.valid.all():
        return pair.before, pair.after
    opaque = np.where(pair.valid, 255, 0).astype(np.uint8)
    return np.dstack([pair.before, opaque]), np.dstack([pair.after, opaque])


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
