"""Two neighbours of a lattice of 64 px with a halo of 16 px, and rectangles of the grid that they see."""

import numpy as np
import pytest

from terradelta.geo.tiles import Box, Key, Lattice, intersection, is_empty, shifted
from terradelta.run.merge import Merger
from terradelta.run.seams import TileObjects, links, of_core, touching
from terradelta.sam.masks import Masks

SIDE = 128
LATTICE = Lattice(SIDE, SIDE, (0, 0), 64, 16)
LEFT, RIGHT = (0, 0), (0, 1)


def seen(key: Key, *boxes: Box, lattice: Lattice = LATTICE) -> TileObjects:
    """A tile that reports a rectangle for each box of the grid, as far as its window reaches."""
    tile = lattice[key]
    dense = np.zeros((len(boxes), *tile.shape), bool)
    for mask, box in zip(dense, boxes, strict=True):
        inside = intersection(box, tile.window)
        if not is_empty(inside):
            x0, y0, x1, y1 = shifted(inside, -tile.window[0], -tile.window[1])
            mask[y0:y1, x0:x1] = True
    masks = Masks.from_dense(dense) if boxes else Masks.empty(tile.shape)
    column, date = np.zeros(len(boxes), np.float32), np.zeros(len(boxes), np.int8)
    return TileObjects(tile, masks, column, column, column, date, column)


def linked(left: list[Box], right: list[Box]) -> list[tuple[int, int]]:
    return links(seen(LEFT, *left), seen(RIGHT, *right), SIDE, SIDE)


def turned(boxes: list[Box]) -> list[Box]:
    return [(y0, x0, y1, x1) for x0, y0, x1, y1 in boxes]


A: Box = (50, 10, 70, 30)
PART: Box = (50, 10, 70, 25)
CASES: dict[str, tuple[list[Box], list[Box], list[tuple[int, int]]]] = {
    "the same object": ([A], [A], [(0, 0)]),
    "an overlap of exactly a half": ([(50, 10, 70, 20)], [(50, 10, 60, 20)], [(0, 0)]),
    "less than a half": ([(50, 10, 70, 20)], [(50, 10, 59, 20)], []),
    "what one window alone sees": ([(10, 10, 60, 20)], [(48, 10, 60, 20)], [(0, 0)]),
    "no object in either": ([], [], []),
    "no object where both see": ([(5, 5, 20, 20)], [(90, 5, 110, 20)], []),
    "numbers are the tile's": ([(5, 5, 20, 20), A], [(90, 5, 99, 9), A, PART], [(1, 1)]),
    "a part and the whole stay two": ([A, PART], [PART, A], [(0, 1), (1, 0)]),
    "the most alike of two": ([A], [(50, 10, 70, 24), PART], [(0, 1)]),
    "one that is most alike to another": ([A, PART], [(50, 10, 70, 24)], [(1, 0)]),
}


