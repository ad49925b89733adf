"""Seconds by stage and peak memory, on a processor or a GPU."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

STAGES = ("encode", "propose", "match")
SAMPLE_SECONDS = 0.005
_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Seconds:
    """What one run took: ``encode`` images to embeddings, ``propose`` masks, ``match`` and select."""

    encode: float
    propose: float
    match: float

    @property
    def total(self) -> float:
        """End to end."""
        return self.encode + self.propose + self.match

    def as_dict(self) -> dict[str, float]:
        return {**asdict(self), "total": self.total}


class Stopwatch:
    """Adds up the seconds of calls by name; waits for the GPU before it looks at the clock."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}

    def now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, its seconds added to ``name``."""

        def call(*args: Any, **options: Any) -> Any:
            started = self.now()
            result = function(*args, **options)
            self.seconds[name] = self.seconds.get(name, 0.0) + self.now() - started
            return result

        return call


class Peak:
    """Peak bytes of a stretch of work, weights included; None where they cannot be measured.

    On a GPU what torch allocated there; on Linux the resident memory of the whole process, looked at
    every 5 ms.
    """

    def __init__(self) -> None:
        self.bytes: int | None = None

    def saw(self, amount: int) -> None:
        self.bytes = max(self.bytes or 0, amount)


@contextmanager
def measured_peak(device: torch.device) -> Iterator[Peak]:
    """The peak while the block runs; complete after it."""
    peak = Peak()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.saw(torch.cuda.max_memory_allocated(device))
    elif device.type == "cpu" and _STATM.exists():
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(peak, done), daemon=True)
        watcher.start()
        try:
            yield peak
        finally:
            done.set()
            watcher.join()
    else:
        yield peak


def _watch(peak: Peak, done: threading.Event) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    while True:
        peak.saw(int(_STATM.read_text().split()[1]) * page)
        if done.wait(SAMPLE_SECONDS):
            return
