"""The curves of a training: ``curves.csv``, and the same for TensorBoard where it is installed."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from terradelta.geo.files import write_text
from terradelta.train.checkpoint import Row

SCORES = ("f1", "precision", "recall", "iou")
"""Of the change class in the validation, in [0, 1]; names of `PixelCounts`."""

COLUMNS = ("step", "learning_rate", "loss", *SCORES)
"""``loss`` is the mean since the row before."""


def best_row(rows: Sequence[Row]) -> Row | None:
    """The first row with the highest F1; None if nothing was validated or F1 is nowhere defined."""
    scored = [row for row in rows if not math.isnan(row.get("f1", math.nan))]
    return max(scored, key=lambda row: row["f1"], default=None)


def write_curves(path: Path, rows: Sequence[Row]) -> None:
    """All rows as CSV; what was not measured or is not defined stays empty.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: value for key, value in row.items() if not math.isnan(value)})
    write_text(path, text.getvalue())


class Board:
    """TensorBoard's view of the rows, in the folder ``tensorboard``; nothing where it is missing."""

    def __init__(self, folder: Path, step: int) -> None:
        """``step``: where the training begins or goes on; what is there of later steps is hidden."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._writer: Any = None
            return
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def add(self, row: Row) -> None:
        if self._writer is None:
            return
        for key, value in row.items():
            if key != "step":
                self._writer.add_scalar(key, value, int(row["step"]))
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
