import numpy as np
import torch
from numba import njit
from scipy.special import ndtr

from terradelta.sam.simd import LANES, load, store
from terradelta.sam.vector_math import exponential, gelu


@njit
def exponentials(x):
    for i in range(0, len(x), LANES):
        store(x, i, exponential(load(x, i)))


@njit
def gelus(x):
    for i in range(0, len(x), LANES):
        store(x, i, gelu(load(x, i)))


def test_exponentials_are_right_to_the_rounding() -> None:
    x = np.linspace(-87, 0, 80_000, dtype=np.float32)
    found = x.copy()
    exponentials(found)
    np.testing.assert_allclose(found, np.exp(x.astype(np.float64)), rtol=3e-7)
    assert found[-1] == 1


def test_what_is_far_below_zero_has_almost_no_weight() -> None:
    x = np.array([-88, -1e3, -1e30, -3e38] * 2, np.float32)
    exponentials(x)
    assert (x >= 0).all()
    assert (x < 1.7e-38).all()


def test_gelu_is_as_exact_as_torch() -> None:
    x = np.linspace(-12, 12, 80_000, dtype=np.float32)
    found = x.copy()
    gelus(found)
    exact = x.astype(np.float64) * ndtr(x.astype(np.float64))
    scale = np.maximum(abs(x), 1)
    ours = abs(found - exact) / scale
    torchs = abs(torch.nn.functional.gelu(torch.from_numpy(x)).numpy() - exact) / scale
    assert ours.max() < 2 * torchs.max() < 1e-6
