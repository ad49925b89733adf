"""What a detection returns: changes as objects, with everything a user may want of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terradelta.geo.pair import Pair
from terradelta.sam.masks import FloatArray, Masks

if TYPE_CHECKING:
    import geopandas

PNG_WHITE_DEG = 90.0


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """N changes between two images, the largest angle first.

    Attributes:
        angle: float32 [N], degrees in [0, 180] between the two embeddings of the mask.
        iou: float32 [N], the IoU that the segmenter predicted for its mask.
        stability: float32 [N] in [0, 1], how little the mask depends on the segmenter's threshold.
        date: ["before" | "after"] * N: whose mask it is. An object that appeared has its mask in
            *after*, one that vanished in *before*.
        threshold: the angle in degrees above which proposals are changes, however it was chosen.
        pixel_angle: float32 [H, W], degrees; see `to_mask`.
        pair: the two images.
        settings: how the answer was made, for `save`.
    """

    _masks: Masks
    angle: FloatArray
    iou: FloatArray
    stability: FloatArray
    date: list[str]
    threshold: float
    pixel_angle: FloatArray
    pair: Pair
    settings: Mapping[str, Any] = field(default_factory=dict)

    score_unit: ClassVar[str] = "-cos(angle)"
    grey_unit: ClassVar[str] = f"grey, {PNG_WHITE_DEG:g} degrees is white"

    def __len__(self) -> int:
        return len(self._masks)

    def __repr__(self) -> str:
        height, width = self._masks.shape
        return f"Changes({len(self)} on {width} x {height} px, angle > {self.threshold:.1f})"

    @property
    def score(self) -> FloatArray:
        """float32 [N], the paper's change confidence, -cos(angle), in [-1, 1]."""
        return score_of(self.angle)

    @property
    def boxes(self) -> FloatArray:
        """float32 [N, 4]: x0, y0, x1, y1 in pixel edges, origin top left."""
        return self._masks.boxes

    @property
    def area(self) -> NDArray[np.int64]:
        """int64 [N], pixels."""
        return self._masks.areas

    @property
    def rles(self) -> list[dict[str, Any]]:
        """COCO run-length encodings: ``size`` [H, W] and compressed ``counts``."""
        return self._masks.rles()

    def masks(self) -> NDArray[np.bool_]:
        """bool [N, H, W]: N times the size of the image; `rles` is smaller."""
        return self._masks.dense()

    def to_mask(self) -> NDArray[np.bool_]:
        """The pixel-level answer, bool [H, W].

        Where `pixel_angle` exceeds the threshold, so that a larger threshold gives a subset. With SAM
        the angle of a pixel is that of the most changed mask that holds it, and this is the union of
        the changes (AnyChange, section 4.1); with `regions` it is the mean over all masks that hold
        the pixel, weighted by predicted IoU. Of the k largest angles it is the union with either.
        """
        return np.asarray(self.pixel_angle > self.threshold)

    def score_image(self) -> FloatArray:
        """float32 [H, W]: the change confidence of every pixel, -cos of its angle."""
        return score_of(self.pixel_angle)

    def score_grey(self) -> NDArray[np.uint8]:
        """uint8 [H, W]: the angle of every pixel, 0 degrees black, 90 and more white."""
        return angle_as_grey(self.pixel_angle)

    def describe_threshold(self) -> dict[str, Any]:
        return {"threshold_deg": round(self.threshold, 4)}

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """One polygon a change with id, date, angle, score, iou, stability and area_px.

        Holes are kept; outlines follow pixel edges and are simplified by at most half a pixel. In
        the CRS of the images if they have one, else in pixels (origin top left, y down) without CRS.
        """
        from terradelta.zeroshot.outputs import polygons_of

        columns = {
            "date": np.array(self.date, dtype=object),
            "angle": self.angle.astype(float).round(3),
            "score": self.score.astype(float).round(5),
            "iou": self.iou.astype(float).round(4),
            "stability": self.stability.astype(float).round(4),
        }
        return polygons_of(self._masks, self.pair.georeference, columns)

    def save(self, folder: str | Path) -> list[Path]:
        """Write polygons, mask, score, overlay and provenance into a folder; return their paths.

        ``changes.gpkg``, ``change_mask.tif`` and ``score.tif`` if the images are georeferenced, else
        ``changes.geojson`` (in pixels), ``change_mask.png`` and ``score.png``; ``overlay.png``;
        ``run.json``. Each file is written under a temporary name and renamed.

        Raises:
            OutputError: the folder or a file cannot be written.
        """
        from terradelta.zeroshot.outputs import save_changes

        return save_changes(self, Path(folder))

    def overlay(self) -> NDArray[np.uint8]:
        """Both dates side by side with the outlines of the changes, uint8 [h, w, 3]."""
        from terradelta.zeroshot.overlay import draw_overlay

        return draw_overlay(self.pair, self._masks, self.date)


def angle_as_grey(angle: FloatArray) -> NDArray[np.uint8]:
    """Angles [H, W] as grey: 0 degrees black, 90 and more white."""
    return np.asarray(np.clip(angle / PNG_WHITE_DEG * 255 + 0.5, 0, 255), np.uint8)


def score_of(angle: FloatArray) -> FloatArray:
    """The paper's change confidence of angles in degrees: -cos(angle), in [-1, 1]."""
    return -np.cos(np.radians(angle)).astype(np.float32)
