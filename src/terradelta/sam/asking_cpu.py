"""Tokens attend to the cells: kernels of `cells_cpu`.

The means that a token gathers are those of a softmax over all cells. They are taken of what all points
share and of the weights with which a layer wrote to the cells, the values of which follow outside.
"""

from __future__ import annotations

import numpy as np

from terradelta.sam.simd import (
    BLOCK,
    LANES,
    inline,
    kernel,
    lane_max,
    lane_sum,
    load,
    maximum,
    splat,
    store,
)
from terradelta.sam.tiles import (
    add_block,
    add_dots_1x2,
    add_dots_3x2,
    add_dots_4x2,
    add_rows,
    multiply_add,
    scale_columns,
    store_tile,
    zeros_1,
    zeros_3,
    zeros_4,
)
from terradelta.sam.vector_math import exponential
from terradelta.sam.writing_cpu import TOKENS, WRITTEN

BLOCKS_AT_ONCE = 8
_ZERO, _ONE = np.float32(0), np.float32(1)


@kernel
def gather_pass(sizes, asking, shared, ones, sums):
    points, heads, depth, cells = sizes
    keys, values = shared
    rows = heads * TOKENS
    logits = np.empty(rows * cells, np.float32)
    peaks = np.empty(rows * LANES, np.float32)
    for point in range(points):
        for cell in range(0, cells, BLOCK):
            for head in range(heads):
                c0, row = (cell * heads + head * BLOCK) * depth, point * rows + head * TOKENS
                out = cell * rows + head * TOKENS * BLOCK
                four = multiply_add(zeros_4(), asking, row * depth, depth, keys, c0, BLOCK, depth)
                store_tile(four, logits, out, BLOCK)
                row += 4
                three = multiply_add(zeros_3(), asking, row * depth, depth, keys, c0, BLOCK, depth)
                store_tile(three, logits, out + 4 * BLOCK, BLOCK)
            _raise(peaks, logits, cell * rows, rows, cell == 0)
        _gather_sums(
            logits, peaks, values, ones, ones, 0, heads, depth, 0, cells,
            sums, point * rows * (depth + 1),
        )  # fmt: skip


@kernel
def gather1_pass(sizes, asking, small, base, shared, weights, factors, sums):
    points, heads, depth, cells = sizes
    direct, offset, values = shared
    rank, rows = heads * WRITTEN, heads * TOKENS
    width = depth + rank + 1
    logits = np.empty(rows * cells, np.float32)
    peaks = np.empty(rows * LANES, np.float32)
    for point in range(points):
        for cell in range(0, cells, BLOCK):
            n = point * cells + cell
            f, g = load(factors, n), load(factors, n + LANES)
            w0, out = n * rank, cell * rows
            for head in range(heads):
                c0 = (cell * heads + head * BLOCK) * depth
                row = point * rows + head * TOKENS
                four = multiply_add(
                    add_rows(zeros_4(), base, row), small, row * rank, rank, weights, w0, BLOCK, rank
                )  # fmt: skip
                four = multiply_add(four, asking, row * depth, depth, direct, c0, BLOCK, depth)
                four = scale_columns(four, f, g)
                four = multiply_add(four, asking, row * depth, depth, offset, c0, BLOCK, depth)
                store_tile(four, logits, out + head * TOKENS * BLOCK, BLOCK)
                row += 4
                three = multiply_add(
                    add_rows(zeros_3(), base, row), small, row * rank, rank, weights, w0, BLOCK, rank
                )  # fmt: skip
                three = multiply_add(three, asking, row * depth, depth, direct, c0, BLOCK, depth)
                three = scale_columns(three, f, g)
                three = multiply_add(three, asking, row * depth, depth, offset, c0, BLOCK, depth)
                store_tile(three, logits, out + (head * TOKENS + 4) * BLOCK, BLOCK)
            _raise(peaks, logits, out, rows, cell == 0)
        _gather_sums(
            logits, peaks, values, weights, factors, point * cells, heads, depth, rank, cells,
            sums, point * rows * width,
        )  # fmt: skip


