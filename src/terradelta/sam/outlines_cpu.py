"""Thresholds of bilinearly enlarged logits for a CPU: what `upsampling` does, straight to runs.

Patches between four logits are looked at strip by strip, from top to bottom between two columns.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from terradelta.sam.masks import Masks
from terradelta.sam.simd import inline, kernel


def outlines(
    logits: Tensor,
    factor: int,
    shape: tuple[int, int],
    offsets: tuple[float, float],
    min_stability: float,
) -> tuple[Masks, Tensor, Tensor]:
    """Masks of logits [M, h, w] enlarged by an even ``factor`` (half-pixel centres) and cut to ``shape``.

    Of those that are stable enough and not empty, with their stability [K] and positions [K]. Stability
    is the quotient of the areas above the two ``offsets``, the higher one first.
    """
    columns = logits.mT.contiguous().numpy()
    inner, outer = torch.from_numpy(_areas(columns, factor, shape, *map(np.float32, offsets)))
    stability = inner / outer.clamp(min=1)
    kept = ((stability >= min_stability) & (outer > 0)).nonzero()[:, 0]
    ends, start, stop = _runs(columns, kept.numpy(), factor, shape)
    masks = Masks(shape, ends, start, stop)
    filled = torch.from_numpy(masks.runs_per_mask > 0)
    kept = kept[filled]
    return masks[filled.numpy()], stability[kept], kept


@kernel
def _areas(columns, factor, shape, upper, lower):
    """float32 [2, M]: pixels above each of two thresholds."""
    areas = np.zeros((2, len(columns)), np.float32)
    length = columns.shape[2]
    undecided = np.empty(length + 1, np.int64)
    for n in range(len(columns)):
        inner = outer = 0
        for strip in range(columns.shape[1] + 1):
            a, b, left, right = _strip(columns[n], strip, factor, shape[1])
            count = above = 0
            for j in range(length + 1):
                low, high = _range(a, b, j)
                if high <= lower:
                    continue
                if low > upper:
                    first, last = _span(j, factor, shape[0])
                    above += last - first
                else:
                    undecided[count] = j
                    count += 1
            inner += above * (right - left)
            outer += above * (right - left)
            for x in range(left, right):
                for j in undecided[:count]:
                    first, last = _span(j, factor, shape[0])
                    top, bottom = _crossing(a, b, j, x, strip, factor)
                    for y in range(first, last):
                        value = _between(top, bottom, y, j, factor)
                        inner += value > upper
                        outer += value > lower
        areas[0, n], areas[1, n] = inner, outer
    return areas


@kernel
def _runs(columns, kept, factor, shape):
    """Offsets, starts and stops of the runs above 0, as `Masks` holds them."""
    height, length, zero = shape[0], columns.shape[2], np.float32(0)
    undecided = np.empty(length + 1, np.int64)
    offsets = np.zeros(len(kept) + 1, np.int64)
    start, stop = np.empty(height, np.int64), np.empty(height, np.int64)
    run = 0
    for n in range(len(kept)):
        for strip in range(columns.shape[1] + 1):
            a, b, left, right = _strip(columns[kept[n]], strip, factor, shape[1])
            count, before = 0, False
            for j in range(length + 1):
                low, high = _range(a, b, j)
                here = low <= zero and high > zero
                # The patch after an undecided one may begin with the pixel where a run begins or ends.
                if here or before:
                    undecided[count] = j
                    count += 1
                before = here
            if count == 0 and a[0] <= zero:
                continue
            for x in range(left, right):
                if run + height > len(start):
                    start = np.concatenate((start, np.empty(len(start) + height, np.int64)))
                    stop = np.concatenate((stop, np.empty(len(stop) + height, np.int64)))
                inside = count == 0 or (undecided[0] > 0 and a[0] > zero)
                if inside:
                    start[run] = x * height
                for j in undecided[:count]:
                    first, last = _span(j, factor, height)
                    top, bottom = _crossing(a, b, j, x, strip, factor)
                    for y in range(first, last):
                        if (_between(top, bottom, y, j, factor) > zero) != inside:
                            inside = not inside
                            if inside:
                                start[run] = x * height + y
                            else:
                                stop[run] = x * height + y
                                run += 1
                if inside:
                    stop[run] = (x + 1) * height
                    run += 1
        offsets[n + 1] = run
    return offsets, start[:run].copy(), stop[:run].copy()


@inline
def _strip(columns, strip, factor, width):
    """The columns of logits beside a strip, and its first and last pixel, the last exclusive."""
    a, b = columns[max(strip - 1, 0)], columns[min(strip, len(columns) - 1)]
    left, right = _span(strip, factor, width)
    return a, b, left, right


@inline
def _span(n, factor, size):
    """First and last pixel between logits n - 1 and n, the last exclusive."""
    begin = n * factor - factor // 2
    return min(max(begin, 0), size), min(begin + factor, size)


@inline
def _range(a, b, j):
    """Smallest and largest of the corners of patch j of a strip."""
    i, k = max(j - 1, 0), min(j, len(a) - 1)
    low, high = min(min(a[i], a[k]), min(b[i], b[k])), max(max(a[i], a[k]), max(b[i], b[k]))
    return low, high


@inline
def _crossing(a, b, j, x, strip, factor):
    """Where pixel column x crosses the upper and the lower side of patch j."""
    i, k = max(j - 1, 0), min(j, len(a) - 1)
    return _between(a[i], b[i], x, strip, factor), _between(a[k], b[k], x, strip, factor)


@inline
def _between(a, b, pixel, n, factor):
    """Between logits n - 1 and n."""
    near = (np.float32(pixel - n * factor + factor // 2) + np.float32(0.5)) / np.float32(factor)
    return a * (np.float32(1) - near) + b * near
