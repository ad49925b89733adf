"""Is nothing lost when a run is killed? The same scene with and without `kill -9`, compared.

    python benchmarks/kills.py [--size 2000] [--tile 512] [--seed 0] [--folder DIR]

The pair is that of ``benchmarks/scenes.py``. One run of ``terradelta detect`` is left alone. Another is
killed five times, at random moments of the plan, the tiles (twice) and the finish (twice), and each time
the same command is given again, until it ends. Polygons, mask and score must be the same, and no tile
may stand in the journal twice. Results go to ``benchmarks/results/kills.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
from regions import cpu_name, output
from scenes import MOTIF_PX, make_pair

from terradelta import make_scene

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/kills.json"
KILLED_IN = ("plan", "tiles", "tiles", "finish", "finish")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=MOTIF_PX, help=f"px, at most {MOTIF_PX}")
    parser.add_argument("--tile", type=int, default=512, help="px")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, help="where the pair is made, and kept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        if not (folder / "after.tif").exists():
            scene = make_scene(asked.size, seed=2)
            make_pair(asked.size, folder, {"before": scene.before, "after": scene.after})
        result = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": output("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
            "hardware": {"cpu": cpu_name(), "cores": os.cpu_count()},
            "scene_px": asked.size,
            "seed": asked.seed,
            **compared(folder, asked.tile, asked.seed),
        }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def compared(pair: Path, tile: int, seed: int) -> dict[str, Any]:
    """An unbroken run against one that is killed, both in a new folder beside the pair."""
    with tempfile.TemporaryDirectory(dir=pair) as made:
        whole, broken = Path(made) / "whole", Path(made) / "broken"
        began = time.perf_counter()
        start(pair, tile, whole).wait()
        took = time.perf_counter() - began
        seconds = json.loads((whole / "run.json").read_text())["seconds"]
        timeline = Timeline(took, seconds, len(tiles_done(whole)))
        kills = [kill(pair, tile, broken, moment, timeline) for moment in timeline.moments(seed)]
        code = start(pair, tile, broken).wait()
        tiles = tiles_done(broken)
        same = {
            "polygons": same_table(whole, broken),
            "mask": same_pixels(whole, broken, "change_mask.tif"),
            "score": same_pixels(whole, broken, "score.tif"),
        }
        return {
            "seconds": {"whole": round(took, 1), **seconds},
            "tiles": timeline.tiles,
            "changes": json.loads((whole / "run.json").read_text())["changes"],
            "kills": kills,
            "exit_code_of_the_last": code,
            "tiles_done_twice": len(tiles) - len(set(tiles)),
            "tiles_missing": timeline.tiles - len(set(tiles)),
            "same": same,
            "equal": code == 0 and all(same.values()) and tiles_done(whole) == sorted(tiles),
        }


class Timeline:
    """When what happens in an unbroken run, in seconds from its start."""

    def __init__(self, took: float, seconds: dict[str, float], tiles: int) -> None:
        self.tiles = tiles
        self.start = took - sum(seconds.values())
        """Loading the libraries, which every run does."""
        self.planned = self.start + seconds["plan"]
        self.looked = self.planned + seconds["tiles"]
        self.end = took

    def moments(self, seed: int) -> list[float]:
        spans = {
            "plan": (0.0, self.planned),
            "tiles": (self.planned, self.looked),
            "finish": (self.looked, self.end),
        }
        random = np.random.default_rng(seed)
        return sorted(float(random.uniform(*spans[stage])) for stage in KILLED_IN)

    def kept(self, out: Path) -> float:
        """How far the work that a run has left in its folder reaches."""
        if not (out / ".run" / "plan.json").exists():
            return self.start
        return self.planned + (self.looked - self.planned) * len(tiles_done(out)) / self.tiles


def kill(pair: Path, tile: int, out: Path, moment: float, timeline: Timeline) -> dict[str, Any]:
    """Run until what is kept and what is new have reached a moment of the timeline, then kill."""
    before = len(tiles_done(out))
    lives = timeline.start + moment - timeline.kept(out) if moment > timeline.start else moment
    run = start(pair, tile, out)
    try:
        run.wait(lives)
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGKILL)
        run.wait()
    return {
        "moment_s": round(moment, 2),
        "killed_after_s": round(lives, 2),
        "killed": run.returncode == -signal.SIGKILL,
        "in": stage_of(out, timeline.tiles),
        "tiles_done_before": before,
        "tiles_done_after": len(tiles_done(out)),
    }


def start(pair: Path, tile: int, out: Path) -> subprocess.Popen[bytes]:
    command = Path(sys.executable).with_name("terradelta")
    words = [command, "detect", pair / "before.tif", pair / "after.tif", "-o", out]
    words += ["--register", "--tile", str(tile)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603


def stage_of(out: Path, tiles: int) -> str:
    if (out / "run.json").exists():
        return "ended"
    if not (out / ".run" / "plan.json").exists():
        return "plan"
    return "tiles" if len(tiles_done(out)) < tiles else "finish"


def tiles_done(out: Path) -> list[tuple[int, int]]:
    """As the whole lines of the journal tell it."""
    path = out / ".run" / "journal.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [(row, column) for row, column in (json.loads(line)["tile"] for line in lines)]


def same_table(first: Path, second: Path) -> bool:
    paths = [folder / "changes.gpkg" for folder in (first, second)]
    if not all(path.exists() for path in paths):
        return False
    one, other = (geopandas.read_file(path, layer="changes") for path in paths)
    return len(one) > 0 and bool(one.equals(other))


def same_pixels(first: Path, second: Path, name: str) -> bool:
    images = []
    for folder in (first, second):
        if not (folder / name).exists():
            return False
        with rasterio.open(folder / name) as source:
            images.append(source.read(1))
    return np.array_equal(images[0], images[1], equal_nan=images[0].dtype.kind == "f")


if __name__ == "__main__":
    main()
