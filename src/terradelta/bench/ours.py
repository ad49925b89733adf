"""This project's side: the whole grid with its seconds, or some of its points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from terradelta.bench.clock import Seconds, Stopwatch
from terradelta.bench.settings import Thresholds
from terradelta.geo.pair import Pair
from terradelta.sam.masks import IntArray
from terradelta.sam.proposals import MAX_AREA, box_nms
from terradelta.sam.sam import SamSegmenter
from terradelta.sam.segmenter import RGB, Encoded, Proposals
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.changes import Changes


@dataclass(frozen=True, slots=True)
class OurRun:
    """One run: its changes, its seconds, and how many masks of both dates were matched."""

    changes: Changes
    seconds: Seconds
    matched: int


class Observed(SamSegmenter):
    """A segmenter that notes when it encodes and what it decodes; shares the network of ``plain``.

    ``points`` int64 [P]: of the points that it is asked for it answers only these.
    """

    def __init__(self, plain: SamSegmenter, points: IntArray | None = None) -> None:
        self.__dict__.update(plain.__dict__)
        self.watch = Stopwatch(plain.device)
        self.encoded_at = 0.0
        self.proposals: list[Proposals] = []
        self._points = points

    def encode_both(
        self, before: RGB, after: RGB, contexts: tuple[None, None] = (None, None)
    ) -> tuple[Encoded, Encoded]:
        encoded = super().encode_both(before, after, contexts)
        self.encoded_at = self.watch.now()
        return encoded

    def decode(self, encoded: Encoded, points: NDArray[Any], **options: Any) -> Proposals:
        if self._points is not None:
            points = points[self._points]
        found = super().decode(encoded, points, **options)
        self.proposals.append(found)
        return found


def run_ours(
    segmenter: SamSegmenter,
    pair: Pair,
    thresholds: Thresholds,
    per_side: int,
    *,
    compat: str | None,
    points: IntArray | None = None,
) -> OurRun:
    """All changes of a pair from the n x n grid, or from those of its points that are given."""
    observed = Observed(segmenter, points)
    anychange = AnyChange(
        observed,
        points_per_side=per_side,
        pred_iou=thresholds.pred_iou,
        stability=thresholds.stability,
        nms=thresholds.nms,
        compat=compat,
    )
    started = observed.watch.now()
    with anychange.session(pair.before, pair.after) as session:
        opened = observed.watch.now()
        changes = session.detect(angle=thresholds.angle)
        ended = observed.watch.now()
    search: dict[str, float] = changes.settings.get("seconds", {})
    match = ended - opened + search.get("match", 0.0) + search.get("select", 0.0)
    encode = observed.encoded_at - started
    seconds = Seconds(encode, ended - started - encode - match, match)
    return OurRun(changes, seconds, sum(_left(p, thresholds.nms) for p in observed.proposals))


def _left(found: Proposals, nms: float) -> int:
    """How many proposals of a date are left to match."""
    height, width = found.masks.shape
    found = found[found.masks.areas < MAX_AREA * height * width]
    return len(box_nms(found.masks.boxes, found.iou, nms)) if len(found) else 0


def compat_of(peer: str) -> str | None:
    """Against torchange its own choices are repeated; against others our defaults are used."""
    return "torchange" if peer == "torchange" else None
