"""The outputs of a scene as an item of a SpatioTemporal Asset Catalog (STAC 1.1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import shapely
from pyproj import CRS
from rasterio.warp import transform_geom

from terradelta.geo.grid import Grid

STAC_VERSION = "1.1.0"
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".png": "image/png",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".gpkg": "application/geopackage+sqlite3",
    ".fgb": "application/vnd.flatgeobuf",
    ".parquet": "application/vnd.apache.parquet",
}
ROLES = {".png": ["overview"], ".json": ["metadata"]}
EDGE_POINTS = 16


def stac_item(
    identifier: str,
    grid: Grid,
    files: Iterable[str],
    *,
    made: datetime,
    interval: tuple[datetime, datetime] | None = None,
    properties: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An item, to be written as JSON beside its assets.

    Args:
        identifier: its ``id``.
        grid: that of the rasters; the item's geometry is its outline.
        files: names of the assets, relative to the item.
        made: when they were made; it stands for the date where ``interval`` is unknown.
        interval: when *before* and *after* were acquired. Times without a zone are UTC.
        properties: more of them.
    """
    outline = _outline(grid)
    times = {"datetime": _rfc3339(interval[1] if interval else made)}
    if interval:
        times |= {"start_datetime": _rfc3339(interval[0]), "end_datetime": _rfc3339(interval[1])}
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [PROJECTION],
        "id": identifier,
        "geometry": shapely.geometry.mapping(outline),
        "bbox": _bbox(outline),
        "properties": {
            **times,
            "created": _rfc3339(made),
            **_projection(grid),
            **(properties or {}),
        },
        "links": [],
        "assets": {PurePath(name).stem: _asset(name) for name in files},
    }


def _asset(name: str) -> dict[str, Any]:
    suffix = PurePath(name).suffix
    return {"href": f"./{name}", "type": TYPES[suffix], "roles": ROLES.get(suffix, ["data"])}


def _projection(grid: Grid) -> dict[str, Any]:
    crs = CRS.from_user_input(grid.crs)
    code = crs.to_authority()
    named = {"proj:code": ":".join(code)} if code else {"proj:projjson": crs.to_json_dict()}
    return {
        **named,
        "proj:shape": list(grid.shape),
        "proj:transform": list(grid.transform)[:6],
        "proj:bbox": list(grid.bounds),
    }


def _outline(grid: Grid) -> shapely.Polygon | shapely.MultiPolygon:
    """The grid's edges in longitude and latitude, in two parts where they cross 180 degrees."""
    left, bottom, right, top = grid.bounds
    box = shapely.box(left, bottom, right, top)
    dense = shapely.segmentize(box, max(right - left, top - bottom) / EDGE_POINTS)
    geometry = shapely.geometry.mapping(dense)
    lonlat = transform_geom(grid.crs, "EPSG:4326", geometry, antimeridian_cutting=True, precision=7)
    return shapely.geometry.polygon.orient(shapely.geometry.shape(lonlat))


def _bbox(outline: shapely.Polygon | shapely.MultiPolygon) -> list[float]:
    """West, south, east, north; west is the larger one where the outline crosses 180 degrees."""
    west, south, east, north = outline.bounds
    parts = [part.bounds for part in shapely.get_parts(outline)]
    if len(parts) > 1:
        west = min(bounds[0] for bounds in parts if bounds[0] > 0)
        east = max(bounds[2] for bounds in parts if bounds[0] <= 0)
    return [west, south, east, north]


def _rfc3339(time: datetime) -> str:
    zoned = time if time.tzinfo else time.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
