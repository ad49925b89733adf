from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from terradelta.errors import InputError
from terradelta.geo.sample import MOST_WINDOWS, SIDE_PX, Patch, Sample, take_sample

U8 = (np.dtype(np.uint8), np.dtype(np.uint8))


def reader(valid: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Any:
    """A scene of any size whose before tells the column and row, and whose validity is a rule."""

    def read(x0: int, y0: int, x1: int, y1: int) -> Any:
        y, x = np.mgrid[y0:y1, x0:x1]
        before = np.stack([x, y, x + y]).astype(np.uint16)
        return before, before + 1, np.broadcast_to(valid(x, y), x.shape)

    return read


def everywhere(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.ones(x.shape, bool)


@pytest.mark.parametrize("shape", [(1, 1), (100, 700), (2048, 2048)])
def test_a_small_pair_is_taken_whole(shape: tuple[int, int]) -> None:
    sample = take_sample(reader(everywhere), shape, U8)
    assert sample.whole
    assert sample.valid_share == 1
    seen = np.zeros(shape, int)
    for patch in sample:
        height, width = patch.valid.shape
        seen[patch.y0 : patch.y0 + height, patch.x0 : patch.x0 + width] += 1
        assert tuple(patch.before[:2, 0, 0]) == (patch.x0, patch.y0)
    assert (seen == 1).all()


def test_a_large_pair_is_sampled_from_edge_to_edge() -> None:
    sample = take_sample(reader(everywhere), (5000, 9000), U8)
    assert not sample.whole
    assert len(sample.patches) == MOST_WINDOWS
    assert {patch.valid.shape for patch in sample} == {(SIDE_PX, SIDE_PX)}
    assert {patch.x0 for patch in sample} == {0, 2829, 5659, 8488}
    assert {patch.y0 for patch in sample} == {0, 1496, 2992, 4488}


def test_the_same_pair_gives_the_same_sample() -> None:
    first, second = (take_sample(reader(everywhere), (6000, 6000), U8) for _ in range(2))
    places = [[(patch.x0, patch.y0) for patch in sample] for sample in (first, second)]
    assert places[0] == places[1]


def test_windows_are_looked_for_where_there_are_data() -> None:
    """A strip of 300 px across the diagonal, of which the coarsest lattice sees little."""

    def strip(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.abs(x - y - 700) < 150

    sample = take_sample(reader(strip), (8000, 8000), U8)
    assert len(sample.patches) >= MOST_WINDOWS // 2
    assert np.mean([patch.valid.mean() for patch in sample]) > 0.25
    assert 0 < sample.valid_share < 0.3


def test_little_is_better_than_nothing() -> None:
    def corner(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x < 40) & (y < 40)

    sample = take_sample(reader(corner), (4000, 4000), U8)
    assert (sample.patches[0].x0, sample.patches[0].y0) == (0, 0)
    assert sample.pixels()[0].shape == (3, 1600 * len(sample.patches))


@pytest.mark.parametrize("shape", [(300, 300), (4000, 4000)])
def test_without_a_valid_pixel_there_is_nothing_to_compare(shape: tuple[int, int]) -> None:
    def nowhere(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.zeros(x.shape, bool)

    with pytest.raises(InputError, match=r"nothing to compare in a\.tif and b\.tif"):
        take_sample(reader(nowhere), shape, U8, "a.tif and b.tif")


def test_pixels_are_the_valid_ones() -> None:
    def odd(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return x % 2 == 1

    before, after = take_sample(reader(odd), (10, 600), U8).pixels()
    assert before.dtype == after.dtype == np.float32
    assert before.shape == (3, 3000)
    assert (before[0] % 2 == 1).all()
    np.testing.assert_array_equal(after, before + 1)


@pytest.mark.parametrize("by", [(0, 0), (3, 2), (-4, 1), (0, -7), (30, 0)])
def test_aligning_takes_after_from_further_on(by: tuple[int, int]) -> None:
    right, down = by
    before = np.arange(20 * 30).reshape(1, 20, 30).repeat(3, 0)
    after = np.full_like(before, -1)
    rows, columns = np.mgrid[:20, :30]
    inside = (
        (rows - down >= 0) & (rows - down < 20) & (columns - right >= 0) & (columns - right < 30)
    )
    after[:, inside] = ((rows - down) * 30 + columns - right)[inside]
    patch = Patch(100, 200, before, after, np.ones((20, 30), bool))
    aligned = Sample((patch,), U8, True, 1.0).aligned(right, down).patches
    if right == 30:
        assert aligned == ()
        return
    (moved,) = aligned
    assert moved.valid.shape == (20 - abs(down), 30 - abs(right))
    np.testing.assert_array_equal(moved.before, moved.after)
    column, row = moved.x0 - 100, moved.y0 - 200
    assert moved.before[0, 0, 0] == row * 30 + column
