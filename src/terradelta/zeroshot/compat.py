"""``compat="torchange"``: the choices of torchange 0.0.4, the authors' release, one by one.

For comparisons on square images only. What differs from the rest of this package: embeddings are read
with aligned corners over the whole canvas; boxes exclude their last pixel; duplicates are ranked by
predicted IoU, after the threshold; at most about a thousand results; Otsu over pixels; a click takes
the first mask that passes the thresholds, and keeps masks of a similar area whose pixels vote for it
in the embedding that is not demodulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from terradelta.errors import QueryError, UsageError
from terradelta.geo.pair import Pair
from terradelta.sam.proposals import MAX_AREA, ProposalSettings, box_nms, point_grid
from terradelta.sam.sam import SamSegmenter
from terradelta.sam.segmenter import Axis, BoolArray, Embedding, Encoded, Proposals, Segmenter
from terradelta.zeroshot.candidates import DATES, Candidates, match
from terradelta.zeroshot.changes import Changes
from terradelta.zeroshot.matching import mask_means
from terradelta.zeroshot.query import ClickLike, parse_clicks

MOST_RESULTS = 1000
AREA_RATIOS = 0.25, 4.0
VOTE = 0.5


@dataclass(frozen=True, slots=True)
class _Query:
    """Mean area in px and mean embedding [C] (not demodulated) of the clicked masks."""

    area: float
    embedding: NDArray[np.float64]


class TorchangeSession:
    """`Session` with torchange's choices."""

    def __init__(
        self, segmenter: Segmenter, pair: Pair, settings: ProposalSettings, angle: float
    ) -> None:
        height, width = pair.shape
        if height != width or not isinstance(segmenter, SamSegmenter) or not pair.valid.all():
            raise UsageError(
                f"compat='torchange' needs SAM and a square image without nodata, got "
                f"{segmenter.name!r} and {width} x {height} px"
            )
        self.pair = pair
        self._segmenter = segmenter
        self._settings = settings
        self._angle = angle
        self._encoded = segmenter.encode_both(pair.before, pair.after)
        self._proposals = [self._propose(encoded) for encoded in self._encoded]

    def detect(
        self,
        *,
        angle: float | None = None,
        threshold: str | None = None,
        top_k: int | None = None,
    ) -> Changes:
        """All changes, as ``AnyChange.forward`` of torchange."""
        return self._select(self._proposals, self._threshold(angle, threshold, top_k))

    def query(
        self,
        points: Sequence[ClickLike],
        *,
        object_angle: float | None = None,
        angle: float | None = None,
        threshold: str | None = None,
        top_k: int | None = None,
    ) -> Changes:
        """Changes of a clicked object, as ``multi_points_match`` of torchange."""
        alike = self._segmenter.defaults.object_angle if object_angle is None else object_angle
        query = self._query(points)
        alike_only = [
            proposals[self._votes(proposals, encoded, query, alike)]
            for proposals, encoded in zip(self._proposals, self._encoded, strict=True)
        ]
        return self._select(alike_only, self._threshold(angle, threshold, top_k))

    def _propose(self, encoded: Encoded) -> Proposals:
        height, width = encoded.shape
        found = self._decode(encoded, point_grid(encoded.shape, self._settings.points_per_side))
        found = found[box_nms(_inclusive(found.masks.boxes), found.iou, self._settings.nms)]
        return found[found.masks.areas / (height * width) < MAX_AREA]

    def _decode(self, encoded: Encoded, points: NDArray[Any]) -> Proposals:
        return self._segmenter.decode(
            encoded,
            points,
            min_iou=self._settings.pred_iou,
            min_stability=self._settings.stability,
        )

    def _select(self, proposals: list[Proposals], threshold: float) -> Changes:
        before, after = (_aligned(e, e.embedding.z) for e in self._encoded)
        found = match(proposals, (before, after))
        found = found[found.angle > threshold]
        found = found[box_nms(_inclusive(found.masks.boxes), found.iou, self._settings.nms)]
        if len(found.masks) > MOST_RESULTS:
            found = found[found.angle > np.sort(found.angle)[-MOST_RESULTS - 1]]
        return self._changes(found, threshold)

    def _changes(self, found: Candidates, threshold: float) -> Changes:
        return Changes(
            _masks=found.masks,
            angle=found.angle,
            iou=found.iou,
            stability=found.stability,
            date=[DATES[d] for d in found.date],
            threshold=threshold,
            pixel_angle=found.masks.paint_max(found.angle),
            pair=self.pair,
            settings={"model": self._segmenter.name, "compat": "torchange"},
        )

    def _threshold(self, angle: float | None, threshold: str | None, top_k: int | None) -> float:
        if top_k is not None or threshold not in (None, "otsu"):
            raise UsageError("compat='torchange' knows an angle or threshold='otsu'")
        if threshold == "otsu":
            return self._pixel_otsu()
        return self._angle if angle is None else angle

    def _pixel_otsu(self) -> float:
        """Otsu's threshold of the angle at every pixel, in degrees."""
        before, after = (_upsampled(e.embedding.z, e.shape) for e in self._encoded)
        confidence = -torch.cosine_similarity(before, after, dim=0).flatten().cpu().numpy()
        cosine = -threshold_otsu(confidence, confidence.size)
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    def _query(self, points: Sequence[ClickLike]) -> _Query:
        areas, embeddings = [], []
        for click in parse_clicks(points, self.pair.shape):
            encoded = self._encoded[DATES.index(click.date)]
            masks = self._decode(encoded, np.array([[click.x, click.y]]))
            if not len(masks):
                raise QueryError(f"click {click} gives no mask that passes the thresholds")
            first = masks[:1].masks
            modulated = _aligned(encoded, encoded.state.modulated[0])
            areas.append(float(first.areas[0]))
            embeddings.append(mask_means(first, modulated.embedding)[0])
        return _Query(float(np.mean(areas)), np.mean(embeddings, axis=0))

    def _votes(
        self, proposals: Proposals, encoded: Encoded, query: _Query, object_angle: float
    ) -> BoolArray:
        """Masks of a similar area, most of whose pixels are within ``object_angle`` of the query."""
        target = torch.as_tensor(
            query.embedding, dtype=torch.float32, device=self._segmenter.device
        )
        pixels = _upsampled(encoded.state.modulated[0], encoded.shape)
        cosine = torch.cosine_similarity(target[:, None, None], pixels, dim=0).cpu().numpy()
        alike = (cosine > np.cos(np.radians(object_angle))).astype(np.float64)
        areas = proposals.masks.areas
        share = proposals.masks.sums(alike) / np.maximum(areas, 1)
        low, high = (query.area * ratio for ratio in AREA_RATIOS)
        return np.asarray((low < areas) & (areas < high) & (share > VOTE))


def _inclusive(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes whose x1, y1 are the last pixel, not the edge after it."""
    return boxes - np.array([0, 0, 1, 1], np.float32)


def _aligned(encoded: Encoded, z: torch.Tensor) -> Encoded:
    """``encoded`` with embedding ``z`` [C, h, w], read with aligned corners over the whole canvas."""
    height, width = encoded.shape
    axes = Axis.aligned(height, z.shape[1]), Axis.aligned(width, z.shape[2])
    return Encoded(encoded.shape, Embedding(z, *axes), encoded.state)


def _upsampled(z: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """[C, H, W]: as large as it looks, which is why nothing else does it."""
    return torch.nn.functional.interpolate(z[None], shape, mode="bilinear", align_corners=True)[0]
