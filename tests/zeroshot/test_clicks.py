import numpy as np
from numpy.typing import NDArray

from terradelta.zeroshot.clicks import draw_clicks, seed_of


def squares(count: int) -> NDArray[np.bool_]:
    """bool [64, 64]: ``count`` squares of 12 px, up to four."""
    mask = np.zeros((64, 64), bool)
    for top, left in ((6, 8), (38, 10), (12, 40), (42, 42))[:count]:
        mask[top : top + 12, left : left + 12] = True
    return mask


def test_a_click_falls_into_the_pixel_that_is_farthest_from_the_boundary() -> None:
    truth = np.zeros((20, 30), bool)
    truth[2:9, 3:10] = True  # 7 x 7: its middle pixel is row 5, column 6
    truth[9:11, 3:25] = True  # a thin tail to one side does not draw the click away
    (click,) = draw_clicks(truth, 1, "after", [0])
    assert click.date == "after"
    assert np.floor(click.y) in (5, 6)
    assert np.floor(click.x) == 6
    assert (click.x % 1, click.y % 1) == (0.5, 0.5)


def test_a_click_on_a_ring_falls_on_the_ring() -> None:
    y, x = np.indices((41, 41)) - 20
    ring = (np.hypot(x, y) < 18) & (np.hypot(x, y) > 10)
    (click,) = draw_clicks(ring, 1, "before", [0])
    assert 12 < np.hypot(click.x - 20.5, click.y - 20.5) < 16


def test_the_border_of_the_image_is_a_boundary() -> None:
    truth = np.zeros((9, 20), bool)
    truth[:, :5] = True
    (click,) = draw_clicks(truth, 1, "after", [0])
    assert click.x == 2.5


def test_objects_that_touch_at_a_corner_are_one() -> None:
    truth = np.eye(6, dtype=bool)
    assert len(draw_clicks(truth, 3, "after", [0])) == 1


def test_every_object_is_as_likely_whatever_its_size() -> None:
    truth = np.zeros((40, 40), bool)
    truth[:30] = True
    truth[35, 20] = True
    small = sum(draw_clicks(truth, 1, "after", [seed])[0].y > 30 for seed in range(400))
    assert 160 < small < 240


def test_three_clicks_are_on_three_objects_and_the_first_of_them_is_the_one_click() -> None:
    truth = squares(4)
    for seed in range(5):
        one, three = (draw_clicks(truth, count, "after", [seed]) for count in (1, 3))
        assert three[:1] == one
        assert len(set(three)) == 3
        assert all(truth[int(click.y), int(click.x)] for click in three)
    assert len(draw_clicks(squares(2), 3, "after", [0])) == 2
    assert draw_clicks(squares(0), 3, "after", [0]) == []


def test_draws_differ_between_pairs_draws_and_seeds_and_repeat() -> None:
    seeds = [(0, "a", 0), (0, "a", 1), (0, "b", 0), (1, "a", 0)]
    assert len({tuple(seed_of(*seed)) for seed in seeds}) == 4
    drawn = [draw_clicks(squares(4), 3, "after", seed_of(0, "a", draw)) for draw in range(12)]
    again = [draw_clicks(squares(4), 3, "after", seed_of(0, "a", draw)) for draw in range(12)]
    assert drawn == again
    assert len({tuple(clicks) for clicks in drawn}) > 4
