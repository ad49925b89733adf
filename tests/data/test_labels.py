from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rasterio.transform import Affine

from terradelta.data.labels import change_of, read_change, read_coded, read_coloured
from terradelta.errors import InputError
from terradelta.geo.files import write_geotiff
from terradelta.geo.reader import read_raster

COLOURS = [(255, 255, 255), (0, 0, 255), (128, 0, 0)]


@pytest.fixture
def partner(tmp_path: Path, make: Any) -> Path:
    path: Path = make.save(tmp_path / "partner.png", make.picture())
    return path


@pytest.mark.parametrize("value", [1, 255])
def test_what_is_not_0_is_change(tmp_path: Path, make: Any, partner: Path, value: int) -> None:
    truth = make.mask(3, 4, 10, 9, value=value)
    changed = read_change(make.save(tmp_path / "label.png", truth), partner)
    assert changed.dtype == bool
    assert (changed == (truth > 0)).all()
    assert changed.sum() == 7 * 5


@pytest.mark.parametrize("value", [0, 255])
def test_one_value_alone_is_all_or_nothing(
    tmp_path: Path, make: Any, partner: Path, value: int
) -> None:
    truth = np.full((32, 32), value, np.uint8)
    assert read_change(make.save(tmp_path / "label.png", truth), partner).mean() == value / 255


def test_bits_and_palettes_are_masks_as_well(tmp_path: Path, make: Any, partner: Path) -> None:
    truth = make.mask(3, 4, 10, 9, value=1)
    Image.fromarray(truth > 0).save(tmp_path / "bits.png")
    palette = Image.fromarray(truth)
    palette.putpalette([0, 0, 0, 0, 255, 0])
    palette.save(tmp_path / "palette.png")
    for name in ("bits.png", "palette.png"):
        assert (read_change(tmp_path / name, partner) == (truth > 0)).all()


def test_a_third_value_is_refused_and_named(tmp_path: Path, make: Any, partner: Path) -> None:
    truth = make.mask(3, 4, 10, 9)
    truth[0, 0] = 128
    with pytest.raises(InputError, match=r"label\.png: .* holds 0, 128, 255, not 0 and one other"):
        read_change(make.save(tmp_path / "label.png", truth), partner)


def test_many_values_are_told_in_short(tmp_path: Path, make: Any, partner: Path) -> None:
    grey = np.arange(1024).reshape(32, 32).astype(np.uint8)
    with pytest.raises(InputError, match=r"holds 0, 1, 2, 3, 4, 5 and 250 more"):
        read_change(make.save(tmp_path / "label.png", grey), partner)


def test_pixels_that_are_not_valid_are_no_change(tmp_path: Path, make: Any, partner: Path) -> None:
    values = np.full((32, 32), 255, np.uint8)
    values[:10] = 7
    write_geotiff(tmp_path / "label.tif", values, "EPSG:32633", Affine.scale(2, -2), nodata=7)
    raster = read_raster(tmp_path / "label.tif")
    with pytest.raises(InputError, match="holds 7, 255"):
        change_of(raster)
    values[:10] = 0
    write_geotiff(tmp_path / "label.tif", values, "EPSG:32633", Affine.scale(2, -2), nodata=0)
    assert (read_change(tmp_path / "label.tif", partner) == (values > 0)).all()


def test_a_label_of_another_size_than_its_partner_is_refused(
    tmp_path: Path, make: Any, partner: Path
) -> None:
    label = make.save(tmp_path / "label.png", make.mask(shape=(32, 30)))
    for read in (
        lambda: read_change(label, partner),
        lambda: read_coded(label, partner, 9),
        lambda: read_coloured(label, partner, COLOURS),
    ):
        with pytest.raises(InputError, match=r"label\.png is 30 x 32 px, its partner 32 x 32"):
            read()


def test_a_partner_may_be_a_photograph_that_was_turned(tmp_path: Path, make: Any) -> None:
    photograph = Image.fromarray(make.picture((20, 30)))
    exif = photograph.getexif()
    exif[0x0112] = 6
    photograph.save(tmp_path / "partner.jpg", exif=exif)
    upright = make.save(tmp_path / "label.png", make.mask(2, 2, 9, 9, shape=(30, 20)))
    assert read_change(upright, tmp_path / "partner.jpg").shape == (30, 20)


def test_colours_stand_for_their_place_in_the_list(
    tmp_path: Path, make: Any, partner: Path
) -> None:
    colours = np.zeros((32, 32, 3), np.uint8)
    colours[:] = COLOURS[0]
    colours[:, 10:20] = COLOURS[1]
    colours[5] = COLOURS[2]
    classes = read_coloured(make.save(tmp_path / "label.png", colours), partner, COLOURS)
    assert classes.dtype == np.uint8
    assert np.bincount(classes.ravel()).tolist() == [31 * 22, 31 * 10, 32]
    assert (classes[5] == 2).all()
    assert (classes[6, 10:20] == 1).all()


def test_a_colour_that_stands_for_nothing_is_named(
    tmp_path: Path, make: Any, partner: Path
) -> None:
    colours = np.full((32, 32, 3), 255, np.uint8)
    colours[0, :5] = [[1, 2, 3], [128, 0, 1], [0, 0, 254], [9, 9, 9], [128, 0, 0]]
    label = make.save(tmp_path / "label.png", colours)
    expected = r"stand for no class: \(0, 0, 254\), \(1, 2, 3\), \(9, 9, 9\) and 1 more"
    with pytest.raises(InputError, match=expected):
        read_coloured(label, partner, COLOURS)


def test_codes_are_classes_even_under_a_palette(tmp_path: Path, make: Any, partner: Path) -> None:
    codes = (np.arange(1024).reshape(32, 32) % 9).astype(np.uint8)
    plain = make.save(tmp_path / "plain.png", codes)
    coloured = Image.fromarray(codes)
    coloured.putpalette(list(range(27)))
    coloured.save(tmp_path / "palette.png")
    for path in (plain, tmp_path / "palette.png"):
        assert (read_coded(path, partner, 9) == codes).all()
    with pytest.raises(
        InputError, match=r"plain\.png: holds 7, 8, which are no classes \(0 to 6\)"
    ):
        read_coded(plain, partner, 7)
