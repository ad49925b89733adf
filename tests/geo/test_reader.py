from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import ExifTags, Image, ImageOps
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from scipy.io import netcdf_file

from terradelta.errors import InputError
from terradelta.geo.reader import MAX_PIXELS, raster_of, read_raster

TRANSFORM = Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)
RED, GREEN, BLUE, ALPHA = (
    ColorInterp.red,
    ColorInterp.green,
    ColorInterp.blue,
    ColorInterp.alpha,
)
GREY, NONE = ColorInterp.gray, ColorInterp.undefined


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(0).integers(1, 120, shape).astype(dtype)


def smooth(height: int, width: int) -> np.ndarray:
    """A picture [H, W, 3] that no turn or mirror maps to itself and JPEG keeps well."""
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x, 5 * y, 2 * x + y], -1).astype(np.uint8)


def write(path: Path, bands: np.ndarray, meaning: Any = None, **options: Any) -> Path:
    """A GeoTIFF of [C, H, W] with the given colour interpretation."""
    size = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    place = {"crs": "EPSG:32633", "transform": TRANSFORM}
    options = {**size, **place, "dtype": bands.dtype.name, **options}
    with rasterio.open(path, "w", driver="GTiff", **options) as target:
        target.write(bands)
        if meaning:
            target.colorinterp = meaning
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32"])
def test_values_keep_their_type(tmp_path: Path, dtype: str) -> None:
    bands = noise(3, 5, 7, dtype=dtype)
    raster = read_raster(write(tmp_path / "a.tif", bands))
    assert raster.values.dtype == bands.dtype
    np.testing.assert_array_equal(raster.values, bands)
    assert raster.shape == raster.valid.shape == (5, 7)
    assert raster.valid.all()
    assert raster.source == tmp_path / "a.tif"


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jp2"])
def test_a_lossless_picture_reads_as_pillow_reads_it(tmp_path: Path, suffix: str) -> None:
    pixels = noise(20, 30, 3)
    lossless = {"webp": {"lossless": True}, "jp2": {"irreversible": False}}.get(suffix, {})
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", **lossless)
    raster = read_raster(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(raster.values.transpose(1, 2, 0), pixels)
    assert raster.georeference is None


def test_the_place_is_that_of_the_file(tmp_path: Path) -> None:
    place = read_raster(write(tmp_path / "a.tif", noise(3, 5, 7))).georeference
    assert place is not None
    assert place.crs.to_epsg() == 32633
    assert place.transform == TRANSFORM


@pytest.mark.parametrize(
    "options", [{"crs": None}, {"transform": Affine(0, 0, 500_000, 0, 0, 5_400_000)}]
)
def test_without_crs_or_with_pixels_of_no_size_there_is_no_place(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    assert read_raster(write(tmp_path / "a.tif", noise(3, 5, 7), **options)).georeference is None


@pytest.mark.parametrize(
    ("meaning", "bands"),
    [
        ([RED, GREEN, BLUE], (1, 2, 3)),
        ([BLUE, GREEN, RED], (3, 2, 1)),
        ([BLUE, GREEN, RED, NONE], (3, 2, 1)),
        ([ALPHA, RED, GREEN, BLUE], (2, 3, 4)),
        ([GREY, NONE, NONE, NONE], (1, 2, 3)),
        ([ALPHA, NONE, NONE, NONE], (2, 3, 4)),
        ([GREY], (1,)),
        ([GREY, NONE], (1,)),
        ([GREY, ALPHA], (1,)),
        ([ALPHA, GREY], (2,)),
    ],
)
def test_colours_are_taken_by_their_meaning(
    tmp_path: Path, meaning: list[ColorInterp], bands: tuple[int, ...]
) -> None:
    values = noise(len(meaning), 4, 6)
    raster = read_raster(write(tmp_path / "a.tif", values, meaning))
    assert raster.bands == bands
    expected = values[[band - 1 for band in (bands if len(bands) == 3 else bands * 3)]]
    np.testing.assert_array_equal(raster.values, expected)


def test_nodata_in_every_band_is_invalid_and_in_some_is_a_colour(tmp_path: Path) -> None:
    bands = noise(3, 4, 6)
    bands[:, 0, 0] = 0
    bands[:2, 1, 1] = 0
    valid = read_raster(write(tmp_path / "a.tif", bands, nodata=0)).valid
    expected = np.ones((4, 6), bool)
    expected[0, 0] = False
    np.testing.assert_array_equal(valid, expected)


@pytest.mark.parametrize("nodata", [None, float("nan"), -9999.0])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_in_any_band_is_invalid(
    tmp_path: Path, bad: float, nodata: float | None
) -> None:
    bands = noise(3, 4, 6, dtype="float32")
    bands[2, 3, 5] = bad
    expected = np.ones((4, 6), bool)
    expected[3, 5] = False
    valid = read_raster(write(tmp_path / "a.tif", bands, nodata=nodata)).valid
    np.testing.assert_array_equal(valid, expected)


def test_an_internal_mask_marks_what_is_invalid(tmp_path: Path) -> None:
    valid = noise(8, 9) > 60
    path = write(tmp_path / "a.tif", noise(3, 8, 9))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as target:
        target.write_mask(valid)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tif"]
    np.testing.assert_array_equal(read_raster(path).valid, valid)


@pytest.mark.parametrize(("dtype", "opaque"), [("uint8", 255), ("uint16", 65535)])
def test_only_what_is_wholly_transparent_is_invalid(
    tmp_path: Path, dtype: str, opaque: int
) -> None:
    bands = noise(4, 2, 3, dtype=dtype)
    bands[3] = [[0, 1, opaque], [opaque, opaque, 0]]
    raster = read_raster(write(tmp_path / "a.tif", bands, [RED, GREEN, BLUE, ALPHA]))
    np.testing.assert_array_equal(raster.valid, bands[3] > 0)


@pytest.mark.parametrize("suffix", ["png", "tif", "gif"])
def test_a_palette_is_looked_up(tmp_path: Path, suffix: str) -> None:
    palette = noise(4, 3)
    index = np.arange(24, dtype=np.uint8).reshape(4, 6) % 4
    image = Image.fromarray(index)
    image.putpalette(palette.tobytes())
    image.save(tmp_path / f"a.{suffix}")
    raster = read_raster(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(raster.values.transpose(1, 2, 0), palette[index])
    assert raster.valid.all()
    assert raster.bands == (1,)


@pytest.mark.parametrize("transparency", [2, bytes([255, 7, 0, 255])])
def test_a_transparent_colour_of_a_palette_is_invalid(
    tmp_path: Path, transparency: int | bytes
) -> None:
    index = np.arange(24, dtype=np.uint8).reshape(4, 6) % 4
    image = Image.fromarray(index)
    image.putpalette(noise(4, 3).tobytes())
    image.save(tmp_path / "a.png", transparency=transparency)
    np.testing.assert_array_equal(read_raster(tmp_path / "a.png").valid, index != 2)


def test_a_transparent_colour_of_a_png_is_invalid(tmp_path: Path) -> None:
    pixels = noise(4, 6, 3)
    pixels[1, 2] = pixels[3, 3] = (200, 201, 202)
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=(200, 201, 202))
    np.testing.assert_array_equal(
        read_raster(tmp_path / "a.png").valid, (pixels != [200, 201, 202]).any(-1)
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "options", "tolerance"),
    [
        ("png", {}, 0),
        ("webp", {"lossless": True}, 0),
        ("jpg", {"quality": 100, "subsampling": 0}, 2),
    ],
)
def test_a_photograph_is_turned_upright(
    tmp_path: Path, suffix: str, options: dict[str, Any], tolerance: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(smooth(40, 56)).save(path, exif=exif, **options)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image)).astype(int)
    raster = read_raster(path)
    assert raster.shape == ((40, 56) if orientation < 5 else (56, 40))
    np.testing.assert_allclose(raster.values.transpose(1, 2, 0), upright, atol=tolerance)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_transparent_turns_with_the_photograph(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = np.dstack([smooth(12, 20), 255 * (noise(12, 20) > 40).astype(np.uint8)])
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_raster(tmp_path / "a.png").valid, upright[..., 3] > 0)


