"""Matching in one direction (AnyChange, table 2): the masks of one date alone, or of both."""

from __future__ import annotations

from functools import partial

from terradelta.bench.cases import Answers, Case, Choice, Loaded, Row, Trial
from terradelta.bench.methods import ANYCHANGE, load_anychange, row_of, settings_of, slug
from terradelta.data.dataset import Sample
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.directions import DIRECTIONS, examine


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
