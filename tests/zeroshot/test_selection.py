"""Rectangles of an image of 40 x 30 px, with angles and predicted IoU given by hand."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from terradelta.sam.masks import Masks
from terradelta.zeroshot.candidates import Candidates
from terradelta.zeroshot.selection import contenders, select

SHAPE = (30, 40)
Box = tuple[int, int, int, int]


class Object(NamedTuple):
    """A candidate: its box, angle and predicted IoU."""

    box: Box
    angle: float
    iou: float = 0.5


def candidates(*objects: Object) -> Candidates:
    """Ranked as `search` does, the largest angle first; ``stability`` tells them apart: 0, 1, 2 ..."""
    order = sorted(range(len(objects)), key=lambda n: -objects[n].angle)
    ranked = [objects[n] for n in order]
    dense = np.stack([area(one.box) for one in ranked]) if ranked else np.zeros((0, *SHAPE), bool)
    nothing = np.zeros((len(ranked), 0))
    return Candidates(
        Masks.from_dense(dense) if ranked else Masks.empty(SHAPE),
        np.array([one.iou for one in ranked], np.float32),
        np.array(order, np.float32),
        np.zeros(len(ranked), np.int8),
        np.array([one.angle for one in ranked], np.float32),
        nothing,
        nothing,
    )


def area(*boxes: Box) -> NDArray[np.bool_]:
    image = np.zeros(SHAPE, bool)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = True
    return image


def numbers(found: Candidates) -> list[int]:
    return found.stability.astype(int).tolist()


def flat(value: float = 0) -> NDArray[np.float32]:
    return np.full(SHAPE, value, np.float32)


HERE, PART, THERE = (0, 0, 10, 10), (0, 0, 10, 7), (20, 0, 30, 10)
"""PART is 7 of the 10 rows of HERE."""


# --- contenders ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "top_k"), [("boxes", None), ("boxes", 2), ("layer", None)])
def test_all_candidates_contend(rule: str, top_k: int | None) -> None:
    found = candidates(Object(HERE, 60), Object(PART, 50), Object(THERE, 40))
    assert contenders(found, rule, top_k) is found


def test_of_the_k_largest_angles_none_may_hide_another() -> None:
    """What lies by seven tenths under larger angles does not contend; with a row more it does."""
    found = candidates(Object(PART, 60), Object(HERE, 50), Object(THERE, 40))
    assert numbers(contenders(found, "layer", 2)) == [0, 2]
    found = candidates(Object((0, 0, 10, 6), 60), Object(HERE, 50), Object(THERE, 40))
    assert numbers(contenders(found, "layer", 2)) == [0, 1, 2]


# --- by boxes ------------------------------------------------------------------------------------


def test_by_boxes_a_change_is_what_lies_above_the_threshold() -> None:
    """Strictly above; whatever the pixels say, and nested ones as well."""
    found = candidates(Object(HERE, 60), Object(PART, 50), Object(THERE, 40), Object(THERE, 30))
    kept, angle = select(found, flat(7), 40, "boxes")
    assert numbers(kept) == [0, 1]
    np.testing.assert_array_equal(angle, flat(7))


# --- one layer -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "is_change"), [(5, True), (4, False)])
def test_at_least_half_of_a_change_must_be_changed_pixels(rows: int, is_change: bool) -> None:
    pixels = flat(20)
    pixels[:rows, :10] = 41
    kept, angle = select(candidates(Object(HERE, 60)), pixels, 40, "layer")
    assert numbers(kept) == ([0] if is_change else [])
    np.testing.assert_array_equal(angle, pixels)


def test_pixels_at_the_threshold_are_unchanged() -> None:
    assert numbers(select(candidates(Object(HERE, 60)), flat(40), 40, "layer")[0]) == []


def test_of_regions_that_cover_each_other_the_one_that_stands_out_most_is_left() -> None:
    """By predicted IoU, not by angle; the changes still come the largest angle first."""
    found = candidates(Object(PART, 60, 0.3), Object(HERE, 50, 0.6), Object(THERE, 45, 0.9))
    kept, _ = select(found, flat(90), 40, "layer")
    assert numbers(kept) == [1, 2]
    np.testing.assert_array_equal(kept.angle, [50, 45])


def test_a_region_around_the_one_that_stands_out_is_left_too() -> None:
    """PART covers seven tenths of HERE, a smaller one does not cover enough."""
    small = (0, 0, 10, 6)
    found = candidates(Object(small, 60, 0.9), Object(HERE, 50, 0.6))
    assert numbers(select(found, flat(90), 40, "layer")[0]) == [0, 1]
    found = candidates(Object(PART, 60, 0.9), Object(HERE, 50, 0.6))
    assert numbers(select(found, flat(90), 40, "layer")[0]) == [0]


def test_what_is_no_change_hides_nothing() -> None:
    """The whole stands out more, but lies below the threshold, or is not changed by half."""
    below = candidates(Object(PART, 60, 0.3), Object(HERE, 35, 0.9))
    assert numbers(select(below, flat(90), 40, "layer")[0]) == [0]
    wide = (0, 0, 10, 15)
    unchanged = candidates(Object(PART, 60, 0.3), Object(wide, 50, 0.9))
    pixels = np.where(area(PART), np.float32(90), np.float32(0))
    assert numbers(select(unchanged, pixels, 40, "layer")[0]) == [0]


# --- a click, and the k largest ------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["boxes", "layer"])
def test_outside_what_was_clicked_nothing_is_changed(rule: str) -> None:
    found = candidates(Object(HERE, 60), Object(THERE, 30))
    kept, angle = select(found, flat(50), 40, rule, clicked=True)
    assert numbers(kept) == [0]
    np.testing.assert_array_equal(angle, np.where(area(HERE), 50, 0))
    assert angle.dtype == np.float32


def test_a_region_hidden_by_another_that_was_clicked_still_counts_its_pixels() -> None:
    wide = (0, 0, 10, 14)
    found = candidates(Object(HERE, 60, 0.9), Object(wide, 50, 0.3))
    kept, angle = select(found, flat(50), 40, "layer", clicked=True)
    assert numbers(kept) == [0]
    np.testing.assert_array_equal(angle > 0, area(wide))


@pytest.mark.parametrize("rule", ["boxes", "layer"])
@pytest.mark.parametrize("clicked", [False, True])
def test_the_k_largest_are_their_union_with_their_own_angles(rule: str, clicked: bool) -> None:
    """Neither what the pixels said before nor who stands out more matters."""
    found = candidates(Object(HERE, 60, 0.2), Object((5, 0, 15, 10), 50, 0.9), Object(THERE, 40))
    kept, angle = select(found, flat(0), 40, rule, top_k=2, clicked=clicked)
    assert numbers(kept) == [0, 1]
    expected = np.where(area(HERE), 60, np.where(area((10, 0, 15, 10)), 50, 0))
    np.testing.assert_array_equal(angle, expected)


# --- nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["boxes", "layer"])
@pytest.mark.parametrize(("top_k", "clicked"), [(None, False), (None, True), (3, False)])
def test_of_nothing_comes_nothing(rule: str, top_k: int | None, clicked: bool) -> None:
    for found in (candidates(), candidates(Object(HERE, 20))):
        among = contenders(found, rule, top_k)
        kept, angle = select(among, flat(50), 40, rule, top_k=top_k, clicked=clicked)
        assert len(kept.masks) == len(kept.angle) == 0
        assert angle.shape == SHAPE
        assert (angle == (50 if top_k is None and not clicked else 0)).all()
