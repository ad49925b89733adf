"""Items against what the STAC 1.1 item specification and its projection extension ask for."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
import shapely
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

from terradelta.geo.grid import Grid
from terradelta.geo.stac import stac_item

GRID = Grid(CRS.from_epsg(32633), Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000), 4000, 3000)
MADE = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
FILES = ["changes.gpkg", "change_mask.tif", "score.tif", "overlay.png", "run.json"]


def test_an_item_has_every_field_that_the_specification_requires() -> None:
    item = json.loads(json.dumps(stac_item("a-pair", GRID, FILES, made=MADE)))
    assert item["type"] == "Feature"
    assert item["stac_version"] == "1.1.0"
    assert item["id"] == "a-pair"
    assert item["links"] == []
    assert item["properties"]["datetime"] == item["properties"]["created"] == "2026-03-04T05:06:07Z"
    assert {asset["href"] for asset in item["assets"].values()} == {f"./{name}" for name in FILES}
    for asset in item["assets"].values():
        assert "/" in asset["type"]
        assert asset["roles"]
    assert item["assets"]["score"]["type"].endswith("profile=cloud-optimized")


def test_the_outline_is_the_grid_in_longitude_and_latitude() -> None:
    item = stac_item("a-pair", GRID, [], made=MADE)
    outline = shapely.geometry.shape(item["geometry"])
    assert outline.is_valid
    assert outline.exterior.is_ccw
    expected = transform_bounds(GRID.crs, "EPSG:4326", *GRID.bounds)
    assert item["bbox"] == pytest.approx(expected, abs=1e-6)
    assert item["bbox"] == pytest.approx(outline.bounds)


def test_the_projection_is_told() -> None:
    properties = stac_item("a-pair", GRID, [], made=MADE)["properties"]
    assert properties["proj:code"] == "EPSG:32633"
    assert properties["proj:shape"] == [3000, 4000]
    assert properties["proj:transform"] == [0.5, 0, 500_000, 0, -0.5, 5_400_000]
    assert properties["proj:bbox"] == [500_000, 5_398_500, 502_000, 5_400_000]


def test_a_crs_without_a_code_is_written_out() -> None:
    own = Grid(CRS.from_proj4("+proj=laea +lat_0=10 +lon_0=20 +datum=WGS84"), GRID.transform, 8, 8)
    properties = stac_item("a-pair", own, [], made=MADE)["properties"]
    assert "proj:code" not in properties
    assert properties["proj:projjson"]["type"] == "ProjectedCRS"


def test_across_the_180th_meridian_west_is_the_larger_longitude() -> None:
    """RFC 7946, 5.2; the outline is in two parts."""
    fiji = Grid(CRS.from_epsg(32760), Affine(100, 0, 800_000, 0, -100, 8_000_000), 600, 100)
    item = stac_item("fiji", fiji, [], made=MADE)
    west, _, east, _ = item["bbox"]
    assert 179 < west < 180
    assert -180 < east < -179
    assert item["geometry"]["type"] == "MultiPolygon"
    assert len(item["geometry"]["coordinates"]) == 2


def test_dates_of_the_pair_are_its_interval() -> None:
    """A time without a zone is UTC, one of another zone is converted."""
    summer = timezone(timedelta(hours=2))
    interval = datetime(2019, 6, 1, 10), datetime(2023, 6, 1, 12, tzinfo=summer)
    item = stac_item("x", GRID, [], made=MADE, interval=interval, properties={"gsd": 0.5})
    properties = item["properties"]
    assert properties["start_datetime"] == "2019-06-01T10:00:00Z"
    assert properties["end_datetime"] == properties["datetime"] == "2023-06-01T10:00:00Z"
    assert properties["created"] == "2026-03-04T05:06:07Z"
    assert properties["gsd"] == 0.5
