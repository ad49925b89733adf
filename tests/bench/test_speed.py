import pytest

from terradelta.bench.clock import Seconds
from terradelta.bench.speed import Measurement, Protocol, Ratio, Scaling, measure
from terradelta.errors import InputError, UsageError


def test_a_ratio_is_peer_over_ours_run_by_run() -> None:
    ratio = Ratio.of([1.0, 2.0, 4.0], [10.0, 8.0, 12.0])
    assert (ratio.median, ratio.min, ratio.max) == (4.0, 3.0, 10.0)


def test_proposing_is_scaled_by_points_and_matching_by_masks() -> None:
    scaling = Scaling(points_run=128, points_all=1024, masks_run=20, masks_all=50)
    scaled = scaling.apply(Seconds(encode=10.0, propose=3.0, match=5.0), match_fixed=1.0)
    assert scaled == Seconds(encode=10.0, propose=24.0, match=1.0 + 4.0 * 2.5)


def test_nothing_is_scaled_if_the_peer_ran_everything() -> None:
    seconds = Seconds(1.0, 2.0, 3.0)
    assert Scaling(64, 64, 20, 21).apply(seconds, 0.5) == seconds


def test_without_masks_matching_stays_as_it_is() -> None:
    scaled = Scaling(64, 128, 0, 10).apply(Seconds(1.0, 2.0, 3.0), 3.0)
    assert scaled == Seconds(1.0, 4.0, 3.0)


def test_both_sides_find_the_same_changes(measurement: Measurement) -> None:
    same = measurement.agreement
    assert same.points == 128
    assert same.our_masks == same.peer_masks > 3
    assert same.mean_best_iou is not None
    assert same.mean_best_iou > 0.999
    assert same.largest_score_difference is not None
    assert same.largest_score_difference < 1e-4


def test_every_stage_of_both_sides_took_time(measurement: Measurement) -> None:
    for seconds in (*measurement.ours, *measurement.peer_measured):
        assert min(seconds.encode, seconds.propose, seconds.match) > 0
    ours, peer = measurement.ours[0], measurement.peer[0]
    assert measurement.speedup.median == pytest.approx(peer.total / ours.total)
    assert measurement.speedup_by_stage["match"].median == pytest.approx(peer.match / ours.match)


def test_ours_ran_the_whole_grid_and_the_peer_a_part(measurement: Measurement) -> None:
    scaling = measurement.scaling
    assert (scaling.points_run, scaling.points_all) == (128, 144)
    assert scaling.masks_all >= scaling.masks_run > 0
    measured, scaled = measurement.peer_measured[0], measurement.peer[0]
    assert scaled.propose == pytest.approx(measured.propose * 144 / 128)
    assert scaled.encode == measured.encode


def test_wrong_devices_and_images_are_refused() -> None:
    pytest.importorskip("segment_anything")
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        measure(Protocol("transformers", device="gpu", size="tiny"))
    with pytest.raises(InputError, match=r"nowhere\.tif"):
        measure(Protocol("transformers", size="tiny"), ("nowhere.tif", "nowhere.tif"))
