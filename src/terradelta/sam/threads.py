"""Both dates at once: array work that lets go of the interpreter runs on two cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def in_threads(function: Callable[..., T], *arguments: Iterable[Any]) -> list[T]:
    """``list(map(function, *arguments))``, the first call in this thread, the next beside it.

    Meant for the two dates. One thread more and not two: memory that a thread has freed serves only
    that thread again, and the heaps of short-lived ones pile up. An error is raised when all have
    ended.
    """
    first, *others = zip(*arguments, strict=True)
    with ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(function, *call) for call in others]
        results = [function(*first)]
    return results + [future.result() for future in futures]
