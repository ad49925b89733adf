"""A pair under work: encoded and matched once, then asked as often as one likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from terradelta.errors import UsageError
from terradelta.geo.pair import Pair
from terradelta.sam.masks import FloatArray
from terradelta.sam.segmenter import Segmenter
from terradelta.zeroshot.candidates import DATES, Candidates, Search
from terradelta.zeroshot.changes import Changes
from terradelta.zeroshot.query import ClickLike, angle_to_query, parse_clicks, query_embedding
from terradelta.zeroshot.selection import contenders, select
from terradelta.zeroshot.thresholds import choose_threshold


class Session:
    """Answers about one pair. Made by `AnyChange.session`; every answer is independent of the last.

    After the first, an answer costs a filter, and a click one call of the segmenter's decoder.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        pair: Pair,
        found: Search,
        default_angle: float,
        settings: Mapping[str, Any],
    ) -> None:
        self.pair = pair
        self._segmenter = segmenter
        self._found = found
        self._default_angle = default_angle
        self._settings = settings

    def detect(
        self,
        *,
        angle: float | None = None,
        threshold: str | None = None,
        top_k: int | None = None,
    ) -> Changes:
        """All changes; see `AnyChange.detect`."""
        asked = {"angle": angle, "threshold": threshold, "top_k": top_k}
        return self._answer(self._found.candidates, self._found.pixel_angle, asked)

    def query(
        self,
        points: Sequence[ClickLike],
        *,
        object_angle: float | None = None,
        angle: float | None = None,
        threshold: str | None = None,
        top_k: int | None = None,
    ) -> Changes:
        """Changes of the kind of object that was clicked; see `AnyChange.query`."""
        clicks = parse_clicks(points, self.pair.shape)
        alike = self._segmenter.defaults.object_angle if object_angle is None else object_angle
        if not 0 <= alike <= 180:
            raise UsageError(f"object_angle is {alike}: it must lie between 0 and 180 degrees")
        candidates = self._found.candidates
        embedding = query_embedding(clicks, self._segmenter, self._found.examined)
        distance = angle_to_query(candidates, embedding)
        kind = candidates[distance <= alike]
        if self._segmenter.pixel_rule == "mean":
            pixel_distance = candidates.masks.paint_mean(distance, candidates.iou)
            pixel_angle = np.where(pixel_distance <= alike, self._found.pixel_angle, np.float32(0))
        else:
            pixel_angle = kind.masks.paint_max(kind.angle)
        asked = {
            "angle": angle,
            "threshold": threshold,
            "top_k": top_k,
            "points": [list(click) for click in clicks],
            "object_angle": alike,
        }
        return self._answer(kind, pixel_angle, asked)

    def _answer(
        self, candidates: Candidates, pixel_angle: FloatArray, asked: Mapping[str, Any]
    ) -> Changes:
        kept, pixel_angle, threshold = self._select(candidates, pixel_angle, asked)
        seconds = {stage: round(value, 3) for stage, value in self._found.seconds.items()}
        given = {name: value for name, value in asked.items() if value is not None}
        return Changes(
            _masks=kept.masks,
            angle=kept.angle,
            iou=kept.iou,
            stability=kept.stability,
            date=[DATES[d] for d in kept.date],
            threshold=threshold,
            pixel_angle=pixel_angle,
            pair=self.pair,
            settings={**self._settings, "asked": given, "seconds": seconds},
        )

    def _select(
        self, candidates: Candidates, pixel_angle: FloatArray, asked: Mapping[str, Any]
    ) -> tuple[Candidates, FloatArray, float]:
        """The changes, the angle at every pixel, and the threshold."""
        rule, top_k = self._segmenter.overlap_rule, asked["top_k"]
        candidates = contenders(candidates, rule, top_k)
        threshold = choose_threshold(
            candidates.angle,
            self._default_angle,
            angle=asked["angle"],
            threshold=asked["threshold"],
            top_k=top_k,
        )
        kept, pixel_angle = select(
            candidates, pixel_angle, threshold, rule, top_k=top_k, clicked="points" in asked
        )
        return kept, pixel_angle, threshold
