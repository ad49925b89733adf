"""Candidates: the proposals of both dates, matched, before any threshold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.geo.pair import Pair
from terradelta.sam.masks import FloatArray, Masks
from terradelta.sam.proposals import ProposalSettings, box_nms, propose
from terradelta.sam.segmenter import BoolArray, Encoded, Proposals, Segmenter
from terradelta.sam.threads import in_threads
from terradelta.types import Progress, silent
from terradelta.zeroshot.matching import angles_between, mask_means
from terradelta.zeroshot.views import View, views_of

DATES = ("before", "after")

Measure = Callable[[NDArray[np.float64], NDArray[np.float64]], FloatArray]
"""How much the mean embeddings [N, C] of two dates differ: float32 [N], an angle in degrees."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """N matched masks of the image: ``date`` int8 [N] (0 before, 1 after), angle float32 [N].

    ``before`` and ``after`` float64 [N, C] are the mean embeddings of each mask in both dates.
    """

    masks: Masks
    iou: FloatArray
    stability: FloatArray
    date: NDArray[np.int8]
    angle: FloatArray
    before: NDArray[np.float64]
    after: NDArray[np.float64]

    def __getitem__(self, index: Any) -> Candidates:
        return Candidates(
            self.masks[index],
            self.iou[index],
            self.stability[index],
            self.date[index],
            self.angle[index],
            self.before[index],
            self.after[index],
        )

    @classmethod
    def concatenate(cls, parts: list[Candidates]) -> Candidates:
        return cls(
            Masks.concatenate([part.masks for part in parts]),
            np.concatenate([part.iou for part in parts]),
            np.concatenate([part.stability for part in parts]),
            np.concatenate([part.date for part in parts]),
            np.concatenate([part.angle for part in parts]),
            np.concatenate([part.before for part in parts]),
            np.concatenate([part.after for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Examined:
    """A view of the pair after encoding both dates."""

    view: View
    encoded: tuple[Encoded, Encoded]


@dataclass(frozen=True, slots=True)
class Search:
    """Everything that can be known of a pair before a threshold or a click is given.

    ``candidates`` are sorted, the largest angle first, and for SAM without duplicates;
    ``pixel_angle`` float32 [H, W].
    """

    examined: list[Examined]
    candidates: Candidates
    pixel_angle: FloatArray
    seconds: dict[str, float]


def search(
    segmenter: Segmenter,
    pair: Pair,
    settings: ProposalSettings,
    upscale: int,
    progress: Progress = silent,
    *,
    contexts: tuple[Any, Any] | None = None,
    points: NDArray[np.float64] | None = None,
    measure: Measure = angles_between,
) -> Search:
    """Encode both dates, propose masks in both, and match every mask in both directions.

    For a pair that is a window of something larger: ``contexts`` of both dates, if not from the pair
    itself; ``points`` float64 [P, 2] as (x, y) px, if not the grid of the settings. ``measure`` tells
    the angle between a mask's embeddings.
    """
    clock = _Clock()
    views = views_of(pair.shape, upscale, enlarge_windows=segmenter.canvas_px is not None)
    examined, found = [], []
    for number, view in enumerate(views):
        progress("encoding", 2 * number, 2 * len(views))
        look = Examined(view, encode_view(segmenter, pair, view, contexts))
        clock.lap("encode")
        progress("matching", 2 * number + 1, 2 * len(views))
        valid = view.enlarge_mask(pair.valid)
        seeds = None if points is None else points * view.factor
        proposals = [propose(segmenter, one, settings, valid, seeds) for one in look.encoded]
        clock.lap("propose")
        found.append(_place(view, match(proposals, look.encoded, measure)))
        clock.lap("match")
        examined.append(look)
    candidates = Candidates.concatenate(found)
    iou = settings.nms if segmenter.overlap_rule == "boxes" else 1.0
    ranked = candidates[box_nms(candidates.masks.boxes, candidates.angle, iou)]
    pixel_angle = pixel_angle_of(segmenter, ranked)
    clock.lap("select")
    progress("matching", 2 * len(views), 2 * len(views))
    return Search(examined, ranked, pixel_angle, clock.seconds)


def pixel_angle_of(segmenter: Segmenter, ranked: Candidates) -> FloatArray:
    """The angle at every pixel, float32 [H, W], from candidates without duplicates."""
    if segmenter.pixel_rule == "mean":
        return ranked.masks.paint_mean(ranked.angle, ranked.iou)
    return ranked.masks.paint_max(ranked.angle)


def encode_view(
    segmenter: Segmenter, pair: Pair, view: View, contexts: tuple[Any, Any] | None = None
) -> tuple[Encoded, Encoded]:
    """Both dates of a view; ``contexts`` if they are not to be taken from the view itself."""
    before, after = view.look(pair.before), view.look(pair.after)
    if contexts is None:
        contexts = segmenter.pair_contexts(before, after, view.enlarge_mask(pair.valid))
    return segmenter.encode_both(before, after, contexts)


def match(
    proposals: list[Proposals],
    encoded: tuple[Encoded, Encoded],
    measure: Measure = angles_between,
) -> Candidates:
    """Angle of every proposal of either date between its mean embeddings in both dates."""
    both = Proposals.concatenate(proposals)
    date = np.repeat(np.arange(2, dtype=np.int8), [len(p) for p in proposals])
    before, after = in_threads(mask_means, [both.masks] * 2, [e.embedding for e in encoded])
    angle = measure(before, after)
    return Candidates(both.masks, both.iou, both.stability, date, angle, before, after)


def _place(view: View, found: Candidates) -> Candidates:
    """Masks of a view in the frame of the image, without those that its inner borders cut."""
    masks = view.to_image(found.masks)
    placed = Candidates(
        masks, found.iou, found.stability, found.date, found.angle, found.before, found.after
    )
    whole: BoolArray = (masks.areas > 0) & ~view.is_cut(masks.boxes)
    return placed[whole]


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
