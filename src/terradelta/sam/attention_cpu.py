"""Attention to an image for a CPU in float32: sixteen queries at a time, their logits in its cache."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from terradelta.sam.cells_cpu import flat
from terradelta.sam.simd import (
    BLOCK,
    LANES,
    kernel,
    lane_max,
    lane_sum,
    load,
    maximum,
    splat,
    store,
)
from terradelta.sam.threads import on_all_cores
from terradelta.sam.tiles import add_block, add_rows, multiply_add, store_tile, zeros_4
from terradelta.sam.vector_math import exponential

KEYS_AT_ONCE = 128
QUERIES_PER_CALL = 256
PADDING = 16
"""Floats after each row: rows whose distance is a power of two would share their place in the cache."""
_ZERO = np.float32(0)
_LOWEST = np.float32(-3e38)


def can_attend(query: Tensor, side: int) -> bool:
    """Whether `attend` can do it, for an image of ``side`` x ``side`` cells."""
    fits = side % BLOCK == 0 and query.shape[-1] % BLOCK == 0
    plain = query.dtype == torch.float32 and torch.is_inference_mode_enabled()
    return query.device.type == "cpu" and plain and fits


def attend(query: Tensor, key: Tensor, value: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """Softmax attention [G, N, d] of the N = h w cells of an image to each other.

    ``query`` (scaled), ``key`` and ``value`` are [G, N, d]; ``by_row`` [G, h, w, h] and ``by_column``
    [G, h, w, w] are added to the logits of each query for the rows and columns of keys.
    """
    groups, cells, depth = query.shape
    keys = key.unflatten(1, (-1, BLOCK)).transpose(2, 3)
    rows = by_row.flatten(1, 2).mT
    inputs = tuple(flat(part) for part in (query, keys, value, rows, by_column))
    result, total = torch.empty(query.shape), torch.empty(groups, cells, 1)
    outputs = flat(result), flat(total)
    sizes = cells, depth, by_column.shape[-1]

    def attend_from(begin: tuple[int, int]) -> None:
        _attend(sizes, *begin, inputs, outputs)

    begins = [(g, q) for g in range(groups) for q in range(0, cells, QUERIES_PER_CALL)]
    on_all_cores(attend_from, begins)
    return result.div_(total)


@kernel
def _attend(sizes, group, begin, inputs, outputs):
    cells, depth, width = sizes
    query, keys, values, by_row, by_column = inputs
    result, totals = outputs
    height, line = cells // width, cells + PADDING
    p = np.empty(BLOCK * line, np.float32)
    for first in range(begin, min(begin + QUERIES_PER_CALL, cells), BLOCK):
        q0 = group * cells + first
        for cell in range(0, cells, BLOCK):
            row, column = cell // width, cell % width
            key = (group * cells + cell) * depth
            for i in range(0, BLOCK, 4):
                tile = add_block(zeros_4(), by_column, (q0 + i) * width + column, width)
                tile = add_rows(tile, by_row, (group * height + row) * cells + first + i)
                tile = multiply_add(tile, query, (q0 + i) * depth, depth, keys, key, BLOCK, depth)
                store_tile(tile, p, i * line + cell, line)
        for i in range(BLOCK):
            totals[q0 + i] = _exponentials(p, i * line, cells)
        for i in range(BLOCK * depth):
            result[q0 * depth + i] = _ZERO
        for cell in range(0, cells, KEYS_AT_ONCE):
            count = min(KEYS_AT_ONCE, cells - cell)
            for i in range(0, BLOCK, 4):
                for column in range(0, depth, BLOCK):
                    to = (q0 + i) * depth + column
                    tile = add_block(zeros_4(), result, to, depth)
                    value = (group * cells + cell) * depth + column
                    tile = multiply_add(tile, p, i * line + cell, line, values, value, depth, count)
                    store_tile(tile, result, to, depth)


@kernel
def _exponentials(x, x0, count):
    """Softmax in place but for the sum, which is returned."""
    peak = splat(_LOWEST)
    for at in range(x0, x0 + count, LANES):
        peak = maximum(peak, load(x, at))
    peak = splat(lane_max(peak))
    total = splat(_ZERO)
    for at in range(x0, x0 + count, LANES):
        value = exponential(load(x, at) - peak)
        total = total + value
        store(x, at, value)
    return lane_sum(total)
