"""Two windows side by side: cores of 32 px with a halo of 8 px."""

import numpy as np
import pytest

from terradelta.detectors.windows import blended
from terradelta.geo.tiles import Box, Lattice, intersection

WHOLE = (0, 0, 64, 32)
LATTICE = Lattice(64, 32, (0, 0), 32, 8)
LEFT, RIGHT = (0, 0), (0, 1)


def look(key: tuple[int, int], value: float) -> tuple[tuple[int, int], Box, np.ndarray]:
    """A window that says the same everywhere."""
    x0, y0, x1, y1 = box = intersection(LATTICE[key].window, WHOLE)
    return key, box, np.full((y1 - y0, x1 - x0), value, np.float32)


def test_where_two_windows_meet_one_fades_into_the_other() -> None:
    found = blended(LATTICE, WHOLE, [look(LEFT, 0), look(RIGHT, 1)])
    assert found.dtype == np.float32
    # Over 8 px, half of the overlap of 16: in the middle of each a sixteenth, three sixteenths, ...
    expected = np.concatenate([np.zeros(28), np.arange(1, 16, 2) / 16, np.ones(28)])
    np.testing.assert_allclose(found, np.tile(expected, (32, 1)), atol=1e-6)


def test_the_outer_half_of_a_halo_does_not_count() -> None:
    _, box, values = look(LEFT, 0.25)
    assert box == (0, 0, 40, 32)
    values[:, 36:] = 1000  # beyond the core, which ends at 32, and half of the halo
    found = blended(LATTICE, WHOLE, [(LEFT, box, values), look(RIGHT, 0.25)])
    np.testing.assert_allclose(found, 0.25, atol=1e-6)


def test_a_part_of_the_image_and_the_order_of_the_windows_change_nothing() -> None:
    random = np.random.default_rng(0)
    looks = []
    for key in (LEFT, RIGHT):
        _, box, values = look(key, 0)
        looks.append((key, box, random.random(values.shape).astype(np.float32)))
    whole = blended(LATTICE, WHOLE, looks)
    part = blended(LATTICE, (20, 5, 44, 30), reversed(looks))
    np.testing.assert_allclose(part, whole[5:30, 20:44], atol=1e-6)


def test_a_window_alone_says_all_that_it_may_and_nothing_beyond() -> None:
    found = blended(LATTICE, WHOLE, [look(LEFT, 0.5)])
    np.testing.assert_allclose(found[:, :36], 0.5, atol=1e-6)
    assert not found[:, 36:].any()


@pytest.mark.parametrize("halo", [0, 2, 16])
def test_windows_that_agree_are_believed_whatever_the_halo(halo: int) -> None:
    lattice = Lattice(100, 70, (7, 3), 32, halo, clipped=False)
    whole = (0, 0, 100, 70)
    truth = np.random.default_rng(1).random((70, 100)).astype(np.float32)
    looks = []
    for tile in lattice:
        x0, y0, x1, y1 = box = intersection(tile.window, whole)
        looks.append((tile.key, box, truth[y0:y1, x0:x1]))
    np.testing.assert_allclose(blended(lattice, whole, looks), truth, atol=1e-6)
