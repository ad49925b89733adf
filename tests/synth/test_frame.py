import numpy as np
import pytest

from terradelta.synth.frame import Frame
from terradelta.synth.grid import Axes, Window
from terradelta.synth.texture import Noise

AXES = Axes.of(Window(0, 0, 200, 200), (200, 200), 10.0)


@pytest.fixture(params=[0, 1, 2])
def frame(request: pytest.FixtureRequest) -> Frame:
    return Frame(Noise(request.param), 1.1, (7.0, -4.0))


def test_to_world_inverts_the_grid(frame: Frame) -> None:
    u, v = (plan.astype(np.float64) for plan in frame.grid(AXES))
    x, y = frame.to_world(u, v)
    assert np.abs(x - AXES.x[None, :]).max() < 0.05
    assert np.abs(y - AXES.y[:, None]).max() < 0.05


def test_the_map_nearly_keeps_lengths(frame: Frame) -> None:
    u, v = frame.grid(Axes.of(Window(0, 0, 400, 400), (400, 400), 2.0))
    (u_y, u_x), (v_y, v_x) = np.gradient(u, 2.0), np.gradient(v, 2.0)
    jacobian = np.moveaxis(np.array([[u_x, u_y], [v_x, v_y]]), (0, 1), (-2, -1))
    stretch = np.linalg.svd(jacobian, compute_uv=False)
    assert stretch.min() > 0.6
    assert stretch.max() < 1.5
    assert (np.linalg.det(jacobian) > 0).all()


def test_the_middle_of_the_world_is_the_given_origin(frame: Frame) -> None:
    x, y = frame.to_world(np.array([7.0]), np.array([-4.0]))
    assert np.hypot(x[0], y[0]) < 0.02


def test_place_turns_directions_with_the_map(frame: Frame) -> None:
    zero, one = np.zeros(1), np.ones(1)
    x, y, angle = frame.place(zero, zero, one, zero)
    ahead_x, ahead_y = frame.to_world(one, zero)
    along = np.array([np.cos(angle[0]), np.sin(angle[0])])
    step = np.array([ahead_x[0] - x[0], ahead_y[0] - y[0]])
    assert along @ step / np.hypot(*step) > 0.999


def test_no_points_are_no_points(frame: Frame) -> None:
    x, y = frame.to_world(np.empty(0), np.empty(0))
    assert x.shape == y.shape == (0,)
