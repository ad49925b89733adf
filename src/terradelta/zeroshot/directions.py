"""Matching in one direction: the masks of one date alone, or of both.

From *before* to *after*, the masks of *before* are matched with what lies there in *after*, and the other
way round (AnyChange, section 3.3). In one direction no mask of the other date takes part, neither as an
answer nor as a duplicate of one. Encoding, proposing and matching are done once for all three.
"""

from __future__ import annotations

import numpy as np

from terradelta.geo.pair import Pair
from terradelta.sam.proposals import box_nms, propose
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.candidates import (
    Candidates,
    Examined,
    Search,
    encode_view,
    match,
    pixel_angle_of,
)
from terradelta.zeroshot.session import Session
from terradelta.zeroshot.views import views_of

BOTH, FORTH, BACK = "both directions", "before to after", "after to before"
DIRECTIONS = {BOTH: (0, 1), FORTH: (0,), BACK: (1,)}
"""Of every direction the dates whose masks are matched, as in `Candidates`."""


def examine(model: AnyChange, pair: Pair) -> dict[str, Session]:
    """A session for every direction; that of both gives the answers of `AnyChange.session`."""
    segmenter, settings = model.segmenter, model.settings
    (view,) = views_of(pair.shape, 1, enlarge_windows=False)
    encoded = encode_view(segmenter, pair, view)
    proposals = [propose(segmenter, date, settings, pair.valid) for date in encoded]
    matched = match(proposals, encoded, model.measure)
    iou = settings.nms if segmenter.overlap_rule == "boxes" else 1.0

    def session(candidates: Candidates) -> Session:
        ranked = candidates[box_nms(candidates.masks.boxes, candidates.angle, iou)]
        found = Search([Examined(view, encoded)], ranked, pixel_angle_of(segmenter, ranked), {})
        return Session(segmenter, pair, found, model.angle, model.describe())

    return {
        name: session(matched[np.isin(matched.date, dates)]) for name, dates in DIRECTIONS.items()
    }
