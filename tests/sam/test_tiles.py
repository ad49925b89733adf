import numpy as np
from numba import njit

from terradelta.sam.simd import LANES, load, store
from terradelta.sam.tiles import (
    add_block,
    add_dots_3x2,
    add_rows,
    add_weighted_rows,
    left_half,
    multiply_add,
    right_half,
    scale_columns,
    store_tile,
    zeros_1,
    zeros_3,
    zeros_6,
)

WIDTH = 2 * LANES


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


def test_a_tile_is_a_product_with_what_is_done_to_it() -> None:
    @njit
    def run(a, b, rows, block, left_right, out):
        tile = add_block(zeros_6(), block, 0, WIDTH)
        tile = multiply_add(tile, a, 7, 7, b, WIDTH, WIDTH, 7)
        tile = scale_columns(add_rows(tile, rows, 1), load(left_right, 0), load(left_right, LANES))
        store_tile(tile, out, WIDTH, 2 * WIDTH)

    a, b, rows, block, scale = (
        floats(7, 7),
        floats(8, WIDTH),
        floats(7),
        floats(6, WIDTH),
        floats(16),
    )
    out = np.zeros((7, 2 * WIDTH), np.float32)
    run(a.ravel(), b.ravel(), rows, block.ravel(), scale, out.ravel())
    expected = (a[1:] @ b[1:] + block + rows[1:, None]) * scale
    np.testing.assert_allclose(out[:6, WIDTH:], expected, rtol=1e-5, atol=1e-5)
    assert not out[:6, :WIDTH].any()
    assert not out[6].any()


def test_rows_of_a_tile_are_summed_with_weights() -> None:
    @njit
    def run(a, weights, out):
        tile = add_block(zeros_3(), a, 0, WIDTH)
        total = add_weighted_rows(zeros_1(), tile, weights, WIDTH)
        store(out, 0, left_half(total))
        store(out, LANES, right_half(total))

    a, weights, out = floats(3, WIDTH), floats(4, WIDTH), np.zeros(WIDTH, np.float32)
    run(a.ravel(), weights.ravel(), out)
    np.testing.assert_allclose(out, (a * weights[1:]).sum(0), rtol=1e-5, atol=1e-5)


def test_dot_products_of_rows_in_blocks_are_added() -> None:
    @njit
    def run(held, a, b):
        add_dots_3x2(held, 0, 4 * LANES, a, 0, 3 * WIDTH, b, WIDTH, 5 * WIDTH, 4)

    a, b = floats(4, 3, WIDTH), floats(4, 5, WIDTH)
    held = np.ones((3, 4, LANES), np.float32)
    run(held.ravel(), a.ravel(), b.ravel())
    expected = np.einsum("nrw,ncw->rc", a, b[:, 1:3]) + LANES
    np.testing.assert_allclose(held.sum(2)[:, :2], expected, rtol=1e-4, atol=1e-4)
    assert (held[:, 2:] == 1).all()
