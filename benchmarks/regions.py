"""How fast `regions` is: seconds per stage, peak memory and milliseconds per click.

    python benchmarks/regions.py [--size 1024] [--seed 0] [--out benchmarks/results/regions.json]

The scene is made in one process and measured in a fresh one, so that making it does not count. Peak
memory is that of the first detection above the interpreter's peak after its imports. ``processor`` is
the processor time of all threads: on a busy machine ``total`` says less than it does.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 5
CLICKS_PER_SIDE = 6
PACKAGES = ("numpy", "scipy", "scikit-image", "torch", "torchvision")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024, help="px")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/regions.json")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        return print(json.dumps(measure(asked.measure)))
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": output("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "hardware": {"cpu": cpu_name(), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "scene": {"size_px": asked.size, "seed": asked.seed},
        "load_average_before": round(os.getloadavg()[0], 2),
        **measured_apart(asked.size, asked.seed),
    }
    text = json.dumps(result, indent=2)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = asked.out.with_suffix(".unfinished")
    unfinished.write_text(text + "\n")
    unfinished.replace(asked.out)
    print(text)


def measured_apart(size: int, seed: int) -> dict[str, Any]:
    """`measure` in a process of its own, on PNG files of a made scene."""
    from PIL import Image

    from terradelta import make_scene

    scene = make_scene(size, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("before", "after"):
            Image.fromarray(getattr(scene, name)).save(Path(folder) / f"{name}.png")
        return dict(json.loads(output(sys.executable, __file__, "--measure", folder)))


def measure(folder: Path) -> dict[str, Any]:
    """Medians over `REPEATS` sessions; clicks on a grid over the last of them."""
    import terradelta.sam.regions
    import terradelta.zeroshot.session  # noqa: F401
    from terradelta import AnyChange

    model, before, after = AnyChange(), folder / "before.png", folder / "after.png"
    resting = peak_mb()
    runs, peaks, session, changes = [], [], None, None
    for _ in range(REPEATS):
        del session, changes
        began, busy = time.perf_counter(), time.process_time()
        with model.session(before, after) as session:
            changes = session.detect()
        spent = {"total": time.perf_counter() - began, "processor": time.process_time() - busy}
        runs.append({**changes.settings["seconds"], **spent})
        peaks.append(peak_mb() - resting)
    height, width = session.pair.shape
    steps = (np.arange(CLICKS_PER_SIDE) + 0.5) / CLICKS_PER_SIDE
    clicks = []
    for x, y in np.array(np.meshgrid(steps * width, steps * height)).reshape(2, -1).T:
        began = time.perf_counter()
        session.query([(float(x), float(y), "after")])
        clicks.append(1000 * (time.perf_counter() - began))
    return {
        "seconds": {stage: round(median(r[stage] for r in runs), 3) for stage in runs[0]},
        "peak_mb_above_imports": round(peaks[0]),
        "peak_mb_above_imports_after_all": round(peaks[-1]),
        "click_ms": {"median": round(median(clicks)), "max": round(max(clicks))},
    }


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(": ")[1] for line in lines if "model name" in line)


def output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()  # noqa: S603


if __name__ == "__main__":
    main()
