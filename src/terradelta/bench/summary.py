"""What is told of a row: its metrics over all pairs with their intervals, and which pairs to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from terradelta.bench.measure import Measured
from terradelta.bench.spread import QueryCounts
from terradelta.metrics import PixelCounts, bootstrap_intervals
from terradelta.metrics.bootstrap import Counts

Pool = Callable[[Measured], Sequence[Counts]]
"""The counts of a pair of which a row's metrics are made, of every kind one."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric of the pooled counts, and its 95 % interval over the images; NaN if not defined."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def change_counts(pair: Measured) -> Sequence[Counts]:
    """Pixels, mask AR@1000 and objects of all trials together."""
    pooled = pair.pooled
    return pooled.pixels, pooled.recall, pooled.objects


def query_counts(pair: Measured) -> Sequence[Counts]:
    """Pixels of every trial for itself."""
    return (QueryCounts.of([trial.pixels for trial in pair.trials]),)


def estimates(pairs: Sequence[Measured], pool: Pool) -> dict[str, Estimate]:
    """Every metric of a row by name; none without pairs."""
    found = {}
    for kind in zip(*(pool(pair) for pair in pairs), strict=True):
        total = np.sum([counts.as_array() for counts in kind], axis=0)
        intervals = bootstrap_intervals(kind)
        for name, value in type(kind[0]).from_array(total).as_dict().items():
            found[name] = Estimate(value, *intervals[name])
    return found


def everything(pairs: Sequence[Measured]) -> PixelCounts:
    """The counts of an answer that calls every pixel change, from those of any other answer."""
    found = sum((pair.trials[0].pixels for pair in pairs), PixelCounts())
    true = found.true_positive + found.false_negative
    return PixelCounts(true_positive=true, false_positive=int(found.as_array().sum()) - true)


def to_show(pairs: Sequence[Measured]) -> dict[str, Measured]:
    """The pairs with the best, the median and the worst F1 of the change class, those that differ.

    A pair without change in truth and in answer has no F1, and is shown only if no other is there.
    """
    rated = [pair for pair in pairs if not np.isnan(pair.pooled.pixels.f1)] or list(pairs)
    ranked = sorted(rated, key=lambda pair: pair.pooled.pixels.f1, reverse=True)
    places = {"best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
    shown: dict[str, Measured] = {}
    for name in ("best", "worst", "median"):
        if ranked and ranked[places[name]] not in shown.values():
            shown[name] = ranked[places[name]]
    return {name: shown[name] for name in places if name in shown}
