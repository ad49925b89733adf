"""The files of a detection."""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from terradelta import __version__
from terradelta.geo.files import (
    replacing,
    writable_folder,
    write_geotiff,
    write_json,
    write_png,
    write_text,
)
from terradelta.geo.pair import Pair
from terradelta.geo.polygons import mask_polygon
from terradelta.geo.reader import Georeference
from terradelta.sam.masks import BoolArray, FloatArray, Masks

if TYPE_CHECKING:
    import geopandas

LIBRARIES = ("numpy", "scipy", "scikit-image", "torch", "transformers", "rasterio")


class Saved(Protocol):
    """An answer that can be saved: `Changes`, or those of a detector.

    ``score_unit`` and ``grey_unit`` say what the score is, as numbers and as a grey picture.
    """

    score_unit: ClassVar[str]
    grey_unit: ClassVar[str]

    @property
    def pair(self) -> Pair: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...

    def __len__(self) -> int: ...

    def to_mask(self) -> BoolArray: ...

    def score_image(self) -> FloatArray: ...

    def score_grey(self) -> NDArray[np.uint8]: ...

    def to_geodataframe(self) -> geopandas.GeoDataFrame: ...

    def overlay(self) -> NDArray[np.uint8]: ...

    def describe_threshold(self) -> dict[str, Any]: ...


def polygons_of(
    masks: Masks, reference: Georeference | None, columns: Mapping[str, Any]
) -> geopandas.GeoDataFrame:
    """One polygon a mask with id, the columns and area_px; see `Changes.to_geodataframe`."""
    import geopandas

    transform = reference.transform if reference else None
    outlines = [mask_polygon(*masks.crop(n), transform) for n in range(len(masks))]
    table = {"id": np.arange(1, len(masks) + 1), **columns, "area_px": masks.areas}
    crs = reference.crs.to_wkt() if reference else None
    return geopandas.GeoDataFrame(table, geometry=outlines, crs=crs)


def save_changes(changes: Saved, folder: Path) -> list[Path]:
    """See `Changes.save`."""
    folder = writable_folder(folder)
    written = [
        _save_polygons(changes, folder),
        *_save_images(changes, folder),
        folder / "overlay.png",
        folder / "run.json",
    ]
    write_png(folder / "overlay.png", changes.overlay())
    write_json(folder / "run.json", describe_run(changes, [path.name for path in written]))
    return written


def _save_polygons(changes: Saved, folder: Path) -> Path:
    table = changes.to_geodataframe()
    if changes.pair.georeference:
        path = folder / "changes.gpkg"
        database = io.BytesIO()
        table.to_file(database, layer="changes", driver="GPKG", engine="pyogrio")
        with replacing(path) as temporary:
            temporary.write_bytes(database.getvalue())
        return path
    path = folder / "changes.geojson"
    collection = json.loads(table.to_json(drop_id=True))
    collection["coordinate_system"] = "pixels, origin top left, x right, y down"
    write_text(path, json.dumps(collection))
    return path


def _save_images(changes: Saved, folder: Path) -> tuple[Path, Path]:
    mask = changes.to_mask().astype(np.uint8) * np.uint8(255)
    reference = changes.pair.georeference
    if reference is None:
        paths = folder / "change_mask.png", folder / "score.png"
        write_png(paths[0], mask)
        write_png(paths[1], changes.score_grey())
        return paths
    paths = folder / "change_mask.tif", folder / "score.tif"
    place = reference.crs, reference.transform
    score = np.where(changes.pair.valid, changes.score_image(), np.nan).astype(np.float32)
    write_geotiff(paths[0], mask, *place, description="255 where changed")
    write_geotiff(paths[1], score, *place, nodata=float("nan"), description=changes.score_unit)
    return paths


def describe_run(changes: Saved, files: list[str]) -> dict[str, Any]:
    """What `run.json` records: inputs with their hashes, settings, result and versions."""
    pair = changes.pair
    reference = pair.georeference
    height, width = pair.shape
    return {
        "terradelta": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "before": _describe_input(pair.sources[0], pair.before, pair.bands[0]),
        "after": _describe_input(pair.sources[1], pair.after, pair.bands[1]),
        "size_px": [width, height],
        "valid_fraction": round(float(pair.valid.mean()), 6),
        "crs": reference.crs.to_string() if reference else None,
        "transform": list(reference.transform)[:6] if reference else None,
        **changes.settings,
        **changes.describe_threshold(),
        "changes": len(changes),
        "changed_fraction": round(float(changes.to_mask().mean()), 6),
        "score_image": changes.score_unit if reference else changes.grey_unit,
        "files": files,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _describe_input(source: str | Path, pixels: Any, bands: tuple[int, ...]) -> dict[str, Any]:
    in_memory = np.ascontiguousarray(pixels).tobytes
    content = source.read_bytes() if isinstance(source, Path) else in_memory()
    return {
        "source": str(source),
        "sha256": hashlib.sha256(content).hexdigest(),
        "bands": list(bands),
    }
