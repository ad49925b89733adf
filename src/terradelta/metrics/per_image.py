"""All that is counted of one image, and the table of all images."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from terradelta.geo.files import write_text
from terradelta.metrics.matches import ObjectMatches
from terradelta.metrics.objects import RLE, Overlaps, connected_components
from terradelta.metrics.pixel import Mask, PixelCounts
from terradelta.metrics.recall import RecallCounts


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """The counts of the image ``name``."""

    name: str
    pixels: PixelCounts
    recall: RecallCounts
    objects: ObjectMatches

    @classmethod
    def of(
        cls, name: str, answer: Mask, proposals: Sequence[RLE], scores: Iterable[float], truth: Mask
    ) -> ImageCounts:
        """Of an answer as a mask, bool [H, W], and as COCO run-length masks with a score each.

        The truth objects are the connected components of ``truth``, bool [H, W].
        """
        pixels = PixelCounts.of(answer, truth)
        overlaps = Overlaps.of(proposals, scores, connected_components(truth))
        return cls(name, pixels, RecallCounts.of(overlaps), ObjectMatches.of(overlaps))

    def as_row(self) -> dict[str, Any]:
        """Name, counts and metrics of the image alone; a metric is NaN where it is not defined."""
        pixels = ("precision", "recall", "f1", "iou", "kappa")
        return {
            "name": self.name,
            **asdict(self.pixels),
            **{metric: getattr(self.pixels, metric) for metric in pixels},
            **asdict(self.objects),
            **self.objects.as_dict(),
            "ar@1000": self.recall.as_dict()["ar@1000"],
        }


def write_per_image(path: Path, images: Sequence[ImageCounts]) -> None:
    """Write one line per image as CSV; a metric that is not defined is left empty.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = [image.as_row() for image in images]
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: "" if value != value else value for name, value in row.items()})
    write_text(path, text.getvalue())
