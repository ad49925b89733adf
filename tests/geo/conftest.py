"""Made pairs, rasters written from them, and samples of arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from terradelta import make_scene
from terradelta.geo.sample import Sample, take_sample
from terradelta.synth import Scene

TRANSFORM = Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)


@pytest.fixture(scope="session")
def village() -> Scene:
    """640 x 640 px with changes, other light and season, and *after* displaced by (-0.35, 0.25) px."""
    return make_scene(640, seed=5)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes [C, H, W] as a GeoTIFF of half a metre, on a grid of whole metres."""

    def write(name: str, bands: np.ndarray, transform: Affine = TRANSFORM, **options: Any) -> Path:
        mask, meaning = options.pop("mask", None), options.pop("meaning", None)
        shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
        profile = {
            "crs": "EPSG:32633",
            "dtype": bands.dtype.name,
            "transform": transform,
            **options,
        }
        path = tmp_path / name
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", driver="GTiff", **shape, **profile) as target,
        ):
            if meaning:
                target.colorinterp = meaning
            target.write(bands)
            if mask is not None:
                target.write_mask(mask)
        return path

    return write


def sample_of(before: np.ndarray, after: np.ndarray, valid: np.ndarray | None = None) -> Sample:
    """The sample of two images [H, W, 3]."""
    mask = np.ones(before.shape[:2], bool) if valid is None else valid
    first, second = before.transpose(2, 0, 1), after.transpose(2, 0, 1)

    def read(x0: int, y0: int, x1: int, y1: int) -> Any:
        return first[:, y0:y1, x0:x1], second[:, y0:y1, x0:x1], mask[y0:y1, x0:x1]

    return take_sample(read, mask.shape, (before.dtype, after.dtype))


@pytest.fixture
def sampled() -> Callable[..., Sample]:
    """`sample_of`."""
    return sample_of
