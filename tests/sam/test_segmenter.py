from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from terradelta.sam.masks import Masks
from terradelta.sam.segmenter import RGB, Axis, Encoded, Proposals, Segmenter

SIZES_AND_CELLS = [(1, 1), (1, 3), (5, 1), (5, 2), (64, 8), (7, 4), (10, 10), (3, 8)]


def cells_of(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).normal(size=count).astype(np.float32)


def read(axis: Axis, z: NDArray[np.float32]) -> NDArray[np.float32]:
    return (1 - axis.fraction) * z[axis.lower] + axis.fraction * z[axis.upper]


def interpolate(z: NDArray[np.float32], size: int, align_corners: bool) -> NDArray[np.float32]:
    line = torch.from_numpy(z)[None, None]
    resized = functional.interpolate(line, size, mode="linear", align_corners=align_corners)
    return resized[0, 0].numpy()


def proposals(count: int) -> Proposals:
    number = np.arange(count)
    masks = Masks.from_labels(number.astype(np.int32)[None], count)
    return Proposals(masks, np.float32(number / 10), np.float32(1 - number / 10), number * 7)


@pytest.mark.parametrize(("size", "cells"), SIZES_AND_CELLS)
def test_half_pixel_reads_like_interpolate(size: int, cells: int) -> None:
    z = cells_of(cells)
    axis = Axis.half_pixel(size, cells / size, cells)
    np.testing.assert_allclose(read(axis, z), interpolate(z, size, False), atol=1e-5)


@pytest.mark.parametrize(("size", "cells"), SIZES_AND_CELLS)
def test_aligned_reads_like_interpolate_with_aligned_corners(size: int, cells: int) -> None:
    z = cells_of(cells)
    axis = Axis.aligned(size, cells)
    np.testing.assert_allclose(read(axis, z), interpolate(z, size, True), atol=1e-5)


@pytest.mark.parametrize(("size", "cells"), SIZES_AND_CELLS)
def test_a_pixel_lies_between_its_two_cells(size: int, cells: int) -> None:
    for axis in (Axis.half_pixel(size, cells / size, cells), Axis.aligned(size, cells)):
        assert axis.lower.shape == axis.upper.shape == axis.fraction.shape == (size,)
        assert axis.lower.min() >= 0
        assert axis.upper.max() < cells
        assert (axis.upper - axis.lower <= 1).all()
        assert axis.fraction.min() >= 0
        assert axis.fraction.max() <= 1


def test_half_pixel_weights_worked_by_hand() -> None:
    axis = Axis.half_pixel(6, 0.5, 3)
    positions = axis.lower + axis.fraction
    assert positions.tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2]


def test_padding_cells_are_never_read() -> None:
    z = cells_of(8)
    axis = Axis.half_pixel(10, 1 / 4, 3)
    unpadded = interpolate(z[:3], 12, False)[:10]
    z[3:] = np.nan
    np.testing.assert_allclose(read(axis, z), unpadded, atol=1e-5)


@pytest.mark.parametrize(
    "index", [np.array([2, 0]), np.array([True, False, True, False]), slice(1, 3)]
)
def test_picking_proposals_picks_all_their_columns(index: Any) -> None:
    every = proposals(4)
    expected = np.arange(4)[index]
    picked = every[index]
    assert len(picked) == len(expected)
    assert picked.point.tolist() == (expected * 7).tolist()
    np.testing.assert_allclose(picked.iou, expected / 10)
    np.testing.assert_allclose(picked.stability, 1 - expected / 10)
    np.testing.assert_array_equal(picked.masks.dense(), every.masks.dense()[expected])


def test_joining_parts_gives_back_the_whole() -> None:
    every = proposals(5)
    joined = Proposals.concatenate([Proposals.empty((1, 5)), every[:2], every[2:]])
    assert len(joined) == 5
    for column in ("iou", "stability", "point"):
        np.testing.assert_array_equal(getattr(joined, column), getattr(every, column))
    np.testing.assert_array_equal(joined.masks.dense(), every.masks.dense())


def test_a_segmenter_must_encode_and_decode() -> None:
    class OnlyEncodes(Segmenter):
        def encode(self, image: RGB, context: Any = None) -> Encoded:
            raise NotImplementedError

    with pytest.raises(TypeError, match="decode"):
        OnlyEncodes()


def test_dates_know_nothing_of_each_other_by_default() -> None:
    class Bare(Segmenter):
        def encode(self, image: RGB, context: Any = None) -> Encoded:
            raise NotImplementedError

        def decode(self, encoded: Encoded, points: NDArray[Any], **lowest: float) -> Proposals:
            raise NotImplementedError

    image = np.zeros((4, 4, 3), np.uint8)
    assert Bare().pair_contexts(image, image, np.ones((4, 4), bool)) == (None, None)
