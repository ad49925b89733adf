"""Speed and memory of `terradelta detect` on made pairs of scenes of several sizes.

    python benchmarks/scenes.py [--sizes 2000,10000,20000] [--folder DIR]

A pair: 4 bands of uint16 with a corner without data; *after* lies in another CRS, at 0.6 m instead of
0.5 m, shifted by 1.5 px, with another gain. A made scene of 2,000 px is repeated, mirrored, to the size.
Every size runs in a process of its own, whose peak of memory is taken. Results go to
``benchmarks/results/scenes.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform
from rasterio.windows import Window

from terradelta import detect_scene, make_scene

MOTIF_PX = 2000
BLOCK_PX = 1000
SHIFT_PX = 1.5
AFTER_CRS, AFTER_M = "EPSG:3035", 0.6
RESULTS = Path(__file__).parent / "results" / "scenes.json"


def make_pair(size: int, folder: Path, motif: dict[str, NDArray[np.uint8]]) -> tuple[Path, Path]:
    """Write before.tif and after.tif of ``size`` px."""
    folder.mkdir(parents=True, exist_ok=True)
    before, moved, after = (folder / f"{name}.tif" for name in ("before", "moved", "after"))
    transform = from_origin(500_000, 5_400_000, 0.5, 0.5)
    shift = Affine.translation(SHIFT_PX * 0.5, 0)
    _write(before, motif["before"], size, transform, gain=40)
    _write(moved, motif["after"], size, shift * transform, gain=46)
    with rasterio.open(moved) as source:
        target, width, height = calculate_default_transform(
            source.crs, AFTER_CRS, source.width, source.height, *source.bounds, resolution=AFTER_M
        )
        place = {"crs": AFTER_CRS, "transform": target, "width": width, "height": height}
        with (
            WarpedVRT(source, resampling=Resampling.cubic, nodata=0, **place) as view,
            rasterio.open(after, "w", **{**source.profile, **place}) as sink,
        ):
            for window in _blocks(width, height):
                sink.write(view.read(window=window), window=window)
    moved.unlink()
    return before, after


def _write(path: Path, motif: NDArray[np.uint8], size: int, transform: Affine, gain: float) -> None:
    profile = {
        "driver": "GTiff", "dtype": "uint16", "count": 4, "width": size, "height": size,
        "crs": "EPSG:32633", "transform": transform, "nodata": 0, "tiled": True,
        "blockxsize": 512, "blockysize": 512, "bigtiff": "if_safer",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as sink:
        for window in _blocks(size, size):
            rows, columns = (
                _mirrored(start, length)
                for start, length in (
                    (window.row_off, window.height),
                    (window.col_off, window.width),
                )
            )
            rgb = motif[rows[:, None], columns].transpose(2, 0, 1).astype(np.float32)
            infrared = 0.5 * rgb[1] + 60
            values = np.concatenate([rgb, infrared[None]]) * gain + 300
            x = window.col_off + np.arange(window.width)
            y = window.row_off + np.arange(window.height)
            values[:, (x[None, :] + y[:, None]) < size / 4] = 0
            sink.write(values.astype(np.uint16), window=window)


def _mirrored(start: int, length: int) -> NDArray[np.int64]:
    position = np.arange(start, start + length) % (2 * MOTIF_PX)
    return np.minimum(position, 2 * MOTIF_PX - 1 - position)


def _blocks(width: int, height: int) -> list[Window]:
    return [
        Window(x, y, min(BLOCK_PX, width - x), min(BLOCK_PX, height - y))
        for y in range(0, height, BLOCK_PX)
        for x in range(0, width, BLOCK_PX)
    ]


def measure(folder: Path, tile: int | None) -> None:
    """Run one pair and print what it took; the process ends here, so its peak is that of the run."""
    started = time.perf_counter()
    result = detect_scene(
        folder / "before.tif", folder / "after.tif", folder / "out", tile=tile, register=True
    )
    width, height = result.record["size_px"]
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "size_px": [width, height],
                "changes": len(result),
                "seconds": round(seconds, 1),
                "stages_s": result.record["seconds"],
                "mpx_per_s": round(width * height / 1e6 / seconds, 4),
                "processor_s": round(used.ru_utime + used.ru_stime, 1),
                "peak_mb": round(used.ru_maxrss / 1024),
                "tiles": result.record["tiles"],
                "shift_px": result.record["grid"]["shift_px"],
                "gain": result.record["normalisation"]["gain"],
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="2000,10000,20000")
    parser.add_argument("--folder", type=Path, help="where the pairs are made, and kept")
    parser.add_argument("--tile", type=int)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure, given.tile)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        runs = [_run(int(size), folder, given.tile) for size in given.sizes.split(",")]
    hardware = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**hardware, "commit": commit, "runs": runs}, indent=2) + "\n")


def _run(size: int, folder: Path, tile: int | None) -> dict[str, object]:
    place = folder / str(size)
    if not (place / "after.tif").exists():
        scene = make_scene(MOTIF_PX, seed=2)
        make_pair(size, place, {"before": scene.before, "after": scene.after})
    words = [sys.executable, __file__, "--measure", str(place)]
    words += ["--tile", str(tile)] if tile else []
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout  # noqa: S603
    print(told, end="", flush=True)
    return dict(json.loads(told.splitlines()[-1]))


if __name__ == "__main__":
    main()
