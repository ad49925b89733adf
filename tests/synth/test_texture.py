import numpy as np
import pytest

from terradelta.synth.grid import Axes, Window
from terradelta.synth.texture import (
    Layer,
    Noise,
    hash_lattice,
    hash_uniform,
    smoothstep,
    triangle_wave,
)

SIZE = (400, 400)


def axes(window: Window, step: float = 0.5) -> Axes:
    return Axes.of(window, SIZE, step)


def test_hash_is_the_same_on_every_machine() -> None:
    ix, iy = np.array([0, 1, -1, 123_456]), np.array([0, 0, -7, 654_321])
    assert hash_lattice(ix, iy, 42).tolist() == [388445122, 258243101, 1609463670, 2956121363]


def test_hash_uniform_fills_the_unit_interval_evenly() -> None:
    values = hash_uniform(np.arange(300)[:, None], np.arange(300)[None], 1)
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.histogram(values, bins=10, range=(0, 1))[0]
    assert np.abs(counts / values.size - 0.1).max() < 0.005


@pytest.mark.parametrize("wavelength", [0.7, 1.0, 3.3])
def test_grid_noise_has_mean_0_and_deviation_1(wavelength: float) -> None:
    field = Noise(1).grid(axes(Window(0, 0, 400, 400)), wavelength, Layer.PATCH)
    assert field.dtype == np.float32
    assert abs(field.mean()) < 0.05
    assert abs(field.std() - 1) < 0.05


def test_grid_noise_of_a_window_is_the_crop() -> None:
    noise = Noise(5)
    whole = noise.grid(axes(Window(0, 0, 400, 400)), 17.3, Layer.LEAF)
    part = noise.grid(axes(Window(31, 57, 200, 99)), 17.3, Layer.LEAF)
    np.testing.assert_array_equal(part, whole[57:99, 31:200])


def test_scattered_noise_agrees_with_the_grid() -> None:
    noise, where = Noise(5), axes(Window(10, 20, 60, 50))
    x, y = np.meshgrid(where.x, where.y)
    scattered = noise.at(x, y, 9.1, Layer.PATCH)
    np.testing.assert_allclose(scattered, noise.grid(where, 9.1, Layer.PATCH), atol=1e-5)


def test_seeds_layers_and_octaves_differ() -> None:
    where = axes(Window(0, 0, 50, 50))
    one = Noise(1).grid(where, 5, Layer.PATCH)
    for other in (
        Noise(2).grid(where, 5, Layer.PATCH),
        Noise(1).grid(where, 5, Layer.LEAF),
        Noise(1).grid(where, 5, Layer.PATCH, 1),
    ):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.5


def test_fractal_leaves_out_what_would_alias() -> None:
    noise, where = Noise(1), axes(Window(0, 0, 80, 80))
    coarse = noise.fractal(where, (20.0,), Layer.PATCH, 1.0)
    both = noise.fractal(where, (20.0, 0.7), Layer.PATCH, 1.0)
    np.testing.assert_allclose(both, coarse / 2**0.5, rtol=1e-6)


def test_line_noise_is_a_smooth_function_of_the_position() -> None:
    t = np.linspace(-5000, 5000, 200_001).astype(np.float32)
    values = Noise(1).line(t, 2.0, Layer.STREAK)
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.05
    assert np.abs(np.diff(values)).max() < 0.2
    np.testing.assert_array_equal(Noise(1).line(t[777:900], 2.0, Layer.STREAK), values[777:900])


def test_white_noise_has_deviation_1_and_no_neighbours() -> None:
    field = Noise(1).white(np.arange(300), np.arange(200), Layer.SENSOR, 0)
    assert field.shape == (200, 300)
    assert abs(field.mean()) < 0.02
    assert abs(field.std() - 1) < 0.02
    assert abs(np.mean(field[:, 1:] * field[:, :-1])) < 0.02


def test_noise_of_nothing_is_nothing() -> None:
    assert Noise(1).at(np.empty(0), np.empty(0), 5, Layer.LEAF).shape == (0,)
    assert Noise(1).line(np.empty(0, np.float32), 5, Layer.LEAF).shape == (0,)


def test_smoothstep_rises_and_falls() -> None:
    values = np.array([-1, 0, 0.5, 1, 2], np.float32)
    np.testing.assert_allclose(smoothstep(0, 1, values), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(smoothstep(1, 0, values), [1, 1, 0.5, 0, 0])


def test_triangle_wave_has_its_period_and_range() -> None:
    t = np.array([0, 1, 2, 3, 4, 6], np.float32)
    np.testing.assert_allclose(triangle_wave(t, 4), [1, 0, -1, 0, 1, -1])
