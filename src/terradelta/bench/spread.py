"""The same question asked in several ways: the mean of a metric over them, and how far they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terradelta.metrics import PixelCounts

METRICS = ("f1", "precision", "recall")


@dataclass(frozen=True, slots=True, eq=False)
class QueryCounts:
    """``counts`` int64 [Q, 4]: of every query the pixels as in `PixelCounts`; pooled query by query."""

    counts: NDArray[np.int64]

    @classmethod
    def of(cls, queries: Sequence[PixelCounts]) -> QueryCounts:
        return cls(np.stack([query.as_array() for query in queries]))

    @classmethod
    def from_array(cls, counts: NDArray[np.int64]) -> QueryCounts:
        """The inverse of `as_array`."""
        return cls(counts.reshape(-1, 4))

    def as_array(self) -> NDArray[np.int64]:
        return self.counts.ravel()

    def as_dict(self) -> dict[str, float]:
        """The mean over the queries, and with ``_sd`` their standard deviation (n - 1)."""
        queries = [PixelCounts.from_array(query) for query in self.counts]
        values = {name: [getattr(query, name) for query in queries] for name in METRICS}
        means = {name: float(np.mean(each)) for name, each in values.items()}
        return means | {f"{name}_sd": float(np.std(each, ddof=1)) for name, each in values.items()}