@kernel
def _gather_sums(p, peaks, values, weights, factors, begin, heads, depth, rank, cells, sums, s0):
    """Softmax means over the cells: of the values and the weights times the factor, and of that."""
    rows, width = heads * TOKENS, depth + rank + 1
    line = width * LANES
    held = np.empty(rows * line, np.float32)
    total = np.empty(rows * LANES, np.float32)
    for i in range(rows * width):
        store(held, i * LANES, splat(_ZERO))
    for row in range(rows):
        store(total, row * LANES, splat(_ZERO))
    step, v_step, w_step = rows * BLOCK, heads * depth * BLOCK, rank * BLOCK
    for start in range(0, cells, BLOCKS_AT_ONCE * BLOCK):
        count = min(cells - start, BLOCKS_AT_ONCE * BLOCK) // BLOCK
        for head in range(heads):
            row = head * TOKENS
            p0 = start * rows + row * BLOCK
            for t in range(TOKENS):
                last, all_of = (row + t + 1) * line - LANES, (row + t) * LANES
                peak = splat(lane_max(load(peaks, all_of)))
                scaled, plain = load(held, last), load(total, all_of)
                for block in range(count):
                    for half in range(0, BLOCK, LANES):
                        at = p0 + block * step + t * BLOCK + half
                        value = exponential(load(p, at) - peak)
                        plain = plain + value
                        value = value * load(factors, begin + start + block * BLOCK + half)
                        scaled = scaled + value
                        store(p, at, value)
                store(held, last, scaled)
                store(total, all_of, plain)
            h0, h4, p4 = row * line, (row + 4) * line, p0 + 4 * BLOCK
            v0, w0 = (start * heads + head * BLOCK) * depth, (begin + start) * rank
            for j in range(0, depth, 2):
                at, to = v0 + j * BLOCK, j * LANES
                add_dots_4x2(held, h0 + to, line, p, p0, step, values, at, v_step, count)
                add_dots_3x2(held, h4 + to, line, p, p4, step, values, at, v_step, count)
            for j in range(0, rank, 2):
                at, to = w0 + j * BLOCK, (depth + j) * LANES
                add_dots_4x2(held, h0 + to, line, p, p0, step, weights, at, w_step, count)
                add_dots_3x2(held, h4 + to, line, p, p4, step, weights, at, w_step, count)
    for row in range(rows):
        share = _ONE / lane_sum(load(total, row * LANES))
        for i in range(row * width, (row + 1) * width):
            sums[s0 + i] = lane_sum(load(held, i * LANES)) * share


@kernel
def ask_pass(sizes, of_point, query, shared, small, small1, first, second, sums):
    asking, heads, depth, cells = sizes
    key, position, _ = shared
    weights, factors = first
    weights1, factors1 = second
    rank = heads * WRITTEN
    width = depth + 2 * rank + 2
    logits = np.empty(heads * cells, np.float32)
    peaks = np.empty(heads * LANES, np.float32)
    for token in range(asking):
        begin, row0 = of_point[token] * cells, token * heads
        for cell in range(0, cells, BLOCK):
            w0, out = (begin + cell) * rank, cell * heads
            f, g = load(factors, begin + cell), load(factors, begin + cell + LANES)
            f1, g1 = load(factors1, begin + cell), load(factors1, begin + cell + LANES)
            for head in range(heads):
                at, row = (cell * heads + head * BLOCK) * depth, (row0 + head) * depth
                one = multiply_add(zeros_1(), query, row, depth, key, at, BLOCK, depth)
                store_tile(one, logits, out + head * BLOCK, BLOCK)
            head = 0
            while head < heads:
                to = out + head * BLOCK
                if head + 4 <= heads:
                    four = add_block(zeros_4(), logits, to, BLOCK)
                    four = _weigh(four, small, row0 + head, rank, weights, w0, f, g)
                    four = _weigh(four, small1, row0 + head, rank, weights1, w0, f1, g1)
                    store_tile(four, logits, to, BLOCK)
                    head += 4
                else:
                    one = add_block(zeros_1(), logits, to, BLOCK)
                    one = _weigh(one, small, row0 + head, rank, weights, w0, f, g)
                    one = _weigh(one, small1, row0 + head, rank, weights1, w0, f1, g1)
                    store_tile(one, logits, to, BLOCK)
                    head += 1
            for head in range(heads):
                at, row = (cell * heads + head * BLOCK) * depth, (row0 + head) * depth
                one = add_block(zeros_1(), logits, out + head * BLOCK, BLOCK)
                one = multiply_add(one, query, row, depth, position, at, BLOCK, depth)
                store_tile(one, logits, out + head * BLOCK, BLOCK)
            _raise(peaks, logits, out, heads, cell == 0)
        _ask_sums(
            logits, peaks, shared[2], first, second, begin, heads, depth, cells, sums, row0 * width
        )


