"""Answers against the truth, over a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terradelta.errors import InputError
from terradelta.geo.reader import read_raster
from terradelta.metrics import ObjectRecall, PixelCounts, connected_components
from terradelta.zeroshot.candidates import Progress, silent

if TYPE_CHECKING:
    from terradelta.zeroshot.anychange import AnyChange

IMAGE_SUFFIXES = {".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp", ".jp2"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Pixel counts and mask AR@1000 pooled over ``images`` images."""

    images: int
    pixels: PixelCounts
    ar_1000: float

    def as_dict(self) -> dict[str, Any]:
        """Every metric by name, in [0, 1]."""
        return {"images": self.images, **self.pixels.as_dict(), "ar@1000": self.ar_1000}


def evaluate_pairs(
    model: AnyChange,
    folder: Path,
    *,
    angle: float | None = None,
    threshold: str | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Run a model on every pair of a folder with ``A``, ``B`` and ``label``.

    Files belong together by their name without suffix; a label is change where it is valid and not 0.

    Raises:
        InputError: a subfolder or a partner is missing, or an image does not fit.
    """
    names = _common_names([folder / part for part in ("A", "B", "label")])
    pixels, objects = PixelCounts(), ObjectRecall()
    for done, (before, after, label) in enumerate(names):
        progress("pairs", done, len(names))
        changes = model.detect(before, after, angle=angle, threshold=threshold)
        truth = _read_mask(label, changes.pair.shape)
        pixels += PixelCounts.of(changes.to_mask(), truth)
        objects.add(changes.rles, changes.score.tolist(), connected_components(truth))
    return Evaluation(len(names), pixels, objects.value())


def evaluate_masks(pred: Path, truth: Path, *, progress: Progress = silent) -> Evaluation:
    """Compare the masks of two folders; change is what is valid and not 0.

    The objects of a predicted mask are its connected components, the largest first.

    Raises:
        InputError: a folder or a partner is missing, or the sizes differ.
    """
    names = _common_names([pred, truth])
    pixels, objects = PixelCounts(), ObjectRecall()
    for done, (answer_path, truth_path) in enumerate(names):
        progress("masks", done, len(names))
        answer = _read_mask(answer_path)
        true = _read_mask(truth_path, (answer.shape[0], answer.shape[1]))
        pixels += PixelCounts.of(answer, true)
        found = connected_components(answer)
        objects.add(found, _areas(found), connected_components(true))
    return Evaluation(len(names), pixels, objects.value())


def _areas(rles: list[dict[str, Any]]) -> list[float]:
    from pycocotools import mask as coco

    # One by one: pycocotools cannot count more than 255 masks at a time.
    return [float(coco.area(rle)) for rle in rles]


def _common_names(folders: list[Path]) -> list[tuple[Path, ...]]:
    """The images of all folders, matched by name without suffix, in order."""
    listings = [_images(folder) for folder in folders]
    everything = set().union(*listings)
    for folder, listing in zip(folders, listings, strict=True):
        missing = sorted(everything - set(listing))
        if missing:
            raise InputError(
                f"{folder} lacks {len(missing)} of {len(everything)} images, the first is "
                f"{missing[0]!r}: names must agree between the folders"
            )
    return [tuple(listing[name] for listing in listings) for name in sorted(everything)]


def _images(folder: Path) -> dict[str, Path]:
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


def _read_mask(path: Path, shape: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    raster = read_raster(path)
    if shape is not None and raster.shape != shape:
        raise InputError(
            f"{path} is {raster.shape[1]} x {raster.shape[0]} px, its partner "
            f"{shape[1]} x {shape[0]}"
        )
    return np.asarray((raster.values != 0).any(0) & raster.valid)
