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


class _Pace:
    """How fast a stage goes on, in words."""

    def __init__(self) -> None:
        self._stage, self._first, self._started = "", 0, 0.0

    def words(self, stage: str, done: int, total: int, now: float) -> str:
        """As "0.41 a second, 3 min left"; empty until a step of the stage is done."""
        if stage != self._stage:
            self._stage, self._first, self._started = stage, done, now
        steps, seconds = done - self._first, now - self._started
        if steps <= 0 or seconds <= 0:
            return ""
        rate = steps / seconds
        return f"{rate:.2g} a second, {_duration((total - done) / rate)} left"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class _BarReporter:
    def __init__(self, bar: Progress) -> None:
        self._bar, self._pace = bar, _Pace()
        self._task = bar.add_task("starting", total=None, pace="")

    def __call__(self, stage: str, done: int, total: int) -> None:
        pace = self._pace.words(stage, done, total, time.monotonic())
        self._bar.update(self._task, description=stage, completed=done, total=total, pace=pace)


class _LineReporter:
    """A plain line every few seconds, so that a log tells that a long run is alive."""

    def __init__(self) -> None:
        self._last, self._pace = time.monotonic(), _Pace()

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        pace = self._pace.words(stage, done, total, now)
        if now - self._last >= SECONDS_PER_LINE:
            self._last = now
            err.print(f"{stage}: {done} of {total}{', ' if pace else ''}{pace}")


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, gone when the work is done; plain lines elsewhere."""
    if not err.is_terminal:
        yield _LineReporter()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    pace = TextColumn("{task.fields[pace]}")
    with Progress(*columns, TimeElapsedColumn(), pace, console=err, transient=True) as bar:
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
        err.print("interrupted: nothing was left half-written; of a scene the tiles done are kept")
        raise SystemExit(130) from error
    except MemoryError as error:
        err.print("error: not enough memory for images of this size; cut them into parts")
        raise SystemExit(1) from error
