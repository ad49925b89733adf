"""Exponential and GELU of eight floats, to the rounding of float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from terradelta.sam.simd import inline, maximum, minimum, nearest, power_of_two, splat

_LOG2_E = np.float32(1.4426950408889634)
# ln 2 in two parts: the product of the first with a whole exponent is exact.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LOWEST = np.float32(-87.0)
_E2, _E3, _E4, _E5, _E6 = (np.float32(1 / n) for n in (2, 6, 24, 120, 720))
_ONE, _HALF = np.float32(1), np.float32(0.5)

# Minimax fit of (Phi(x) - 1/2) / x as a quotient of polynomials in x^2 on |x| <= 5.3, beyond which
# float32 cannot tell Phi from 0 or 1; largest error of Phi 4.1e-9 before rounding.
_FARTHEST = np.float32(5.3)
_P0, _P1, _P2, _P3, _P4, _P5 = (
    np.float32(c)
    for c in (
        0.3989422540844726,
        0.03293585280367008,
        0.0046279980898117825,
        0.0001603352535767481,
        6.379068686601703e-06,
        2.405025014149486e-08,
    )
)
_Q1, _Q2, _Q3, _Q4, _Q5 = (
    np.float32(c)
    for c in (
        0.24922416884358248,
        0.0281388645855598,
        0.0018365758268394255,
        7.135257586786346e-05,
        1.2371674007969054e-06,
    )
)


@inline
def exponential(x: Any) -> Any:
    """e^x of x <= 0; of x < -87 what is e^-87."""
    x = maximum(x, splat(_LOWEST))
    whole = nearest(x * _LOG2_E)
    rest = x - whole * _LN2_HIGH - whole * _LN2_LOW
    series = (((rest * _E6 + _E5) * rest + _E4) * rest + _E3) * rest + _E2
    return (series * rest * rest + rest + _ONE) * power_of_two(whole)


@inline
def gelu(x: Any) -> Any:
    """x Phi(x), Phi the distribution function of the normal distribution."""
    near = minimum(maximum(x, splat(-_FARTHEST)), splat(_FARTHEST))
    square = near * near
    p = ((((square * _P5 + _P4) * square + _P3) * square + _P2) * square + _P1) * square + _P0
    q = ((((square * _Q5 + _Q4) * square + _Q3) * square + _Q2) * square + _Q1) * square + _ONE
    return x * (near * p / q + _HALF)
