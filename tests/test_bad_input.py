"""Whatever is given, `detect` answers rightly or says in one line what is wrong."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine

from terradelta import AnyChange, Changes
from terradelta.errors import InputError, OutputError, TerradeltaError, UsageError
from terradelta.geo.files import write_geotiff

SHAPE = (48, 64)
SQUARE = np.zeros(SHAPE, bool)
SQUARE[12:24, 16:32] = True
GRID = Affine(2, 0, 500_000, 0, -2, 5_400_000)

model = AnyChange()


def ground() -> np.ndarray:
    """Slightly uneven grey, uint8 [48, 64, 3]."""
    return (90 + np.random.default_rng(0).integers(0, 8, (*SHAPE, 3))).astype(np.uint8)


def built() -> np.ndarray:
    """The ground with a bright square on it."""
    image = ground()
    image[SQUARE] = 220
    return image


def opaque(image: np.ndarray) -> np.ndarray:
    return np.dstack([image, np.full(SHAPE, 255, np.uint8)])


def is_the_square(changes: Changes) -> bool:
    answer = changes.to_mask()
    return bool((answer & SQUARE).sum() > 0.85 * (answer | SQUARE).sum())


def refusal(kind: type[TerradeltaError], call: Callable[..., Any], *given: Any) -> str:
    """The message of the error, which is of just this kind and fits in a line."""
    with pytest.raises(TerradeltaError) as caught:
        call(*given)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "after.png"
    Image.fromarray(built()).save(path)
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str], Path]:
    """Makes one of the files and folders that cannot be read."""

    def make(name: str) -> Path:
        path = tmp_path / name
        if name == "text.png":
            path.write_text("this is\nno image")
        elif name == "empty.png":
            path.touch()
        elif name == "folder":
            path.mkdir()
        elif name.startswith("cut"):
            Image.fromarray(built()).save(path)
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
        elif name == "huge.png":
            path.write_bytes(_png_that_claims(100_000, 100_000))
        elif name == "hollow.png":
            path.write_bytes(_png_that_claims(300, 200))
        return path

    return make


def _png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 10)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    "name",
    [
        "absent.png",
        "text.png",
        "empty.png",
        "folder",
        "cut.png",
        "cut.tif",
        "cut.jpg",
        "cut.webp",
        "huge.png",
        "hollow.png",
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    broken: Callable[[str], Path], picture: Path, name: str
) -> None:
    path = broken(name)
    assert str(path) in refusal(InputError, model.detect, path, picture)
    assert str(path) in refusal(InputError, model.detect, picture, str(path))


def test_a_name_too_long_for_the_system_is_refused(picture: Path) -> None:
    assert "xxx" in refusal(InputError, model.detect, "x" * 5000, picture)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((48, 64, 5), np.uint8),
        np.zeros((48, 64, 2), np.uint8),
        np.zeros((3, 48, 64), np.uint8),
        np.zeros((1, 48, 64, 3), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((0, 64), np.uint8),
        np.zeros(48, np.uint8),
        np.float32(1),
    ],
    ids=lambda image: str(image.shape),
)
def test_an_array_of_a_wrong_shape_is_named_with_its_shape(image: np.ndarray) -> None:
    message = refusal(InputError, model.detect, image, built())
    assert message.startswith("before has ")
    assert " x ".join(map(str, image.shape[:2])) in message or str(image.shape) in message
    assert refusal(InputError, model.detect, built(), image).startswith("after has ")


@pytest.mark.parametrize("dtype", ["complex64", "object", "<U3"])
def test_values_that_are_no_real_numbers_are_named(dtype: str) -> None:
    message = refusal(InputError, model.detect, ground(), opaque(built()).astype(dtype))
    assert message.startswith(f"after holds {dtype} values")


def test_a_complex_raster_is_named(tmp_path: Path, picture: Path) -> None:
    path = tmp_path / "radar.tif"
    size = {"count": 1, "height": 48, "width": 64, "crs": "EPSG:32633", "transform": GRID}
    with rasterio.open(path, "w", driver="GTiff", dtype="complex64", **size) as target:
        target.write(np.ones((1, *SHAPE), np.complex64))
    message = refusal(InputError, model.detect, path, picture)
    assert str(path) in message
    assert "complex64" in message


def test_sizes_that_differ_are_both_named(picture: Path) -> None:
    message = refusal(InputError, model.detect, ground()[:, :-1], picture)
    assert "before is 63 x 48 px" in message
    assert f"{picture} 64 x 48 px" in message


def test_types_that_differ_are_both_named() -> None:
    message = refusal(InputError, model.detect, ground(), built().astype(np.float32))
    assert "before uint8, after float32" in message


@pytest.mark.parametrize(
    ("crs", "transform", "named"),
    [
        ("EPSG:32634", GRID, "EPSG:32634"),
        ("EPSG:32633", Affine(2, 0, 500_020, 0, -2, 5_400_000), "(500020, 5400000)"),
        ("EPSG:32633", Affine(3, 0, 500_000, 0, -3, 5_400_000), "pixel 3 x -3"),
    ],
)
def test_rasters_on_different_grids_are_both_named(
    tmp_path: Path, crs: str, transform: Affine, named: str
) -> None:
    before, after = tmp_path / "before.tif", tmp_path / "after.tif"
    write_geotiff(before, ground(), "EPSG:32633", GRID)
    write_geotiff(after, built(), crs, transform)
    message = refusal(InputError, model.detect, before, after)
    assert str(before) in message
    assert str(after) in message
    assert named in message


def test_an_image_without_a_valid_pixel_is_named() -> None:
    nothing = np.full((*SHAPE, 3), np.nan, np.float32)
    transparent = np.zeros((*SHAPE, 4), np.uint8)
    good = built().astype(np.float32)
    assert "before has no valid pixel" in refusal(InputError, model.detect, nothing, good)
    assert "after has no valid pixel" in refusal(InputError, model.detect, good, nothing)
    assert "before has no valid pixel" in refusal(InputError, model.detect, transparent, built())


@pytest.mark.parametrize("angle", [-1, 181, float("nan"), float("inf")])
def test_an_angle_out_of_range_is_named(angle: float) -> None:
    def detect() -> Changes:
        return model.detect(ground(), built(), angle=angle)

    assert f"the angle is {angle}" in refusal(UsageError, detect)


def test_a_folder_that_is_a_file_is_named(tmp_path: Path, picture: Path) -> None:
    changes = model.detect(ground(), built())
    for folder in (picture, picture / "below"):
        assert str(folder) in refusal(OutputError, changes.save, folder)
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere" / "else")
    assert str(dangling) in refusal(OutputError, changes.save, dangling)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="may write into any folder"
)
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        message = refusal(OutputError, model.detect(ground(), built()).save, tmp_path)
    finally:
        tmp_path.chmod(0o700)
    assert str(tmp_path) in message


@pytest.mark.parametrize("name", ["changes.geojson", "change_mask.png", "run.json"])
def test_a_folder_in_the_place_of_a_result_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    message = refusal(OutputError, model.detect(ground(), built()).save, tmp_path)
    assert str(tmp_path / name) in message
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".")]


@pytest.mark.parametrize(
    "convert",
    [
        lambda image: image,
        lambda image: image[..., 0],
        lambda image: image[..., :1],
        lambda image: image[:, ::-1][:, ::-1],
        opaque,
        lambda image: image.astype(np.uint16) * 200,
        lambda image: image.astype(np.int32) - 100_000,
        lambda image: image.astype(np.float32) / 255,
        lambda image: image.astype(np.float64) * 1e-12,
        lambda image: image.astype(np.float16),
    ],
    ids=["rgb", "grey", "grey1", "view", "rgba", "u16", "i32", "f32", "tiny", "f16"],
)
def test_the_square_is_found_whatever_holds_the_values(convert: Callable[..., np.ndarray]) -> None:
    assert is_the_square(model.detect(convert(ground()), convert(built())))
    assert not model.detect(convert(built()), convert(built())).to_mask().any()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_the_square_is_found_in_every_kind_of_png(tmp_path: Path, mode: str) -> None:
    for name, pixels in (("before", ground()), ("after", built())):
        image = Image.fromarray(pixels)
        if mode == "I;16":
            image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
        elif mode == "1":
            image = Image.fromarray(pixels[..., 0] > 120)
        else:
            image = image.convert(mode)
        assert image.mode == mode
        image.save(tmp_path / f"{name}.png")
    changes = model.detect(tmp_path / "before.png", tmp_path / "after.png")
    assert is_the_square(changes)
    assert len(changes.save(tmp_path / "out")) == 5


def test_what_is_transparent_at_one_date_is_no_change() -> None:
    after = opaque(built())
    after[30:44, 40:60] = (255, 0, 0, 0)
    for before, later in ((ground(), after), (opaque(ground()), after)):
        changes = model.detect(before, later)
        assert is_the_square(changes)
        assert not changes.to_mask()[30:44, 40:60].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("date", ["before", "after"])
def test_what_is_no_number_at_one_date_is_no_change(date: str, bad: float) -> None:
    pair = {"before": ground().astype(np.float32), "after": built().astype(np.float32)}
    pair[date][30:44, 40:60] = bad
    changes = model.detect(pair["before"], pair["after"])
    assert is_the_square(changes)
    assert not changes.to_mask()[30:44, 40:60].any()


def test_nodata_of_a_raster_is_no_change(tmp_path: Path) -> None:
    before, after = ground().astype(np.float32), built().astype(np.float32)
    after[30:44, 40:60] = -9999
    write_geotiff(tmp_path / "before.tif", before, "EPSG:32633", GRID, nodata=-9999)
    write_geotiff(tmp_path / "after.tif", after, "EPSG:32633", GRID, nodata=-9999)
    changes = model.detect(tmp_path / "before.tif", tmp_path / "after.tif")
    assert is_the_square(changes)
    assert not changes.to_mask()[30:44, 40:60].any()


@pytest.mark.parametrize("value", [0, 100, 255])
def test_the_square_is_found_where_one_date_is_even(value: int) -> None:
    even = np.full((*SHAPE, 3), value, np.uint8)
    on_even = even.copy()
    on_even[SQUARE] = 255 - value
    assert is_the_square(model.detect(even, on_even))
    assert is_the_square(model.detect(on_even, even))


@pytest.mark.parametrize("value", [0, 7, 255])
def test_two_even_images_have_no_changes(value: int) -> None:
    even = np.full((*SHAPE, 3), value, np.uint8)
    assert len(model.detect(even, even)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 40), (40, 1), (2, 2), (3, 5)])
def test_an_image_of_a_few_pixels_equals_itself(tmp_path: Path, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    changes = model.detect(image, image)
    assert len(changes) == 0
    assert changes.to_mask().shape == shape
    assert len(changes.save(tmp_path)) == 5


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 40), (40, 1), (2, 2), (3, 5)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_few_pixels_that_differ_give_a_whole_answer(
    tmp_path: Path, shape: tuple[int, int], dtype: type
) -> None:
    random = np.random.default_rng(1)
    before, after = (random.integers(0, 256, (*shape, 3)).astype(dtype) for _ in range(2))
    changes = model.detect(before, after, angle=0)
    assert changes.masks().shape == (len(changes), *shape)
    assert changes.masks().any((1, 2)).all()
    assert ((changes.angle > 0) & (changes.angle <= 180)).all()
    assert len(changes.to_geodataframe()) == len(changes)
    assert len(changes.save(tmp_path)) == 5


def test_identical_images_have_no_changes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3)).astype(np.uint8)
    for image in (ground(), built(), noise):
        changes = model.detect(image, image.copy())
        assert len(changes) == 0
        assert not changes.to_mask().any()


def test_what_is_given_is_left_as_it_was() -> None:
    before, after = opaque(ground()), opaque(built())
    after[:5, :5, 3] = 0
    kept = before.copy(), after.copy()
    model.detect(before, after)
    np.testing.assert_array_equal(before, kept[0])
    np.testing.assert_array_equal(after, kept[1])


def test_a_read_only_array_will_do() -> None:
    before, after = ground(), built()
    before.flags.writeable = after.flags.writeable = False
    assert is_the_square(model.detect(before, after))
