"""How a model is asked for a label: of itself, by a threshold, or with clicks.

A click asks for changes of one kind of object (AnyChange, section 3.4). The paper's pseudo labels of
S2Looking are made so, with one click a pair; those of SECOND without any (section 4.3).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from terradelta.data.dataset import Sample
from terradelta.engine.labels import Label, shown
from terradelta.engine.soft import FROM_ANGLE, chance_image
from terradelta.errors import InputError, UsageError
from terradelta.geo.pair import Pair
from terradelta.sam.segmenter import BoolArray
from terradelta.types import Answer, ChangeModel
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.candidates import DATES
from terradelta.zeroshot.clicks import CLICKED_DATE, draw_clicks, seed_of
from terradelta.zeroshot.directions import BACK, BOTH, FORTH, examine
from terradelta.zeroshot.query import Click
from terradelta.zeroshot.thresholds import check_choice

COLUMNS = ("name", "x", "y", "date")


@dataclass(frozen=True)
class Asking:
    """How a model is asked. All but ``soft`` and ``both_dates`` are for AnyChange alone.

    Args:
        angle, threshold, top_k: at most one; see `AnyChange.detect`.
        clicks: by the name of a pair, the clicks on it. A pair without an entry gets no label; one
            with an empty list gets an empty label: nothing of the kind has changed there.
        click_from_truth: one click a pair, on a random object of its truth, see
            `terradelta.zeroshot.clicks`; an empty label where the truth shows no change.
        click_on: the date that is clicked then; by default that on which the dataset has its objects.
        seed: of the objects that are clicked.
        soft: soft labels as well; see `terradelta.engine.soft`.
        both_dates: pixels on which the dates do not agree are unknown. With AnyChange the masks of
            *before* alone and those of *after* alone must give the same answer, at the same threshold;
            with another model the pair and the pair with its dates exchanged.

    Raises:
        UsageError: two ways at once, or a value out of range.
    """

    angle: float | None = None
    threshold: str | None = None
    top_k: int | None = None
    clicks: Mapping[str, list[Click]] | None = None
    click_from_truth: bool = False
    click_on: str | None = None
    seed: int = 0
    soft: bool = False
    both_dates: bool = False

    def __post_init__(self) -> None:
        check_choice(self.angle, self.threshold, self.top_k)
        if self.clicks is not None and self.click_from_truth:
            raise UsageError("clicks are given or drawn from the truth, not both")
        if self.click_on is not None and not self.click_from_truth:
            raise UsageError("click_on is for clicks that are drawn from the truth")
        if self.click_on not in (None, *DATES):
            raise UsageError(f"click_on is {self.click_on!r}: it must be before or after")

    @property
    def chosen(self) -> dict[str, Any]:
        """What `AnyChange.detect` is asked."""
        return {"angle": self.angle, "threshold": self.threshold, "top_k": self.top_k}

    @property
    def clicked(self) -> bool:
        return self.clicks is not None or self.click_from_truth

    @property
    def mode(self) -> str:
        """In words: automatic, angle, otsu, top-k, clicks or clicks from truth."""
        if self.clicked:
            return "clicks from truth" if self.click_from_truth else "clicks"
        given = {"angle": self.angle, "otsu": self.threshold, "top-k": self.top_k}
        return next((name for name, value in given.items() if value is not None), "automatic")

    def describe(self) -> dict[str, Any]:
        """As JSON values, but for the clicks of single pairs."""
        asked = {name: value for name, value in self.chosen.items() if value is not None}
        if self.clicks is not None:
            asked["clicks"] = {name: [list(c) for c in some] for name, some in self.clicks.items()}
        if self.click_from_truth:
            asked |= {"click_on": self.click_on, "seed": self.seed}
        return {"mode": self.mode, **asked, "soft": self.soft, "both_dates": self.both_dates}

    def clicks_of(self, sample: Sample, dataset: str) -> list[Click] | None:
        """The clicks on a pair of a dataset; None if it is not clicked."""
        if self.clicks is not None:
            return self.clicks.get(sample.name)
        date = self.click_on or CLICKED_DATE.get(dataset, "after")
        return draw_clicks(sample.truth(), 1, date, seed_of(self.seed, sample.name, 0))


def check_asking(asking: Asking, model: ChangeModel) -> None:
    """Raises UsageError if a model cannot be asked so."""
    if isinstance(model, AnyChange):
        if asking.both_dates and (model.upscale > 1 or model.compat):
            raise UsageError("both_dates works with AnyChange without upscale and compat")
    elif asking.mode != "automatic":
        raise UsageError(f"{asking.mode}: this is for AnyChange; another model labels by itself")


def ask(model: ChangeModel, sample: Sample, clicks: list[Click] | None, asking: Asking) -> Label:
    """The label that a model gives a pair: with ``clicks``, if not None.

    Raises:
        InputError: the pair cannot be read.
        QueryError: a click lies outside the image or gives no mask.
        UsageError: a soft label is asked of scores that are no probabilities.
    """
    pair = sample.pair()
    if clicks == []:
        return _empty(pair, asking)
    answer, agreed = _answers(model, pair, clicks, asking)
    chance, how = chance_image(answer) if asking.soft else (None, None)
    changed = answer.to_mask() & pair.valid
    facts: dict[str, Any] = {
        "threshold": getattr(answer, "threshold", None),
        "changes": len(answer),
        "clicks": None if clicks is None else [list(click) for click in clicks],
        "soft": how,
        "ignored_px": {"dates": int((pair.valid & ~agreed).sum())} if asking.both_dates else {},
    }
    return Label(pair, changed, pair.valid & agreed, chance, facts)


def read_clicks(path: Path) -> dict[str, list[Click]]:
    """Clicks by the name of their pair from a CSV file with the columns name, x, y and date.

    x and y are px from the top left corner, the date is before or after. A pair may have several rows.
    One row with nothing but a name says that nothing of the kind has changed there.

    Raises:
        InputError: it cannot be read, or a row is no click.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV file: {error}") from error
    if not rows or not set(COLUMNS) <= rows[0].keys():
        raise InputError(
            f"{path} needs the columns {', '.join(COLUMNS)}, and a row for every click"
        )
    clicks: dict[str, list[Click]] = {}
    for number, row in enumerate(rows, 2):
        name, *place = ((row[column] or "").strip() for column in COLUMNS)
        if not name:
            raise InputError(f"{path}, line {number}: the name of the pair is missing")
        of_pair = clicks.setdefault(name, [])
        if any(place):
            of_pair.append(_click(place, f"{path}, line {number}"))
    return clicks


