import numpy as np
import pytest

from terradelta.synth.polygons import area, distance_to, inner_distance, rectangle, split

SQUARE = rectangle(0, 0, 2, 2)


def test_rectangle_takes_corners_in_any_order() -> None:
    np.testing.assert_array_equal(rectangle(2, 2, 0, 0), SQUARE)
    assert area(SQUARE) == 4


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, 3.0])
def test_split_keeps_the_area(angle: float) -> None:
    normal = np.array((np.cos(angle), np.sin(angle)))
    front, back = split(SQUARE, np.array((0.7, 1.1)), normal)
    assert area(front) + area(back) == pytest.approx(4)
    assert ((front - (0.7, 1.1)) @ normal > -1e-9).all()
    assert ((back - (0.7, 1.1)) @ normal < 1e-9).all()


def test_split_by_a_line_outside_leaves_one_side_empty() -> None:
    front, back = split(SQUARE, np.array((5.0, 0.0)), np.array((1.0, 0.0)))
    assert front.shape == (0, 2)
    np.testing.assert_array_equal(back, SQUARE)


def test_split_along_an_edge_leaves_no_sliver() -> None:
    front, back = split(SQUARE, np.array((0.0, 0.0)), np.array((1.0, 0.0)))
    assert area(front) == 4
    assert back.shape == (0, 2)


def test_split_through_corners_repeats_none() -> None:
    front, back = split(SQUARE, np.array((1.0, 1.0)), np.array((1.0, -1.0)) / 2**0.5)
    assert len(front) == len(back) == 3


def test_inner_distance() -> None:
    u, v = np.array([1.0, 0.5, 3.0, 1.0]), np.array([1.0, 1.0, 1.0, -0.25])
    np.testing.assert_allclose(inner_distance(SQUARE, u, v), [1, 0.5, -1, -0.25])


def test_distance_to_is_from_the_middle() -> None:
    assert distance_to(SQUARE, (4.0, 5.0)) == 5
