import math

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from terradelta.metrics import ObjectMatches, Overlaps

from .boxes import FAR, SQUARE, Box, random_boxes, rles


def matches(proposals: list[Box], scores: list[float], truths: list[Box]) -> ObjectMatches:
    return ObjectMatches.of(Overlaps.of(rles(proposals), scores, rles(truths)))


def test_objects_found_missed_and_invented() -> None:
    almost, invented, missed = (0, 0, 10, 6), (50, 30, 55, 35), (45, 0, 50, 5)
    counts = matches(
        [almost, FAR, invented], [0.1, 0.9, 0.5], [SQUARE, FAR, missed, (50, 0, 55, 5)]
    )
    assert counts == ObjectMatches(matches=2, proposals=3, truths=4)
    assert counts.as_dict() == {
        "object_precision": 2 / 3,
        "object_recall": 2 / 4,
        "object_f1": 4 / 7,
    }


@pytest.mark.parametrize(("height", "found"), [(5, 1), (4, 0)])
def test_half_an_object_is_enough(height: int, found: int) -> None:
    assert matches([(0, 0, 10, height)], [1.0], [SQUARE]).matches == found


def test_an_object_that_is_found_twice_counts_once() -> None:
    counts = matches([SQUARE, SQUARE, (0, 0, 10, 9)], [1.0, 0.5, 0.2], [SQUARE])
    assert (counts.precision, counts.recall) == (1 / 3, 1)


def test_more_than_1000_proposals_count() -> None:
    counts = matches([FAR] * 1500 + [SQUARE], [1.0] * 1500 + [0.0], [SQUARE])
    assert counts == ObjectMatches(1, 1501, 1)


@pytest.mark.parametrize("seed", range(5))
def test_objects_apart_are_matched_as_the_best_assignment_does(seed: int) -> None:
    """Of objects apart from each other a mask can overlap one only by half: greedy is optimal."""
    random = np.random.default_rng(seed)
    truths = [(x, y, x + 12, y + 10) for x in range(0, 60, 15) for y in range(0, 40, 13)]
    moved = [
        tuple(np.add(box, np.tile(random.integers(-3, 4, 2), 2)).clip(0)) for box in truths * 2
    ]
    proposals = [*moved, *random_boxes(random, 10)]
    overlaps = Overlaps.of(rles(proposals), random.random(len(proposals)), rles(truths))
    close = overlaps.iou >= 0.5
    best = int(close[linear_sum_assignment(close, maximize=True)].sum())
    assert 0 < best < len(truths)
    assert ObjectMatches.of(overlaps).matches == best


def test_what_there_is_none_of_is_not_a_number() -> None:
    assert all(math.isnan(value) for value in ObjectMatches().as_dict().values())
    missed, invented = matches([], [], [SQUARE]), matches([SQUARE], [1.0], [])
    assert math.isnan(missed.precision)
    assert (missed.recall, missed.f1) == (0, 0)
    assert math.isnan(invented.recall)
    assert (invented.precision, invented.f1) == (0, 0)


def test_counts_add_and_survive_as_an_array() -> None:
    assert ObjectMatches(1, 2, 3) + ObjectMatches(10, 20, 30) == ObjectMatches(11, 22, 33)
    assert ObjectMatches.from_array(ObjectMatches(1, 2, 3).as_array()) == ObjectMatches(1, 2, 3)