@pytest.mark.parametrize(("left", "right", "expected"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("below", [False, True], ids=["beside", "below"])
def test_which_objects_are_one(
    left: list[Box], right: list[Box], expected: list[tuple[int, int]], below: bool
) -> None:
    """The same of a tile to the right and of one below, with rows and columns exchanged."""
    found = linked(left, right)
    if below:
        found = links(seen((0, 0), *turned(left)), seen((1, 0), *turned(right)), SIDE, SIDE)
    assert found == expected


# To the left of the seam, at x = 64, the rows 10 to 20; its window ends at x = 80.
LEAVING, STAYING = (10, 10, 80, 20), (10, 10, 79, 20)


@pytest.mark.parametrize(
    ("left", "top", "expected"),
    [
        (LEAVING, 10, [(0, 0)]),
        (LEAVING, -15, [(0, 0)]),  # the rows 0 to 15
        (LEAVING, -16, []),
        (LEAVING, 15, [(0, 0)]),  # along 5 of the 10 rows of the shorter end
        (LEAVING, 16, []),  # along 4 of them
        (STAYING, 10, []),  # both windows see all of the left one: they are two
        (STAYING, 15, []),
    ],
)
def test_an_object_that_leaves_its_window_goes_on_where_it_touches(
    left: Box, top: int, expected: list[tuple[int, int]]
) -> None:
    """The right one is three times as high, so that they are not alike."""
    assert linked([left], [(49, max(top, 0), 127, top + 30)]) == expected


def test_either_of_the_two_may_be_the_one_that_leaves() -> None:
    assert linked([(10, 10, 79, 40)], [(48, 10, 100, 20)]) == [(0, 0)]
    assert linked([(10, 10, 79, 40)], [(49, 10, 100, 20)]) == []


def test_what_ends_at_the_border_of_the_grid_does_not_leave() -> None:
    """The right tile's window ends with the grid; in a narrow one the left tile's does as well."""
    assert linked([STAYING], [(49, 10, 128, 40)]) == []
    narrow = Lattice(80, SIDE, (0, 0), 64, 16)
    left, right = seen(LEFT, LEAVING, lattice=narrow), seen(RIGHT, (49, 10, 80, 40), lattice=narrow)
    assert left.tile.window[2] == right.tile.window[2] == 80
    assert links(left, right, 80, SIDE) == []


def test_what_leaves_does_not_go_on_in_what_it_does_not_touch() -> None:
    """The neighbour's object begins a column beyond the seam."""
    assert linked([(10, 10, 80, 20)], [(65, 10, 127, 40)]) == []


def test_diagonal_tiles_share_what_looks_alike_and_nothing_goes_on_over_the_corner() -> None:
    inside = (50, 50, 70, 70)
    first, second = seen((0, 0), inside), seen((1, 1), inside)
    assert links(first, second, SIDE, SIDE) == [(0, 0)]
    leaving, other = seen((0, 0), (40, 40, 80, 80)), seen((1, 1), (48, 48, 66, 66))
    assert links(leaving, other, SIDE, SIDE) == []
    upper, lower = seen((0, 1), inside), seen((1, 0), inside)
    assert links(upper, lower, SIDE, SIDE) == [(0, 0)]


@pytest.mark.parametrize(
    ("box", "stays"),
    [
        ((10, 10, 20, 20), True),
        ((63, 10, 80, 20), True),
        ((64, 10, 80, 20), False),
        ((30, 63, 40, 80), True),
        ((30, 64, 40, 70), False),
        ((64, 64, 70, 70), False),
    ],
)
def test_a_tile_speaks_for_what_has_a_pixel_in_its_core(box: Box, stays: bool) -> None:
    found = of_core(seen(LEFT, A, box))
    assert (
        found.masks.areas.tolist() == seen(LEFT, *([A, box] if stays else [A])).masks.areas.tolist()
    )
    assert len(found.intensity) == len(found.date) == len(found.valid_fraction) == 1 + stays
    assert len(of_core(seen(LEFT)).masks) == 0


def test_what_a_window_cuts_off_in_the_halo_does_not_tie_a_part_to_the_whole() -> None:
    """To the left tile, whose window ends at x = 80, both would look like the piece that it sees."""
    whole, part, piece = (70, 10, 100, 30), (70, 10, 90, 30), (70, 10, 80, 30)
    assert linked([piece], [whole, part]) == [(0, 0), (0, 1)]
    merger = Merger(LATTICE, links)
    merger.add(seen(LEFT, piece))
    merger.add(seen(RIGHT, whole, part))
    assert [int(found.mask.sum()) for found in merger.finished(None)] == [600, 400]


@pytest.mark.parametrize(
    ("other", "place", "touch"),
    [
        ((0, 1), (64, 8, 70, 20), True),
        ((0, 1), (64, 20, 70, 30), True),  # corner to corner
        ((0, 1), (64, 21, 70, 30), False),
        ((0, 1), (65, 8, 70, 20), False),
        ((1, 0), (60, 64, 62, 66), False),
    ],
)
def test_what_touches_across_the_border_of_cores_is_one(
    other: Key, place: Box, touch: bool
) -> None:
    """With windows that do not overlap; the object of the left core ends at its lower right."""
    lattice = Lattice(SIDE, SIDE, (0, 0), 64, 0)
    first = seen(LEFT, (50, 10, 64, 20), lattice=lattice)
    assert touching(first, seen(other, place, lattice=lattice)) == [(0, 0)] * touch


def test_over_a_corner_of_four_cores_the_diagonal_ones_touch() -> None:
    lattice = Lattice(SIDE, SIDE, (0, 0), 64, 0)
    first = seen(LEFT, (50, 50, 64, 64), (0, 0, 5, 5), lattice=lattice)
    below = seen((1, 1), (90, 90, 95, 95), (64, 64, 65, 65), lattice=lattice)
    assert touching(first, below) == [(0, 1)]
