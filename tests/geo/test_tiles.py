import numpy as np
import pytest

from terradelta.errors import UsageError
from terradelta.geo.tiles import Lattice, intersection, is_empty


def covered(lattice: Lattice) -> np.ndarray:
    """How many cores hold each pixel of the grid."""
    count = np.zeros((lattice.height, lattice.width), int)
    for tile in lattice:
        x0, y0, x1, y1 = intersection(tile.core, (0, 0, lattice.width, lattice.height))
        count[y0:y1, x0:x1] += 1
    return count


@pytest.mark.parametrize("anchor", [(0, 0), (17, 5), (1_023_251, -10_806_750)])
def test_cores_part_the_grid(anchor: tuple[int, int]) -> None:
    lattice = Lattice(300, 210, anchor, 64, 16)
    assert (covered(lattice) == 1).all()
    assert len(list(lattice)) == len(lattice)


def test_the_same_place_is_in_the_same_tile_whatever_part_is_fed_in() -> None:
    whole = Lattice(500, 400, (1000, 2000), 64, 16)
    part = Lattice(220, 190, (1000 + 123, 2000 + 77), 64, 16)
    for x, y in [(130, 90), (200, 77), (342, 266)]:
        key = whole.owner(x, y)
        assert part.owner(x - 123, y - 77) == key
        here, there = whole[key].core, part[key].core
        assert there == (here[0] - 123, here[1] - 77, here[2] - 123, here[3] - 77)


def test_the_owner_of_a_pixel_is_the_tile_whose_core_holds_it() -> None:
    lattice = Lattice(300, 210, (17, 5), 64, 16)
    for tile in lattice:
        x0, y0, x1, y1 = intersection(tile.core, (0, 0, 300, 210))
        assert {lattice.owner(x, y) for x in (x0, x1 - 1) for y in (y0, y1 - 1)} == {tile.key}


def test_windows_reach_a_halo_beyond_their_core_and_not_beyond_the_grid_but_to_align() -> None:
    lattice = Lattice(300, 210, (17, 5), 64, 16)
    row, column = lattice.owner(150, 100)
    inner = lattice[row, column]
    assert inner.window == (
        inner.core[0] - 16,
        inner.core[1] - 16,
        inner.core[2] + 16,
        inner.core[3] + 16,
    )
    assert inner.core_in_window == (16, 16, 80, 80)
    corner = lattice[lattice.owner(0, 0)]
    assert corner.window[:2] == (-1, -1)
    for tile in lattice:
        assert (tile.window[0] + 17) % 2 == (tile.window[1] + 5) % 2 == 0
        assert tile.window[2] <= 301
        assert tile.window[3] <= 211


def test_windows_keep_their_size_where_they_are_not_clipped() -> None:
    lattice = Lattice(300, 210, (17, 5), 64, 16, clipped=False)
    assert {tile.shape for tile in lattice} == {(96, 96)}


def test_only_neighbours_share_pixels_of_their_windows() -> None:
    lattice = Lattice(400, 400, (0, 0), 64, 32)
    for a in lattice:
        for b in lattice:
            near = max(abs(a.key[0] - b.key[0]), abs(a.key[1] - b.key[1])) <= 1
            assert is_empty(intersection(a.window, b.window)) != near


def test_a_grid_no_larger_than_a_window_is_one_tile() -> None:
    lattice = Lattice(96, 80, (1001, 77), 64, 16)
    (tile,) = lattice
    assert tile.core == tile.window == (0, 0, 96, 80)
    assert lattice.owner(95, 79) == tile.key
    assert len(Lattice(97, 80, (1001, 77), 64, 16)) > 1


@pytest.mark.parametrize(
    ("core", "halo", "named"),
    [(30, 0, "30 px"), (65, 0, "65 px"), (64, 34, "halo is 34"), (64, 15, "15"), (64, -2, "-2")],
)
def test_impossible_sizes_are_refused(core: int, halo: int, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Lattice(300, 200, (0, 0), core, halo)
