"""Do the tiles show? The same scene in tiles of several sizes must give the same objects.

    python benchmarks/seams.py [--size 2500] [--tiles 512,768,1024] [--seeds 0,2] [--folder DIR]

For every two sizes of tiles, in both directions: the share of the objects of one that have a partner in
the other with an intersection over union of at least 0.9, and of those that are the very same pixels.
For every size: how much of the outlines runs along a seam, against the other lines between pixels.
Results go to ``benchmarks/results/seams.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from regions import cpu_name, output

from terradelta import detect_scene, make_scene

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/seams.json"
MATCHED_IOU, SAME_IOU = 0.9, 0.9999


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=2500, help="px")
    parser.add_argument("--tiles", default="512,768,1024", help="px")
    parser.add_argument("--seeds", default="0,2", help="of the scenes")
    parser.add_argument("--folder", type=Path, help="where scenes and results are kept")
    asked = parser.parse_args()
    tiles = [int(tile) for tile in asked.tiles.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        scenes = [
            measured(folder / f"s{seed}", asked.size, int(seed), tiles)
            for seed in asked.seeds.split(",")
        ]
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": output("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "hardware": {"cpu": cpu_name(), "cores": os.cpu_count()},
        "size_px": asked.size,
        "matched_iou": MATCHED_IOU,
        "scenes": scenes,
        "lowest_matched_share": min(min(pair["matched"]) for s in scenes for pair in s["pairs"]),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def measured(folder: Path, size: int, seed: int, tiles: list[int]) -> dict[str, Any]:
    """One scene, made unless it is there, in tiles of every size."""
    if not (folder / "after.tif").exists():
        make_scene(size, seed=seed).save(folder)
    outlines, lines = {}, {}
    for tile in tiles:
        out = folder / f"out{tile}"
        record = detect_scene(folder / "before.tif", folder / "after.tif", out, tile=tile).record
        found = geopandas.read_file(out / "changes.gpkg", layer="changes").geometry.values
        outlines[tile] = found
        lines[tile] = {"objects": len(found), **along_seams(found, record)}
        print(f"seed {seed}, tiles of {tile} px: {lines[tile]}", flush=True)
    pairs = []
    for first, second in permutations(tiles, 2):
        if first < second:
            there, back = best_overlaps(outlines[first], outlines[second])
            pairs.append(
                {
                    "tiles": [first, second],
                    "matched": [share(there, MATCHED_IOU), share(back, MATCHED_IOU)],
                    "identical": [share(there, SAME_IOU), share(back, SAME_IOU)],
                    "unmatched": [int((best < MATCHED_IOU).sum()) for best in (there, back)],
                }
            )
    return {"seed": seed, "tiles": lines, "pairs": pairs}


def share(best: NDArray[np.float64], least: float) -> float:
    return round(float((best >= least).mean()), 5)


def best_overlaps(
    first: NDArray[Any], second: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of every polygon of both, the largest intersection over union with one of the other."""
    here, there = shapely.STRtree(second).query(first, predicate="intersects")
    common = shapely.area(shapely.intersection(first[here], second[there]))
    iou = common / (shapely.area(first[here]) + shapely.area(second[there]) - common)
    best = np.zeros(len(first)), np.zeros(len(second))
    np.maximum.at(best[0], here, iou)
    np.maximum.at(best[1], there, iou)
    return best


def along_seams(outlines: NDArray[Any], record: dict[str, Any]) -> dict[str, Any]:
    """Pixel edges of the outlines along a line between two pixels, on average: a seam's, and others'."""
    step, _, left, _, down, top = record["transform"]
    core, (width, height) = record["tiles"]["core_px"], record["size_px"]
    totals = {"seams": 0.0, "others": 0.0}
    counts = {"seams": 0, "others": 0}
    for axis, (origin, pixel, size) in enumerate(((left, step, width), (top, down, height))):
        length = edges_on_lines(outlines, axis, origin, pixel, size)
        line = np.arange(1, size)
        is_seam = (line + round(origin / pixel)) % core == 0
        for name, some in (("seams", is_seam), ("others", ~is_seam)):
            totals[name] += float(length[line[some]].sum()) / abs(step)
            counts[name] += int(some.sum())
    means = {name: round(totals[name] / max(counts[name], 1), 3) for name in totals}
    return {"seams": counts["seams"], "px_per_seam": means["seams"], "px_per_line": means["others"]}


def edges_on_lines(
    outlines: NDArray[Any], axis: int, origin: float, pixel: float, size: int
) -> NDArray[np.float64]:
    """float64 [size + 1]: the length in the CRS of edges that run along each line between pixels."""
    rings = shapely.get_rings(shapely.get_parts(outlines))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    same_ring = ring[1:] == ring[:-1]
    place = (xy[:, axis] - origin) / pixel
    straight = same_ring & (np.abs(np.diff(place)) < 1e-6)
    line = np.clip(np.round(place[1:]).astype(int), 0, size)
    on_line = straight & (np.abs(place[1:] - line) < 1e-6)
    length = np.abs(np.diff(xy[:, 1 - axis]))
    return np.bincount(line[on_line], length[on_line], size + 1)


if __name__ == "__main__":
    main()
