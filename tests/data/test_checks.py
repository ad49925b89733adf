from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terradelta.data import checks
from terradelta.data.checks import look_at_change, look_at_codes, look_at_colours, look_at_image
from terradelta.errors import InputError

COLOURS = [(255, 255, 255), (0, 0, 255), (128, 0, 0)]
LOOKS = [
    look_at_image,
    look_at_change,
    partial(look_at_codes, count=9),
    partial(look_at_colours, colours=COLOURS),
]


@pytest.fixture(params=[4_000_000, 1], ids=["whole", "row by row"])
def strip(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "STRIP_PIXELS", request.param)


@pytest.mark.usefixtures("strip")
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_file_that_is_cut_off_is_found(
    tmp_path: Path, make: Any, suffix: str, share: float
) -> None:
    path = make.save(tmp_path / f"image.{suffix}", make.picture((40, 50)))
    assert look_at_image(path).shape == (40, 50)
    make.truncate(path, share)
    for look in LOOKS:
        with pytest.raises(InputError, match=rf"image\.{suffix} "):
            look(path)


@pytest.mark.parametrize("lost", range(1, 40))
def test_a_png_lacks_no_byte(tmp_path: Path, make: Any, lost: int) -> None:
    """Of the last 12 bytes none is a pixel's; a decoder does not miss them."""
    path = make.save(tmp_path / "mask.png", make.mask(3, 4, 10, 9))
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(InputError, match=r"mask\.png (is cut off|cannot be read)"):
        look_at_change(path)


def test_what_follows_a_png_is_no_damage(tmp_path: Path, make: Any) -> None:
    path = make.save(tmp_path / "mask.png", make.mask(3, 4, 10, 9))
    path.write_bytes(path.read_bytes() + b"notes")
    assert look_at_change(path) == ((32, 32), None)


def test_a_flipped_bit_is_found(tmp_path: Path, make: Any) -> None:
    path = make.save(tmp_path / "image.png", make.picture())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"image\.png (is cut off or damaged|cannot be read)"):
        look_at_image(path)


@pytest.mark.parametrize(
    ("content", "told"), [(None, "does not exist"), (b"", "empty"), (b"<html>", "cannot be read")]
)
def test_what_is_no_image_is_told(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "image.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=told):
        look_at_image(path)


@pytest.mark.usefixtures("strip")
def test_a_mask_with_a_third_value_is_found_wherever_it_is(tmp_path: Path, make: Any) -> None:
    truth = make.mask(3, 4, 10, 9)
    assert look_at_change(make.save(tmp_path / "mask.png", truth)) == ((32, 32), None)
    truth[31, 31] = 128
    look = look_at_change(make.save(tmp_path / "mask.png", truth))
    assert look.shape == (32, 32)
    assert look.complaint == "not a mask of change: it holds 0, 128, 255, not 0 and one other value"


def test_the_colours_of_a_palette_count_not_their_numbers(tmp_path: Path, make: Any) -> None:
    numbers = make.mask(3, 4, 10, 9, value=2)
    numbers[0, 0] = 1
    image = Image.fromarray(numbers)
    image.putpalette([0, 0, 0, 0, 0, 0, 255, 255, 255])
    image.save(tmp_path / "mask.png")
    assert look_at_change(tmp_path / "mask.png").complaint is None


@pytest.mark.usefixtures("strip")
def test_codes_and_colours_that_are_no_class_are_found(tmp_path: Path, make: Any) -> None:
    codes = (np.arange(1024).reshape(32, 32) % 9).astype(np.uint8)
    path = make.save(tmp_path / "codes.png", codes)
    assert look_at_codes(path, 9) == ((32, 32), None)
    assert look_at_codes(path, 8).complaint == "holds 8, which are no classes (0 to 7)"
    colours = np.full((32, 32, 3), 255, np.uint8)
    colours[30] = COLOURS[2]
    path = make.save(tmp_path / "colours.png", colours)
    assert look_at_colours(path, COLOURS) == ((32, 32), None)
    assert look_at_colours(path, COLOURS[:2]).complaint == (
        "holds colours that stand for no class: (128, 0, 0)"
    )
    grey = make.save(tmp_path / "grey.png", make.mask(0, 0, 32, 32))
    assert look_at_colours(grey, COLOURS) == ((32, 32), None)
