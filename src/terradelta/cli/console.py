"""What every command shares: progress, errors as one line, and exit codes."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from terradelta.errors import TerradeltaError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Reporter:
    """Shows the progress of a computation: a bar on a terminal, nothing elsewhere."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=None) if bar else None

    def __call__(self, stage: str, done: int, total: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=stage, completed=done, total=total)


@contextmanager
def progress() -> Iterator[Reporter]:
    """A progress bar that is gone when the work is done."""
    if not err.is_terminal:
        yield Reporter(None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True) as bar:
        yield Reporter(bar)


def print_json(content: Any) -> None:
    """One JSON object on standard output; NaN becomes null."""
    sys.stdout.write(json.dumps(_without_nan(content), indent=2) + "\n")


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and content != content else content


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what terradelta raises on purpose into one line and its exit code."""
    warnings.simplefilter("ignore")
    try:
        yield
    except TerradeltaError as error:
        err.print(f"error: {error}", markup=False)
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt as error:
        err.print("interrupted: nothing was left half-written")
        raise SystemExit(130) from error
    except MemoryError as error:
        err.print("error: not enough memory for images of this size; cut them into parts")
        raise SystemExit(1) from error
