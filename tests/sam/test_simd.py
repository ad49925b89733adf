import numpy as np
import pytest
from numba import njit

from terradelta.sam.simd import (
    LANES,
    lane_max,
    lane_sum,
    load,
    maximum,
    minimum,
    nearest,
    power_of_two,
    splat,
    square_root,
    store,
)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


def test_arithmetic_of_vectors_and_numbers() -> None:
    @njit
    def run(x, y, out):
        a, b, two = load(x, 0), load(y, 1), np.float32(2)
        store(out, 0, a + b)
        store(out, LANES, (a - b) * two)
        store(out, 2 * LANES, two / (a * b))
        store(out, 3 * LANES, square_root(a * a) - splat(two))
        store(out, 4 * LANES, maximum(a, b))
        store(out, 5 * LANES, minimum(a, b))
        store(out, 6 * LANES, nearest(two * a))

    x, y, out = floats(LANES), floats(LANES + 1), np.zeros(7 * LANES, np.float32)
    run(x, y, out)
    a, b = x, y[1:]
    expected = [
        a + b, 2 * (a - b), 2 / (a * b), abs(a) - 2, np.maximum(a, b), np.minimum(a, b),
        np.rint(2 * a),
    ]  # fmt: skip
    np.testing.assert_allclose(out.reshape(7, LANES), expected, rtol=1e-6, atol=1e-6)


def test_lanes_are_summed_and_compared() -> None:
    @njit
    def run(x):
        return lane_sum(load(x, 0)), lane_max(load(x, 0))

    x = floats(LANES)
    assert run(x) == (pytest.approx(x.sum(), abs=1e-6), x.max())


def test_powers_of_two_are_exact() -> None:
    @njit
    def run(x):
        store(x, 0, power_of_two(load(x, 0)))

    x = np.array([-126, -3, -1, 0, 1, 2, 10, 127], np.float32)
    exponents = x.copy()
    run(x)
    np.testing.assert_array_equal(x, np.exp2(exponents))
