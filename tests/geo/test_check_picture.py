"""Checks put together by hand: which patches there are, and what was found in their windows."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from terradelta.geo.check_picture import GAP_PX, INLIER, OUTLIER, PANEL_PX, draw_check
from terradelta.geo.comparable import Verdict
from terradelta.geo.register import ShiftField, WindowShift
from terradelta.geo.sample import Patch, Sample
from terradelta.geo.stretch import Radiometry

AS_IT_IS = Radiometry((1,) * 3, (0,) * 3, (0,) * 3, (255,) * 3, (0,) * 3, (0,) * 3)
BETWEEN = 2 * GAP_PX
TEXT_PX = 24
WHITE = (255, 255, 255)
BYTE = np.dtype(np.uint8)


def patch(x0: int, y0: int, width: int, height: int, grey: int, later: int | None = None) -> Patch:
    """One grey before, another after."""
    before = np.full((3, height, width), grey, np.uint8)
    after = np.full((3, height, width), grey + 100 if later is None else later, np.uint8)
    return Patch(x0, y0, before, after, np.ones((height, width), bool))


def drawn(
    patches: list[Patch],
    windows: list[WindowShift] | None = None,
    shift: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.int64]:
    """The picture of a check of which nothing is known but this."""
    field = ShiftField(tuple(windows or ()), 9, shift, 0.0, 0.0, 1.0)
    check: Any = SimpleNamespace(
        sample=Sample(tuple(patches), (BYTE, BYTE), False, 1.0),
        radiometry=AS_IT_IS,
        shift=field,
        verdict=Verdict.comparable,
    )
    picture = draw_check(check)
    assert picture.dtype == np.uint8
    return picture.astype(int)


def window(x: float, y: float, dx: float, dy: float) -> WindowShift:
    return WindowShift(x, y, dx, dy, 0.5)


def places(picture: NDArray[np.int64], colour: tuple[int, int, int]) -> NDArray[np.int64]:
    """[n, 2]: x and y of the pixels of a colour."""
    return np.argwhere((picture == colour).all(-1))[:, ::-1]


def grey_of(panel: NDArray[np.int64]) -> NDArray[np.int64]:
    assert (panel == panel[..., :1]).all()
    return panel[..., 0]


# --- where the patches lie -----------------------------------------------------------------------


def test_the_dates_stand_side_by_side_above_a_line_of_text() -> None:
    picture = drawn([patch(0, 0, 60, 40, 50)])
    assert picture.shape == (40 + TEXT_PX, 60 + GAP_PX + 60, 3)
    assert (picture[:40, :60] == 50).all()
    assert (picture[:40, 60 : 60 + GAP_PX] == 255).all()
    assert (picture[:40, 60 + GAP_PX :] == 150).all()
    assert (picture[40:] != 255).any()


def test_what_lies_between_patches_is_left_out_but_for_a_gap() -> None:
    """Three corners of a scene; at the fourth there are no data."""
    picture = drawn([patch(0, 0, 30, 20, 10), patch(900, 0, 30, 20, 20), patch(0, 700, 30, 20, 30)])
    width, height = 30 + BETWEEN + 30, 20 + BETWEEN + 20
    expected = np.full((height, width), 255)
    expected[:20, :30] = 10
    expected[:20, 30 + BETWEEN :] = 20
    expected[20 + BETWEEN :, :30] = 30
    assert picture.shape == (height + TEXT_PX, 2 * width + GAP_PX, 3)
    np.testing.assert_array_equal(grey_of(picture[:height, :width]), expected)
    after = np.where(expected == 255, 255, expected + 100)
    np.testing.assert_array_equal(grey_of(picture[:height, width + GAP_PX :]), after)


def test_patches_that_touch_or_overlap_lie_as_they_do_on_the_ground() -> None:
    """The columns 100 to 130, 120 to 150 and 150 to 180; the later of two is on top."""
    picture = drawn(
        [patch(100, 5, 30, 20, 10), patch(120, 5, 30, 20, 20), patch(150, 5, 30, 20, 30)]
    )
    expected = np.repeat([10, 20, 30], [20, 30, 30])
    np.testing.assert_array_equal(grey_of(picture[:20, :80]), np.tile(expected, (20, 1)))
    assert picture.shape == (20 + TEXT_PX, 2 * 80 + GAP_PX, 3)


def test_after_an_overlap_the_next_gap_is_as_wide_as_any() -> None:
    picture = drawn([patch(0, 0, 40, 20, 10), patch(30, 0, 30, 20, 20), patch(500, 0, 10, 20, 30)])
    row = grey_of(picture[:20, : 60 + BETWEEN + 10])[7]
    np.testing.assert_array_equal(row, np.repeat([10, 20, 255, 30], [30, 30, BETWEEN, 10]))


def test_invalid_pixels_are_white() -> None:
    one = patch(0, 0, 40, 30, 50)
    one.valid[:, :15] = False
    picture = drawn([one])
    for panel in (picture[:30, :40], picture[:30, 40 + GAP_PX :]):
        assert (panel[:, :15] == 255).all()
        assert (panel[:, 15:] != 255).all()


def test_values_are_shown_by_the_radiometry_of_the_scene() -> None:
    check: Any = SimpleNamespace(
        sample=Sample((patch(0, 0, 20, 20, 50),), (BYTE, BYTE), True, 1.0),
        radiometry=Radiometry((0.5,) * 3, (10,) * 3, (0,) * 3, (255,) * 3, (0,) * 3, (0,) * 3),
        shift=ShiftField((), 0, (0.0, 0.0), 0, 0, 0),
        verdict=Verdict.no,
    )
    picture = draw_check(check)
    assert (picture[:20, :20] == 50).all()
    assert (picture[:20, 20 + GAP_PX :] == 0.5 * 150 + 10).all()


@pytest.mark.parametrize(
    ("width", "height", "small"),
    [(2 * PANEL_PX, 600, (PANEL_PX, 300)), (600, 2 * PANEL_PX, (300, PANEL_PX))],
)
def test_a_large_sample_is_made_smaller(width: int, height: int, small: tuple[int, int]) -> None:
    picture = drawn([patch(0, 0, width, height, 50)])
    assert picture.shape == (small[1] + TEXT_PX, 2 * small[0] + GAP_PX, 3)
    assert (picture[: small[1], : small[0]] == 50).all()


@pytest.mark.parametrize(("width", "height"), [(4000, 1), (1, 4000), (1, 1)])
def test_a_strip_of_single_pixels_can_be_seen(width: int, height: int) -> None:
    picture = drawn([patch(0, 0, width, height, 50)])
    assert (picture[0, 0] == 50).all()


# --- arrows --------------------------------------------------------------------------------------


def test_an_arrow_points_where_the_ground_went_from_the_middle_of_its_window() -> None:
    """The longest is 48 px long, whatever the shift; another half of it is 24."""
    picture = drawn(
        [patch(0, 0, 300, 200, 50)],
        [window(60, 50, 2, 0), window(60, 120, 0, 1)],
        shift=(1.0, 0.5),
    )
    panel = picture[:200, 300 + GAP_PX :]
    assert len(places(picture[:200, :300], INLIER)) == 0
    yellow = places(panel, INLIER)
    to_the_right = yellow[yellow[:, 1] < 100]
    down = yellow[yellow[:, 1] >= 100]
    np.testing.assert_allclose(to_the_right.min(0), (60, 50), atol=5)
    np.testing.assert_allclose(to_the_right.max(0), (60 + 48, 50), atol=5)
    np.testing.assert_allclose(down.min(0), (60, 120), atol=5)
    np.testing.assert_allclose(down.max(0), (60, 120 + 24), atol=5)


@pytest.mark.parametrize(("apart", "colour"), [(1.4, INLIER), (1.6, OUTLIER)])
def test_an_arrow_apart_from_the_common_shift_is_red(
    apart: float, colour: tuple[int, int, int]
) -> None:
    picture = drawn([patch(0, 0, 300, 200, 50)], [window(100, 100, 3 + apart, 0)], shift=(3.0, 0.0))
    other = OUTLIER if colour == INLIER else INLIER
    assert len(places(picture, colour)) > 20
    assert len(places(picture, other)) == 0


def test_an_arrow_lies_in_the_patch_that_holds_its_window() -> None:
    """The second patch begins at (900, 700) on the ground, at (30 + 16, 0) in the panel."""
    picture = drawn(
        [patch(0, 700, 30, 100, 50), patch(900, 700, 200, 100, 50)], [window(950, 760, 1, 0)]
    )
    panel = picture[:100, 30 + BETWEEN + 200 + GAP_PX :]
    x, y = places(panel, INLIER).min(0)
    assert x == pytest.approx(30 + BETWEEN + 50, abs=5)
    assert y == pytest.approx(60, abs=5)


def test_in_a_smaller_picture_arrows_are_as_long() -> None:
    picture = drawn([patch(0, 0, 4 * PANEL_PX, 400, 50)], [window(400, 200, 2, 0)], (2.0, 0.0))
    yellow = places(picture[:100, PANEL_PX + GAP_PX :], INLIER)
    np.testing.assert_allclose(yellow.min(0), (100, 50), atol=5)
    np.testing.assert_allclose(yellow.max(0), (148, 50), atol=5)


@pytest.mark.parametrize("windows", [[], [window(50, 50, 0, 0)]])
def test_without_a_shift_there_are_no_arrows(windows: list[WindowShift]) -> None:
    picture = drawn([patch(0, 0, 300, 100, 50)], windows)
    assert (picture[:100, 300 + GAP_PX :] == 150).all()


def test_a_window_of_another_place_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match=r"window at \(500, 500\) lies in no patch"):
        drawn([patch(0, 0, 300, 200, 50)], [window(500, 500, 1, 0)])
