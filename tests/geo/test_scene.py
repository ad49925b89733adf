import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import warp
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject
from scipy import ndimage

from terradelta.errors import InputError, UsageError
from terradelta.geo.scene import ScenePair

TRANSFORM = Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
Write = Callable[..., Path]


def noise(*shape: int, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 250, shape).astype(dtype)


def smooth(height: int, width: int, dtype: str = "float32") -> np.ndarray:
    """[3, H, W], different in every band, of wavelengths of many pixels."""
    field = np.random.default_rng(1).normal(size=(3, height, width))
    return (ndimage.gaussian_filter(field, (0, 6, 6)) * 1000 + 500).astype(dtype)


def whole(pair: ScenePair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return pair.read(0, 0, pair.grid.width, pair.grid.height)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_pixels_on_one_grid_are_untouched(write: Write, dtype: str) -> None:
    bands, later = noise(3, 40, 60, dtype=dtype), noise(3, 40, 60, dtype=dtype, seed=1)
    with ScenePair(write("a.tif", bands), write("b.tif", later)) as pair:
        before, after, valid = whole(pair)
    assert before.dtype == after.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(before, bands)
    np.testing.assert_array_equal(after, later)
    assert valid.all()


@pytest.mark.parametrize("crs", [None, "EPSG:32632"], ids=["turned", "reprojected"])
def test_a_window_is_a_part_of_the_whole_on_any_grid(write: Write, crs: str | None) -> None:
    """GDAL's reprojection is approximate and its kernel depends on the window, if it is let."""
    bands = smooth(300, 400)
    turned = TRANSFORM * Affine.translation(30, 40) * Affine.rotation(7) * Affine.scale(0.9)
    (x,), (y,) = warp.transform("EPSG:32633", "EPSG:32632", [500_000], [5_400_000])
    elsewhere = Affine(0.6, 0, x - 10, 0, -0.4, y - 10)
    place, crs = (turned, "EPSG:32633") if crs is None else (elsewhere, crs)
    later = write("b.tif", bands, place, crs=crs)
    with ScenePair(write("a.tif", bands), later) as pair:
        everything = whole(pair)
        for x0, y0, x1, y1 in ((0, 0, 7, 9), (100, 50, 217, 171), (170, 100, 260, 180)):
            part = pair.read(x0, y0, x1, y1)
            for all_of_it, some in zip(everything, part, strict=True):
                np.testing.assert_allclose(all_of_it[..., y0:y1, x0:x1], some, atol=1e-3)


def test_what_lies_beyond_the_grid_is_invalid_even_where_a_file_goes_on(write: Write) -> None:
    bands = noise(3, 40, 60)
    later = write("b.tif", bands[:, 5:30, 10:50], TRANSFORM * Affine.translation(10, 5))
    with ScenePair(write("a.tif", bands), later) as pair:
        before, after, valid = pair.read(-3, -2, 45, 30)
        assert before.shape == after.shape == (3, 32, 48)
        expected = np.zeros((32, 48), bool)
        expected[2:27, 3:43] = True
        np.testing.assert_array_equal(valid, expected)
        np.testing.assert_array_equal(before[:, valid], after[:, valid])
        assert not pair.read(-50, 0, -10, 10)[2].any()
        assert not pair.read(100, 100, 110, 130)[2].any()


def test_half_a_pixel_is_interpolated(write: Write) -> None:
    bands = noise(3, 40, 60)
    half = write("b.tif", bands, TRANSFORM * Affine.translation(0.5, 0))
    with ScenePair(write("a.tif", bands), half) as pair:
        _, after, _ = whole(pair)
    assert after.dtype == np.float32
    middle = (bands[:, :, :-1].astype(float) + bands[:, :, 1:]) / 2
    np.testing.assert_allclose(after[:, :, 1:59], middle[:, :, :58], atol=0.02)


def test_a_finer_after_is_averaged(write: Write) -> None:
    fine = noise(3, 160, 240)
    later = write("b.tif", fine, TRANSFORM * Affine.scale(0.25))
    with ScenePair(write("a.tif", noise(3, 40, 60)), later) as pair:
        _, after, _ = whole(pair)
    np.testing.assert_allclose(after, fine.reshape(3, 40, 4, 60, 4).mean((2, 4)), atol=0.02)


def test_another_crs_lands_within_a_twentieth_of_a_pixel(write: Write) -> None:
    bands = smooth(200, 260)
    transform, width, height = rasterio.warp.calculate_default_transform(
        "EPSG:32633", "EPSG:4326", 260, 200, 500_000, 5_399_900, 500_130, 5_400_000
    )
    geographic = np.zeros((3, height, width), np.float32)
    reproject(
        bands,
        geographic,
        src_transform=TRANSFORM,
        src_crs="EPSG:32633",
        dst_transform=transform,
        dst_crs="EPSG:4326",
        resampling=Resampling.cubic,
        tolerance=0.0,
        dst_nodata=np.nan,
    )
    later = write("b.tif", geographic, transform, crs="EPSG:4326", nodata=np.nan)
    with ScenePair(write("a.tif", bands), later) as pair:
        assert pair.grid.transform == TRANSFORM
        before, after, valid = whole(pair)
    inner = ndimage.binary_erosion(valid, iterations=8)
    assert inner.mean() > 0.6
    slope = np.gradient(before[0], axis=1)[inner]
    error = (after - before)[0][inner]
    # A displacement d shows as error = -d * slope.
    assert abs((error * slope).sum() / (slope**2).sum()) < 0.05
    assert np.abs(error).max() < 0.1 * np.abs(slope).max()


@pytest.mark.parametrize("shift", [(3, -2), (1.5, 0), (0.25, -0.75)])
def test_the_shift_moves_after(write: Write, shift: tuple[float, float]) -> None:
    bands = smooth(80, 90)
    pair = ScenePair(write("a.tif", bands), write("b.tif", bands))
    _, after, valid = whole(pair.shifted(shift))
    x, y = shift
    expected = ndimage.shift(bands[0], (y, x), order=1, mode="nearest")
    np.testing.assert_allclose(after[0, 5:-5, 5:-5], expected[5:-5, 5:-5], atol=0.2)
    assert valid[5:-5, 5:-5].all()
    # What was moved in from beyond the file holds no data.
    assert not valid[:, 0].any() or x < 0.5
    np.testing.assert_array_equal(whole(pair)[1], bands)


def hole() -> np.ndarray:
    mask = np.ones((40, 60), bool)
    mask[10:20, 30:45] = False
    return mask


@pytest.mark.parametrize("aligned", [True, False], ids=["aligned", "resampled"])
@pytest.mark.parametrize("kind", ["nodata", "alpha", "mask", "nan", "nan-nodata", "infinite"])
def test_every_way_to_say_no_data(write: Write, kind: str, aligned: bool) -> None:
    bands, mask = noise(3, 40, 60, dtype="float32"), hole()
    options: dict[str, object] = {}
    if kind == "nodata":
        bands = np.where(mask, bands, 0).astype(np.uint16)
        options = {"nodata": 0}
    elif kind == "alpha":
        opaque = np.where(mask, 255, 0)[None]
        bands = np.concatenate([bands, opaque]).astype(np.uint8)
        options = {"photometric": "rgb", "ALPHA": "YES", "meaning": (*RGB, ColorInterp.alpha)}
    elif kind == "mask":
        bands, options = bands.astype(np.uint8), {"mask": np.where(mask, 255, 0).astype(np.uint8)}
    else:
        bands = np.where(mask, bands, np.inf if kind == "infinite" else np.nan).astype(np.float32)
        options = {"nodata": np.nan} if kind == "nan-nodata" else {}
    place = TRANSFORM if aligned else TRANSFORM * Affine.translation(0.25, 0.25)
    later = write("b.tif", bands, place, **options)
    with ScenePair(write("a.tif", noise(3, 40, 60)), later) as pair:
        _, after, valid = whole(pair)
    assert np.isfinite(after).all()
    if aligned:
        np.testing.assert_array_equal(valid, mask)
    else:
        inside = ndimage.binary_erosion(~mask, iterations=2)
        outside = ndimage.binary_erosion(mask, iterations=3)
        assert not valid[inside].any()
        assert valid[outside].all()


def test_black_in_one_band_is_a_colour_where_nodata_is_zero(write: Write) -> None:
    bands = noise(3, 40, 60)
    bands[0, 20, 30] = 0
    bands[:, 5, 6] = 0
    place = TRANSFORM * Affine.translation(4.5, 0)
    for transform in (TRANSFORM, place):
        later = write("b.tif", bands, transform, nodata=0)
        with ScenePair(write("a.tif", noise(3, 40, 60)), later) as pair:
            _, _, valid = whole(pair)
        assert valid[20, 24:36].all()
    assert not ScenePair(write("a.tif", bands, nodata=0), later).read(6, 5, 7, 6)[2].any()


@pytest.mark.parametrize(
    ("meaning", "bands", "expected"),
    [
        (None, None, (1, 2, 3)),
        ((ColorInterp.blue, ColorInterp.green, ColorInterp.red), None, (3, 2, 1)),
        (None, (8, 4, 3), (8, 4, 3)),
        (None, [5], (5,)),
    ],
)
def test_which_of_13_bands_are_read(
    write: Write, meaning: tuple[ColorInterp, ...] | None, bands: tuple[int, ...], expected: object
) -> None:
    values = noise(13, 20, 30, dtype="uint16")
    rest = (ColorInterp.undefined,) * 10
    path = write("a.tif", values, meaning=meaning and (*meaning, *rest), photometric="minisblack")
    with ScenePair(path, path, bands=bands) as pair:
        before, after, _ = whole(pair)
        assert pair.before.bands == pair.after.bands == expected
    chosen = values[[band - 1 for band in expected]]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(before, np.broadcast_to(chosen, (3, 20, 30)))
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("bands", [(1, 2), (0, 1, 2), (1, 2, 4), ()])
def test_bands_that_do_not_exist(write: Write, bands: tuple[int, ...]) -> None:
    path = write("a.tif", noise(3, 20, 30))
    with pytest.raises(UsageError, match="one or three of the 3"):
        ScenePair(path, path, bands=bands)


def test_one_band_stands_for_all_three(write: Write) -> None:
    grey = noise(1, 20, 30)
    half = write("b.tif", grey, TRANSFORM * Affine.translation(0.5, 0))
    with ScenePair(write("a.tif", grey), half) as pair:
        for date in whole(pair)[:2]:
            assert date.shape[0] == 3
            np.testing.assert_array_equal(date[0], date[2])


def test_a_palette_is_expanded_and_never_interpolated(write: Write, tmp_path: Path) -> None:
    numbers = noise(1, 20, 30) % 4
    paths = []
    for name, by in (("a.tif", 0.0), ("b.tif", 0.5)):
        path = write(name, numbers, TRANSFORM * Affine.translation(by, 0), photometric="palette")
        with rasterio.open(path, "r+") as target:
            target.write_colormap(1, {n: (n * 10, n * 20, n * 30, 255) for n in range(4)})
        paths.append(path)
    with ScenePair(paths[0], paths[0]) as pair:
        before, _, _ = whole(pair)
    np.testing.assert_array_equal(before, numbers * np.array([10, 20, 30])[:, None, None])
    with pytest.raises(InputError, match="paletted raster off the grid"):
        ScenePair(*paths)


def test_values_that_are_no_real_numbers(write: Write) -> None:
    path = write("a.tif", noise(3, 20, 30).astype(np.complex64))
    with pytest.raises(InputError, match="complex64"):
        ScenePair(path, path)


def test_a_truncated_file_is_named_with_the_window(write: Write) -> None:
    good = write("a.tif", noise(3, 600, 600))
    bad = write("b.tif", noise(3, 600, 600), tiled=True, blockxsize=256, blockysize=256)
    content = bad.read_bytes()
    bad.write_bytes(content[: len(content) // 2])
    with ScenePair(good, bad) as pair:
        pair.read(0, 0, 100, 100)
        with pytest.raises(InputError, match=r"b\.tif .*window \(500, 500, 600, 600\).*truncated"):
            pair.read(500, 500, 600, 600)
        with (
            pair.shifted((0.5, 0.5)) as resampled,
            pytest.raises(InputError, match=r"b\.tif .*window"),
        ):
            resampled.read(500, 500, 600, 600)


def test_an_empty_window(write: Write) -> None:
    path = write("a.tif", noise(3, 20, 30))
    with ScenePair(path, path) as pair, pytest.raises(UsageError, match="empty"):
        pair.read(5, 5, 5, 9)


def test_a_pair_travels_as_paths(write: Write) -> None:
    bands = smooth(60, 70)
    place = TRANSFORM * Affine.translation(0.3, 0.7)
    with ScenePair(write("a.tif", bands), write("b.tif", bands, place), shift=(0.1, 0)) as pair:
        here = whole(pair)
        packed = pickle.dumps(pair)
    assert len(packed) < 10_000
    with pickle.loads(packed) as there:  # noqa: S301
        assert there.grid == pair.grid
        for mine, its in zip(here, whole(there), strict=True):
            np.testing.assert_array_equal(mine, its)


def test_threads_read_the_same(write: Write) -> None:
    bands = smooth(400, 500)
    later = write("b.tif", bands, TRANSFORM * Affine.translation(0.3, 0.7))
    pair = ScenePair(write("a.tif", bands), later)
    expected = whole(pair)
    wrong: list[object] = []

    def read(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(20):
            x, y = random.integers(0, 300, 2).tolist()
            for all_of_it, part in zip(expected, pair.read(x, y, x + 90, y + 90), strict=True):
                if np.abs(1.0 * all_of_it[..., y : y + 90, x : x + 90] - part).max() > 1e-3:
                    wrong.append((seed, x, y))
        pair.close()

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_pair_can_be_read_again_after_it_was_closed(write: Write) -> None:
    path = write("a.tif", noise(3, 20, 30))
    pair = ScenePair(path, path)
    first = whole(pair)[0]
    pair.close()
    pair.close()
    np.testing.assert_array_equal(whole(pair)[0], first)


def test_the_description_tells_how_each_date_is_read(write: Write) -> None:
    bands = noise(3, 40, 60)
    later = write("b.tif", bands.astype(np.uint16), TRANSFORM * Affine.translation(0.5, 0))
    told = ScenePair(write("a.tif", bands), later).describe()
    assert (told["before"]["resampling"], told["after"]["resampling"]) == ("none", "bilinear")
    assert (told["before"]["dtype"], told["after"]["dtype"]) == ("uint8", "uint16")
    assert told["shift_px"] == [0.0, 0.0]
    assert "after (0.5 x 0.5 m px in EPSG:32633) is resampled" in told["choice"]
