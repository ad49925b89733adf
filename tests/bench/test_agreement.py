import numpy as np
import pytest

from terradelta.bench.agreement import compare
from terradelta.bench.peers import Answer
from terradelta.sam.masks import Masks


def answer(*columns: tuple[int, int, float]) -> Answer:
    """Masks of whole columns (first, last exclusive) of a 4 x 10 image, with a score each."""
    dense = np.zeros((len(columns), 4, 10), bool)
    for mask, (first, last, _) in zip(dense, columns, strict=True):
        mask[:, first:last] = True
    return Answer(Masks.from_dense(dense), np.array([c[2] for c in columns], np.float32))


def test_each_of_theirs_is_compared_with_the_best_of_ours() -> None:
    ours = answer((0, 4, -0.5), (6, 10, 0.25))
    theirs = answer((6, 10, 0.5), (0, 3, -0.5), (4, 6, 0.9))
    found = compare(ours, theirs, 7)
    assert (found.points, found.our_masks, found.peer_masks, found.matched) == (7, 2, 3, 2)
    assert found.mean_best_iou == pytest.approx((1 + 0.75 + 0) / 3)
    assert found.largest_score_difference == pytest.approx(0.25)


def test_without_masks_there_is_nothing_to_average() -> None:
    found = compare(answer((0, 4, 0.0)), answer(), 7)
    assert (found.mean_best_iou, found.largest_score_difference) == (None, None)
    alone = compare(answer(), answer((0, 4, 0.0)), 7)
    assert (alone.mean_best_iou, alone.matched) == (0.0, 0)
