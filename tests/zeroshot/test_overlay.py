from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from terradelta import Changes
from terradelta.geo.pair import Pair
from terradelta.geo.style import COLOURS

GAP, LEGEND = 8, 24
SHAPE = (100, 130)
FACTOR = 4
GREY = 70


def grey_pair(make_pair: Callable[..., Pair], shape: tuple[int, int]) -> Pair:
    pair = make_pair(shape)
    pair.before[:], pair.after[:] = GREY, GREY + 20
    return pair


def one_change(
    make_changes: Callable[..., Changes], pair: Pair, corners: tuple[slice, slice], date: str
) -> Changes:
    dense = np.zeros((1, *pair.shape), bool)
    dense[0][corners] = True
    return make_changes(dense, [60], [date], pair=pair)


def panels(picture: NDArray[np.uint8], width: int) -> list[NDArray[np.uint8]]:
    drawn = picture[:-LEGEND]
    return [drawn[:, :width], drawn[:, width + GAP :]]


def in_colour(image: NDArray[np.uint8], date: str) -> NDArray[np.bool_]:
    return (image == COLOURS[date]).all(-1)


@pytest.mark.parametrize("date", ["before", "after"])
def test_the_outline_has_the_colour_of_its_date_on_both_panels(
    make_changes: Callable[..., Changes], make_pair: Callable[..., Pair], date: str
) -> None:
    other = {"before": "after", "after": "before"}[date]
    pair = grey_pair(make_pair, SHAPE)
    picture = one_change(make_changes, pair, np.s_[20:30, 40:60], date).overlay()
    frame = np.zeros((SHAPE[0] * FACTOR, SHAPE[1] * FACTOR), bool)
    frame[80:120, 160:240] = True
    frame[81:119, 161:239] = False
    for panel in panels(picture, SHAPE[1] * FACTOR):
        np.testing.assert_array_equal(in_colour(panel, date), frame)
        assert not in_colour(panel, other).any()


def test_the_panels_show_before_on_the_left_and_after_on_the_right(
    make_changes: Callable[..., Changes], make_pair: Callable[..., Pair]
) -> None:
    pair = make_pair(SHAPE)
    none = make_changes(np.zeros((0, *SHAPE), bool), [], pair=pair)
    picture = none.overlay()
    assert picture.dtype == np.uint8
    assert picture.shape == (SHAPE[0] * FACTOR + LEGEND, 2 * SHAPE[1] * FACTOR + GAP, 3)
    for panel, image in zip(
        panels(picture, SHAPE[1] * FACTOR), (pair.before, pair.after), strict=True
    ):
        np.testing.assert_array_equal(panel, image.repeat(FACTOR, 0).repeat(FACTOR, 1))
    gap = picture[:-LEGEND, SHAPE[1] * FACTOR : SHAPE[1] * FACTOR + GAP]
    assert (gap == 255).all()


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((20, 64), 8), ((64, 20), 8), ((300, 511), 2), ((40, 512), 1), ((3, 700), 1)],
)
def test_small_images_are_enlarged_to_at_least_512_px(
    make_changes: Callable[..., Changes],
    make_pair: Callable[..., Pair],
    shape: tuple[int, int],
    factor: int,
) -> None:
    none = make_changes(np.zeros((0, *shape), bool), [], pair=make_pair(shape))
    expected = shape[0] * factor + LEGEND, 2 * shape[1] * factor + GAP, 3
    assert none.overlay().shape == expected


def test_an_outline_stands_on_a_darker_edge_and_leaves_its_inside_alone(
    make_changes: Callable[..., Changes], make_pair: Callable[..., Pair]
) -> None:
    pair = grey_pair(make_pair, SHAPE)
    before, _ = panels(
        one_change(make_changes, pair, np.s_[20:30, 40:60], "after").overlay(), SHAPE[1] * FACTOR
    )
    np.testing.assert_array_equal(before[79, 165], [GREY // 2] * 3)
    np.testing.assert_array_equal(before[81, 165], [GREY // 2] * 3)
    np.testing.assert_array_equal(before[100, 200], [GREY] * 3)
    np.testing.assert_array_equal(before[60, 200], [GREY] * 3)


def test_an_outline_is_closed_at_the_border_of_the_image(
    make_changes: Callable[..., Changes], make_pair: Callable[..., Pair]
) -> None:
    pair = grey_pair(make_pair, SHAPE)
    picture = one_change(make_changes, pair, np.s_[:10, :10], "after").overlay()
    drawn = in_colour(panels(picture, SHAPE[1] * FACTOR)[0], "after")
    side = 10 * FACTOR
    assert drawn[:side, 0].all()
    assert drawn[0, :side].all()
    assert drawn.sum() == 4 * (side - 1)


def test_the_legend_shows_both_colours(
    make_changes: Callable[..., Changes], make_pair: Callable[..., Pair]
) -> None:
    none = make_changes(np.zeros((0, *SHAPE), bool), [], pair=make_pair(SHAPE))
    legend = none.overlay()[-LEGEND:]
    for date in ("before", "after"):
        assert in_colour(legend, date).sum() > 50


def test_drawing_leaves_the_images_as_they_are(
    make_changes: Callable[..., Changes], make_pair: Callable[..., Pair]
) -> None:
    pair = make_pair((520, 30))
    copies = pair.before.copy(), pair.after.copy()
    one_change(make_changes, pair, np.s_[20:30, 4:20], "after").overlay()
    np.testing.assert_array_equal(pair.before, copies[0])
    np.testing.assert_array_equal(pair.after, copies[1])
