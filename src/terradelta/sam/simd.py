"""Eight floats at a time in numba: the vectors that the kernels of a CPU are of.

Compilers find vectors in plain loops only where they can prove that arrays do not overlap. Here they are
said. LLVM turns a vector into what the processor has: one register of AVX, two of SSE or NEON.

Arrays are C-contiguous float32, indices those of the flattened array. Nothing checks bounds. What is kept
on disk of a kernel is compiled anew when its own file changes, not when this one does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

F = TypeVar("F", bound=Callable[..., Any])
LANES = 8
BLOCK = 2 * LANES
"""How many floats a row of a tile has (`tiles`)."""

FLOAT, INT = ir.FloatType(), ir.IntType(32)
VECTOR, INTS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT, LANES)
FAST = ("contract", "nnan", "ninf", "nsz")
_ALIGN = 4


def kernel(function: F) -> F:
    """A function that is compiled at its first call, kept on disk, and lets go of the interpreter."""
    return _compiled(function)


def inline(function: F) -> F:
    """A part of kernels, compiled into each of them."""
    return _compiled(function, inline="always")


def _compiled(function: Any, **options: Any) -> Any:
    options |= {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # there is no folder to which a cache can be written
        return njit(**options)(function)


class VectorType(types.Type):
    """The numba type of eight floats."""

    def __init__(self) -> None:
        super().__init__("float32x8")


vector = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: VectorType) -> None:
        super().__init__(manager, kind, VECTOR)


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """The vector that begins at an index of an array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = emit_data(context, builder, signature, args, 0)
        return emit_load(builder, builder.gep(data, [args[1]]))

    return vector(array, types.intp), generate


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a vector at an index of an array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = emit_data(context, builder, signature, args, 0)
        emit_store(builder, args[2], builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def splat(typing: Any, value: Any) -> Any:
    """A float32 in all lanes."""
    return vector(types.float32), lambda _, builder, __, args: emit_splat(builder, args[0])


@intrinsic
def maximum(typing: Any, a: Any, b: Any) -> Any:
    return vector(vector, vector), _larger(">")


@intrinsic
def minimum(typing: Any, a: Any, b: Any) -> Any:
    return vector(vector, vector), _larger("<")


def _larger(relation: str) -> Callable[..., Any]:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        chosen = builder.fcmp_ordered(relation, *args, flags=FAST)
        return builder.select(chosen, *args)

    return generate


@intrinsic
def power_of_two(typing: Any, exponent: Any) -> Any:
    """2 to whole exponents of -126 to 127: the bits of a float are its exponent."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.add(builder.fptosi(args[0], INTS), ir.Constant(INTS, [127] * LANES))
        bits = builder.shl(bits, ir.Constant(INTS, [23] * LANES))
        return builder.bitcast(bits, VECTOR)

    return vector(vector), generate


@intrinsic
def lane_sum(typing: Any, value: Any) -> Any:
    return types.float32(vector), _reduction("fadd", [FLOAT, VECTOR], [FLOAT(0.0)])


@intrinsic
def lane_max(typing: Any, value: Any) -> Any:
    return types.float32(vector), _reduction("fmax", [VECTOR], [])


def _reduction(name: str, kinds: list[Any], first: list[Any]) -> Callable[..., Any]:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(FLOAT, kinds)
        name_ = f"llvm.vector.reduce.{name}.v{LANES}f32"
        function = cgutils.get_or_insert_function(builder.module, kind, name_)
        return builder.call(function, [*first, args[0]], fastmath=("reassoc", *FAST))

    return generate


def _unary(name: str) -> Any:
    @intrinsic
    def function(typing: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.FunctionType(VECTOR, [VECTOR])
            name_ = f"llvm.{name}.v{LANES}f32"
            return builder.call(
                cgutils.get_or_insert_function(builder.module, kind, name_), [args[0]]
            )

        return vector(vector), generate

    return function


square_root = _unary("sqrt")
nearest = _unary("rint")


def _operator(symbol: Callable[..., Any], instruction: str) -> None:
    """Vectors under one of Python's operators, with each other and with float32."""

    @intrinsic
    def apply(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(*args, flags=FAST)

        return vector(vector, vector), generate

    @overload(symbol)
    def of_vectors(a, b):  # numba compares its signature with those of the lambdas
        if a == vector and b == vector:
            return lambda a, b: apply(a, b)
        if a == vector and b == types.float32:
            return lambda a, b: apply(a, splat(b))
        if a == types.float32 and b == vector:
            return lambda a, b: apply(splat(a), b)
        return None


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_symbol, _instruction)


def emit_data(context: Any, builder: Any, signature: Any, args: Any, n: int) -> Any:
    return context.make_array(signature.args[n])(context, builder, args[n]).data


def emit_load(builder: Any, place: Any) -> Any:
    return builder.load(builder.bitcast(place, VECTOR.as_pointer()), align=_ALIGN)


def emit_store(builder: Any, value: Any, place: Any) -> None:
    builder.store(value, builder.bitcast(place, VECTOR.as_pointer()), align=_ALIGN)


def emit_splat(builder: Any, value: Any) -> Any:
    empty = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(empty, value, INT(0))
    return builder.shuffle_vector(first, empty, ir.Constant(INTS, [0] * LANES))
