"""A share of a dataset for few-shot training, as ChangeAnywhere has it (tables 2 to 5).

The paper does not say which samples its shares hold. Here samples are ranked by a hash of the seed and of
their name: the same on every machine, whatever else is in the dataset, and a smaller share is part of a
larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar

from terradelta.errors import UsageError

FEW_SHOT = (0.05, 0.1, 0.2, 0.5)
"""The shares of ChangeAnywhere."""

T = TypeVar("T")


def subset(items: Sequence[T], share: float, seed: int, name: Callable[[T], str]) -> list[T]:
    """``share`` of the items, rounded, at least one, in their order.

    Raises:
        UsageError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise UsageError(f"share is {share}: give a part of the dataset, above 0 and at most 1")
    if not items:
        return []
    ranked = sorted(items, key=lambda item: sha256(f"{seed}/{name(item)}".encode()).digest())
    kept = {name(item) for item in ranked[: max(1, round(share * len(items)))]}
    return [item for item in items if name(item) in kept]