@inline
def _raise(peaks, logits, at, rows, begins):
    """Let ``peaks`` hold the largest logits of each row so far, lane by lane."""
    for i in range(rows):
        largest = maximum(load(logits, at + i * BLOCK), load(logits, at + i * BLOCK + LANES))
        store(peaks, i * LANES, largest if begins else maximum(load(peaks, i * LANES), largest))


@kernel
def _ask_sums(p, peaks, values, first, second, begin, heads, depth, cells, sums, s0):
    """Softmax means over the cells: of the values and the weights times the factors, and of those."""
    weights, factors = first
    weights1, factors1 = second
    rank = heads * WRITTEN
    width = depth + 2 * rank + 2
    line, step = width * LANES, heads * BLOCK
    held = np.empty(heads * line, np.float32)
    total = np.empty(heads * LANES, np.float32)
    p1 = np.empty(BLOCKS_AT_ONCE * step, np.float32)
    for i in range(heads * width):
        store(held, i * LANES, splat(_ZERO))
    for head in range(heads):
        store(total, head * LANES, splat(_ZERO))
    for start in range(0, cells, BLOCKS_AT_ONCE * BLOCK):
        count = min(cells - start, BLOCKS_AT_ONCE * BLOCK) // BLOCK
        for head in range(heads):
            last, all_of = (head + 1) * line - LANES, head * LANES
            peak = splat(lane_max(load(peaks, all_of)))
            scaled, scaled1, plain = load(held, last - LANES), load(held, last), load(total, all_of)
            for block in range(count):
                for half in range(0, BLOCK, LANES):
                    cell = start + block * BLOCK
                    at, n = cell * heads + head * BLOCK + half, begin + cell + half
                    value = exponential(load(p, at) - peak)
                    plain = plain + value
                    value = value * load(factors1, n)
                    scaled1 = scaled1 + value
                    store(p1, block * step + head * BLOCK + half, value)
                    value = value * load(factors, n)
                    scaled = scaled + value
                    store(p, at, value)
            store(held, last - LANES, scaled)
            store(held, last, scaled1)
            store(total, all_of, plain)
        w0, p0 = (begin + start) * rank, start * heads
        _add_dots(held, depth * LANES, line, p, p0, heads, weights, w0, rank, count)
        _add_dots(held, (depth + rank) * LANES, line, p1, 0, heads, weights1, w0, rank, count)
        for head in range(heads):
            for j in range(0, depth, 2):
                at = (start * heads + head * BLOCK) * depth + j * BLOCK
                add_dots_1x2(
                    held, head * line + j * LANES, line, p, p0 + head * BLOCK, step, values, at,
                    heads * depth * BLOCK, count,
                )  # fmt: skip
    for head in range(heads):
        share = _ONE / lane_sum(load(total, head * LANES))
        for i in range(head * width, (head + 1) * width):
            sums[s0 + i] = lane_sum(load(held, i * LANES)) * share


@kernel
def _add_dots(held, h0, line, p, p0, rows, weights, w0, rank, count):
    step, w_step = rows * BLOCK, rank * BLOCK
    for j in range(0, rank, 2):
        to, at = h0 + j * LANES, w0 + j * BLOCK
        i = 0
        while i < rows:
            row = p0 + i * BLOCK
            if i + 4 <= rows:
                add_dots_4x2(held, to + i * line, line, p, row, step, weights, at, w_step, count)
                i += 4
            else:
                add_dots_1x2(held, to + i * line, line, p, row, step, weights, at, w_step, count)
                i += 1


@inline
def _weigh(tile, small, row, rank, weights, w0, f, g):
    """(``tile`` + what a layer wrote) times its factor."""
    values, base = small
    tile = add_rows(tile, base, row)
    tile = multiply_add(tile, values, row * rank, rank, weights, w0, BLOCK, rank)
    return scale_columns(tile, f, g)
