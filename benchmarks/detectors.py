"""What every detector learns in a few minutes on this machine's cores: F1 on made pairs it has not seen.

    python benchmarks/detectors.py [--minutes 3] [--names fc-ef,tinycd] [--folder DIR]

500 made pairs of 256 px to learn from and 60 of another seed to test on; weights start at random. The
recipe is ``quick``, but for what `DIFFERS` says, with as many steps as fit into the time, a tenth of
them to warm up: a few steps are timed first, within it. If the machine becomes slower than it was then,
the training is stopped when the time is over, and tested is what it saved last; ``planned`` says how
many steps it was to have. Testing comes on top. A row is written to ``benchmarks/results/detectors.json``
as soon as it is measured; the same command goes on with those that are missing.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from regions import cpu_name, output
from rich.console import Console
from rich.table import Table

from terradelta.detectors import DETECTORS, load_detector
from terradelta.detectors.files import read_card
from terradelta.synth import write_made_dataset
from terradelta.train import load_settings, open_pairs, train, validate
from terradelta.train.pairs import LabelledPair, PairSource

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/detectors.json"
RECIPE = "quick"
DIFFERS: dict[str, dict[str, Any]] = {
    name: {"optimiser": {"name": "adamw", "learning_rate": 5e-4, "weight_decay": 1e-2}}
    for name in ("changeformer-mitb1", "changestar-1x96-mitb1")
}
"""From the recipe, by detector: at its rate those on MiT-B1 hardly learn."""
TRAIN_PAIRS, TEST_PAIRS = 500, 60
TIMED_STEPS = 8
SAVED = 10
"""How often a training is saved."""
SPARE = 0.05
"""Of the time, for writing the weights and for steps that take longer than those that were timed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3, help="of training, for each detector")
    parser.add_argument("--names", help="comma-separated; by default all")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "terradelta-made",
        help="where the pairs are made, and kept",
    )
    asked = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    learnt, tested = made_pairs(asked.folder)
    result = started(asked.minutes, tested)
    for name in asked.names.split(",") if asked.names else DETECTORS:
        if name not in result["detectors"]:
            print(f"{name} ...", flush=True)
            result["detectors"][name] = measured(name, asked.minutes, learnt, tested)
            write(result)
    show(result)


def made_pairs(folder: Path) -> tuple[PairSource, PairSource]:
    """Those to learn from and those to test on, in memory, so that reading costs no training time."""
    write_made_dataset(folder / "train", TRAIN_PAIRS, seed=0)
    write_made_dataset(folder / "test", TEST_PAIRS, seed=1)
    learnt, tested = (open_pairs(folder / part, part) for part in ("train", "test"))
    return held(learnt, TRAIN_PAIRS), held(tested, TEST_PAIRS)


def held(pairs: PairSource, count: int) -> list[LabelledPair]:
    return [pairs[i] for i in range(count)]


def started(minutes: float, tested: PairSource) -> dict[str, Any]:
    """The result so far, or an empty one where another was measured."""
    changed = np.mean([tested[i][2].mean() for i in range(len(tested))])
    protocol = {
        "minutes": minutes,
        "recipe": load_settings(RECIPE, steps=1_000_000).model_dump(
            mode="json", exclude={"detector", "steps", "interval"}
        ),
        "train_pairs": TRAIN_PAIRS,
        "test_pairs": TEST_PAIRS,
        "size_px": 256,
        "hardware": {"cpu": cpu_name(), "threads": torch.get_num_threads()},
        "share_of_change": round(float(changed), 4),
        "f1_if_all_is_change": round(float(2 * changed / (1 + changed)), 4),
    }
    # As JSON gives it back: lists for tuples.
    protocol = json.loads(json.dumps(protocol))
    if RESULTS.is_file():
        found: dict[str, Any] = json.loads(RESULTS.read_text())
        if found["protocol"] == protocol:
            return found
    return {"protocol": protocol, "detectors": {}}


def measured(name: str, minutes: float, learnt: PairSource, tested: PairSource) -> dict[str, Any]:
    """A row: trained for so many minutes, then tested."""
    with tempfile.TemporaryDirectory() as temporary:
        began, busy = time.perf_counter(), time.process_time()
        end = began + minutes * 60
        per_step = seconds_a_step(name, learnt, Path(temporary) / "timed")
        steps = max(SAVED, round((1 - SPARE) * (end - time.perf_counter()) / per_step))
        settings = load_settings(
            RECIPE,
            detector=name,
            steps=steps,
            interval=steps // SAVED,
            schedule={"warmup": steps // 10},
            **DIFFERS.get(name, {}),
        )
        folder = Path(temporary) / "whole"
        with suppress(OutOfTimeError):
            train(settings, learnt, None, folder, device="cpu", progress=Clock(end))
        seconds, processor = time.perf_counter() - began, time.process_time() - busy
        detector, row = load_detector(folder / "last"), read_card(folder / "last")["extra"]["row"]
    counts = validate(detector, tested)
    return {
        "f1": round(counts.f1, 4),
        "differs": DIFFERS.get(name, {}),
        "precision": round(counts.precision, 4),
        "recall": round(counts.recall, 4),
        "loss": round(row["loss"], 4),
        "steps": row["step"],
        "planned": steps,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "pairs_per_second": round(settings.batch / per_step, 2),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": output("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
    }


def seconds_a_step(name: str, learnt: PairSource, folder: Path) -> float:
    """Mean of `TIMED_STEPS` steps; the first, in which memory is taken, does not count."""
    steps = TIMED_STEPS + 1
    settings = load_settings(RECIPE, detector=name, steps=steps, schedule={})
    clock = Clock()
    train(settings, learnt, None, folder, device="cpu", progress=clock)
    return (clock.times[-1] - clock.times[0]) / TIMED_STEPS


class OutOfTimeError(Exception):
    """The time for training is over."""


class Clock:
    """A progress that notes when it was told, and ends the work after ``end``."""

    def __init__(self, end: float = float("inf")) -> None:
        self.end, self.times = end, []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.times.append(time.perf_counter())
        if self.times[-1] > self.end:
            raise OutOfTimeError


def write(result: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    unfinished = RESULTS.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(result, indent=2) + "\n")
    unfinished.replace(RESULTS)


def show(result: dict[str, Any]) -> None:
    columns = ("f1", "precision", "recall", "steps", "seconds", "processor_seconds")
    floor = result["protocol"]["f1_if_all_is_change"]
    table = Table("detector", *columns, caption=f"F1 if all is change: {floor}")
    for name in (name for name in DETECTORS if name in result["detectors"]):
        table.add_row(name, *(str(result["detectors"][name][column]) for column in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
