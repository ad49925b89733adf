from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from terradelta.errors import OutputError
from terradelta.geo.files import write_geotiff, write_text

TRANSFORM = Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)


@pytest.mark.parametrize("shape", [(70, 300), (70, 300, 3)])
def test_a_geotiff_reads_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    path = tmp_path / "new" / "image.tif"
    write_geotiff(path, pixels, "EPSG:32633", TRANSFORM)
    with rasterio.open(path) as source:
        read = source.read()
        assert source.crs.to_epsg() == 32633
        assert source.transform == TRANSFORM
        assert source.profile["tiled"]
        assert source.profile["compress"] == "deflate"
    expected = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    np.testing.assert_array_equal(read, expected)
    assert [entry.name for entry in path.parent.iterdir()] == ["image.tif"]


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "one")
    write_text(path, "two é")
    assert path.read_text(encoding="utf-8") == "two é"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    target = tmp_path / "taken" / "image.tif"
    with pytest.raises(OutputError, match=r"image\.tif"):
        write_geotiff(target, np.zeros((16, 16), np.uint8), "EPSG:32633", TRANSFORM)
    with pytest.raises(OutputError, match=r"image\.tif"):
        write_text(target, "text")
