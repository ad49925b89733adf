"""The up-scaling of `mask_head` for a CPU: sixteen cells go from weights to logits in its cache."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from terradelta.sam.cells import Update
from terradelta.sam.cells_cpu import flat
from terradelta.sam.simd import BLOCK, LANES, inline, kernel, load, splat, square_root, store
from terradelta.sam.tiles import (
    add_block,
    add_rows,
    multiply_add,
    scale_columns,
    store_tile,
    zeros_1,
    zeros_4,
)
from terradelta.sam.vector_math import gelu

_ZERO, _ONE = np.float32(0), np.float32(1)


def upscale(
    upscaled: Tensor,
    values: Tensor,
    hyper: Tensor,
    point: Tensor,
    kept: Tensor,
    updates: tuple[Update, Update],
    parameters: tuple[tuple[Tensor, ...], float],
) -> Tensor:
    """Logits [M, 4 s, 4 s] of masks of K points.

    ``upscaled`` [N / 16, 4 D, 16] is the image after the first step, ``values`` [K, 4 D, 2 R + 2] what
    the updates wrote, values and base of each. ``hyper`` [M, E] is a vector for each mask, ``point`` [M],
    ascending, which of the K it is of, ``kept`` [K] which of the points of the ``updates`` those are.
    ``parameters`` are bias, norm (weight, bias), second step (weight, bias), and the norm's epsilon.
    """
    cells = len(upscaled) * BLOCK
    side = 4 * int(cells**0.5)
    first, second = updates
    tensors, eps = parameters
    logits = torch.empty(len(hyper), side, side)
    begin = np.searchsorted(point.numpy(), np.arange(len(kept) + 1))
    _upscale_pass(
        (len(kept), values.shape[2] // 2 - 1, values.shape[1] // 4, hyper.shape[1], cells),
        kept.numpy(),
        begin,
        flat(upscaled),
        flat(values),
        flat(hyper),
        (flat(first.weights), flat(first.factor)),
        (flat(second.weights), flat(second.factor)),
        tuple(flat(tensor) for tensor in tensors),
        np.float32(eps),
        flat(logits),
    )
    return logits.mT


@kernel
def _upscale_pass(
    sizes, kept, begin, upscaled, values, hyper, first, second, parameters, eps, logits
):
    points, rank, channels, narrow, cells = sizes
    weights, factors = first
    weights1, factors1 = second
    bias, norm_weight, norm_bias, twice, twice_bias = parameters
    wide = 4 * channels
    both = 2 * rank + 2
    w = np.empty(both * BLOCK, np.float32)
    x = np.empty(wide * BLOCK, np.float32)
    y = np.empty(4 * narrow * BLOCK, np.float32)
    out = np.empty(BLOCK, np.float32)
    for n in range(points):
        point, mask = kept[n], begin[n]
        count = begin[n + 1] - mask
        for cell in range(0, cells, BLOCK):
            at = point * cells + cell
            f1, g1 = load(factors1, at), load(factors1, at + LANES)
            f, g = load(factors, at) * f1, load(factors, at + LANES) * g1
            _scaled_in(weights, at * rank, rank, w, 0, f, g)
            _scaled_in(weights1, at * rank, rank, w, (rank + 1) * BLOCK, f1, g1)
            for i in range(0, wide, 4):
                tile = add_block(zeros_4(), upscaled, (cell // BLOCK * wide + i) * BLOCK, BLOCK)
                tile = scale_columns(tile, f, g)
                tile = multiply_add(tile, values, (n * wide + i) * both, both, w, 0, BLOCK, both)
                store_tile(add_rows(tile, bias, i), x, i * BLOCK, BLOCK)
            for corner in range(4):
                begin_x = corner * channels * BLOCK
                _normalise(x, begin_x, channels, norm_weight, norm_bias, eps)
                _product(twice, 4 * narrow, x, begin_x, channels, y)
                for i in range(4 * narrow):
                    for to in range(i * BLOCK, (i + 1) * BLOCK, LANES):
                        store(y, to, gelu(load(y, to) + twice_bias[i]))
                for inner in range(4):
                    begin_y = inner * narrow * BLOCK
                    for m in range(mask, mask + count):
                        one = multiply_add(
                            zeros_1(), hyper, m * narrow, narrow, y, begin_y, BLOCK, narrow
                        )
                        store_tile(one, out, 0, BLOCK)
                        _place(out, logits, m, cell, corner, inner, cells)


@kernel
def _product(a, rows, b, b0, depth, out):
    for i in range(0, rows, 4):
        tile = multiply_add(zeros_4(), a, i * depth, depth, b, b0, BLOCK, depth)
        store_tile(tile, out, i * BLOCK, BLOCK)


@inline
def _scaled_in(x, x0, rows, block, to, f, g):
    """Weights times their factor, and the factor itself, with which the base is written."""
    for i in range(rows):
        at = i * BLOCK
        store(block, to + at, load(x, x0 + at) * f)
        store(block, to + at + LANES, load(x, x0 + at + LANES) * g)
    store(block, to + rows * BLOCK, f)
    store(block, to + rows * BLOCK + LANES, g)


@kernel
def _normalise(x, x0, channels, weight, bias, eps):
    """LayerNorm and GELU of centred channels, in place."""
    for start in range(x0, x0 + BLOCK, LANES):
        square = splat(_ZERO)
        for i in range(channels):
            value = load(x, start + i * BLOCK)
            square = square + value * value
        factor = splat(_ONE) / square_root(square * (_ONE / np.float32(channels)) + eps)
        for i in range(channels):
            at = start + i * BLOCK
            store(x, at, gelu(load(x, at) * factor * weight[i] + bias[i]))


@kernel
def _place(out, logits, mask, cell, corner, inner, cells):
    """Sixteen logits of a mask to their pixels, column by column."""
    side = int(np.sqrt(cells))
    down, right = 2 * (corner // 2) + inner // 2, 2 * (corner % 2) + inner % 2
    row, column = cell // side, cell % side
    for i in range(BLOCK):
        at = (4 * column + right) * 4 * side + 4 * row + down
        logits[mask * 16 * cells + at] = out[i]
        column += 1
        if column == side:
            row, column = row + 1, 0
