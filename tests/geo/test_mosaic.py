import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rio_cogeo import cog_validate

from terradelta.errors import InputError, OutputError
from terradelta.geo.mosaic import mosaic

PLACE = {"crs": "EPSG:32633", "transform": Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)}
NAN = float("nan")


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """To a program a file that may not grow looks like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def scores(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-1, 1, (height, width)).astype(np.float32)


@pytest.mark.parametrize("shape", [(700, 1300), (300, 200), (1, 1), (1200, 512), (2600, 1023)])
@pytest.mark.parametrize("tile", [(0, 512), (-100, 300)])
def test_windows_make_one_cog(
    tmp_path: Path, shape: tuple[int, int], tile: tuple[int, int]
) -> None:
    """The tiles' lattice need not be that of the raster: windows may reach over its edges."""
    first, side = tile
    path, (height, width) = tmp_path / "new" / "score.tif", shape
    expected = scores(height, width)
    margin = 512
    padded = np.pad(expected, margin, constant_values=9)
    with mosaic(path, shape, "float32", nodata=NAN, description="-cos(angle)", **PLACE) as target:
        for y in range(first, height, side):
            for x in range(first, width, side):
                y0, x0 = y + margin, x + margin
                target.write(x, y, padded[y0 : y0 + side, x0 : x0 + side])
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(source.read(1), expected)
        assert source.crs.to_epsg() == 32633
        assert source.transform == PLACE["transform"]
        assert np.isnan(source.nodata)
        assert source.descriptions == ("-cos(angle)",)
        assert source.profile["compress"] == "deflate"
    assert cog_validate(path, quiet=True)[0]
    assert list(path.parent.iterdir()) == [path]


def test_what_was_not_written_is_nodata_or_zero(tmp_path: Path) -> None:
    with (
        mosaic(tmp_path / "score.tif", (900, 900), "float32", nodata=NAN, **PLACE) as score,
        mosaic(tmp_path / "mask.tif", (900, 900), "uint8", **PLACE) as mask,
    ):
        score.write(600, 0, np.ones((100, 100), np.float32))
        mask.write(600, 0, np.full((100, 100), 255, np.uint8))
    inside = np.zeros((900, 900), bool)
    inside[:100, 600:700] = True
    with rasterio.open(tmp_path / "score.tif") as source:
        np.testing.assert_array_equal(source.read(1), np.where(inside, np.float32(1), NAN))
    with rasterio.open(tmp_path / "mask.tif") as source:
        np.testing.assert_array_equal(source.read(1), inside * 255)
        assert source.nodata is None


def test_a_window_beyond_the_raster_is_left_out(tmp_path: Path) -> None:
    with mosaic(tmp_path / "mask.tif", (40, 50), "uint8", **PLACE) as target:
        for x, y in ((60, 0), (50, 0), (0, 40), (0, 99), (-8, 0), (0, -20)):
            target.write(x, y, np.ones((8, 8), np.uint8))
    with rasterio.open(tmp_path / "mask.tif") as source:
        assert not source.read(1).any()


def test_what_is_written_again_replaces(tmp_path: Path) -> None:
    with mosaic(tmp_path / "mask.tif", (600, 600), "uint8", **PLACE) as target:
        for value in (3, 5):
            for start in (0, 200, 400):
                target.write(start, 100, np.full((300, 300), value, np.uint8))
    with rasterio.open(tmp_path / "mask.tif") as source:
        pixels = source.read(1)
    assert (pixels[100:400] == 5).all()
    assert not pixels[:100].any()


def test_overviews_are_means_without_nodata_of_scores_and_nearest_of_masks(tmp_path: Path) -> None:
    shape = (1024, 1024)
    score = np.zeros(shape, np.float32)
    score[::2, ::2] = 4
    score[1::2, 1::2] = np.nan
    mask = np.tile(np.array([[7, 9], [9, 9]], np.uint8), (512, 512))
    with mosaic(tmp_path / "score.tif", shape, "float32", nodata=NAN, **PLACE) as target:
        target.write(0, 0, score)
    with mosaic(tmp_path / "mask.tif", shape, "uint8", **PLACE) as target:
        target.write(0, 0, mask)
    with rasterio.open(tmp_path / "score.tif", overview_level=0) as source:
        assert source.shape == (512, 512)
        np.testing.assert_allclose(source.read(1), 4 / 3, rtol=1e-6)
    with rasterio.open(tmp_path / "mask.tif", overview_level=0) as source:
        assert (source.read(1) == 7).all()


@pytest.mark.parametrize(
    "error", [InputError("part 3 is damaged"), FileNotFoundError("part 3"), KeyboardInterrupt()]
)
def test_an_error_of_the_caller_passes_and_the_old_raster_stays(
    tmp_path: Path, error: BaseException
) -> None:
    def fail() -> None:
        with mosaic(path, (64, 64), "uint8", **PLACE) as target:
            target.write(0, 0, np.ones((64, 64), np.uint8))
            raise error

    path = tmp_path / "mask.tif"
    with mosaic(path, (64, 64), "uint8", **PLACE):
        pass
    content = path.read_bytes()
    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.1, 1.25, 1.35, 1.6, 1.8])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, share: float) -> None:
    """In writing windows, on closing them, or in the overviews of which GDAL tells nothing."""
    shape = (1100, 1500)
    whole, path = tmp_path / "whole" / "score.tif", tmp_path / "full" / "score.tif"

    def write(there: Path) -> None:
        with mosaic(there, shape, "float32", nodata=NAN, **PLACE) as target:
            target.write(0, 0, scores(*shape))

    write(whole)
    limit = int(whole.stat().st_size * share)
    with (
        files_no_larger_than(limit),
        pytest.raises(OutputError, match=r"cannot write .*full.score\.tif: "),
    ):
        write(path)
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with (
        pytest.raises(OutputError, match=r"cannot write .*mask\.tif: "),
        mosaic(tmp_path / "taken" / "mask.tif", (8, 8), "uint8", **PLACE),
    ):
        pass


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / ".mask.tif.part"
    left.mkdir()
    (left / "windows.mask.tif").write_bytes(b"half a raster")
    with mosaic(tmp_path / "mask.tif", (8, 8), "uint8", **PLACE) as target:
        target.write(0, 0, np.ones((8, 8), np.uint8))
    assert [entry.name for entry in tmp_path.iterdir()] == ["mask.tif"]
