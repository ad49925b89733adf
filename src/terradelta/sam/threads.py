"""Array work that lets go of the interpreter, on several cores at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

import torch

A = TypeVar("A")
T = TypeVar("T")


def in_threads(function: Callable[..., T], *arguments: Iterable[Any]) -> list[T]:
    """``list(map(function, *arguments))``, the first call in this thread, the next beside it.

    This thread is one of them: memory that a thread has freed serves only that thread again, and the
    heaps of short-lived ones pile up. An error is raised when all have ended.
    """
    first, *others = zip(*arguments, strict=True)
    with ThreadPoolExecutor(max(1, len(others))) as pool:
        futures = [pool.submit(function, *call) for call in others]
        results = [function(*first)]
    return results + [future.result() for future in futures]


def on_all_cores(function: Callable[[A], T], arguments: Sequence[A]) -> list[T]:
    """``list(map(function, arguments))``, a call to a core, each with one of torch's threads.

    Several threads on one small operation wait for each other, and what one has written is not in the
    cache of the next. As many run as torch has threads, this one among them. An error is raised when all
    have ended.
    """
    cores = torch.get_num_threads()
    results: dict[int, T] = {}
    left, lock = iter(range(len(arguments))), Lock()

    def work(_: int) -> None:
        torch.set_num_threads(1)
        while True:
            with lock:
                n = next(left, None)
            if n is None:
                return
            results[n] = function(arguments[n])

    try:
        in_threads(work, range(max(1, min(cores, len(arguments)))))
    finally:
        torch.set_num_threads(cores)
    return [results[n] for n in range(len(arguments))]
