"""What every command shares: progress, errors as one line, and exit codes."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from terradelta.errors import TerradeltaError

# Paths may hold [brackets] and :names: that are neither markup nor emoji.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)

SECONDS_PER_LINE = 5.0


class _BarReporter:
    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=None)

    def __call__(self, stage: str, done: int, total: int) -> None:
        self._bar.update(self._task, description=stage, completed=done, total=total)


class _LineReporter:
    """A plain line every few seconds, so that a log tells that a long run is alive."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= SECONDS_PER_LINE:
            self._last = now
            err.print(f"{stage}: {done} of {total}")


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, gone when the work is done; plain lines elsewhere."""
    if not err.is_terminal:
        yield _LineReporter()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True) as bar:
        yield _BarReporter(bar)


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
        err.print(f"error: {error}")
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt as error:
        err.print("interrupted: nothing was left half-written")
        raise SystemExit(130) from error
    except MemoryError as error:
        err.print("error: not enough memory for images of this size; cut them into parts")
        raise SystemExit(1) from error
