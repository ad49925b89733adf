from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terradelta.data.images import pair_of, read_band, read_window, shape_of
from terradelta.data.windows import Window
from terradelta.errors import InputError
from terradelta.geo.files import write_geotiff
from terradelta.geo.pair import load_pair
from terradelta.geo.reader import read_raster


def test_the_head_tells_the_size_of_a_file_that_is_cut_off(tmp_path: Path, make: Any) -> None:
    path = make.save(tmp_path / "image.png", make.picture((20, 30)))
    assert shape_of(make.truncate(path)) == (20, 30)
    with pytest.raises(InputError, match=r"absent\.png does not exist"):
        shape_of(tmp_path / "absent.png")


def test_a_band_is_read_as_it_is_stored(tmp_path: Path, make: Any) -> None:
    codes = make.mask(3, 4, 10, 9, value=7)
    image = Image.fromarray(codes)
    image.putpalette(list(range(60)))
    image.save(tmp_path / "codes.png")
    assert (read_band(tmp_path / "codes.png") == codes).all()


def test_a_window_is_a_part_of_the_whole(tmp_path: Path, make: Any) -> None:
    path = make.save(tmp_path / "scene.tif", make.picture((40, 50)))
    whole, part = read_raster(path), read_window(path, Window(7, 11, 13, 17))
    assert (part.values == whole.values[:, 7:20, 11:28]).all()
    assert part.valid.all()
    assert part.bands == whole.bands == (1, 2, 3)
    assert part.source == path
    assert part.georeference is not None
    assert part.georeference.transform * (0, 0) == make.grid * (11, 7)


def test_a_grey_window_stands_for_three_bands_and_nodata_is_not_valid(
    tmp_path: Path, make: Any
) -> None:
    values = make.mask(0, 0, 5, 5, value=200, ground=7)
    write_geotiff(tmp_path / "scene.tif", values, "EPSG:32760", make.grid, nodata=7)
    part = read_window(tmp_path / "scene.tif", Window(0, 0, 6, 8))
    assert part.values.shape == (3, 6, 8)
    assert (part.values == values[:6, :8]).all()
    assert (part.valid == (values[:6, :8] == 200)).all()


def test_a_window_beyond_the_raster_is_refused(tmp_path: Path, make: Any) -> None:
    path = make.save(tmp_path / "scene.tif", make.picture((40, 50)))
    with pytest.raises(InputError, match=r"scene\.tif is 50 x 40 px: it has no pixels for"):
        read_window(path, Window(30, 0, 11, 10))


@pytest.mark.parametrize("depth", [np.uint8, np.uint16, np.float32])
def test_two_rasters_are_the_pair_of_their_files(tmp_path: Path, make: Any, depth: Any) -> None:
    """Also where a part is not valid: it holds the mean colour, and does not stretch the rest."""
    paths = []
    for seed, name in enumerate(("before.tif", "after.tif")):
        bands = make.picture((20, 30), seed).astype(depth)
        bands[2:6, 3:9] = 0 if depth is np.uint8 else 9999
        bands[:, :, 0] += depth(1 if depth is np.uint8 else 500)
        nodata = float(bands[2, 3, 1])
        bands[2:6, 3:9] = nodata
        paths.append(tmp_path / name)
        write_geotiff(paths[-1], bands, "EPSG:32760", make.grid, nodata=nodata)
    expected = load_pair(*paths)
    found = pair_of(*(read_raster(path) for path in paths))
    assert not found.valid[2:6, 3:9].any()
    assert found.georeference is not None
    assert found.georeference == expected.georeference
    assert found.sources == expected.sources
    assert found.bands == expected.bands
    for one, other in (
        (found.before, expected.before),
        (found.after, expected.after),
        (found.valid, expected.valid),
    ):
        assert (one == other).all()


def test_rasters_of_two_sizes_are_no_pair(tmp_path: Path, make: Any) -> None:
    paths = [
        make.save(tmp_path / "before.tif", make.picture((20, 30))),
        make.save(tmp_path / "after.tif", make.picture((20, 31))),
    ]
    with pytest.raises(
        InputError, match=r"after\.tif is 31 x 20 px, its partner \S+before\.tif 30"
    ):
        pair_of(*(read_raster(path) for path in paths))
