"""AnyChange's framework for baselines that differ from it in the matching (AnyChange, section 4.1).

The proposals of both dates are made as AnyChange makes them; what a baseline has found out about each
goes the way that the angle goes there: duplicates, the pixel-level answer, what is kept.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from terradelta.baselines.answer import BaselineChanges
from terradelta.geo.pair import Pair
from terradelta.sam.masks import FloatArray
from terradelta.sam.proposals import box_nms, propose
from terradelta.sam.segmenter import Encoded, Proposals, Segmenter
from terradelta.types import Progress
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.candidates import Candidates, pixel_angle_of
from terradelta.zeroshot.selection import select

if TYPE_CHECKING:
    import torch


class Proposer:
    """The arguments are those of `AnyChange`, and so are their defaults."""

    def __init__(
        self,
        model: str | Segmenter = "regions",
        *,
        preset: str = "default",
        points_per_side: int | None = None,
        pred_iou: float | None = None,
        stability: float | None = None,
        nms: float | None = None,
        min_region_area: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> None:
        anychange = AnyChange(
            model,
            preset=preset,
            points_per_side=points_per_side,
            pred_iou=pred_iou,
            stability=stability,
            nms=nms,
            min_region_area=min_region_area,
            device=device,
            dtype=dtype,
        )
        self.segmenter, self.settings = anychange.segmenter, anychange.settings

    def propose(
        self, pair: Pair, progress: Progress
    ) -> tuple[tuple[Encoded, Encoded], tuple[Proposals, Proposals]]:
        """Both dates encoded, and the masks of both, without the pixels that are not valid."""
        segmenter = self.segmenter
        progress("encoding", 0, 3)
        contexts = segmenter.pair_contexts(pair.before, pair.after, pair.valid)
        encoded = segmenter.encode_both(pair.before, pair.after, contexts)
        progress("proposing", 1, 3)
        before, after = (propose(segmenter, one, self.settings, pair.valid) for one in encoded)
        progress("matching", 2, 3)
        return encoded, (before, after)

    def answer(
        self,
        pair: Pair,
        proposals: tuple[Proposals, Proposals],
        score: FloatArray,
        threshold: float,
        settings: dict[str, Any],
    ) -> BaselineChanges:
        """What is kept of the proposals of both dates, with a score each, float32 [N + M]."""
        both = Proposals.concatenate(list(proposals))
        date = np.repeat(np.arange(2, dtype=np.int8), [len(one) for one in proposals])
        unknown = np.zeros((len(both), 0))
        found = Candidates(both.masks, both.iou, both.stability, date, score, unknown, unknown)
        rule = self.segmenter.overlap_rule
        ranked = found[
            box_nms(both.masks.boxes, score, self.settings.nms if rule == "boxes" else 1.0)
        ]
        kept, by_pixel = select(ranked, pixel_angle_of(self.segmenter, ranked), threshold, rule)
        return BaselineChanges.of_objects(
            kept.masks, kept.angle, by_pixel, threshold, pair, settings
        )

    def describe(self) -> dict[str, Any]:
        return {"segmenter": self.segmenter.name, **asdict(self.settings)}
