import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from terradelta.sam.masks import Masks
from terradelta.sam.segmenter import Axis, Embedding
from terradelta.zeroshot import matching
from terradelta.zeroshot.matching import angles_between, mask_means

pixels = st.integers(1, 40)
cells = st.integers(1, 7)
padding = st.integers(0, 3)
seeds = st.integers(0, 2**32 - 1)


def random_masks(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Specks, blocks, everything and a single pixel, bool [6, H, W]; none is empty."""
    dense = random.random((6, *shape)) < np.array([0.02, 0.3, 0.5, 0.9, 1, 0])[:, None, None]
    y, x = random.integers(0, shape[0], 6), random.integers(0, shape[1], 6)
    dense[np.arange(6), y, x] = True
    dense[2, y[0] : y[0] + 5, x[0] : x[0] + 9] = True
    return dense


def mean_under(upsampled: torch.Tensor, dense: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Means [N, C] of [C, H, W] under bool masks [N, H, W], the slow way."""
    everywhere = upsampled.numpy()
    return np.stack([everywhere[:, mask].mean(1) for mask in dense])


def matrix(axis: Axis, count: int) -> NDArray[np.float64]:
    """The interpolation matrix U [n, count] of an axis."""
    u = np.zeros((len(axis.lower), count))
    here = np.arange(len(axis.lower))
    np.add.at(u, (here, axis.lower), 1 - axis.fraction.astype(float))
    np.add.at(u, (here, axis.upper), axis.fraction.astype(float))
    return u


@settings(max_examples=60, deadline=None)
@given(pixels, pixels, cells, cells, padding, padding, seeds)
def test_means_are_those_of_the_upsampled_unpadded_embedding(
    height: int, width: int, h: int, w: int, below: int, right: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    z = torch.from_numpy(random.normal(size=(5, h + below, w + right)).astype(np.float32))
    dense = random_masks(random, (height, width))
    axes = Axis.half_pixel(height, h / height, h), Axis.half_pixel(width, w / width, w)
    valid = z[None, :, :h, :w].double()
    upsampled = functional.interpolate(valid, (height, width), mode="bilinear")[0]
    means = mask_means(Masks.from_dense(dense), Embedding(z, *axes))
    assert means.dtype == np.float64
    np.testing.assert_allclose(means, mean_under(upsampled, dense), rtol=0, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(pixels, pixels, cells, cells, seeds)
def test_means_are_those_of_the_embedding_upsampled_with_aligned_corners(
    height: int, width: int, h: int, w: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    z = torch.from_numpy(random.normal(size=(5, h, w)).astype(np.float32))
    dense = random_masks(random, (height, width))
    upsampled = functional.interpolate(
        z[None].double(), (height, width), mode="bilinear", align_corners=True
    )[0]
    embedding = Embedding(z, Axis.aligned(height, h), Axis.aligned(width, w))
    means = mask_means(Masks.from_dense(dense), embedding)
    np.testing.assert_allclose(means, mean_under(upsampled, dense), rtol=0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(pixels, pixels, cells, cells, seeds)
def test_summing_over_pixels_equals_spreading_the_mask_over_cells(
    height: int, width: int, h: int, w: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    z = random.normal(size=(3, h, w)).astype(np.float32)
    dense = random_masks(random, (height, width))
    rows, columns = Axis.half_pixel(height, h / height, h), Axis.half_pixel(width, w / width, w)
    spread = matrix(rows, h).T @ dense.astype(float) @ matrix(columns, w)
    np.testing.assert_allclose(spread.sum((1, 2)), dense.sum((1, 2)), rtol=1e-6)
    expected = np.einsum("nij,cij->nc", spread, z) / dense.sum((1, 2))[:, None]
    means = mask_means(Masks.from_dense(dense), Embedding(torch.from_numpy(z), rows, columns))
    np.testing.assert_allclose(means, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1024, 37), (37, 1024)])
def test_a_single_pixel_of_a_long_image_keeps_its_own_embedding(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    h, w = shape[0] // 16 + 1, shape[1] // 16 + 1
    z = torch.from_numpy(random.normal(size=(4, h, w)).astype(np.float32))
    dense = np.zeros((1, *shape), bool)
    dense[0, -1, -1] = True
    axes = Axis.half_pixel(shape[0], 1 / 16, h), Axis.half_pixel(shape[1], 1 / 16, w)
    expected = np.einsum("i,cij,j->c", *(matrix(axes[0], h)[-1], z, matrix(axes[1], w)[-1]))
    np.testing.assert_allclose(
        mask_means(Masks.from_dense(dense), Embedding(z, *axes))[0], expected, rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("runs", [1, 2, 7, 1000])
def test_the_size_of_a_chunk_changes_nothing(monkeypatch: pytest.MonkeyPatch, runs: int) -> None:
    random = np.random.default_rng(1)
    dense = random.random((9, 11, 13)) < np.linspace(0, 1, 9)[:, None, None]
    z = torch.from_numpy(random.normal(size=(4, 3, 3)).astype(np.float32))
    embedding = Embedding(z, Axis.half_pixel(11, 3 / 11, 3), Axis.half_pixel(13, 3 / 13, 3))
    whole = mask_means(Masks.from_dense(dense), embedding)
    monkeypatch.setattr(matching, "RUNS_PER_CHUNK", runs)
    np.testing.assert_array_equal(mask_means(Masks.from_dense(dense), embedding), whole)


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_the_size_of_a_block_of_rows_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    random = np.random.default_rng(4)
    masks = Masks.from_dense(random_masks(random, (75, 40)))
    z = torch.from_numpy(random.normal(size=(4, 8, 5)).astype(np.float32))
    embedding = Embedding(z, Axis.half_pixel(75, 8 / 75, 8), Axis.half_pixel(40, 5 / 40, 5))
    whole = mask_means(masks, embedding)
    monkeypatch.setattr(matching, "ROWS_PER_BLOCK", rows)
    np.testing.assert_array_equal(mask_means(masks, embedding), whole)


@settings(max_examples=40, deadline=None)
@given(pixels, pixels, cells, cells, padding, padding, seeds)
def test_the_mean_of_a_mask_does_not_depend_on_the_others(
    height: int, width: int, h: int, w: int, below: int, right: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    z = torch.from_numpy(random.normal(size=(5, h + below, w + right)).astype(np.float32))
    axes = Axis.half_pixel(height, h / height, h), Axis.half_pixel(width, w / width, w)
    masks = Masks.from_dense(random_masks(random, (height, width)))
    together = mask_means(masks, Embedding(z, *axes))
    for n in range(len(masks)):
        alone = mask_means(masks[n : n + 1], Embedding(z, *axes))
        np.testing.assert_array_equal(alone[0], together[n])


def test_an_empty_mask_has_a_mean_of_zero_wherever_it_stands() -> None:
    embedding = Embedding(torch.ones(2, 3, 3), Axis.aligned(6, 3), Axis.aligned(6, 3))
    dense = np.zeros((4, 6, 6), bool)
    dense[1] = dense[2, 2:4, 1:5] = True
    means = mask_means(Masks.from_dense(dense), embedding)
    np.testing.assert_allclose(means, [[0, 0], [1, 1], [1, 1], [0, 0]], atol=1e-6)


def test_no_masks_have_no_means() -> None:
    embedding = Embedding(torch.ones(2, 3, 3), Axis.aligned(6, 3), Axis.aligned(6, 3))
    assert mask_means(Masks.empty((6, 6)), embedding).shape == (0, 2)


@pytest.mark.parametrize(
    ("x", "y", "degrees"),
    [
        ([1, 0, 0], [1, 0, 0], 0),
        ([1, 2, 3], [10, 20, 30], 0),
        ([1, 0, 0], [1, 1, 0], 45),
        ([2, 0, 0], [1, 3**0.5, 0], 60),
        ([0, 5, 0], [0, 0, 0.1], 90),
        ([1, 1, 0], [-1, 0, 0], 135),
        ([1, 2, 3], [-2, -4, -6], 180),
        ([0, 0, 0], [1, 2, 3], 0),
        ([1, 2, 3], [0, 0, 0], 0),
        ([0, 0, 0], [0, 0, 0], 0),
    ],
)
def test_the_angle_is_the_one_worked_out_by_hand(
    x: list[float], y: list[float], degrees: float
) -> None:
    angle = angles_between(np.array([x], float), np.array([y], float))
    assert angle.dtype == np.float32
    np.testing.assert_allclose(angle, [degrees], rtol=0, atol=1e-5)


def test_equal_embeddings_have_an_angle_of_exactly_zero() -> None:
    x = np.random.default_rng(0).normal(size=(500, 18))
    assert angles_between(x, x.copy()).max() == 0


@pytest.mark.parametrize("degrees", [1e-5, 1e-3, 179.999])
def test_angles_near_the_ends_are_not_rounded_away(degrees: float) -> None:
    turn = np.radians(degrees)
    y = np.array([[np.cos(turn), np.sin(turn)]])
    np.testing.assert_allclose(angles_between(np.array([[1.0, 0.0]]), y), [degrees], rtol=1e-5)


def test_one_embedding_is_compared_with_all() -> None:
    many = np.array([[1.0, 0.0], [0.0, 1.0], [-3.0, 0.0]])
    np.testing.assert_allclose(angles_between(many, np.array([[2.0, 0.0]])), [0, 90, 180])


def test_masks_over_orthogonal_halves_are_orthogonal() -> None:
    z = torch.tensor([[[1.0, 1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0, 1.0]]])
    embedding = Embedding(z, Axis.half_pixel(4, 1 / 4, 1), Axis.half_pixel(16, 1 / 4, 4))
    dense = np.zeros((3, 4, 16), bool)
    dense[0, :, :6] = dense[1, :, 10:] = dense[2] = True
    left, right, whole = (
        mask_means(Masks.from_dense(dense[[n]]), embedding) for n in range(len(dense))
    )
    np.testing.assert_allclose(angles_between(left, right), [90], atol=1e-5)
    np.testing.assert_allclose(angles_between(left, whole), [45], atol=1e-5)
