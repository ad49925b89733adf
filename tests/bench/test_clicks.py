import pytest

from terradelta import AnyChange
from terradelta.bench.cases import Choice
from terradelta.bench.clicks import CLICKS, DRAWS, click_cases, clicked_date
from terradelta.metrics import PixelCounts
from terradelta.zeroshot.clicks import draw_clicks, seed_of

from .made import made_sample


def test_the_date_is_that_of_the_objects_unless_it_is_chosen() -> None:
    assert clicked_date(Choice(()), "levir-cd") == "after"
    assert clicked_date(Choice(()), "xview2") == "before"
    assert clicked_date(Choice((), clicked_date="after"), "xview2") == "after"


def test_the_answers_are_those_of_queries_with_the_drawn_clicks() -> None:
    sample = made_sample(0, 4)
    pair = sample.pair()
    (case,) = click_cases(Choice(()), "folder")
    loaded = case.load()
    trials = loaded.ask(sample).trials
    assert [row.condition for row in case.rows] == list(CLICKS)
    none, one, three = (trials[row.key] for row in case.rows)
    model = AnyChange()
    assert len(none) == 1
    assert (none[0].answer == model.detect(pair.before, pair.after).to_mask()).all()
    for clicked, count in ((one, 1), (three, 3)):
        assert len(clicked) == DRAWS
        for draw, trial in enumerate(clicked):
            clicks = draw_clicks(sample.truth(), count, "after", seed_of(0, sample.name, draw))
            assert list(trial.clicks) == clicks
            asked = model.query(pair.before, pair.after, clicks)
            assert (trial.answer == asked.to_mask()).all()
    assert loaded.settings["clicked_date"] == "after"
    assert loaded.settings["draws"] == DRAWS


def test_without_objects_the_answer_is_that_without_a_click() -> None:
    (case,) = click_cases(Choice(()), "folder")
    trials = case.load().ask(made_sample(0, 0)).trials
    (unasked,) = trials[case.rows[0].key]
    for row in case.rows[1:]:
        assert len(trials[row.key]) == DRAWS
        for trial in trials[row.key]:
            assert trial.clicks == ()
            assert (trial.answer == unasked.answer).all()


@pytest.mark.parametrize("count", [3, 4])
def test_clicks_raise_precision_where_other_things_change_too(count: int) -> None:
    sample = made_sample(1, count)
    pair = sample.pair()
    pair.after[2:5, 20:60] = (20, 90, 20)  # a hedge that no one asked for
    (case,) = click_cases(Choice(()), "folder")
    trials = case.load().ask(sample).trials
    none, one, _ = (
        sum((PixelCounts.of(t.answer, t.truth) for t in trials[row.key]), PixelCounts())
        for row in case.rows
    )
    assert one.precision > none.precision
