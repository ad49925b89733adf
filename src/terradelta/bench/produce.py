"""One call a table: open the data, run, and write everything that is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terradelta.bench.cases import Choice
from terradelta.bench.page import write_page
from terradelta.bench.record import record, write_per_image
from terradelta.bench.runner import run_cases
from terradelta.bench.tables import Table
from terradelta.bench.text import markdown
from terradelta.data.dataset import Dataset
from terradelta.errors import InputError, UsageError
from terradelta.geo.files import writable_folder, write_json, write_text
from terradelta.sam.device import usable_device
from terradelta.types import Progress, silent


def produce(
    table: Table,
    dataset: Dataset,
    choice: Choice,
    folder: Path,
    *,
    limit: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Run a table on the first ``limit`` pairs of a dataset, go on where an earlier run stopped.

    Writes ``results.json`` (the record, which is returned), ``table.md``, ``per_image.csv`` and
    ``report.html`` with ``pictures`` into ``folder``; ``maps`` holds the answer to every pair.

    Raises:
        UsageError: an unknown method, a device that is not there, or a limit below 1.
        InputError: the dataset is empty. OutputError: the folder cannot be written.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"the limit is {limit}: it must be at least 1")
    usable_device(choice.device)
    samples = dataset.samples[:limit]
    if not samples:
        raise InputError(f"{dataset.root} holds no pairs")
    cases = table.cases(choice, dataset.name)
    writable_folder(folder)
    run = run_cases(cases, samples, folder, progress)
    told = record(table, dataset, len(samples), choice, cases, run)
    write_per_image(folder / "per_image.csv", cases, run)
    write_text(folder / "table.md", markdown(told))
    write_page(folder, told, cases, samples, run)
    write_json(folder / "results.json", told)
    return told
