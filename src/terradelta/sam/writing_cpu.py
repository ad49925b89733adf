"""The cells attend to the tokens, and are written to: kernels of `cells_cpu`."""

from __future__ import annotations

import numpy as np

from terradelta.sam.simd import (
    BLOCK,
    LANES,
    inline,
    kernel,
    load,
    maximum,
    splat,
    square_root,
    store,
)
from terradelta.sam.tiles import (
    add_rows,
    add_weighted_rows,
    left_half,
    multiply_add,
    right_half,
    scale_columns,
    store_tile,
    zeros_1,
    zeros_6,
)
from terradelta.sam.vector_math import exponential

TOKENS = 7
WRITTEN = TOKENS - 1
"""Tokens of a single point, and those whose weights are kept."""
_ZERO, _ONE = np.float32(0), np.float32(1)


@kernel
def first_pass(
    sizes, key, query, seen, seen_carried, plain, carried, along, along_base, squares, norm,
    constant_square, results,
):  # fmt: skip
    points, heads, depth, cells = sizes
    square, square_carried, with_constant = squares
    weights, factors, lengths = results
    rank = heads * WRITTEN
    factor = np.empty(BLOCK, np.float32)
    for point in range(points):
        first = point * rank
        for cell in range(0, cells, BLOCK):
            w0 = (point * cells + cell) * rank
            columns = cell * heads * depth
            for head in range(heads):
                row = head * WRITTEN
                tile = multiply_add(
                    zeros_6(), key, (first + row) * depth, depth, query,
                    columns + head * depth * BLOCK, BLOCK, depth,
                )  # fmt: skip
                store_tile(tile, weights, w0 + row * BLOCK, BLOCK)
            _softmax_beside_zero(weights, w0, heads)
            _lengths(weights, w0, plain, seen, columns, point, heads, depth, factor)
            for half in range(0, BLOCK, LANES):
                n = cell + half
                one = _factor(load(factor, half) + load(square, n), norm)
                store(factors, point * cells + n, one)
            _lengths(weights, w0, carried, seen_carried, columns, point, heads, depth, factor)
            for half in range(0, BLOCK, LANES):
                n = cell + half
                total = load(factor, half) + load(square_carried, n)
                one = load(factors, point * cells + n)
                twice = load(with_constant, n)
                twice = twice + twice + along_base[point]
                for i in range(rank):
                    twice = twice + load(weights, w0 + i * BLOCK + half) * along[first + i]
                total = (total * one + twice) * one + constant_square
                store(lengths, point * cells + n, total)


@kernel
def second_pass(
    sizes, asking, small, base, shared, cross, cross_base, own, along, before, norm, results
):
    points, heads, depth, cells = sizes
    direct, offset, seen = shared
    twice, last, gram, linear, alone = own
    weights0, factors0, lengths = before
    weights, factors = results
    rank = heads * WRITTEN
    for point in range(points):
        first, crossed = point * rank, point * (rank + 1)
        for cell in range(0, cells, BLOCK):
            n = point * cells + cell
            f, g = load(factors0, n), load(factors0, n + LANES)
            w0, c0 = n * rank, cell * heads * depth
            for head in range(heads):
                row, column = first + head * WRITTEN, c0 + head * depth * BLOCK
                tile = add_rows(zeros_6(), base, row)
                tile = multiply_add(tile, small, row * rank, rank, weights0, w0, BLOCK, rank)
                tile = multiply_add(tile, asking, row * depth, depth, direct, column, BLOCK, depth)
                tile = scale_columns(tile, f, g)
                tile = multiply_add(tile, asking, row * depth, depth, offset, column, BLOCK, depth)
                store_tile(tile, weights, w0 + head * WRITTEN * BLOCK, BLOCK)
            _softmax_beside_zero(weights, w0, heads)
            total = add_rows(zeros_1(), cross_base, crossed + rank)
            total = multiply_add(
                total, cross, (crossed + rank) * rank, rank, weights0, w0, BLOCK, rank
            )
            wide = heads * depth
            total = multiply_add(total, last, point * wide, wide, seen, c0, BLOCK, wide)
            total = add_rows(scale_columns(total, f, g), alone, point)
            for head in range(heads):
                i = head * WRITTEN
                row, column = first + i, c0 + head * depth * BLOCK
                tile = add_rows(zeros_6(), cross_base, crossed + i)
                tile = multiply_add(
                    tile, cross, (crossed + i) * rank, rank, weights0, w0, BLOCK, rank
                )
                tile = multiply_add(tile, twice, row * depth, depth, seen, column, BLOCK, depth)
                tile = scale_columns(tile, f, g)
                tile = multiply_add(tile, gram, row * rank, rank, weights, w0, BLOCK, i + WRITTEN)
                tile = add_rows(add_rows(tile, linear, row), along, row)
                total = add_weighted_rows(total, tile, weights, w0 + i * BLOCK)
            store(factors, n, _factor(left_half(total) + load(lengths, n), norm))
            n += LANES
            store(factors, n, _factor(right_half(total) + load(lengths, n), norm))


@kernel
def _lengths(weights, w0, written, seen, c0, point, heads, depth, result):
    """What is written to 16 cells changes in their squared lengths."""
    twice, last, gram, linear, alone = written
    rank, wide = heads * WRITTEN, heads * depth
    first = point * rank
    total = add_rows(zeros_1(), alone, point)
    total = multiply_add(total, last, point * wide, wide, seen, c0, BLOCK, wide)
    for head in range(heads):
        i = head * WRITTEN
        row, column = first + i, c0 + head * depth * BLOCK
        tile = add_rows(zeros_6(), linear, row)
        tile = multiply_add(tile, twice, row * depth, depth, seen, column, BLOCK, depth)
        # The lower triangle alone: the quadratic form is that of a symmetric matrix.
        tile = multiply_add(tile, gram, row * rank, rank, weights, w0, BLOCK, i + WRITTEN)
        total = add_weighted_rows(total, tile, weights, w0 + i * BLOCK)
    store_tile(total, result, 0, BLOCK)


@kernel
def _softmax_beside_zero(x, x0, heads):
    """In place over the tokens of each head; the last token's logit is 0, and left out."""
    for head in range(heads):
        for half in range(0, BLOCK, LANES):
            at = x0 + head * WRITTEN * BLOCK + half
            peak = splat(_ZERO)
            for t in range(WRITTEN):
                peak = maximum(peak, load(x, at + t * BLOCK))
            total = exponential(splat(_ZERO) - peak)
            for t in range(WRITTEN):
                value = exponential(load(x, at + t * BLOCK) - peak)
                total = total + value
                store(x, at + t * BLOCK, value)
            share = splat(_ONE) / total
            for t in range(WRITTEN):
                store(x, at + t * BLOCK, load(x, at + t * BLOCK) * share)


@inline
def _factor(square, norm):
    share, eps = norm
    return splat(_ONE) / square_root(maximum(square * share, splat(_ZERO)) + eps)
