"""The files of a detection."""

from __future__ import annotations

import hashlib
import io
import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from terradelta.sam.masks import FloatArray

if TYPE_CHECKING:
    from terradelta.zeroshot.changes import Changes

PNG_WHITE_DEG = 90.0
LIBRARIES = ("numpy", "scipy", "scikit-image", "torch", "transformers", "rasterio")


def save_changes(changes: Changes, folder: Path) -> list[Path]:
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


def _save_polygons(changes: Changes, folder: Path) -> Path:
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


def _save_images(changes: Changes, folder: Path) -> tuple[Path, Path]:
    mask = changes.to_mask().astype(np.uint8) * np.uint8(255)
    reference = changes.pair.georeference
    if reference is None:
        paths = folder / "change_mask.png", folder / "score.png"
        write_png(paths[0], mask)
        write_png(paths[1], angle_as_grey(changes.pixel_angle))
        return paths
    paths = folder / "change_mask.tif", folder / "score.tif"
    place = reference.crs, reference.transform
    score = np.where(changes.pair.valid, changes.score_image(), np.nan).astype(np.float32)
    write_geotiff(paths[0], mask, *place, description="255 where changed")
    write_geotiff(paths[1], score, *place, nodata=float("nan"), description="-cos(angle)")
    return paths


def angle_as_grey(angle: FloatArray) -> NDArray[np.uint8]:
    """Angles [H, W] as grey: 0 degrees black, 90 and more white."""
    return np.asarray(np.clip(angle / PNG_WHITE_DEG * 255 + 0.5, 0, 255), np.uint8)


def describe_run(changes: Changes, files: list[str]) -> dict[str, Any]:
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
        "threshold_deg": round(changes.threshold, 4),
        "changes": len(changes),
        "changed_fraction": round(float(changes.to_mask().mean()), 6),
        "score_image": "-cos(angle)" if reference else f"grey, {PNG_WHITE_DEG:g} degrees is white",
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
