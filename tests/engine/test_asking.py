from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terradelta import AnyChange
from terradelta.data.dataset import Sample
from terradelta.engine.asking import Asking, ask, check_asking, read_clicks
from terradelta.errors import InputError, UsageError
from terradelta.zeroshot.clicks import draw_clicks, seed_of
from terradelta.zeroshot.directions import BACK, FORTH, examine
from terradelta.zeroshot.query import Click

from .made import Brighter, images_of, pair_of, squares


def sample_of(count: int = 2, seed: int = 0, name: str = "one") -> Sample:
    return Sample(name, partial(pair_of, seed, count), partial(squares, count))


@pytest.mark.parametrize(
    ("asking", "mode"),
    [
        (Asking(), "automatic"),
        (Asking(angle=30), "angle"),
        (Asking(threshold="otsu"), "otsu"),
        (Asking(top_k=2), "top-k"),
    ],
)
def test_the_label_is_the_answer_of_anychange(asking: Asking, mode: str) -> None:
    model = AnyChange()
    label = ask(model, sample_of(), None, asking)
    answer = model.detect(*images_of(0, 2), **asking.chosen)
    assert asking.mode == mode
    assert label.changed.any()
    assert (label.changed == answer.to_mask()).all()
    assert label.known.all()
    assert label.chance is None
    assert label.facts["threshold"] == answer.threshold
    assert label.facts["changes"] == len(answer)
    assert label.facts["clicks"] is None


def test_a_click_asks_for_its_kind_of_object() -> None:
    model, click = AnyChange(), Click(14.0, 12.0, "after")
    label = ask(model, sample_of(), [click], Asking(clicks={"one": [click]}))
    assert (label.changed == model.query(*images_of(0, 2), [click]).to_mask()).all()
    assert label.facts["clicks"] == [[14.0, 12.0, "after"]]


def test_an_empty_list_of_clicks_is_an_empty_label() -> None:
    label = ask(AnyChange(), sample_of(), [], Asking(clicks={"one": []}, soft=True))
    assert not label.changed.any()
    assert label.known.all()
    assert label.chance is not None
    assert not label.chance.any()
    assert label.facts["changes"] == 0


def test_the_click_from_the_truth_is_that_of_the_papers_tables() -> None:
    sample, asking = sample_of(4), Asking(click_from_truth=True, seed=3)
    (click,) = asking.clicks_of(sample, "folder") or []
    assert [click] == draw_clicks(squares(4), 1, "after", seed_of(3, "one", 0))
    assert [c.date for c in asking.clicks_of(sample, "xview2") or []] == ["before"]
    chosen = Asking(click_from_truth=True, click_on="before")
    assert [c.date for c in chosen.clicks_of(sample, "folder") or []] == ["before"]
    assert asking.clicks_of(sample_of(0), "folder") == []
    given = Asking(clicks={"other": [click]})
    assert given.clicks_of(sample, "folder") is None


def test_by_both_dates_the_two_directions_of_anychange_agree_where_it_is_known() -> None:
    model, sample = AnyChange(), sample_of(3)
    label = ask(model, sample, None, Asking(both_dates=True))
    plain = ask(model, sample, None, Asking())
    assert (label.changed == plain.changed).all()
    sessions = examine(model, sample.pair())
    forth, back = (
        sessions[way].detect(angle=label.facts["threshold"]).to_mask() for way in (FORTH, BACK)
    )
    assert (label.known == (forth == back)).all()
    assert label.facts["ignored_px"] == {"dates": int((forth != back).sum())}


def test_by_both_dates_another_model_is_asked_with_the_dates_exchanged() -> None:
    # What is brighter in *after* is not so with the dates exchanged: nothing of it is known.
    model = Brighter()
    label = ask(model, sample_of(2), None, Asking(both_dates=True))
    assert model.calls == 2
    assert (label.changed == squares(2)).all()
    assert (label.known == ~squares(2)).all()


def test_what_is_not_valid_is_neither_changed_nor_known() -> None:
    before, after = images_of(0, 2)
    opaque = np.full((64, 64), 255, np.uint8)
    opaque[:12] = 0
    from terradelta.geo.pair import load_pair

    pair = load_pair(np.dstack([before, opaque]), after)
    sample = Sample("one", lambda: pair, lambda: squares(2))
    label = ask(Brighter(), sample, None, Asking(soft=True))
    assert not label.known[:12].any()
    assert not label.changed[:12].any()
    assert (label.changed[12:] == squares(2)[12:]).all()


def test_other_models_label_by_themselves() -> None:
    check_asking(Asking(soft=True, both_dates=True), Brighter())
    with pytest.raises(UsageError, match="otsu: this is for AnyChange"):
        check_asking(Asking(threshold="otsu"), Brighter())
    with pytest.raises(UsageError, match="clicks: this is for AnyChange"):
        check_asking(Asking(clicks={}), Brighter())
    with pytest.raises(UsageError, match="without upscale"):
        check_asking(Asking(both_dates=True), AnyChange(upscale=2))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"angle": 20, "top_k": 3}, "contradict"),
        ({"clicks": {}, "click_from_truth": True}, "not both"),
        ({"click_on": "before"}, "drawn from the truth"),
        ({"click_from_truth": True, "click_on": "later"}, "must be before or after"),
    ],
)
def test_two_ways_at_once_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Asking(**values)


def test_clicks_are_read_by_pair(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text("name,x,y,date\na,1.5,2,after\nb, 7, 8 ,before\na,3,4,before\nc,,,\n")
    assert read_clicks(path) == {
        "a": [Click(1.5, 2.0, "after"), Click(3.0, 4.0, "before")],
        "b": [Click(7.0, 8.0, "before")],
        "c": [],
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,x,y\na,1,2\n", "needs the columns name, x, y, date"),
        ("name,x,y,date\n", "a row for every click"),
        ("name,x,y,date\n,1,2,after\n", "line 2: the name"),
        ("name,x,y,date\na,1,2,after\na,one,2,after\n", "line 3: x 'one'"),
        ("name,x,y,date\na,1,2,later\n", "line 2: the date is 'later'"),
    ],
)
def test_rows_that_are_no_clicks_are_named(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_clicks(path)
