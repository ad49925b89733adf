from typing import Any

import numpy as np
import pytest

from terradelta.errors import UsageError
from terradelta.zeroshot.thresholds import choose_threshold

ANGLES = np.array([60, 50, 50, 40, 10, 0, 0], np.float32)


def test_the_default_holds_until_an_angle_is_given() -> None:
    assert choose_threshold(ANGLES, 23.0) == 23.0
    assert choose_threshold(ANGLES, 23.0, angle=31) == 31.0


@pytest.mark.parametrize("angle", [0, 180])
def test_both_ends_of_the_scale_are_angles(angle: float) -> None:
    assert choose_threshold(ANGLES, 23.0, angle=angle) == angle


@pytest.mark.parametrize("angle", [-0.5, 180.5, float("inf"), float("nan")])
def test_an_angle_outside_the_scale_is_refused_by_its_value(angle: float) -> None:
    with pytest.raises(UsageError, match=rf"{angle}.*between 0 and 180"):
        choose_threshold(ANGLES, 23.0, angle=angle)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"angle": 20.0, "threshold": "otsu"}, "angle and threshold contradict"),
        ({"angle": 0.0, "top_k": 3}, "angle and top_k contradict"),
        ({"threshold": "otsu", "top_k": 3}, "threshold and top_k contradict"),
        (
            {"angle": 20.0, "threshold": "otsu", "top_k": 3},
            "angle and threshold and top_k contradict",
        ),
    ],
)
def test_two_thresholds_at_once_contradict_each_other(given: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        choose_threshold(ANGLES, 23.0, **given)


def test_an_unknown_threshold_is_named() -> None:
    with pytest.raises(UsageError, match="'otso'"):
        choose_threshold(ANGLES, 23.0, threshold="otso")


def test_otsu_separates_two_groups_of_angles() -> None:
    low, high = np.linspace(1, 6, 30), np.linspace(70, 80, 10)
    angles = np.concatenate([low, high]).astype(np.float32)
    chosen = choose_threshold(angles, 23.0, threshold="otsu")
    assert (angles > chosen).sum() == len(high)


@pytest.mark.parametrize("angles", [[], [0.0], [12.5], [62.5, 62.5, 62.5]])
def test_otsu_of_equal_angles_is_the_default(angles: list[float]) -> None:
    assert choose_threshold(np.array(angles, np.float32), 23.0, threshold="otsu") == 23.0


@pytest.mark.parametrize(
    ("k", "above"),
    [(1, 1), (2, 1), (3, 3), (4, 4), (5, 5), (6, 5), (7, 5), (1000, 5)],
    ids=lambda number: str(number),
)
def test_at_most_k_angles_lie_above_and_fewer_if_equal_ones_straddle_the_kth(
    k: int, above: int
) -> None:
    assert np.count_nonzero(choose_threshold(ANGLES, 23.0, top_k=k) < ANGLES) == above


def test_the_k_largest_need_not_come_first() -> None:
    angles = np.random.default_rng(0).permutation(np.arange(1, 41)).astype(np.float32)
    assert sorted(angles[angles > choose_threshold(angles, 23.0, top_k=3)]) == [38, 39, 40]


def test_the_k_largest_of_none_are_none() -> None:
    assert choose_threshold(np.zeros(0, np.float32), 23.0, top_k=5) == 0


@pytest.mark.parametrize("k", [0, -3])
def test_k_must_be_at_least_one(k: int) -> None:
    with pytest.raises(UsageError, match=rf"top_k is {k}"):
        choose_threshold(ANGLES, 23.0, top_k=k)
