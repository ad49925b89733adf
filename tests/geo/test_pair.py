from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rasterio.transform import Affine

from terradelta.errors import InputError
from terradelta.geo.files import write_geotiff
from terradelta.geo.pair import load_pair


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def grid(right: float = 0, down: float = 0, wide: float = 1, high: float = 1) -> Affine:
    """Pixels of 2 m, moved and stretched by so many of them."""
    return Affine(2 * wide, 0, 500_000 + 2 * right, 0, -2 * high, 5_400_000 - 2 * down)


GRID = grid()


def ramp(dtype: str) -> np.ndarray:
    """[1, 101, 3], each value of 0 to 100 once in every band: percentile p is p."""
    return np.repeat(np.arange(101), 3).reshape(1, 101, 3).astype(dtype)


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Path]:
    """Writes a georeferenced raster of 48 x 64 pixels, a file for each name."""

    def write(name: str, transform: Affine = GRID, crs: str = "EPSG:32633") -> Path:
        path = tmp_path / name
        write_geotiff(path, noise(48, 64, 3), crs, transform)
        return path

    return write


def test_8_bit_images_are_kept_as_they_are() -> None:
    before, after = noise(9, 13, 3), noise(9, 13, 3, seed=1)
    pair = load_pair(before, after)
    np.testing.assert_array_equal(pair.before, before)
    np.testing.assert_array_equal(pair.after, after)
    assert pair.valid.all()
    assert pair.shape == (9, 13)
    assert pair.georeference is None
    assert pair.sources == ("before", "after")
    assert pair.bands == ((1, 2, 3), (1, 2, 3))


def test_paths_and_arrays_make_the_same_pair(tmp_path: Path) -> None:
    before, after = noise(9, 13, 3), noise(9, 13)
    Image.fromarray(before).save(tmp_path / "before.png")
    Image.fromarray(after).save(tmp_path / "after.png")
    read = load_pair(tmp_path / "before.png", str(tmp_path / "after.png"))
    given = load_pair(before, after)
    np.testing.assert_array_equal(read.before, given.before)
    np.testing.assert_array_equal(read.after, given.after)
    assert read.bands == given.bands == ((1, 2, 3), (1,))
    assert read.sources == (tmp_path / "before.png", tmp_path / "after.png")


def test_only_what_is_valid_in_both_is_valid() -> None:
    before, after = noise(4, 5, 4), noise(4, 5, 4, seed=1)
    before[..., 3] = after[..., 3] = 255
    before[0, :, 3] = after[:, 0, 3] = 0
    expected = np.ones((4, 5), bool)
    expected[0, :] = expected[:, 0] = False
    np.testing.assert_array_equal(load_pair(before, after).valid, expected)


def test_invalid_pixels_hold_the_mean_of_the_valid_ones() -> None:
    before = np.zeros((1, 4, 4), np.uint8)
    before[0, :, :3] = [[10, 0, 90], [20, 1, 90], [31, 2, 90], [255, 255, 255]]
    before[0, :3, 3] = 255
    after = np.full((1, 4, 3), 7, np.uint8)
    after[0, 3] = 99
    given = before.copy(), after.copy()
    pair = load_pair(before, after)
    np.testing.assert_array_equal(pair.before[0, 3], [20, 1, 90])
    np.testing.assert_array_equal(pair.before[0, :3], before[0, :3, :3])
    np.testing.assert_array_equal(pair.after, np.full((1, 4, 3), 7))
    np.testing.assert_array_equal(before, given[0])
    np.testing.assert_array_equal(after, given[1])


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int64", "uint64", "float32", "float64"])
def test_the_middle_98_percent_become_0_to_255(dtype: str) -> None:
    pair = load_pair(ramp(dtype), ramp(dtype))
    expected = np.clip((np.arange(101) - 1) / 98 * 255, 0, 255)
    np.testing.assert_allclose(pair.before[0, :, 0], expected, atol=0.5001)
    np.testing.assert_array_equal(pair.before, pair.after)


def test_both_dates_share_one_stretch() -> None:
    before, after = ramp("uint16"), 2 * ramp("uint16")
    pair = load_pair(before, after)
    np.testing.assert_array_equal(pair.before[0, 20:100:2], pair.after[0, 10:50])
    assert pair.after[0, 95, 0] > pair.after[0, 60, 0] > pair.before[0, 100, 0] > 0
    swapped = load_pair(after, before)
    np.testing.assert_array_equal(swapped.before, pair.after)
    np.testing.assert_array_equal(swapped.after, pair.before)


