"""Writing files so that an interrupted run leaves either the old file or the new one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from terradelta.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` that takes its place if all goes well.

    Raises:
        OutputError: the folder cannot be made or the file cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except (OSError, RasterioError) as error:
        raise OutputError(f"cannot write {path}: {error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def writable_folder(folder: str | Path) -> Path:
    """The folder, made if need be and tried out before any long work begins.

    Raises:
        OutputError: it is a file, or nothing can be written into it.
    """
    folder = Path(folder)
    probe = folder / f".terradelta.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write into the folder {folder}: {reason}") from error
    return folder


def write_geotiff(
    path: Path,
    pixels: NDArray[Any],
    crs: CRS | str | None,
    transform: Affine,
    *,
    nodata: float | None = None,
    description: str | None = None,
) -> None:
    """Write an image [H, W] or [H, W, 3], uint8 or float32, as a tiled, deflated GeoTIFF.

    Made in memory first: GDAL reports a full disk only on its error stream.
    """
    bands = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    profile = {
        "driver": "GTiff",
        "dtype": bands.dtype.name,
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "crs": crs,
        "transform": transform,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "predictor": 3 if bands.dtype.kind == "f" else 2,
        "photometric": "rgb" if bands.shape[0] == 3 else "minisblack",
    }
    with replacing(path) as temporary, MemoryFile() as memory:
        with memory.open(**profile) as target:
            target.write(bands)
            if description:
                target.set_band_description(1, description)
        temporary.write_bytes(memory.getbuffer())


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a uint8 image [H, W] or [H, W, 3] as PNG."""
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write an indented JSON file; scalars of numpy become plain numbers."""
    write_text(path, json.dumps(content, indent=2, default=lambda scalar: scalar.item()) + "\n")
