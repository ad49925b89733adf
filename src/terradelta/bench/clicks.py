"""Clicks drawn from the truth (AnyChange, table 4): no click, one, and three.

A click is drawn as `terradelta.zeroshot.clicks` tells; the three clicks are that object and two more. An
object is clicked on the date where it is. Each pair is clicked several times with objects drawn anew, and
the counts of all draws are pooled. A pair with fewer objects gets as many clicks as it has; one without
any keeps its answer without a click, because nobody could tell from a click that nothing of the kind is
there.
"""

from __future__ import annotations

from functools import partial

from terradelta.bench.cases import Answers, Case, Choice, Loaded, Row, Trial
from terradelta.bench.methods import (
    ANYCHANGE,
    images_of,
    load_anychange,
    row_of,
    settings_of,
    slug,
)
from terradelta.data.dataset import Sample
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.clicks import CLICKED_DATE, draw_clicks, seed_of
from terradelta.zeroshot.query import Click

CLICKS = {"no click": 0, "one click": 1, "three clicks": 3}
DRAWS = 5


def click_cases(choice: Choice, dataset: str) -> list[Case]:
    """A case for every segmenter, with a row for every number of clicks."""
    return [_case(segmenter, dataset, choice) for segmenter in choice.segmenters]


def clicked_date(choice: Choice, dataset: str) -> str:
    """The date that is chosen, or else where the objects of the dataset are."""
    return choice.clicked_date or CLICKED_DATE.get(dataset, "after")


def _case(segmenter: str, dataset: str, choice: Choice) -> Case:
    rows = {name: row_of(ANYCHANGE, segmenter, name) for name in CLICKS}

    date = clicked_date(choice, dataset)

    def load() -> Loaded:
        model = load_anychange(segmenter, dataset, choice.device)
        settings = {
            **settings_of(model, segmenter),
            "object_angle_deg": model.segmenter.defaults.object_angle,
            "clicked_date": date,
            "draws": DRAWS,
            "seed": choice.seed,
        }
        return Loaded(settings, partial(_ask, model, rows, date, choice.seed))

    return Case(f"{ANYCHANGE}-{slug(segmenter)}", tuple(rows.values()), load)


def _ask(model: AnyChange, rows: dict[str, Row], date: str, seed: int, sample: Sample) -> Answers:
    truth = sample.truth()
    seeds = [seed_of(seed, sample.name, draw) for draw in range(DRAWS)]
    most = max(CLICKS.values())
    drawn = [draw_clicks(truth, most, date, each) for each in seeds]
    with model.session(*images_of(sample.pair())) as session:
        unasked = Trial.of(session.detect(), truth)

        def answer(clicks: list[Click]) -> Trial:
            return Trial.of(session.query(clicks), truth, clicks) if clicks else unasked

        trials = {
            rows[name].key: [answer(clicks[:count]) for clicks in drawn] if count else [unasked]
            for name, count in CLICKS.items()
        }
    return Answers(trials)
