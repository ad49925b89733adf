"""Relative radiometric normalisation: one date's values on the scale of the other's.

A linear relation per band, fitted to pseudo-invariant pixels: those that follow the relation, found by
iterated reweighting with the chi-square probability of no change (after Nielsen, "The regularized
iteratively reweighted MAD method", 2007; Canty and Nielsen, "Automatic radiometric normalization of
multitemporal satellite imagery with the iteratively re-weighted MAD transformation", 2008). The scale
of the residuals is their median absolute deviation rather than a weighted variance, which for fewer
than three independent bands shrinks to nothing from one iteration to the next.

The line is the reduced major axis: both dates are noisy, swapping them gives the inverse line, and
another unit of measurement only changes the unit. It is fitted to means of small blocks, to which a
small misregistration makes little difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from terradelta.geo.sample import Patch, Sample

BLOCKS_PX = (8, 4, 2, 1)
ENOUGH_BLOCKS = 500
FEWEST_BLOCKS = 30
GAINS = (1 / 3, 3.0)
LEAST_CORRELATION = 0.6
MOST_CLIPPED = 0.02
"""Share of a block's values at an end of the type's range up to which its mean means something."""
REWEIGHTINGS = 50

Bands = tuple[float, float, float]
Blocks = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """``gain * after + offset`` is on the scale of *before*, band by band.

    ``correlation`` is that of the invariant blocks of each band and ``invariant`` their share;
    ``distance`` is the median difference of block means of the dates, in standard deviations of
    *before*, as the values are and once normalised. If ``trusted`` is False the fit was discarded for
    the ``reason`` given, and gain and offset are 1 and 0; or, for two files of different types, those
    that match median and spread.
    """

    gain: Bands
    offset: Bands
    correlation: Bands
    invariant: float
    distance: tuple[float, float]
    trusted: bool
    reason: str

    @property
    def measured(self) -> tuple[Bands, Bands]:
        """The inverse: gain and offset by which *after* differs from *before*."""
        gain, offset = np.array(self.gain), np.array(self.offset)
        return _bands(1 / gain), _bands(-offset / gain + 0.0)  # never -0.0

    def describe(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "gain": list(self.gain),
            "offset": list(self.offset),
            "correlation": list(self.correlation),
            "invariant_share": self.invariant,
            "distance_as_it_is": self.distance[0],
            "distance_normalised": self.distance[1],
            "trusted": self.trusted,
            "reason": self.reason,
        }


NO_NORMALISATION = Normalisation(
    (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 1.0, (0.0, 0.0), False, "not asked for"
)


def relative_normalisation(sample: Sample) -> Normalisation:
    """The line per band that brings *after* to the scale of *before*, from a sample of both.

    It is used only if the invariant blocks follow it (correlation at least 0.6 in every band), no gain
    lies beyond 1/3 to 3 (relative to the ranges of the values if the types differ), and it brings the
    dates closer.
    """
    same_type = sample.dtypes[0] == sample.dtypes[1]
    before, after = _block_means(sample)
    count = before.shape[1]
    if count < FEWEST_BLOCKS:
        return _untrusted(before, after, same_type, f"only {count} blocks hold unclipped data")
    start = _match_spread(before, after)
    gain, offset, weight = _fit(before, after, *start)
    correlation = _correlation(before, after, weight)
    reason = _distrust(gain, correlation, np.ones(3) if same_type else start[0])
    distances = (
        _distance(before, after),
        _distance(before, gain[:, None] * after + offset[:, None]),
    )
    if not reason and distances[1] > distances[0]:
        reason = "the fit would bring the dates no closer"
    if reason:
        return _untrusted(before, after, same_type, reason, correlation)
    share = float((weight > 0.5).mean())
    return Normalisation(
        _bands(gain), _bands(offset), _bands(correlation), share, distances, True, "fitted"
    )


def _fit(
    before: Blocks, after: Blocks, gain: NDArray[Any], offset: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Gain, offset [3] and the probability of no change [n]; NaN if what is unchanged is all even."""
    independent = 1 if _is_grey(before) and _is_grey(after) else len(before)
    weight = np.ones(before.shape[1])
    for _ in range(REWEIGHTINGS):
        residual = before - gain[:, None] * after - offset[:, None]
        residual -= np.median(residual, axis=1, keepdims=True)
        scale = 1.4826 * np.median(np.abs(residual), axis=1, keepdims=True)
        floor = 1e-3 * before.std(axis=1, keepdims=True) + 1e-12
        squares = (residual / np.maximum(scale, floor)) ** 2
        weight = chi2.sf(squares[:independent].sum(0), independent)
        mean_before, spread_before = _moments(before, weight)
        mean_after, spread_after = _moments(after, weight)
        if min(spread_before.min(), spread_after.min()) == 0:
            return np.full(3, np.nan), offset, weight
        last, gain = gain, spread_before / spread_after
        offset = mean_before - gain * mean_after
        if np.abs(gain / last - 1).max() < 1e-6:
            break
    return gain, offset, weight