def test_every_band_has_its_own_stretch() -> None:
    values = ramp("float64") * [1, 1000, -5] + [0, 7, 3]
    pair = load_pair(values, values)
    np.testing.assert_array_equal(pair.before[..., 0], pair.before[..., 1])
    np.testing.assert_array_equal(pair.before[..., 0], pair.before[:, ::-1, 2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_does_not_weigh_on_the_stretch(bad: float) -> None:
    clean = load_pair(ramp("float32"), ramp("float32"))
    spoilt = np.concatenate([ramp("float32"), np.full((1, 101, 3), bad, np.float32)])
    other = np.concatenate([ramp("float32"), np.full((1, 101, 3), 1e9, np.float32)])
    pair = load_pair(spoilt, other)
    np.testing.assert_array_equal(pair.valid, [[True] * 101, [False] * 101])
    np.testing.assert_array_equal(pair.before[:1], clean.before)
    np.testing.assert_array_equal(pair.after[:1], clean.after)


def test_values_at_the_limits_of_their_type_are_stretched() -> None:
    values = (ramp("float32") - np.float32(50)) * np.float32(6e36)
    assert values.max() == -values.min() > 2.9e38
    clean = load_pair(ramp("float32"), ramp("float32"))
    np.testing.assert_allclose(load_pair(values, values).before, clean.before.astype(int), atol=1)


def test_images_of_one_value_are_even() -> None:
    pair = load_pair(np.full((4, 5), 700, np.uint16), np.full((4, 5), 700, np.uint16))
    assert len(np.unique(pair.before)) == 1
    np.testing.assert_array_equal(pair.before, pair.after)


def test_a_pair_lies_where_both_files_lie(place: Callable[..., Path]) -> None:
    pair = load_pair(place("before.tif"), place("after.tif"))
    assert pair.georeference is not None
    assert pair.georeference.crs.to_epsg() == 32633
    assert pair.georeference.transform == GRID


def test_a_pair_lies_nowhere_unless_both_files_do(place: Callable[..., Path]) -> None:
    assert load_pair(place("before.tif"), noise(48, 64, 3)).georeference is None
    assert load_pair(noise(48, 64, 3), place("after.tif")).georeference is None


@pytest.mark.parametrize("shift", [(0.49, 0.0), (0.0, -0.49), (-0.4, 0.4)])
def test_a_shift_of_less_than_half_a_pixel_is_the_grid_of_before(
    place: Callable[..., Path], shift: tuple[float, float]
) -> None:
    pair = load_pair(place("before.tif"), place("after.tif", grid(*shift)))
    assert pair.georeference is not None
    assert pair.georeference.transform == GRID


@pytest.mark.parametrize(
    "moved",
    [
        grid(right=0.51),
        grid(down=-0.51),
        grid(wide=1 + 0.51 / 64),
        grid(high=1 - 0.51 / 48),
        grid(high=-1),
        Affine(2, 0.03, 500_000, 0, -2, 5_400_000),
    ],
    ids=["right", "up", "wider", "lower", "upside down", "sheared"],
)
def test_a_corner_off_by_over_half_a_pixel_is_refused(
    place: Callable[..., Path], moved: Affine
) -> None:
    with pytest.raises(InputError, match=r"different grids: \S+before\.tif .* \S+after\.tif"):
        load_pair(place("before.tif"), place("after.tif", moved))


def test_pixels_that_grow_by_less_than_half_a_pixel_in_all_are_the_same_grid(
    place: Callable[..., Path],
) -> None:
    wider = place("after.tif", grid(wide=1 + 0.49 / 64))
    assert load_pair(place("before.tif"), wider).georeference is not None


def test_another_crs_is_refused_and_both_are_named(place: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"EPSG:32633 .* EPSG:32634"):
        load_pair(place("before.tif"), place("after.tif", crs="EPSG:32634"))


def test_sizes_that_differ_are_named_width_first() -> None:
    with pytest.raises(InputError, match="before is 13 x 9 px, after 13 x 8 px"):
        load_pair(noise(9, 13, 3), noise(8, 13, 3))


def test_types_that_differ_are_named() -> None:
    with pytest.raises(InputError, match="before uint8, after uint16"):
        load_pair(noise(9, 13, 3), noise(9, 13, 3).astype(np.uint16))


def test_an_image_without_valid_pixels_is_named() -> None:
    good, empty = np.ones((4, 5), np.float32), np.full((4, 5), np.nan, np.float32)
    for before, after, message in (
        (empty, good, "before has no valid pixel"),
        (good, empty, "after has no valid pixel"),
        (empty, empty, "before and after has no valid pixel"),
    ):
        with pytest.raises(InputError, match=f"nothing to compare: {message}"):
            load_pair(before, after)


def test_dates_that_are_valid_nowhere_together_are_refused() -> None:
    before, after = np.ones((4, 5), np.float32), np.ones((4, 5), np.float32)
    before[:2] = after[2:] = np.nan
    with pytest.raises(InputError, match="no pixel is valid in both"):
        load_pair(before, after)
