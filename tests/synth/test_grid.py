import numpy as np

from terradelta.synth.grid import Axes, Window, gradient


def test_world_origin_is_the_middle_of_the_scene() -> None:
    axes = Axes.of(Window(0, 0, 4, 2), (2, 4), 0.5)
    assert axes.shape == (2, 4)
    np.testing.assert_array_equal(axes.x, [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_array_equal(axes.y, [-0.25, 0.25])


def test_axes_of_a_window_are_the_crop() -> None:
    whole = Axes.of(Window(0, 0, 101, 77), (77, 101), 0.3)
    part = Axes.of(Window(13, 5, 50, 60), (77, 101), 0.3)
    np.testing.assert_array_equal(part.x, whole.x[13:50])
    np.testing.assert_array_equal(part.y, whole.y[5:60])


def test_grown_window() -> None:
    window = Window(3, 4, 10, 20).grow(2)
    assert window == (1, 2, 12, 22)
    assert window.shape == (20, 11)


def test_crop_holds_exactly_the_pixels_near_the_points() -> None:
    axes = Axes.of(Window(0, 0, 100, 100), (100, 100), 1.0)
    rows, columns = axes.crop(np.array([0.0, 10.0]), np.array([-5.0]), 2.0)
    np.testing.assert_array_equal(axes.x[columns], np.arange(-1.5, 12))
    np.testing.assert_array_equal(axes.y[rows], np.arange(-6.5, -3))


def test_crop_outside_the_window_is_empty() -> None:
    axes = Axes.of(Window(0, 0, 10, 10), (10, 10), 1.0)
    rows, columns = axes.crop(np.array([50.0]), np.array([0.0]), 2.0)
    assert axes.x[columns].size == 0
    assert axes.y[rows].size > 0


def test_local_coordinates_are_turned_and_moved() -> None:
    axes = Axes.of(Window(0, 0, 3, 3), (3, 3), 1.0)
    everything = (slice(None), slice(None))
    p, q = axes.local(everything, 1.0, 0.0, np.pi / 2)
    np.testing.assert_allclose(p, np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]]), atol=1e-6)
    np.testing.assert_allclose(q, np.array([[2, 1, 0]] * 3), atol=1e-6)


def test_gradient_is_per_metre() -> None:
    x, y = np.meshgrid(np.arange(6), np.arange(5))
    east, south = gradient((3 * x - 2 * y).astype(np.float32), 0.5)
    np.testing.assert_allclose(east, 6)
    np.testing.assert_allclose(south, -4)
