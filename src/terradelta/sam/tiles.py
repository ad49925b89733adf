"""Products whose sums stay in registers: tiles of a few rows and sixteen columns for numba.

A processor multiplies at its full rate only if what it adds to need not be fetched. A tile is a value: it
is made of zeros, multiplied into, scaled, and stored once.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from terradelta.sam.simd import (
    FAST,
    INT,
    LANES,
    VECTOR,
    emit_data,
    emit_load,
    emit_splat,
    emit_store,
    vector,
)


class TileType(types.Type):
    """The numba type of ``rows`` x 16 floats that are kept in registers: two vectors a row."""

    def __init__(self, rows: int) -> None:
        super().__init__(f"float32x{rows}x{2 * LANES}")
        self.rows = rows


@register_model(TileType)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: TileType) -> None:
        super().__init__(manager, kind, ir.ArrayType(VECTOR, 2 * kind.rows))


def _make_zeros(rows: int) -> Any:
    kind = TileType(rows)

    @intrinsic
    def zeros(typing: Any) -> Any:
        zero = ir.Constant(VECTOR, [0.0] * LANES)
        return kind(), lambda *_: ir.Constant(ir.ArrayType(VECTOR, 2 * rows), [zero] * 2 * rows)

    return zeros


zeros_1, zeros_2, zeros_3, zeros_4, zeros_6 = map(_make_zeros, (1, 2, 3, 4, 6))


@intrinsic
def multiply_add(
    typing: Any,
    tile: Any,
    a: Any,
    a0: Any,
    a_stride: Any,
    b: Any,
    b0: Any,
    b_stride: Any,
    depth: Any,
) -> Any:
    """``tile + a @ b``: ``a`` [rows, depth] at ``a0``, ``b`` [depth, 16] at ``b0``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        tile_, _, a0_, a_stride_, _, b0_, b_stride_, depth_ = args
        left = builder.gep(emit_data(context, builder, signature, args, 1), [a0_])
        right = builder.gep(emit_data(context, builder, signature, args, 4), [b0_])
        lines = [
            builder.gep(left, [builder.mul(a_stride_, a_stride_.type(r))]) for r in range(tile.rows)
        ]
        registers = _registers(builder, tile_)
        with cgutils.for_range(builder, depth_) as loop:
            step = builder.gep(right, [builder.mul(loop.index, b_stride_)])
            halves = [emit_load(builder, builder.gep(step, [INT(LANES * v)])) for v in range(2)]
            for r, line in enumerate(lines):
                value = emit_splat(builder, builder.load(builder.gep(line, [loop.index])))
                for v, half in enumerate(halves):
                    _accumulate(builder, registers[2 * r + v], value, half)
        return _gathered(builder, registers)

    place = types.intp
    return tile(tile, a, place, place, b, place, place, place), generate


@intrinsic
def add_rows(typing: Any, tile: Any, a: Any, a0: Any) -> Any:
    """``tile`` with a number of ``a`` added to each row, from ``a0`` on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = builder.gep(emit_data(context, builder, signature, args, 1), [args[2]])
        result = args[0]
        for r in range(tile.rows):
            value = emit_splat(builder, builder.load(builder.gep(start, [INT(r)])))
            for n in (2 * r, 2 * r + 1):
                total = builder.fadd(builder.extract_value(args[0], n), value, flags=FAST)
                result = builder.insert_value(result, total, n)
        return result

    return tile(tile, a, types.intp), generate


@intrinsic
def add_block(typing: Any, tile: Any, a: Any, index: Any, stride: Any) -> Any:
    """``tile`` with what stands in ``a``, its rows ``stride`` apart, added."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = builder.gep(emit_data(context, builder, signature, args, 1), [args[2]])
        result = args[0]
        for r in range(tile.rows):
            line = builder.gep(start, [builder.mul(args[3], args[3].type(r))])
            for v in range(2):
                value = emit_load(builder, builder.gep(line, [INT(LANES * v)]))
                held = builder.extract_value(args[0], 2 * r + v)
                total = builder.fadd(held, value, flags=FAST)
                result = builder.insert_value(result, total, 2 * r + v)
        return result

    return tile(tile, a, types.intp, types.intp), generate


