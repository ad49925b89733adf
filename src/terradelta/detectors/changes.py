"""A trained detector as a model of change: two images in, changes as objects and as pixels out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from terradelta.baselines.answer import EIGHT_CONNECTED, BaselineChanges
from terradelta.detectors.detector import Detector
from terradelta.detectors.files import load_detector
from terradelta.detectors.windows import CORE_PX, HALO_PX, Look, blended, part_of
from terradelta.errors import ModelError, UsageError
from terradelta.features.backbones import normalise
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.geo.tiles import Box, Lattice, intersection
from terradelta.sam.fingerprint import fingerprint
from terradelta.sam.masks import BoolArray, FloatArray, Masks
from terradelta.types import Progress, silent

if TYPE_CHECKING:
    import geopandas

RGB = NDArray[np.uint8]

DATE = "both"
"""Whose mask a change is: a detector draws one outline for both dates."""


class DetectorModel:
    """Finds changes with a trained detector, in evaluation mode, on the device where it is.

    ``dtype`` is that of its matrix products, float32 by default. Stateless. A network that tells K kinds
    of change is asked whether there is any: the probability of change is 1 less that of kind 0.
    """

    def __init__(self, detector: Detector, *, dtype: torch.dtype | None = None) -> None:
        self.detector = detector.eval()
        self.dtype = dtype or torch.float32
        self.name = detector.name
        self.device = next(detector.parameters()).device
        self._sha256 = fingerprint(self.detector)

    def __repr__(self) -> str:
        return f"DetectorModel({self.name!r} on {self.device})"

    def detect(
        self,
        before: ImageLike,
        after: ImageLike,
        *,
        threshold: float = 0.5,
        progress: Progress = silent,
    ) -> DetectorChanges:
        """All changes between two images of any size.

        Args:
            before: uint8 [H, W, 3], or the path of an image; see `terradelta.geo.pair.load_pair` for
                other types.
            after: the same place later, on the same pixel grid.
            threshold: the probability above which a pixel is change; the objects are the connected
                components of what is above.
            progress: called with (stage, steps done, steps in all).

        Raises:
            InputError: the images cannot be read or do not fit each other.
            UsageError: the threshold does not lie between 0 and 1.
            ModelError: the network's answer is not a number.
        """
        check_threshold(threshold)
        pair = load_pair(before, after)
        probability = self.probability(pair.before, pair.after, progress)
        probability = np.where(pair.valid, probability, np.float32(0))
        masks, score = components(probability, (probability > threshold) & pair.valid)
        order = np.argsort(-score, kind="stable")
        settings = self.describe()
        return DetectorChanges(masks[order], score[order], probability, threshold, pair, settings)

    def probability(self, before: RGB, after: RGB, progress: Progress = silent) -> FloatArray:
        """float32 [H, W] in [0, 1]: how probable change is, of two images uint8 [H, W, 3].

        Images of over 1280 px are looked at in windows; see `terradelta.detectors.windows`.

        Raises:
            ModelError: the network's answer is not a number.
        """
        height, width = before.shape[:2]
        lattice = Lattice(width, height, (0, 0), CORE_PX, HALO_PX)
        if lattice.is_single:
            return self._look(before, after)
        whole = (0, 0, width, height)
        return blended(lattice, whole, self._looks(lattice, whole, before, after, progress))

    def describe(self) -> dict[str, Any]:
        return {
            "model": self.name,
            "detector": dict(self.detector.settings),
            "weights_sha256": self._sha256,
            "window_px": CORE_PX + 2 * HALO_PX,
            "overlap_px": 2 * HALO_PX,
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    def _looks(
        self, lattice: Lattice, whole: Box, before: RGB, after: RGB, progress: Progress
    ) -> Iterator[Look]:
        for done, tile in enumerate(lattice):
            progress("windows", done, len(lattice))
            box = intersection(tile.window, whole)
            look = self._look(part_of(before, whole, box), part_of(after, whole, box))
            yield tile.key, box, look

    def _look(self, before: RGB, after: RGB) -> FloatArray:
        with torch.inference_mode(), self._autocast():
            logits = self.detector(self._tensor(before), self._tensor(after))[0].float()
        change = logits[0].sigmoid() if len(logits) == 1 else 1 - logits.softmax(0)[0]
        probability: FloatArray = change.cpu().numpy()
        if not np.isfinite(probability).all():
            raise ModelError(
                f"{self.name} in {self.dtype} answers with what is no number: use float32, or "
                f"other weights"
            )
        return probability

    def _tensor(self, image: RGB) -> torch.Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return normalise(pixels[None].to(self.device))

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class DetectorChanges(BaselineChanges):
    """N changes, the most probable first: ``score`` float32 [N] is the mean probability in each.

    ``intensity`` is the probability of change float32 [H, W], 0 where the pair is not valid, and
    ``threshold`` the probability above which pixels are change.
    """

    score_unit: ClassVar[str] = "probability of change"
    grey_unit: ClassVar[str] = "grey, a probability of 1 is white"

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """One polygon a change with id, date ("both"), score and area_px; see `Changes`."""
        from terradelta.zeroshot.outputs import polygons_of

        columns = {
            "date": np.full(len(self), DATE, object),
            "score": self.score.astype(float).round(5),
        }
        return polygons_of(self._masks, self.pair.georeference, columns)

    def save(self, folder: str | Path) -> list[Path]:
        """Write polygons, mask, score, overlay and provenance into a folder; see `Changes.save`.

        Raises:
            OutputError: the folder or a file cannot be written.
        """
        from terradelta.zeroshot.outputs import save_changes

        return save_changes(self, Path(folder))

    def overlay(self) -> RGB:
        """Both dates side by side with the outlines of the changes, uint8 [h, w, 3]."""
        from terradelta.zeroshot.overlay import draw_overlay

        return draw_overlay(self.pair, self._masks, [DATE] * len(self))

    def score_grey(self) -> RGB:
        """uint8 [H, W]: the probability, 1 is white."""
        return np.asarray(self.intensity * 255 + 0.5, np.uint8)

    def describe_threshold(self) -> dict[str, Any]:
        return {"threshold_probability": self.threshold}


def load_change_detector(
    folder: str | Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> DetectorModel:
    """The detector in a folder that `save_detector` or a training wrote, ready to find changes.

    Raises:
        ModelError: the folder holds no detector, or a file is damaged or does not fit the other.
        UsageError: no such device.
    """
    return DetectorModel(load_detector(folder, device), dtype=dtype)


def components(intensity: FloatArray, changed: BoolArray) -> tuple[Masks, FloatArray]:
    """The 8-connected components of ``changed``, and the mean intensity in each, float32 [N]."""
    labels, count = ndimage.label(changed, structure=EIGHT_CONNECTED)
    masks = Masks.from_labels(labels.astype(np.int32) - 1, count)
    means = masks.sums(intensity.astype(np.float64)) / masks.areas
    return masks, means.astype(np.float32)


def check_threshold(threshold: float) -> None:
    """Raises UsageError unless it is a probability."""
    if not 0 <= threshold <= 1:
        raise UsageError(f"the probability is {threshold}: it must lie between 0 and 1")
