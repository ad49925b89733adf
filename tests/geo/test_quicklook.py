"""Pictures of made scenes: where the outlines lie, what is averaged, what is left white."""

from collections.abc import Iterator
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import Affine
from shapely.geometry import box

from terradelta.geo.quicklook import GAP_PX, LEGEND_PX, LONGEST_PX, write_quicklook
from terradelta.geo.scene import ScenePair
from terradelta.geo.stretch import Radiometry
from terradelta.geo.style import COLOURS

ORIGIN = Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)
AS_IS = Radiometry(
    gain=(1, 1, 1),
    offset=(0, 0, 0),
    low=(0, 0, 0),
    high=(255, 255, 255),
    fill_before=(9, 9, 9),
    fill_after=(9, 9, 9),
)
Pixels = NDArray[np.uint8]


def make(folder: Path, name: str, pixels: Pixels, nodata: int | None = None) -> Path:
    path = folder / f"{name}.tif"
    height, width = pixels.shape[1:]
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "nodata": nodata}
    place = {"width": width, "height": height, "crs": "EPSG:32633", "transform": ORIGIN}
    with rasterio.open(path, "w", **profile, **place) as target:
        target.write(pixels)
    return path


def plain(height: int, width: int, colour: tuple[int, int, int]) -> Pixels:
    return np.tile(np.array(colour, np.uint8)[:, None, None], (1, height, width))


def on_ground(*boxes: tuple[int, int, int, int]) -> list[shapely.Geometry]:
    """Rectangles of pixel edges (x0, y0, x1, y1) in the CRS."""
    return [box(*(ORIGIN * (x0, y1)), *(ORIGIN * (x1, y0))) for x0, y0, x1, y1 in boxes]


def chunks(dates: dict[str, list[shapely.Geometry]]) -> Iterator[geopandas.GeoDataFrame]:
    for date, shapes in dates.items():
        yield geopandas.GeoDataFrame({"date": [date] * len(shapes)}, geometry=shapes, crs=32633)


def draw(
    folder: Path, before: Path, after: Path, dates: dict[str, list[shapely.Geometry]]
) -> Pixels:
    path = folder / "overlay.png"
    with ScenePair(before, after) as scene:
        write_quicklook(path, scene, AS_IS, chunks(dates))
    return np.asarray(Image.open(path))


def test_both_dates_side_by_side_with_outlines_on_both(tmp_path: Path) -> None:
    height, width = 60, 50
    before = make(tmp_path, "before", plain(height, width, (10, 20, 30)))
    after = make(tmp_path, "after", plain(height, width, (100, 110, 120)))
    vanished, appeared = (5, 10, 25, 31), (30, 40, 45, 50)
    picture = draw(
        tmp_path, before, after, {"before": on_ground(vanished), "after": on_ground(appeared)}
    )
    assert picture.shape == (height + LEGEND_PX, 2 * width + GAP_PX, 3)
    panels = picture[:height, :width], picture[:height, width + GAP_PX :]
    assert (picture[:height, width : width + GAP_PX] == 255).all()
    for panel, colour in zip(panels, ((10, 20, 30), (100, 110, 120)), strict=True):
        assert (panel[0, 0] == colour).all()
        assert (panel[20, 15] == colour).all()
        for (x0, y0, x1, y1), date in ((vanished, "before"), (appeared, "after")):
            drawn = np.argwhere((panel == COLOURS[date]).all(-1))
            # A line along the edge of pixels is drawn in those on either side of it.
            assert np.abs(drawn.min(0) + 0.5 - (y0, x0)).max() <= 1
            assert np.abs(drawn.max(0) + 0.5 - (y1, x1)).max() <= 1
            assert len(drawn) == 2 * (x1 - x0 + y1 - y0)


def test_a_wide_scene_has_its_dates_one_above_the_other(tmp_path: Path) -> None:
    before = make(tmp_path, "before", plain(30, 70, (1, 2, 3)))
    after = make(tmp_path, "after", plain(30, 70, (4, 5, 6)))
    picture = draw(tmp_path, before, after, {})
    assert picture.shape == (2 * 30 + GAP_PX + LEGEND_PX, 70, 3)
    assert (picture[:30] == (1, 2, 3)).all()
    assert (picture[30 + GAP_PX : 60 + GAP_PX] == (4, 5, 6)).all()


@pytest.mark.parametrize("shape", [(2500, 1900), (1300, 4700), (1590, 700)])
def test_a_large_scene_is_made_smaller(tmp_path: Path, shape: tuple[int, int]) -> None:
    """A ramp from left to right stays one, and an object stays where it is."""
    height, width = shape
    ramp = np.tile(np.linspace(0, 255, width).round().astype(np.uint8), (3, height, 1))
    before, after = (make(tmp_path, name, ramp) for name in ("before", "after"))
    x0, y0 = int(width * 0.7), int(height * 0.6)
    picture = draw(tmp_path, before, after, {"after": on_ground((x0, y0, x0 + 200, y0 + 200))})
    assert LONGEST_PX * 0.45 < max(picture.shape[:2]) <= LONGEST_PX
    beside = height >= width
    rows, columns = (side for side in picture.shape[:2])
    across = (columns - GAP_PX) // 2 if beside else columns
    down = rows - LEGEND_PX if beside else (rows - LEGEND_PX - GAP_PX) // 2
    factor = -(-width // across)
    expected = 255 * (np.arange(across) + 0.5) * factor / width
    assert np.abs(picture[3, :across, 0] - expected)[:-1].max() <= 255 * factor / width + 1
    drawn = np.argwhere((picture[:down, :across] == COLOURS["after"]).all(-1))
    expected_corners = np.array([[y0, x0], [y0 + 200, x0 + 200]]) / factor
    assert np.abs(np.array([drawn.min(0), drawn.max(0)]) + 0.5 - expected_corners).max() <= 1


def test_what_is_invalid_is_white_and_does_not_darken_its_neighbours(tmp_path: Path) -> None:
    """A picture pixel of 2 x 2 px of which some are valid has the colour of those."""
    pixels = plain(2000, 1000, (50, 60, 70))
    pixels[:, :, ::2] = 0
    pixels[:, :1000] = 0
    before = make(tmp_path, "before", pixels, nodata=0)
    after = make(tmp_path, "after", plain(2000, 1000, (80, 90, 99)))
    picture = draw(tmp_path, before, after, {})
    assert picture.shape == (1000 + LEGEND_PX, 1000 + GAP_PX, 3)
    assert (picture[:500] == 255).all()
    assert (picture[500:1000, :500] == (50, 60, 70)).all()
    assert (picture[500:1000, 500 + GAP_PX :] == (80, 90, 99)).all()


def test_an_object_smaller_than_a_pixel_is_still_seen(tmp_path: Path) -> None:
    before, after = (
        make(tmp_path, name, plain(2000, 1000, (0, 0, 0))) for name in ("before", "after")
    )
    picture = draw(tmp_path, before, after, {"before": on_ground((400, 1200, 401, 1201))})
    assert (picture[600, 200] == COLOURS["before"]).all()


def test_a_hole_is_outlined(tmp_path: Path) -> None:
    before, after = (make(tmp_path, name, plain(60, 50, (0, 0, 0))) for name in ("before", "after"))
    outer, inner = on_ground((5, 5, 45, 45), (20, 20, 30, 30))
    picture = draw(tmp_path, before, after, {"after": [outer.difference(inner)]})
    drawn = (picture[:60, :50] == COLOURS["after"]).all(-1)
    assert drawn[15:35, 15:35].sum() == 40