def _click(place: list[str], where: str) -> Click:
    x, y, date = place
    try:
        click = Click(float(x), float(y), date)
    except ValueError as error:
        raise InputError(f"{where}: x {x!r} and y {y!r} are no numbers of pixels") from error
    if date not in DATES:
        raise InputError(f"{where}: the date is {date!r}, it must be before or after")
    return click


def _answers(
    model: ChangeModel, pair: Pair, clicks: list[Click] | None, asking: Asking
) -> tuple[Answer, BoolArray]:
    """The answer, and where the dates agree on it."""
    dates = shown(pair.before, pair.valid), shown(pair.after, pair.valid)
    everywhere = np.ones(pair.shape, bool)
    if not isinstance(model, AnyChange):
        found = model.detect(*dates)
        if not asking.both_dates:
            return found, everywhere
        return found, found.to_mask() == model.detect(*reversed(dates)).to_mask()
    if not asking.both_dates:
        if clicks is None:
            return model.detect(*dates, **asking.chosen), everywhere
        return model.query(*dates, clicks, **asking.chosen), everywhere
    sessions = examine(model, pair)

    def answer(direction: str, **chosen: Any) -> Any:
        session = sessions[direction]
        return session.detect(**chosen) if clicks is None else session.query(clicks, **chosen)

    both = answer(BOTH, **asking.chosen)
    forth, back = (answer(way, angle=both.threshold).to_mask() for way in (FORTH, BACK))
    return both, forth == back


def _empty(pair: Pair, asking: Asking) -> Label:
    """Nothing has changed, and nobody had to ask."""
    nothing = np.zeros(pair.shape, bool)
    chance = np.zeros(pair.shape, np.float32) if asking.soft else None
    facts: dict[str, Any] = {
        "threshold": None,
        "changes": 0,
        "clicks": [],
        "soft": FROM_ANGLE if asking.soft else None,
        "ignored_px": {},
    }
    return Label(pair, nothing, pair.valid, chance, facts)
