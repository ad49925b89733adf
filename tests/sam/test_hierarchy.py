from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from terradelta.sam.hierarchy import Partition, _Graph, _mutual_best, region_hierarchy

Channels = NDArray[np.float32]


def stripes(colours: list[float], height: int, width: int) -> Channels:
    """Flat vertical stripes, each ``width`` px wide, float32 [1, height, len(colours) * width]."""
    row = np.repeat(np.array(colours, np.float32), width)
    return np.tile(row, (1, height, 1))


def blobs(seed: int) -> Channels:
    noise = np.random.default_rng(seed).normal(size=(3, 56, 64))
    smooth = ndimage.gaussian_filter(noise, (0, 3, 3))
    return (smooth / smooth.std()).astype(np.float32)


@pytest.fixture(scope="module", params=[0, 1])
def partitions(request: pytest.FixtureRequest) -> list[Partition]:
    return region_hierarchy(blobs(request.param), (0.5, 2, 8))


def test_two_flat_halves_are_two_regions() -> None:
    for partition in region_hierarchy(stripes([0, 3], 16, 8), (0.5, 2, 8)):
        np.testing.assert_array_equal(partition.labels, np.tile(np.repeat([0, 1], 8), (16, 1)))


def test_four_flat_quarters_are_four_regions() -> None:
    quarters = np.kron(np.array([[0, 4], [8, 12]], np.float32), np.ones((12, 12), np.float32))
    (partition,) = region_hierarchy(quarters[None], (0.5,))
    expected = np.kron(np.array([[0, 1], [2, 3]]), np.ones((12, 12), int))
    np.testing.assert_array_equal(partition.labels, expected)


def test_a_constant_image_is_one_region_without_contrast() -> None:
    for partition in region_hierarchy(np.full((3, 20, 30), 0.7, np.float32), (0.5, 2)):
        assert (partition.labels == 0).all()
        assert partition.contrast.tolist() == [0]
        assert partition.stability.tolist() == [1]


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_halves_merge_when_lambda_exceeds_the_cost_of_their_boundary(step: float) -> None:
    cost = 2048 * 2048 / (2048 + 2048) * step**2 / 64
    below, above = region_hierarchy(stripes([0, step], 64, 32), (cost / 2, cost * 2))
    assert len(below.contrast) == 2
    assert len(above.contrast) == 1


def test_a_region_about_to_merge_is_as_stable_as_its_share_of_the_whole() -> None:
    cost = 1024 * 3072 / 4096 / 64
    image = stripes([0, 1, 1, 1], 64, 16)
    early, about_to, late = region_hierarchy(image, (cost / 3, cost / 1.2, cost * 3))
    assert early.stability.tolist() == [1, 1]
    assert about_to.stability.tolist() == [0.25, 0.75]
    assert late.stability.tolist() == [1]


@pytest.mark.parametrize(
    ("colours", "scale", "step_and_spread"),
    [
        ([0, 1], 1, [(1, 0), (1, 0)]),
        ([0, 2, 6], 1, [(2, 0), (10**0.5, 0), (4, 0)]),
        ([0, 1, 10], 8, [(9.5, 0.5), (9.5, 0)]),
    ],
)
def test_contrast_weighs_the_step_outside_against_the_spread_inside(
    colours: list[float], scale: float, step_and_spread: list[tuple[float, float]]
) -> None:
    (partition,) = region_hierarchy(stripes(colours, 16, 8), (scale,))
    expected = [step / (step + 4 * spread + 0.5) for step, spread in step_and_spread]
    np.testing.assert_allclose(partition.contrast, expected, rtol=1e-5)


def test_labels_count_the_regions_that_are_described(partitions: list[Partition]) -> None:
    for partition in partitions:
        count = len(partition.contrast)
        assert partition.labels.dtype == np.int32
        assert partition.labels.shape == (56, 64)
        assert np.unique(partition.labels).tolist() == list(range(count))
        assert partition.stability.shape == (count,)


def test_contrast_and_stability_are_shares(partitions: list[Partition]) -> None:
    for partition in partitions:
        for share in (partition.contrast, partition.stability):
            assert share.min() >= 0
            assert share.max() <= 1
            assert share.min() < share.max()


def test_every_region_lies_inside_one_region_of_the_next_scale(
    partitions: list[Partition],
) -> None:
    for fine, coarse in pairwise(partitions):
        assert len(coarse.contrast) < len(fine.contrast)
        lowest = ndimage.minimum(coarse.labels, fine.labels, range(len(fine.contrast)))
        np.testing.assert_array_equal(coarse.labels, np.asarray(lowest)[fine.labels])


def test_a_region_is_in_one_piece(partitions: list[Partition]) -> None:
    for partition in partitions:
        for region in range(len(partition.contrast)):
            _, pieces = ndimage.label(partition.labels == region, np.ones((3, 3)))
            assert pieces == 1


@pytest.mark.parametrize("seed", range(5))
def test_edges_that_both_ends_prefer_are_found_among_ties(seed: int) -> None:
    random = np.random.default_rng(seed)
    nodes, scale = 12, 4.0
    pairs = np.array([(a, b) for a in range(nodes) for b in range(a + 1, nodes)])
    pairs = pairs[random.random(len(pairs)) < 0.4]
    cost = random.integers(1, 6, len(pairs)).astype(float)
    some = np.ones(nodes)
    graph = _Graph(some, some[:, None], some, pairs[:, 0], pairs[:, 1], np.ones(len(pairs)))
    rank = [(c, edge) for edge, c in enumerate(cost)]
    best = [min(rank[e] for e in range(len(pairs)) if n in pairs[e]) for n in np.unique(pairs)]
    chosen = dict(zip(np.unique(pairs), best, strict=True))
    expected = [
        edge
        for edge, (a, b) in enumerate(pairs)
        if cost[edge] < scale and chosen[a] == chosen[b] == rank[edge]
    ]
    assert expected
    assert _mutual_best(graph, cost, scale).tolist() == expected
