import dataclasses
from typing import Any

import numpy as np
import pytest

from terradelta.bench.random_weights import random_network
from terradelta.bench.settings import Protocol, Thresholds, batches_of, some_points
from terradelta.errors import UsageError
from terradelta.geo.pair import load_pair
from terradelta.sam.proposals import point_grid
from terradelta.sam.sam import SamSegmenter
from terradelta.synth import Scene


@pytest.mark.parametrize(
    ("total", "batches", "count"), [(1024, 2, 128), (100, 1, 64), (100, 2, 100), (1024, 0, 1024)]
)
def test_a_part_of_the_grid_fills_whole_batches(total: int, batches: int, count: int) -> None:
    points = some_points(total, batches)
    assert len(points) == len(np.unique(points)) == count
    assert (np.diff(points) > 0).all()
    assert points[0] >= 0
    assert points[-1] < total


def test_a_part_of_the_grid_is_spread_over_it() -> None:
    x, y = point_grid((320, 320), 32)[some_points(1024, 2)].astype(int).T // 80
    assert (np.bincount(4 * y + x, minlength=16) > 0).all()


def test_a_last_batch_may_be_short() -> None:
    assert [batches_of(n) for n in (1, 64, 65, 1024)] == [1, 1, 2, 16]


def test_the_peer_runs_two_batches_on_the_cpu_and_all_on_a_gpu() -> None:
    assert len(Protocol("torchange").peer_points) == 128
    assert len(Protocol("torchange", device="cuda").peer_points) == 1024
    assert len(Protocol("torchange", peer_batches=0).peer_points) == 1024


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"against": "someone"}, "unknown peer 'someone'"),
        ({"points_per_side": 0}, "points is 0"),
        ({"points_per_side": 129}, "between 1 and 128"),
        ({"repeats": 0}, "repeats is 0"),
        ({"peer_batches": -1}, "peer-batches is -1"),
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        dataclasses.replace(Protocol("torchange"), **wrong)


def test_between_five_and_ten_percent_of_all_masks_pass(scene: Scene) -> None:
    pytest.importorskip("segment_anything")
    segmenter = SamSegmenter(random_network("tiny"), name="tiny")
    pair = load_pair(scene.before, scene.after)
    limits = Thresholds.calibrated(segmenter, pair)
    found = segmenter.decode(
        segmenter.encode(pair.before),
        point_grid(pair.shape, 8),
        min_iou=limits.pred_iou,
        min_stability=limits.stability,
    )
    assert 0.05 <= len(found) / (3 * 64) <= 0.10
    assert limits.nms == segmenter.defaults.nms
    assert 0 < limits.angle < 180