@intrinsic
def add_weighted_rows(typing: Any, total: Any, tile: Any, a: Any, index: Any) -> Any:
    """A tile of one row with the sum of the rows of ``tile`` added, each times a row of ``a``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = builder.gep(emit_data(context, builder, signature, args, 2), [args[3]])
        registers = _registers(builder, args[0])
        for n in range(2 * tile.rows):
            weight = emit_load(builder, builder.gep(start, [INT(LANES * n)]))
            _accumulate(builder, registers[n % 2], builder.extract_value(args[1], n), weight)
        return _gathered(builder, registers)

    return total(total, tile, a, types.intp), generate


@intrinsic
def left_half(typing: Any, tile: Any) -> Any:
    """The first vector of a tile of one row."""
    return vector(tile), lambda _, builder, __, args: builder.extract_value(args[0], 0)


@intrinsic
def right_half(typing: Any, tile: Any) -> Any:
    """The second."""
    return vector(tile), lambda _, builder, __, args: builder.extract_value(args[0], 1)


@intrinsic
def scale_columns(typing: Any, tile: Any, left: Any, right: Any) -> Any:
    """Each row of ``tile`` times two vectors."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        result = args[0]
        for n in range(2 * tile.rows):
            value = builder.extract_value(args[0], n)
            scaled = builder.fmul(value, args[1 + n % 2], flags=FAST)
            result = builder.insert_value(result, scaled, n)
        return result

    return tile(tile, vector, vector), generate


@intrinsic
def store_tile(typing: Any, tile: Any, out: Any, index: Any, stride: Any) -> Any:
    """Write the rows of a tile ``stride`` apart."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = builder.gep(emit_data(context, builder, signature, args, 1), [args[2]])
        for r in range(tile.rows):
            line = builder.gep(start, [builder.mul(args[3], args[3].type(r))])
            for v in range(2):
                place = builder.gep(line, [INT(LANES * v)])
                emit_store(builder, builder.extract_value(args[0], 2 * r + v), place)
        return context.get_dummy_value()

    return types.void(tile, out, types.intp, types.intp), generate


def _make_add_dots(rows: int, columns: int) -> Any:
    @intrinsic
    def add_dots(
        typing: Any,
        held: Any,
        held0: Any,
        held_stride: Any,
        a: Any,
        a0: Any,
        a_step: Any,
        b: Any,
        b0: Any,
        b_step: Any,
        blocks: Any,
    ) -> Any:
        """Add to vectors ``held`` what, summed over lanes, is rows of ``a`` times rows of ``b``.

        Rows are of ``blocks`` of 16, ``a_step`` and ``b_step`` apart; the rows of a block are 16 apart.
        """

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            held_, left, right = (
                builder.gep(emit_data(context, builder, signature, args, n), [args[n + 1]])
                for n in (0, 3, 6)
            )
            places = [
                builder.gep(
                    builder.gep(held_, [builder.mul(args[2], args[2].type(r))]), [INT(LANES * c)]
                )
                for r in range(rows)
                for c in range(columns)
            ]
            registers = [cgutils.alloca_once(builder, VECTOR) for _ in places]
            for place, register in zip(places, registers, strict=True):
                builder.store(emit_load(builder, place), register)
            with cgutils.for_range(builder, args[9]) as loop:
                a_block = builder.gep(left, [builder.mul(loop.index, args[5])])
                b_block = builder.gep(right, [builder.mul(loop.index, args[8])])
                for v in range(2):
                    others = [
                        emit_load(builder, builder.gep(b_block, [INT(LANES * (2 * c + v))]))
                        for c in range(columns)
                    ]
                    for r in range(rows):
                        value = emit_load(builder, builder.gep(a_block, [INT(LANES * (2 * r + v))]))
                        for c, other in enumerate(others):
                            _accumulate(builder, registers[r * columns + c], value, other)
            for place, register in zip(places, registers, strict=True):
                emit_store(builder, builder.load(register), place)
            return context.get_dummy_value()

        place = types.intp
        return (
            types.void(held, place, place, a, place, place, b, place, place, place),
            generate,
        )

    return add_dots


add_dots_4x2, add_dots_3x2, add_dots_1x2 = (_make_add_dots(rows, 2) for rows in (4, 3, 1))


def _registers(builder: Any, tile: Any) -> list[Any]:
    registers = []
    for n in range(tile.type.count):
        register = cgutils.alloca_once(builder, VECTOR)
        builder.store(builder.extract_value(tile, n), register)
        registers.append(register)
    return registers


def _gathered(builder: Any, registers: list[Any]) -> Any:
    tile = ir.Constant(ir.ArrayType(VECTOR, len(registers)), ir.Undefined)
    for n, register in enumerate(registers):
        tile = builder.insert_value(tile, builder.load(register), n)
    return tile


def _accumulate(builder: Any, register: Any, a: Any, b: Any) -> None:
    product = builder.fmul(a, b, flags=FAST)
    builder.store(builder.fadd(product, builder.load(register), flags=FAST), register)