def _match_spread(before: Blocks, after: Blocks) -> tuple[NDArray[Any], NDArray[Any]]:
    """Gain and offset [3] that match the medians and the interquartile ranges."""
    lower, middle, upper = np.percentile(before, (25, 50, 75), axis=1)
    lower_after, middle_after, upper_after = np.percentile(after, (25, 50, 75), axis=1)
    gain = np.maximum(upper - lower, 1e-12) / np.maximum(upper_after - lower_after, 1e-12)
    return gain, middle - gain * middle_after


def _distrust(gain: NDArray[Any], correlation: NDArray[Any], unit: NDArray[Any]) -> str:
    """Why the fit is not to be used, empty if it is."""
    if not np.isfinite(gain).all() or not np.isfinite(correlation).all():
        return "what is unchanged has no contrast"
    if correlation.min() < LEAST_CORRELATION:
        return f"the dates hardly correlate ({correlation.min():.2f} in the worst band)"
    relative = gain / unit
    low, high = GAINS
    if relative.min() < low or relative.max() > high:
        worst = relative[np.argmax(np.abs(np.log(relative)))]
        return f"the gain would be {worst:.3g}, beyond 1/3 to 3"
    return ""


def _untrusted(
    before: Blocks, after: Blocks, same_type: bool, reason: str, correlation: Any = (0.0, 0.0, 0.0)
) -> Normalisation:
    gain, offset = np.ones(3), np.zeros(3)
    distance = 0.0
    if before.shape[1]:
        if not same_type:
            gain, offset = _match_spread(before, after)
            gain = np.clip(gain, 1e-6, 1e6)
            offset = np.median(before, axis=1) - gain * np.median(after, axis=1)
            reason = f"{reason}; of different types, they are matched in median and spread"
        distance = _distance(before, gain[:, None] * after + offset[:, None])
    correlations = _bands(np.nan_to_num(correlation))
    return Normalisation(
        _bands(gain), _bands(offset), correlations, 0.0, (distance, distance), False, reason
    )


def _block_means(sample: Sample) -> tuple[Blocks, Blocks]:
    """Means of blocks of both dates, float64 [3, n], of the largest blocks that are enough."""
    for size in BLOCKS_PX:
        means = [_blocks_of(patch, sample.dtypes, size) for patch in sample]
        before, after = (np.concatenate([m[date] for m in means], axis=1) for date in (0, 1))
        if before.shape[1] >= ENOUGH_BLOCKS:
            break
    return before, after


def _blocks_of(
    patch: Patch, dtypes: tuple[np.dtype[Any], np.dtype[Any]], size: int
) -> tuple[Blocks, Blocks]:
    usable = _block_mean(patch.valid[None], size)[0] == 1
    for values, dtype in zip((patch.before, patch.after), dtypes, strict=True):
        if dtype.kind in "ui":
            ends = np.iinfo(dtype)
            clipped = np.any((values >= ends.max) | (values <= ends.min), axis=0)
            usable &= _block_mean(clipped[None], size)[0] <= MOST_CLIPPED
    before, after = (_block_mean(values, size)[:, usable] for values in (patch.before, patch.after))
    return before, after


def _block_mean(values: NDArray[Any], size: int) -> NDArray[np.float64]:
    """[c, h, w] -> [c, h // size, w // size], leaving out what is left over at the end."""
    channels, height, width = values.shape
    rows, columns = height // size, width // size
    cut = values[:, : rows * size, : columns * size]
    return np.asarray(
        cut.reshape(channels, rows, size, columns, size).mean(axis=(2, 4), dtype=np.float64)
    )


def _moments(values: Blocks, weight: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weighted mean and standard deviation, [3] each."""
    mean = np.average(values, axis=1, weights=weight)
    return mean, np.sqrt(np.average((values - mean[:, None]) ** 2, axis=1, weights=weight))


def _correlation(before: Blocks, after: Blocks, weight: NDArray[Any]) -> NDArray[Any]:
    (mean, spread), (mean_after, spread_after) = _moments(before, weight), _moments(after, weight)
    product = (before - mean[:, None]) * (after - mean_after[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.average(product, axis=1, weights=weight) / (spread * spread_after))


def _distance(before: Blocks, after: Blocks) -> float:
    spread = np.maximum(before.std(axis=1, keepdims=True), 1e-12)
    return float(np.median(np.abs(before - after) / spread))


def _is_grey(values: Blocks) -> bool:
    return bool((values == values[:1]).all())


def _bands(values: Any) -> Bands:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