def test_a_georeferenced_raster_is_not_turned(tmp_path: Path) -> None:
    bands = noise(3, 5, 7)
    path = write(tmp_path / "a.tif", bands)
    with rasterio.open(path, "r+") as target:
        target.update_tags(EXIF_Orientation="6")
    np.testing.assert_array_equal(read_raster(path).values, bands)


def test_a_missing_file_a_folder_and_an_empty_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    for name, message in (
        ("absent.png", r"absent\.png does not exist"),
        (".", r"is a folder: give an image file"),
        ("empty.png", r"empty\.png is an empty file"),
        ("x" * 300, "x cannot be read as an image"),
    ):
        with pytest.raises(InputError, match=message):
            read_raster(tmp_path / name)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp", "bmp", "jp2", "gif"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(noise(60, 80, 3)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=rf"cut\.{suffix} cannot be read as an image: ") as caught:
        read_raster(path)
    assert "previous exception" not in str(caught.value)


def test_complex_values_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "radar.tif", noise(1, 4, 6, dtype="complex64"))
    with pytest.raises(InputError, match=r"radar\.tif holds complex64 values"):
        read_raster(path)


def test_a_raster_too_large_for_memory_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse.tif"
    size = {"count": 1, "height": MAX_PIXELS // 1000, "width": 1001, "dtype": "uint8"}
    place = {"crs": "EPSG:32633", "transform": TRANSFORM}
    with rasterio.open(path, "w", driver="GTiff", sparse_ok=True, tiled=True, **size, **place):
        pass
    assert path.stat().st_size < 1_000_000
    with pytest.raises(InputError, match=r"sparse\.tif has 1001 x 40000 px"):
        read_raster(path)


def test_a_container_of_rasters_names_how_to_take_one_out(tmp_path: Path) -> None:
    with rasterio.Env() as environment:
        if "netCDF" not in environment.drivers():
            pytest.skip("rasterio was built without netCDF")
    with netcdf_file(str(tmp_path / "c.nc"), "w") as file:
        file.createDimension("y", 2)
        file.createDimension("x", 3)
        for name in ("first", "second"):
            file.createVariable(name, "f4", ("y", "x"))[:] = 1
    with pytest.raises(InputError, match=r"one of its 2 parts .*`gdal_translate \S+c\.nc\S*:first"):
        read_raster(tmp_path / "c.nc")


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
def test_a_grey_array_stands_for_all_three_colours(shape: tuple[int, ...]) -> None:
    grey = noise(*shape)
    raster = raster_of(grey, "before")
    np.testing.assert_array_equal(raster.values, np.stack([grey.reshape(5, 7)] * 3))
    assert (raster.shape, raster.bands, raster.source) == ((5, 7), (1,), "before")


def test_the_fourth_channel_of_an_array_is_alpha() -> None:
    pixels = noise(5, 7, 4)
    pixels[1, 2, 3] = 0
    raster = raster_of(pixels, "before")
    np.testing.assert_array_equal(raster.values, pixels[..., :3].transpose(2, 0, 1))
    np.testing.assert_array_equal(raster.valid, pixels[..., 3] > 0)


def test_true_and_false_are_white_and_black() -> None:
    raster = raster_of(np.array([[True, False]]), "before")
    assert raster.values.dtype == np.uint8
    assert raster.values[0].tolist() == [[255, 0]]


@pytest.mark.parametrize(
    "shape", [(), (9,), (5, 7, 2), (5, 7, 5), (3, 5, 7), (1, 5, 7, 3), (0, 0, 3), (0, 7), (5, 0)]
)
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"^after has (the shape|no pixels)"):
        raster_of(np.zeros(shape, np.uint8), "after")


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "object", "<U3", "datetime64[s]"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_array_of_anything_but_real_numbers_is_refused(dtype: str, channels: int) -> None:
    with pytest.raises(InputError, match=r"^after holds .* values: convert it to real numbers"):
        raster_of(np.zeros((5, 7, channels), np.int64).astype(dtype), "after")
