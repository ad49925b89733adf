from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

from terradelta.data.windows import Window, cut, windows_of
from terradelta.errors import InputError, UsageError
from terradelta.geo.pair import Pair
from terradelta.geo.reader import Georeference


def pair(georeference: Georeference | None = None) -> Pair:
    before = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    valid = np.ones((5, 7), bool)
    valid[0, 0] = False
    sources = Path("before.tif"), Path("after.tif")
    return Pair(before, before + 1, valid, georeference, sources, ((1, 2, 3), (1, 2, 3)))


def test_windows_lie_side_by_side_and_the_last_are_cut_short() -> None:
    assert windows_of((5, 7), 4) == [
        Window(0, 0, 4, 4),
        Window(0, 4, 4, 3),
        Window(4, 0, 1, 4),
        Window(4, 4, 1, 3),
    ]


@pytest.mark.parametrize("crop", [1, 3, 4, 7, 100])
def test_every_pixel_lies_in_one_window(crop: int) -> None:
    seen = np.zeros((11, 13), int)
    for window in windows_of((11, 13), crop):
        seen[window.slices] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize(
    ("shape", "crop", "count"),
    [
        ((15354, 32507), 512, 1920),  # WHU-CD in ChangeCLIP, section 4.1
        ((15354, 32507), 256, 127 * 60),
        ((1024, 1024), 256, 16),
        ((512, 512), 512, 1),
    ],
)
def test_the_windows_of_the_papers(shape: tuple[int, int], crop: int, count: int) -> None:
    assert len(windows_of(shape, crop)) == count


@pytest.mark.parametrize("crop", [0, -5])
def test_a_crop_without_pixels_is_refused(crop: int) -> None:
    with pytest.raises(UsageError, match=f"crop is {crop}"):
        windows_of((5, 7), crop)


def test_a_window_shows_its_part_of_both_dates() -> None:
    part = cut(pair(), Window(0, 4, 4, 3))
    assert part.shape == (4, 3)
    assert (part.before == pair().before[0:4, 4:7]).all()
    assert (part.after == pair().after[0:4, 4:7]).all()
    assert part.valid.all()
    assert not cut(pair(), Window(0, 0, 2, 2)).valid[0, 0]


def test_without_a_window_a_pair_stays_as_it_is() -> None:
    whole = pair()
    assert cut(whole, None) is whole


def test_a_window_lies_where_its_pixels_lie() -> None:
    there = Georeference(CRS.from_epsg(32633), Affine(2, 0, 500_000, 0, -2, 5_400_000))
    part = cut(pair(there), Window(4, 4, 1, 3)).georeference
    assert part is not None
    assert part.crs == there.crs
    assert part.transform == Affine(2, 0, 500_008, 0, -2, 5_399_992)


def test_a_window_beyond_the_pair_is_refused() -> None:
    with pytest.raises(InputError, match=r"before\.tif is 7 x 5 px: .* at column 4, row 0"):
        cut(pair(), Window(0, 4, 4, 4))
