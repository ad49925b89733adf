import numpy as np
import pytest

from terradelta import AnyChange
from terradelta.bench.cases import Choice
from terradelta.bench.clicks import (
    CLICKS,
    DRAWS,
    click_cases,
    clicked_date,
    draw_clicks,
    seed_of,
)
from terradelta.metrics import PixelCounts

from .made import made_sample, squares


def test_a_click_falls_into_the_pixel_that_is_farthest_from_the_boundary() -> None:
    truth = np.zeros((20, 30), bool)
    truth[2:9, 3:10] = True  # 7 x 7: its middle pixel is row 5, column 6
    truth[9:11, 3:25] = True  # a thin tail to one side does not draw the click away
    (click,) = draw_clicks(truth, 1, "after", [0])
    assert click.date == "after"
    assert np.floor(click.y) in (5, 6)
    assert np.floor(click.x) == 6
    assert (click.x % 1, click.y % 1) == (0.5, 0.5)


def test_a_click_on_a_ring_falls_on_the_ring() -> None:
    y, x = np.indices((41, 41)) - 20
    ring = (np.hypot(x, y) < 18) & (np.hypot(x, y) > 10)
    (click,) = draw_clicks(ring, 1, "before", [0])
    assert 12 < np.hypot(click.x - 20.5, click.y - 20.5) < 16


def test_the_border_of_the_image_is_a_boundary() -> None:
    truth = np.zeros((9, 20), bool)
    truth[:, :5] = True
    (click,) = draw_clicks(truth, 1, "after", [0])
    assert click.x == 2.5


def test_objects_that_touch_at_a_corner_are_one() -> None:
    truth = np.eye(6, dtype=bool)
    assert len(draw_clicks(truth, 3, "after", [0])) == 1


def test_every_object_is_as_likely_whatever_its_size() -> None:
    truth = np.zeros((40, 40), bool)
    truth[:30] = True
    truth[35, 20] = True
    small = sum(draw_clicks(truth, 1, "after", [seed])[0].y > 30 for seed in range(400))
    assert 160 < small < 240


def test_three_clicks_are_on_three_objects_and_the_first_of_them_is_the_one_click() -> None:
    truth = squares(4)
    for seed in range(5):
        one, three = (draw_clicks(truth, count, "after", [seed]) for count in (1, 3))
        assert three[:1] == one
        assert len(set(three)) == 3
        assert all(truth[int(click.y), int(click.x)] for click in three)
    assert len(draw_clicks(squares(2), 3, "after", [0])) == 2
    assert draw_clicks(squares(0), 3, "after", [0]) == []


def test_draws_differ_between_pairs_draws_and_seeds_and_repeat() -> None:
    seeds = [(0, "a", 0), (0, "a", 1), (0, "b", 0), (1, "a", 0)]
    assert len({tuple(seed_of(*seed)) for seed in seeds}) == 4
    drawn = [draw_clicks(squares(4), 3, "after", seed_of(0, "a", draw)) for draw in range(12)]
    again = [draw_clicks(squares(4), 3, "after", seed_of(0, "a", draw)) for draw in range(12)]
    assert drawn == again
    assert len({tuple(clicks) for clicks in drawn}) > 4


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
