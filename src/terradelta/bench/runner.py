"""Running a table: case by case, pair by pair, from where an earlier run stopped.

Every pair that a case has answered is a line of a journal, under a key of all that decides the answer:
the version, the settings of the case, the pixels of the pair and its truth. What has the same key is not
run again; whatever was changed, the data, a setting or a file of weights, has another key and is. What
failed has no line, and is tried again by the next run.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from terradelta import __version__
from terradelta.bench.cases import Case, Loaded
from terradelta.bench.maps import are_saved, save_maps
from terradelta.bench.measure import Measured, counts, measured
from terradelta.data.dataset import Sample
from terradelta.errors import OutputError, TerradeltaError
from terradelta.geo.files import writable_folder
from terradelta.run.journal import Journal, open_journal
from terradelta.types import Progress


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What could not be run: a case, or ``pair`` of it, and why."""

    case: str
    pair: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured by the key of the row, in the order of the pairs; the settings by case."""

    measured: dict[str, list[Measured]] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


def run_cases(
    cases: Sequence[Case], samples: Sequence[Sample], folder: Path, progress: Progress
) -> Run:
    """Run every case on every sample; the journal and the maps of the answers are kept in ``folder``.

    A case or a pair that fails is left out, and the rest goes on.

    Raises:
        OutputError: the folder cannot be written, or another run is at work in it.
    """
    run = Run()
    with open_journal(writable_folder(folder / ".bench") / "journal.jsonl") as journal:
        for case in cases:
            run.measured.update({row.key: [] for row in case.rows})
            with _going_on(run, case):
                _run_case(case, case.load(), samples, folder, journal, run, progress)
    return run


def fingerprint(sample: Sample) -> str:
    """A hash of the pixels of both dates, of which are valid, of the truth and of the classes."""
    pair, truth = sample.pair(), sample.truth()
    images = [pair.before, pair.after, pair.valid, truth]
    if sample.classes is not None:
        images += sample.classes()
    digest = hashlib.sha256()
    for image in images:
        digest.update(repr(image.shape).encode())
        digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


@contextmanager
def _going_on(run: Run, case: Case, pair: str | None = None) -> Iterator[None]:
    """What fails inside is left out. A method is not trusted to fail only in ways that we know."""
    try:
        yield
    except OutputError:
        raise
    except TerradeltaError as error:
        run.left_out.append(LeftOut(case.name, pair, str(error)))
    except Exception as error:
        run.left_out.append(LeftOut(case.name, pair, f"{type(error).__name__}: {error}"))


def _run_case(
    case: Case,
    loaded: Loaded,
    samples: Sequence[Sample],
    folder: Path,
    journal: Journal,
    run: Run,
    progress: Progress,
) -> None:
    run.settings[case.name] = loaded.settings
    pixels: dict[str, str] = {}
    for sample in map(case.view, samples):
        with _going_on(run, case, sample.name):
            pixels[sample.name] = fingerprint(sample)
    keys = _keys(case, loaded, pixels)
    done = {entry["key"]: entry for entry in journal.entries}
    there = {n for n, key in keys.items() if key in done and are_saved(folder, case.rows, n)}
    readable = [sample for sample in map(case.view, samples) if sample.name in keys]
    if loaded.learn is not None and len(there) < len(readable):
        loaded.learn(readable, progress)
    for number, sample in enumerate(readable):
        progress(case.name, number, len(readable))
        with _going_on(run, case, sample.name):
            key = keys[sample.name]
            if sample.name not in there:
                done[key] = _ask(case, loaded, sample, folder)
                journal.append({"key": key, **done[key]})
            found = measured(sample.name, done[key]["rows"], done[key]["seconds"])
            for row, one in found.items():
                run.measured[row].append(one)
    progress(case.name, len(readable), len(readable))


def _keys(case: Case, loaded: Loaded, pixels: dict[str, str]) -> dict[str, str]:
    """The key of every pair from its fingerprint; of a case that learns, from those of all pairs."""
    decides: list[Any] = [__version__, case.name, [row.key for row in case.rows], loaded.settings]
    if loaded.learn is not None:
        decides.append(sorted(pixels.values()))
    return {name: _digest([*decides, name, print_]) for name, print_ in pixels.items()}


def _ask(case: Case, loaded: Loaded, sample: Sample, folder: Path) -> dict[str, Any]:
    """The line of the journal of a pair, without its key."""
    pair, truth = sample.pair(), sample.truth()
    started = time.perf_counter()
    answers = loaded.ask(replace(sample, pair=lambda: pair, truth=lambda: truth))
    seconds = time.perf_counter() - started
    save_maps(answers, folder, case.name, sample.name)
    rows = counts(answers)
    return {"case": case.name, "pair": sample.name, "seconds": round(seconds, 3), "rows": rows}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
