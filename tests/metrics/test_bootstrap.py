import math

import numpy as np
import pytest
from scipy import stats

from terradelta.metrics import (
    ObjectMatches,
    PixelCounts,
    RecallCounts,
    SemanticCounts,
    bootstrap_intervals,
)


def made(images: int, seed: int = 0) -> list[PixelCounts]:
    """Counts of images of 1000 px that differ in how much changed and in how good the answer is."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet([2, 2, 1, 10], images)
    return [PixelCounts(*random.multinomial(1000, share).tolist()) for share in shares]


def test_the_interval_lies_around_the_pooled_metric() -> None:
    images = made(60)
    pooled = sum(images, PixelCounts()).as_dict()
    intervals = bootstrap_intervals(images)
    assert intervals.keys() == pooled.keys()
    assert all(low < pooled[name] < high for name, (low, high) in intervals.items())


def test_the_same_seed_gives_the_same_interval_and_another_nearly_so() -> None:
    images = made(60)
    first, again, other = (bootstrap_intervals(images, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first["f1"] != other["f1"]
    assert first["f1"] == pytest.approx(other["f1"], abs=0.01)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_of_a_mean_it_is_that_of_the_central_limit(level: float) -> None:
    """Accuracy pooled over images of one size is the mean of theirs."""
    images = made(400)
    own = np.array([image.accuracy for image in images])
    error = own.std() / math.sqrt(len(own))
    expected = stats.norm.interval(level, own.mean(), error)
    found = bootstrap_intervals(images, level=level, resamples=4000)["accuracy"]
    assert found == pytest.approx(expected, abs=0.1 * error)


def test_of_a_ratio_it_is_that_of_scipy() -> None:
    images = made(40)
    counts = np.array([image.as_array() for image in images])

    def f1(index: np.ndarray, axis: int) -> np.ndarray:
        tp, fp, fn, _ = np.moveaxis(
            counts[index].sum(axis if axis >= 0 else index.ndim + axis), -1, 0
        )
        return 2 * tp / (2 * tp + fp + fn)

    theirs = stats.bootstrap(
        (np.arange(40),), f1, n_resamples=4000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    found = bootstrap_intervals(images, resamples=4000)["f1"]
    assert found == pytest.approx((theirs.low, theirs.high), abs=0.004)
    assert theirs.high - theirs.low > 0.04


def test_of_two_images_every_draw_is_known() -> None:
    """The first twice, the second twice (each in a quarter of the draws), or both: 20, 60, 40 %."""
    images = [PixelCounts(20, 0, 80, 0), PixelCounts(60, 0, 40, 0)]
    assert bootstrap_intervals(images)["recall"] == (0.2, 0.6)
    assert bootstrap_intervals(images, level=0.4)["recall"] == (0.4, 0.4)


def test_images_that_are_all_alike_leave_no_doubt() -> None:
    low, high = bootstrap_intervals([PixelCounts(3, 1, 1, 5)] * 7)["f1"]
    assert low == high == 0.75


def test_more_images_narrow_the_interval() -> None:
    few, many = (np.ptp(bootstrap_intervals(made(n))["iou"]) for n in (25, 400))
    assert many == pytest.approx(few / 4, rel=0.4)


def test_draws_that_do_not_define_a_metric_are_left_out() -> None:
    """Of three images one has nothing: a draw of it alone has no recall."""
    images = [PixelCounts(1, 0, 1, 0), PixelCounts(1, 0, 1, 0), PixelCounts(0, 0, 0, 2)]
    assert bootstrap_intervals(images)["recall"] == (0.5, 0.5)


@pytest.mark.parametrize(
    "images",
    [
        [PixelCounts(3, 1, 1, 5)],
        [PixelCounts(3, 1, 1, 5), PixelCounts(0, 0, 0, 10)],
        [PixelCounts(0, 0, 0, 10)] * 3,
    ],
)
def test_fewer_than_two_images_that_define_it_give_no_interval(images: list[PixelCounts]) -> None:
    intervals = bootstrap_intervals(images)
    assert all(math.isnan(end) for end in intervals["recall"])
    assert math.isnan(intervals["accuracy"][0]) == (len(images) == 1)


def test_no_image_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_intervals([])


def test_counts_of_every_kind_are_drawn_alike() -> None:
    """Each of three kinds of counts with the same recall in every image: the draws are the same."""
    random = np.random.default_rng(0)
    truths = random.integers(5, 20, 30)
    found = [int(random.integers(0, n)) for n in truths]
    pairs = list(zip(found, truths.tolist(), strict=True))
    pixels = bootstrap_intervals([PixelCounts(f, 0, t - f, 0) for f, t in pairs])
    objects = bootstrap_intervals([ObjectMatches(f, 99, t) for f, t in pairs])
    recall = bootstrap_intervals(
        [RecallCounts(np.full((4, 10), f), np.full(4, t)) for f, t in pairs]
    )
    semantic = bootstrap_intervals(
        [SemanticCounts(np.array([[0, t - f], [0, f]])) for f, t in pairs]
    )
    assert objects["object_recall"] == pytest.approx(pixels["recall"])
    assert recall["ar_small@1000"] == pytest.approx(pixels["recall"])
    assert semantic["f_scd"] == pytest.approx(pixels["f1"])


def test_pools_beyond_32_bit_are_exact() -> None:
    images = [PixelCounts(10**12, 0, 10**12, 0), PixelCounts(3 * 10**12, 0, 3 * 10**12, 0)]
    assert bootstrap_intervals(images)["recall"] == (0.5, 0.5)
