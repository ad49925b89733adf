"""Objects as a vector file, of any number: made and written chunk by chunk."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow
import pyogrio
import shapely
from numpy.typing import NDArray
from pyarrow import parquet
from pyproj import CRS, Geod, Transformer

from terradelta import __version__
from terradelta.errors import OutputError, UsageError
from terradelta.geo.files import write_text
from terradelta.geo.scratch import built_aside, output_errors
from terradelta.geo.style import add_to_geopackage, changes_qml, has_style

LAYER = "changes"
DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf", ".geojson": "GeoJSON"}
SUFFIXES = (*DRIVERS, ".parquet")
SHOWN_DECIMALS = {"angle": 3, "score": 5, "iou": 4, "stability": 4, "valid_fraction": 4}
SCHEMA = pyarrow.schema(
    {
        "id": pyarrow.int64(),
        "angle": pyarrow.float64(),
        "score": pyarrow.float64(),
        "iou": pyarrow.float64(),
        "stability": pyarrow.float64(),
        "date": pyarrow.string(),
        "area_m2": pyarrow.float64(),
        "perimeter_m": pyarrow.float64(),
        "valid_fraction": pyarrow.float64(),
        "model": pyarrow.string(),
        "review": pyarrow.string(),
        "geometry": pyarrow.binary(),
    }
)


def write_objects(path: str | Path, chunks: Iterable[geopandas.GeoDataFrame], *, crs: Any) -> int:
    """Write objects as GeoPackage, GeoParquet, FlatGeobuf or GeoJSON, by suffix; return how many.

    Each chunk has the columns id, angle, score, iou, stability, date, valid_fraction and model and
    polygons in ``crs`` (anything that pyproj takes). area_m2 and perimeter_m are added, and
    ``review``, empty: it is the analyst's. All are MultiPolygons in one layer, ``changes``, in
    ``crs``, but in longitude and latitude of WGS 84 in GeoJSON, which knows no other. A style for QGIS
    goes into the GeoPackage, or beside the file as ``.qml``. No chunk is held after it is written.

    Raises:
        UsageError: the suffix is another.
        OutputError: the file cannot be written, or GeoJSON cannot hold the CRS.
    """
    path, crs = Path(path), CRS.from_user_input(crs)
    check_suffix(path)
    batches = _Batches(chunks, crs, _to_lonlat(crs, path) if path.suffix == ".geojson" else None)
    write = _write_parquet if path.suffix == ".parquet" else _write_ogr
    with built_aside(path) as temporary:
        try:
            with output_errors(path):
                write(temporary, batches, crs)
        except OutputError:
            # What went wrong in making a chunk comes back from GDAL as an error of writing.
            if batches.failure is not None:
                raise batches.failure from None
            raise
        with output_errors(path):
            if path.suffix == ".gpkg":
                add_to_geopackage(temporary, LAYER)
            _check(temporary, batches.written)
        if path.suffix != ".gpkg":
            write_text(path.with_suffix(".qml"), changes_qml())
    return batches.written


def check_suffix(path: Path) -> None:
    """Raises UsageError unless `write_objects` knows the suffix."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: the suffix must be one of {', '.join(SUFFIXES)}")


