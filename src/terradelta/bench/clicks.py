"""Clicks drawn from the truth (AnyChange, table 4): no click, one, and three.

The paper's clicks were a person's. Here a click falls on a random object of the truth, every 8-connected
component being as likely, at its inner point farthest from its boundary (the border of the image is one);
the three clicks are that object and two more. An object is clicked on the date where it is. Each pair is
clicked several times with objects drawn anew, and the counts of all draws are pooled. A pair with fewer
objects gets as many clicks as it has; one without any keeps its answer without a click, because nobody
could tell from a click that nothing of the kind is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy import ndimage

from terradelta.bench.cases import Answers, BoolArray, Case, Choice, Loaded, Row, Trial
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
from terradelta.zeroshot.query import Click

CLICKS = {"no click": 0, "one click": 1, "three clicks": 3}
DRAWS = 5
EIGHT_CONNECTED = np.ones((3, 3))
CLICKED_DATE = {"xview2": "before"}
"""Where the objects of a dataset are, if not in *after*: damaged buildings are whole before."""


def click_cases(choice: Choice, dataset: str) -> list[Case]:
    """A case for every segmenter, with a row for every number of clicks."""
    return [_case(segmenter, dataset, choice) for segmenter in choice.segmenters]


def draw_clicks(truth: BoolArray, count: int, date: str, seed: Sequence[int]) -> list[Click]:
    """Clicks on ``count`` random objects of a mask [H, W], or on all if there are fewer."""
    labels, objects = ndimage.label(truth, EIGHT_CONNECTED)
    drawn = np.random.default_rng(seed).permutation(objects)[:count]
    windows = ndimage.find_objects(labels)
    return [_innermost(labels[windows[n]] == n + 1, windows[n], date) for n in drawn]


def clicked_date(choice: Choice, dataset: str) -> str:
    """The date that is chosen, or else where the objects of the dataset are."""
    return choice.clicked_date or CLICKED_DATE.get(dataset, "after")


def seed_of(seed: int, name: str, draw: int) -> list[int]:
    """A seed of its own for every pair and draw, whatever other pairs there are."""
    return [seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]), draw]


def _innermost(inside: BoolArray, window: tuple[slice, slice], date: str) -> Click:
    """The centre of the pixel of an object that lies deepest in it."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return Click(float(window[1].start + x) + 0.5, float(window[0].start + y) + 0.5, date)


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
