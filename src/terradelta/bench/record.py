"""All that is told of a table, as one record for a file: numbers, protocol, machine."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from terradelta.baselines import BASELINES
from terradelta.bench.cases import Case, Choice, Row
from terradelta.bench.paper import paper_rows
from terradelta.bench.report import machine, versions
from terradelta.bench.runner import Run
from terradelta.bench.summary import Estimate, estimates, everything
from terradelta.bench.tables import Table
from terradelta.data.dataset import Dataset
from terradelta.geo.files import write_text

PACKAGES = ("scikit-image", "scikit-learn", "pycocotools", "rasterio")


def record(
    table: Table, dataset: Dataset, pairs: int, choice: Choice, cases: list[Case], run: Run
) -> dict[str, Any]:
    """Everything as JSON values, None where a number is not defined; ``pairs`` were asked for."""
    rows = [row for case in cases for row in case.rows]
    measured = next((run.measured[row.key] for row in rows if run.measured[row.key]), [])
    naive = everything(measured)
    return {
        "table": table.name,
        "title": table.title,
        "source": table.source,
        "protocol": table.protocol,
        "metrics": table.columns,
        "methods": {
            name: f"{BASELINES[name].title} ({BASELINES[name].paper})"
            for name in choice.methods
            if name in BASELINES
        },
        "dataset": {
            "name": dataset.name,
            "folder": dataset.root.name,
            "split": dataset.split,
            "pairs": pairs,
            "pairs_in_all": len(dataset),
        },
        "asked": asdict(choice),
        "everything_is_change": {
            "share_of_pixels": _number(naive.precision),
            "f1": _number(naive.f1),
        },
        "rows": [_row(row, table, run) for row in rows],
        "paper": [
            {
                **_names(line.row),
                "metrics": {n: _told(Estimate(v)) for n, v in line.metrics.items()},
            }
            for line in paper_rows(table.name, dataset.name)
        ],
        "left_out": [asdict(left) for left in run.left_out],
        "settings": run.settings,
        "machine": machine(choice.device),
        "versions": versions(PACKAGES),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_per_image(path: Path, cases: list[Case], run: Run) -> None:
    """One line for every row and pair as CSV: counts and metrics of the pair alone.

    Raises:
        OutputError: the file cannot be written.
    """
    lines = [
        {**_names(row), "seconds": pair.seconds, **pair.pooled.as_row()}
        for case in cases
        for row in case.rows
        for pair in run.measured[row.key]
    ]
    text = io.StringIO()
    if lines:
        table = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
        table.writeheader()
        for line in lines:
            table.writerow({name: "" if value != value else value for name, value in line.items()})
    write_text(path, text.getvalue())


def _row(row: Row, table: Table, run: Run) -> dict[str, Any]:
    pairs = run.measured[row.key]
    found = estimates(pairs, table.pool)
    return {
        **_names(row),
        "pairs": len(pairs),
        "metrics": {name: _told(estimate) for name, estimate in found.items()},
        "seconds_a_pair": median(pair.seconds for pair in pairs) if pairs else None,
    }


def _names(row: Row) -> dict[str, str]:
    return {
        "key": row.key,
        "method": row.method,
        "backbone": row.backbone,
        "condition": row.condition,
    }


def _told(estimate: Estimate) -> dict[str, Any]:
    interval = [_number(estimate.low), _number(estimate.high)]
    return {"value": _number(estimate.value), "interval_95": interval}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
