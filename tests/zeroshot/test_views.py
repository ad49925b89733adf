import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terradelta.sam.masks import Masks
from terradelta.zeroshot.views import View, views_of

sides = st.integers(1, 300)
WINDOW = View((40, 60), 10, 5, 34, 29, 3)


@settings(max_examples=80, deadline=None)
@given(sides, sides, st.integers(2, 8))
def test_the_enlarged_windows_cover_the_image(height: int, width: int, upscale: int) -> None:
    whole, *windows = views_of((height, width), upscale, enlarge_windows=True)
    assert whole == View((height, width), 0, 0, width, height, 1)
    times = np.zeros((height, width), int)
    for view in windows:
        assert view.factor == upscale
        assert 0 <= view.x0 < view.x1 <= width
        assert 0 <= view.y0 < view.y1 <= height
        times[view.y0 : view.y1, view.x0 : view.x1] += 1
    assert times.min() >= 1
    assert len(windows) <= upscale**2
    assert len(set(windows)) == len(windows)


@settings(max_examples=40, deadline=None)
@given(st.integers(64, 1000), st.integers(2, 8))
def test_what_is_a_fifth_as_wide_as_a_window_lies_whole_in_one(width: int, upscale: int) -> None:
    _, *windows = views_of((64, width), upscale, enlarge_windows=True)
    object_width = (windows[0].x1 - windows[0].x0) // 5
    for left in range(width - object_width + 1):
        assert any(v.x0 <= left and left + object_width <= v.x1 for v in windows)


def test_a_window_is_about_as_large_as_its_share_of_the_image() -> None:
    _, *windows = views_of((1000, 1000), 4, enlarge_windows=True)
    assert len(windows) == 16
    assert {(v.x1 - v.x0, v.y1 - v.y0) for v in windows} == {(308, 308)}


@pytest.mark.parametrize("upscale", [1, 3])
def test_without_a_canvas_the_whole_is_enlarged_at_once(upscale: int) -> None:
    assert views_of((20, 30), upscale, enlarge_windows=False) == [
        View((20, 30), 0, 0, 30, 20, upscale)
    ]


def test_without_enlarging_there_is_only_the_whole() -> None:
    assert views_of((20, 30), 1, enlarge_windows=True) == [View((20, 30), 0, 0, 30, 20, 1)]


def test_a_look_is_the_enlarged_window() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    unlarged = View((40, 60), 10, 5, 34, 29, 1).look(image)
    np.testing.assert_array_equal(unlarged, image[5:29, 10:34])
    assert unlarged.flags.c_contiguous
    look = WINDOW.look(image)
    assert look.shape == (72, 72, 3)
    centres = look[1::3, 1::3].astype(int)
    np.testing.assert_array_equal(centres, image[5:29, 10:34])


def test_a_point_stays_on_the_pixel_it_is_on() -> None:
    np.testing.assert_array_equal(WINDOW.point(10, 5), [[0, 0]])
    np.testing.assert_array_equal(WINDOW.point(20.5, 6), [[31.5, 3]])
    assert WINDOW.point(20.5, 6).shape == (1, 2)


@pytest.mark.parametrize(
    ("point", "margin"),
    [((22, 17), 12), ((10, 17), 0), ((34, 17), 0), ((9, 17), -1), ((22, 3), -2), ((22, 30), -1)],
)
def test_the_margin_is_the_way_to_the_nearest_border(point: tuple[int, int], margin: float) -> None:
    assert WINDOW.margin(*point) == margin


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_a_mask_enlarged_and_brought_back_is_itself(factor: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = (int(random.integers(4, 40)), int(random.integers(4, 40)))
    y, x = np.sort(random.integers(0, shape[0] + 1, 2)), np.sort(random.integers(0, shape[1], 2))
    view = View(shape, x[0], min(y[0], shape[0] - 1), x[1] + 1, max(y[1], y[0] + 1), factor)
    dense = random.random((3, *shape)) < np.array([0.1, 0.6, 0])[:, None, None]
    enlarged = np.stack([view.enlarge_mask(mask) for mask in dense])
    back = view.to_image(Masks.from_dense(enlarged))
    inside = np.zeros(shape, bool)
    inside[view.y0 : view.y1, view.x0 : view.x1] = True
    assert back.shape == shape
    np.testing.assert_array_equal(back.dense(), dense & inside)


def test_a_pixel_is_in_if_half_of_its_enlargement_is() -> None:
    view = View((2, 4), 0, 0, 4, 2, 2)
    enlarged = np.zeros((1, 4, 8), bool)
    enlarged[0, 0, 0] = True
    enlarged[0, 0, 2:4] = True
    enlarged[0, 0:2, 5] = True
    enlarged[0, 3, 6:8] = enlarged[0, 2, 7] = True
    back = view.to_image(Masks.from_dense(enlarged)).dense()[0]
    np.testing.assert_array_equal(back, [[0, 1, 1, 0], [0, 0, 0, 1]])


def test_no_masks_come_back_as_no_masks_of_the_image() -> None:
    back = WINDOW.to_image(Masks.empty((72, 72)))
    assert (len(back), back.shape) == (0, (40, 60))


def boxes_at(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners, np.float32)


def test_a_box_is_cut_where_it_touches_an_inner_border_of_its_window() -> None:
    boxes = boxes_at(
        (11, 6, 33, 28), (10, 6, 33, 28), (11, 5, 33, 28), (11, 6, 34, 28), (11, 6, 33, 29)
    )
    np.testing.assert_array_equal(WINDOW.is_cut(boxes), [False, True, True, True, True])


def test_the_border_of_the_image_cuts_nothing() -> None:
    whole = View((40, 60), 0, 0, 60, 40, 2)
    assert not whole.is_cut(boxes_at((0, 0, 60, 40))).any()
    corner = View((40, 60), 0, 0, 34, 29, 2)
    boxes = boxes_at((0, 0, 20, 20), (0, 0, 34, 20), (0, 0, 20, 29))
    np.testing.assert_array_equal(corner.is_cut(boxes), [False, True, True])
