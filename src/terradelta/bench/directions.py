"""Matching in one direction (AnyChange, table 2): the masks of one date alone, or of both.

From *before* to *after*, the masks of *before* are matched with what lies there in *after*, and the other
way round (section 3.3). In one direction no mask of the other date takes part, neither as an answer nor
as a duplicate of one. Encoding, proposing and matching are done once for all three.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from terradelta.bench.cases import Answers, Case, Choice, Loaded, Row, Trial
from terradelta.bench.methods import ANYCHANGE, load_anychange, row_of, settings_of, slug
from terradelta.data.dataset import Sample
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

DIRECTIONS = {"both directions": (0, 1), "before to after": (0,), "after to before": (1,)}
"""Of every direction the dates whose masks are matched, as in `Candidates`."""


def direction_cases(choice: Choice, dataset: str) -> list[Case]:
    """A case for every segmenter, with a row for every direction."""
    return [_case(segmenter, dataset, choice.device) for segmenter in choice.segmenters]


def _case(segmenter: str, dataset: str, device: str) -> Case:
    rows = {name: row_of(ANYCHANGE, segmenter, name) for name in DIRECTIONS}

    def load() -> Loaded:
        model = load_anychange(segmenter, dataset, device)
        return Loaded(settings_of(model, segmenter), partial(_ask, model, rows))

    return Case(f"{ANYCHANGE}-{slug(segmenter)}", tuple(rows.values()), load)


def _ask(model: AnyChange, rows: dict[str, Row], sample: Sample) -> Answers:
    truth = sample.truth()
    answers = examine(model, sample.pair())
    return Answers(
        {rows[name].key: [Trial.of(session.detect(), truth)] for name, session in answers.items()}
    )


def examine(model: AnyChange, pair: Pair) -> dict[str, Session]:
    """A session for every direction; that of both gives the answers of `AnyChange.session`."""
    segmenter, settings = model.segmenter, model.settings
    (view,) = views_of(pair.shape, 1, enlarge_windows=False)
    encoded = encode_view(segmenter, pair, view)
    proposals = [propose(segmenter, date, settings, pair.valid) for date in encoded]
    matched = match(proposals, encoded)
    iou = settings.nms if segmenter.overlap_rule == "boxes" else 1.0

    def session(candidates: Candidates) -> Session:
        ranked = candidates[box_nms(candidates.masks.boxes, candidates.angle, iou)]
        found = Search([Examined(view, encoded)], ranked, pixel_angle_of(segmenter, ranked), {})
        return Session(segmenter, pair, found, model.angle, model.describe())

    return {
        name: session(matched[np.isin(matched.date, dates)]) for name, dates in DIRECTIONS.items()
    }
