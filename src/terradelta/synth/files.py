"""Writing a scene's files: each under a temporary name, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from terradelta.errors import OutputError


def write_geotiff(path: Path, pixels: NDArray[np.uint8], crs: str, transform: Affine) -> None:
    """Write a uint8 image [h, w] or [h, w, 3] as a tiled, deflated GeoTIFF."""
    bands = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "crs": crs,
        "transform": transform,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "predictor": 2,
        "photometric": "rgb" if bands.shape[0] == 3 else "minisblack",
    }
    with _replacing(path) as temporary, rasterio.open(temporary, "w", **profile) as target:
        target.write(bands)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file."""
    with _replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` that takes its place if all goes well."""
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
