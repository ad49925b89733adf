import numpy as np
import pytest
from numpy.typing import NDArray

from terradelta.sam.descriptors import CHANNEL_WEIGHTS, CONSTANT_WEIGHT, describe

Image = NDArray[np.float32]

CHANNELS = list(CHANNEL_WEIGHTS)
INNER = (slice(20, -20), slice(20, -20))


def lab(lightness: NDArray[np.float64], a: float = 0, b: float = 0) -> Image:
    bands = [lightness, np.full(lightness.shape, a), np.full(lightness.shape, b)]
    return np.stack(bands, -1).astype(np.float32)


def channel(described: Image, name: str) -> Image:
    return described[CHANNELS.index(name)]


def noise(shape: tuple[int, int], deviation: float) -> NDArray[np.float64]:
    return 50 + np.random.default_rng(0).normal(0, deviation, shape)


def waves(degrees: float) -> Image:
    """Lightness that waves along a direction, so that its gradient lies in that direction."""
    y, x = np.mgrid[:128, :128]
    along = np.cos(np.radians(degrees)) * x + np.sin(np.radians(degrees)) * y
    return lab(50 + 20 * np.sin(along * 2 * np.pi / 16))


@pytest.mark.parametrize(
    ("shape", "cells"), [((40, 60), (20, 30)), ((41, 61), (21, 31)), ((1, 1), (1, 1))]
)
def test_there_is_a_cell_for_every_two_pixels(
    shape: tuple[int, int], cells: tuple[int, int]
) -> None:
    described = describe(lab(noise(shape, 5)))
    assert described.shape == (len(CHANNELS), *cells)
    assert described.dtype == np.float32
    assert np.isfinite(described).all()


def test_a_flat_colour_is_described_by_itself_alone() -> None:
    described = describe(lab(np.full((48, 64), 62.0), a=-14, b=23))
    colour = {"lightness_fine": 62, "lightness_coarse": 62, "green_red": -14}
    colour |= dict.fromkeys(["blue_yellow_fine", "blue_yellow_coarse", "blue_yellow_wide"], 23)
    for name in CHANNELS:
        np.testing.assert_allclose(channel(described, name), colour.get(name, 0), atol=0.05)


def test_a_cell_is_centred_on_the_corner_its_four_pixels_share() -> None:
    y, x = np.mgrid[:64, :96]
    for lightness, expected in ((x * 0.5, np.arange(48)), (y * 0.5, np.arange(32)[:, None])):
        found = channel(describe(lab(lightness)), "lightness_fine")
        exact = np.broadcast_to((2 * expected + 0.5) * 0.5, (32, 48))
        np.testing.assert_allclose(found[4:-4, 4:-4], exact[4:-4, 4:-4], atol=1e-3)


def test_an_odd_last_row_and_column_stand_for_themselves() -> None:
    odd = noise((33, 45), 5)
    even = np.pad(odd, ((0, 1), (0, 1)), mode="edge")
    np.testing.assert_array_equal(describe(lab(odd)), describe(lab(even)))


@pytest.mark.parametrize(
    ("degrees", "cosine", "sine"), [(0, 1, 0), (90, -1, 0), (45, 0, 1), (135, 0, -1)]
)
def test_orientation_turns_with_twice_the_angle_of_the_gradient(
    degrees: float, cosine: float, sine: float
) -> None:
    described = describe(waves(degrees))
    assert channel(described, "coherence")[INNER].min() > 0.9
    np.testing.assert_allclose(channel(described, "orientation_cos")[INNER], cosine, atol=0.1)
    np.testing.assert_allclose(channel(described, "orientation_sin")[INNER], sine, atol=0.1)


@pytest.mark.parametrize("name", ["contrast_fine", "contrast_coarse", "contrast_wide"])
@pytest.mark.parametrize("deviation", [2.0, 8.0])
def test_contrast_is_the_deviation_of_lightness_nearby(name: str, deviation: float) -> None:
    contrast = channel(describe(lab(noise((192, 192), deviation))), name)
    assert contrast[INNER].mean() == pytest.approx(deviation, rel=0.1)


def test_only_lightness_sees_an_offset_of_lightness() -> None:
    lightness = noise((64, 64), 5)
    plain, lighter = describe(lab(lightness)), describe(lab(lightness + 20))
    for name, difference in zip(CHANNELS, lighter - plain, strict=True):
        expected = 20 if name.startswith("lightness") else 0
        np.testing.assert_allclose(difference, expected, atol=0.05)


@pytest.mark.parametrize(
    ("step", "sees", "blind"),
    [(30, "bright_structures", "dark_structures"), (-30, "dark_structures", "bright_structures")],
)
def test_small_bright_and_dark_structures_are_told_apart(step: int, sees: str, blind: str) -> None:
    lightness = np.full((64, 64), 50.0)
    lightness[30:34, 30:34] += step
    described = describe(lab(lightness))
    seen = channel(described, sees)
    assert np.unravel_index(seen.argmax(), seen.shape) in {(15, 15), (15, 16), (16, 15), (16, 16)}
    assert seen.max() > 10
    np.testing.assert_allclose(channel(described, blind), 0, atol=1e-4)


def test_a_large_area_is_no_structure() -> None:
    lightness = np.full((128, 128), 50.0)
    lightness[32:96, 32:96] = 80
    described = describe(lab(lightness))
    for name in ("bright_structures", "dark_structures"):
        np.testing.assert_allclose(channel(described, name), 0, atol=1e-4)


def test_descriptors_move_with_the_image() -> None:
    lightness = noise((160, 160), 8)
    here, moved = describe(lab(lightness)), describe(lab(np.roll(lightness, (4, 6), (0, 1))))
    moved_back = np.roll(moved, (-2, -3), (1, 2))
    np.testing.assert_allclose(moved_back[:, 30:-30, 30:-30], here[:, 30:-30, 30:-30], atol=1e-2)


def test_swapping_the_axes_turns_only_the_orientation() -> None:
    lightness = noise((48, 64), 8)
    here, swapped = describe(lab(lightness)), describe(lab(lightness.T))
    for name, plain, turned in zip(CHANNELS, here, swapped, strict=True):
        sign = -1 if name == "orientation_cos" else 1
        np.testing.assert_allclose(sign * turned.T, plain, atol=1e-3)


def test_the_constant_channel_outweighs_the_others_together() -> None:
    assert np.hypot.reduce(list(CHANNEL_WEIGHTS.values())) < CONSTANT_WEIGHT