def geodesic_area_perimeter(
    geometries: Any, crs: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Areas in square metres and lengths of all outlines, holes' too, in metres; float64 [N] each.

    On the ellipsoid of the CRS, without its map distortion; ``geometries`` are N polygons in ``crs``.
    In a local (engineering) CRS, which has no ellipsoid, on the plane.
    """
    shapes, crs = np.asarray(geometries, dtype=object), CRS.from_user_input(crs)
    geod, lonlat = crs.get_geod(), crs.geodetic_crs
    if geod is None or lonlat is None:
        unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        return shapely.area(shapes) * unit**2, shapely.length(shapes) * unit
    degrees = np.degrees(lonlat.axis_info[0].unit_conversion_factor)  # France counts in grads
    move = Transformer.from_crs(crs, lonlat, always_xy=True).transform
    return _on_ellipsoid(shapes, lambda x, y: np.asarray(move(x, y)) * degrees, geod)


def _on_ellipsoid(
    shapes: NDArray[Any], to_degrees: Any, geod: Geod
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    area, perimeter = np.zeros(len(shapes)), np.zeros(len(shapes))
    polygons, owner = shapely.get_parts(shapes, return_index=True)
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    lon, lat = to_degrees(xy[:, 0], xy[:, 1])
    ends = np.cumsum(np.bincount(ring, minlength=len(rings)))
    for n, end in enumerate(ends):
        start = ends[n - 1] if n else 0
        inside, length = geod.polygon_area_perimeter(lon[start:end], lat[start:end])
        is_hole = n > 0 and polygon[n] == polygon[n - 1]
        area[owner[polygon[n]]] += -abs(inside) if is_hole else abs(inside)
        perimeter[owner[polygon[n]]] += length
    return area, perimeter


class _Batches:
    """Chunks as Arrow record batches; counts them and keeps the error that ended them."""

    def __init__(
        self, chunks: Iterable[geopandas.GeoDataFrame], crs: CRS, to_lonlat: Any | None
    ) -> None:
        self.chunks, self.crs, self.to_lonlat = chunks, crs, to_lonlat
        self.written = 0
        self.failure: BaseException | None = None
        self.bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])

    def __iter__(self) -> Iterator[pyarrow.RecordBatch]:
        try:
            for chunk in self.chunks:
                if len(chunk):
                    yield self._batch(chunk)
                    self.written += len(chunk)
        except (Exception, KeyboardInterrupt) as error:
            self.failure = error
            raise

    def _batch(self, chunk: geopandas.GeoDataFrame) -> pyarrow.RecordBatch:
        shapes = np.asarray(chunk.geometry.values, dtype=object)
        area, perimeter = geodesic_area_perimeter(shapes, self.crs)
        table = {name: chunk[name].to_numpy() for name in chunk.columns if name in SCHEMA.names}
        for name, decimals in SHOWN_DECIMALS.items():
            table[name] = np.asarray(table[name], float).round(decimals)
        if self.to_lonlat is not None:
            shapes = shapely.transform(shapes, lambda xy: np.column_stack(self.to_lonlat(*xy.T)))
        self._stretch_bounds(shapes)
        table |= {"area_m2": area.round(4), "perimeter_m": perimeter.round(4)}
        table |= {"review": [None] * len(shapes), "geometry": shapely.to_wkb(_multi(shapes))}
        return pyarrow.RecordBatch.from_pydict(table, schema=SCHEMA)

    def _stretch_bounds(self, shapes: NDArray[Any]) -> None:
        x0, y0, x1, y1 = shapely.total_bounds(shapes)
        low = np.minimum(self.bounds[:2], (x0, y0))
        self.bounds = np.concatenate([low, np.maximum(self.bounds[2:], (x1, y1))])


def _write_ogr(path: Path, batches: _Batches, crs: CRS) -> None:
    options = {"RFC7946": "YES", "COORDINATE_PRECISION": "8"} if path.suffix == ".geojson" else {}
    pyogrio.raw.write_arrow(
        pyarrow.RecordBatchReader.from_batches(SCHEMA, iter(batches)),
        path,
        layer=LAYER,
        driver=DRIVERS[path.suffix],
        geometry_name="geometry",
        geometry_type="MultiPolygon",
        crs="EPSG:4326" if path.suffix == ".geojson" else _name(crs),
        dataset_options={"VERSION": "1.2"} if path.suffix == ".gpkg" else {},
        layer_options=options,
    )


def _write_parquet(path: Path, batches: _Batches, crs: CRS) -> None:
    """GeoParquet 1.1; geopandas writes it only of a whole table."""
    with parquet.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
        column = {"encoding": "WKB", "geometry_types": ["MultiPolygon"], "crs": crs.to_json_dict()}
        if batches.written:
            column["bbox"] = batches.bounds.tolist()
        described = {
            "version": "1.1.0",
            "primary_column": "geometry",
            "columns": {"geometry": column},
            "creator": {"library": "terradelta", "version": __version__},
        }
        writer.add_key_value_metadata({"geo": json.dumps(described)})


def _check(path: Path, written: int) -> None:
    """GDAL does not tell of a disk that fills up while a file is being closed; pyarrow does."""
    whole = True
    if path.suffix == ".geojson":
        with path.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            whole = file.read().split()[-2:] == [b"]", b"}"]
    elif path.suffix == ".fgb":
        with pyogrio.raw.open_arrow(path, batch_size=1000, use_pyarrow=True) as (_, batches):
            whole = sum(batch.num_rows for batch in batches) == written
    elif path.suffix == ".gpkg":
        info = pyogrio.read_info(path, layer=LAYER)
        indexed = info["capabilities"]["fast_spatial_filter"]
        whole = info["features"] == written and indexed and has_style(path)
    if not whole:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _to_lonlat(crs: CRS, path: Path) -> Any:
    if crs.geodetic_crs is None:
        raise OutputError(
            f"cannot write {path}: GeoJSON is in longitude and latitude, and the CRS "
            f"{crs.name!r} is local. Write a .gpkg instead"
        )
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform


def _multi(shapes: NDArray[Any]) -> NDArray[Any]:
    """All as MultiPolygons: a layer of one type opens everywhere."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    return np.asarray(shapely.multipolygons(parts, indices=owner), dtype=object)


def _name(crs: CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.to_wkt()
