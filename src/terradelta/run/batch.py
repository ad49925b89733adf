"""Many pairs, one after another; a pair that fails does not stop the rest."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from terradelta.errors import InputError, OutputError, TerradeltaError
from terradelta.geo.files import write_text
from terradelta.types import Progress

COLUMNS = (
    "name",
    "before",
    "after",
    "changes",
    "changed_fraction",
    "threshold_deg",
    "threshold_probability",
    "seconds",
    "error",
)

OF_RECORD = COLUMNS[3:7]
"""What a row takes from the record of its run; which threshold it has, the model decides."""

Work = Callable[[Path, Path, Path, Progress], tuple[dict[str, Any], list[Path], str]]
"""Called with before, after, the folder for the results and progress; the first it returns is the
record of the run."""


def detect_pairs(table: Path, out: Path, work: Work, progress: Progress) -> list[dict[str, Any]]:
    """Work off the pairs of a CSV file, each into a folder of its name in ``out``.

    ``table`` has the columns before and after, paths relative to it, and possibly name; without it the
    pairs are numbered. ``summary.csv`` in ``out`` has a row per pair, with ``COLUMNS``; it is written
    after every pair. Returns its rows.

    Raises:
        InputError: the table cannot be read, or a name is given twice or is no name of a folder.
        OutputError: the summary cannot be written.
    """
    pairs = _read(table)
    rows = []
    for number, (name, before, after) in enumerate(pairs, 1):
        progress(f"pair {name}", number - 1, len(pairs))
        started = time.perf_counter()
        row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
        row |= {"name": name, "before": str(before), "after": str(after)}
        try:
            record, _, _ = work(before, after, out / name, _named(progress, name))
            row |= {key: record[key] for key in OF_RECORD if key in record}
        except TerradeltaError as error:
            row["error"] = str(error)
        except MemoryError:
            row["error"] = "not enough memory"
        row["seconds"] = round(time.perf_counter() - started, 3)
        rows.append(row)
        _write(out / "summary.csv", rows)
    return rows


def _named(progress: Progress, name: str) -> Progress:
    def report(stage: str, done: int, total: int) -> None:
        progress(f"{name}: {stage}", done, total)

    return report


def _read(table: Path) -> list[tuple[str, Path, Path]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read as a CSV file: {error}") from error
    if not rows or not {"before", "after"} <= rows[0].keys():
        raise InputError(f"{table} needs the columns before and after, and a row for every pair")
    pairs = []
    for number, row in enumerate(rows, 1):
        if not row["before"] or not row["after"]:
            raise InputError(f"{table}: pair {number} lacks an image")
        name = row.get("name") or f"{number:0{len(str(len(rows)))}}"
        pairs.append((name, table.parent / row["before"], table.parent / row["after"]))
    _check_names([name for name, _, _ in pairs], table)
    return pairs


def _check_names(names: list[str], table: Path) -> None:
    for name in names:
        if Path(name).name != name or name in ("..", "summary.csv"):
            raise InputError(f"{table}: {name!r} cannot be the name of a folder")
        if names.count(name) > 1:
            raise InputError(f"{table}: two pairs have the name {name!r}")


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    try:
        write_text(path, text.getvalue())
    except OSError as error:
        raise OutputError(str(error)) from error
