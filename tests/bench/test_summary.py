import numpy as np
import pytest

from terradelta.bench.cases import Answers, Trial
from terradelta.bench.measure import Measured, counts, measured
from terradelta.bench.summary import (
    change_counts,
    estimates,
    everything,
    query_counts,
    to_show,
)
from terradelta.metrics import PixelCounts
from terradelta.zeroshot.query import Click


def mask(*columns: int) -> np.ndarray:
    """bool [4, 10], True in these columns."""
    filled = np.zeros((4, 10), bool)
    filled[:, list(columns)] = True
    return filled


def pair(name: str, *trials: tuple[np.ndarray, np.ndarray]) -> Measured:
    stored = counts(Answers({"row": [Trial(answer, truth) for answer, truth in trials]}))
    return measured(name, stored, 0.5)["row"]


RIGHT = pair("right", (mask(1, 2), mask(1, 2)))
HALF = pair("half", (mask(1, 2, 3, 4), mask(1, 2)))
WRONG = pair("wrong", (mask(8), mask(1, 2)))
EMPTY = pair("empty", (mask(), mask()))


def test_a_line_of_the_journal_gives_back_what_was_counted() -> None:
    click = Click(3.5, 1.5, "after")
    answers = Answers(
        {"row": [Trial(mask(1, 2), mask(1, 2), clicks=[click]), Trial(mask(), mask(1, 2))]}
    )
    back = measured("p", counts(answers), 1.25)["row"]
    assert (back.name, back.seconds, back.clicks) == ("p", 1.25, ((click,), ()))
    assert [trial.pixels for trial in back.trials] == [
        PixelCounts(8, 0, 0, 32),
        PixelCounts(0, 0, 8, 32),
    ]
    assert back.pooled.pixels == PixelCounts(8, 0, 8, 64)
    assert back.pooled.objects.truths == 2


def test_metrics_are_of_the_pooled_counts_with_intervals_over_the_pairs() -> None:
    found = estimates([RIGHT, HALF, WRONG], change_counts)
    assert found["precision"].value == pytest.approx(16 / (8 + 16 + 4))
    assert found["recall"].value == pytest.approx(16 / 24)
    assert found["recall"].low == 0
    assert found["recall"].high == 1
    assert found["precision"].low < found["precision"].value < found["precision"].high
    assert found["ar@1000"].value == 0


def test_one_pair_has_no_interval_and_none_no_metric() -> None:
    found = estimates([HALF], change_counts)
    assert found["f1"].value == pytest.approx(2 / 3)
    assert np.isnan(found["f1"].low)
    assert estimates([], change_counts) == {}


def test_queries_are_kept_apart() -> None:
    twice = pair("p", (mask(1, 2), mask(1, 2)), (mask(), mask(1, 2)), (mask(1), mask(1, 2)))
    found = estimates([twice, twice], query_counts)
    assert found["recall"].value == pytest.approx(0.5)
    assert found["recall_sd"].value == pytest.approx(0.5)


def test_the_answer_that_is_everything() -> None:
    """8 of 40 pixels are change, whatever was answered."""
    for answers in ([RIGHT], [HALF], [WRONG, RIGHT]):
        assert everything(answers).precision == pytest.approx(0.2)
        assert everything(answers).f1 == pytest.approx(2 * 0.2 / 1.2)
    assert np.isnan(everything([]).f1)


def test_best_median_and_worst_are_shown() -> None:
    shown = to_show([WRONG, RIGHT, EMPTY, HALF])
    assert list(shown) == ["best", "median", "worst"]
    assert [one.name for one in shown.values()] == ["right", "half", "wrong"]
    assert {rank: one.name for rank, one in to_show([HALF, RIGHT]).items()} == {
        "best": "right",
        "worst": "half",
    }
    assert [one.name for one in to_show([EMPTY]).values()] == ["empty"]
    assert to_show([]) == {}
