"""Arithmetic on codes of stepped decimals (`monitor/core/contract/stepped.py`), compiled or not.

What is compared or added up over records stays in integers. Doubles are for one record, or for what
is already a function of a closed window. On the grid of 1e-8 each function gives what plain fixed
point would.

A sum of quantities, a position, has two limbs: whole units, and 1e-8 from 0 on. So it is exact for
every mixture of quantities.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.extending import register_jitable

from detectors.arrays.types import F1, I1, RI1, Float64, Int64
from monitor.core.contract.stepped import (
    COARSE,
    COARSE_FROM,
    COARSE_SHIFT,
    FINE,
    PLAIN,
    PLAIN_FROM,
    PLAIN_SHIFT,
)
from monitor.core.decode.batch import ABSENT

NOTIONAL_CAP = 10**18
"""A record counts with at most 1e12 quote units: a sum of millions of them stays in 64 bits."""
LIMB = 10**8
"""The second limb counts up to this."""
_SATURATED = 4 * 10**18
"""Stands for a number that its neighbour's finer grid cannot hold; above every count."""


@register_jitable
def places_of(code: Any) -> Any:
    """The decimal places in which a code ≥ 0 counts."""
    return FINE if code < PLAIN_FROM else PLAIN if code < COARSE_FROM else COARSE


@register_jitable
def units_of(code: Any) -> Any:
    """The count of a code ≥ 0."""
    if code < PLAIN_FROM:
        return code
    return code - (PLAIN_SHIFT if code < COARSE_FROM else COARSE_SHIFT)


@register_jitable
def encode(units: Any, places: Any) -> Any:
    """The code of a count ≥ 0 of 10^-places, rounded down to the grid."""
    if places == FINE:
        return units if units < PLAIN_FROM else PLAIN_SHIFT + units // 10**10
    if places == PLAIN:
        if units < 10**8:
            return units * 10**10
        return PLAIN_SHIFT + units if units < 10**18 else COARSE_SHIFT + units // 10**6
    if units < 100:
        return units * 10**16
    return PLAIN_SHIFT + units * 10**6 if units < 10**12 else COARSE_SHIFT + units


@register_jitable
def to_float(code: Any) -> Any:
    """The number that a code stands for, as the nearest double."""
    size = abs(code)
    if size < PLAIN_FROM:
        return code / 1e18
    value = (size - PLAIN_SHIFT) / 1e8 if size < COARSE_FROM else (size - COARSE_SHIFT) / 1e2
    return -value if code < 0 else value


@register_jitable
def to_float_at(code: Any, places: Any) -> Any:
    """A code ≥ 0 in 10^-places, as a double."""
    return float(units_of(code)) * 10.0 ** (places - places_of(code))


@register_jitable
def ratio(a: Any, b: Any) -> Any:
    """a / b of two codes > 0."""
    if places_of(a) == places_of(b):
        return float(units_of(a)) / float(units_of(b))
    return to_float(a) / to_float(b)


@register_jitable
def align(a: Any, b: Any) -> Any:
    """The counts of two codes ≥ 0 on the finer of their grids, and its places."""
    x, y, p, q = units_of(a), units_of(b), places_of(a), places_of(b)
    if p < q:
        step = 10 ** (q - p)
        return (x * step if x <= _SATURATED // step else _SATURATED), y, q
    if q < p:
        step = 10 ** (p - q)
        return x, (y * step if y <= _SATURATED // step else _SATURATED), p
    return x, y, p


@register_jitable
def middle(a: Any, b: Any) -> Any:
    """The code half way between two codes > 0, rounded down."""
    x, y, places = align(a, b)
    if x == _SATURATED or y == _SATURATED:  # so far apart that the lower one's digits do not count
        low, high = min(a, b), max(a, b)
        places = places_of(high)
        x, y = units_of(high), int(to_float_at(low, places))
    return encode(x // 2 + y // 2, places)


@register_jitable
def relative_gap(low: Any, high: Any) -> Any:
    """(high − low) over their mean, of two codes > 0; below 0 where `high` is the lower one."""
    x, y, _ = align(low, high)
    if x == _SATURATED or y == _SATURATED:
        a, b = to_float(low), to_float(high)
        return (b - a) / ((a + b) / 2)
    return float(y - x) / ((float(x) + float(y)) / 2)


@register_jitable
def reach(code: Any, bps: Any) -> Any:
    """The codes `bps` (integer) below and above a code > 0."""
    units, places = units_of(code), places_of(code)
    step = units // 10_000 * bps + units % 10_000 * bps // 10_000
    return encode(units - step, places), encode(units + step, places)


@register_jitable
def notional(price: Any, quantity: Any) -> Any:
    """Price · quantity, codes ≥ 0, as money in 1e-6: exact, rounded down.

    The quantity is no finer than 1e-8, as the contract reads it.
    """
    p = units_of(price)
    q = quantity // 10**10 if quantity < PLAIN_FROM else units_of(quantity)
    if PLAIN_FROM <= price < COARSE_FROM and quantity < COARSE_FROM:
        # The usual case: both in 1e-8, at half the cost.
        if float(p) * float(q) >= 1e28:
            return NOTIONAL_CAP
        p1, p0, q1, q0 = p // 10**8, p % 10**8, q // 10**8, q % 10**8
        return p1 * q1 * 10**6 + (p1 * q0 + p0 * q1 + p0 * q0 // 10**8) // 100
    if to_float(price) * to_float(quantity) >= 1e12:
        return NOTIONAL_CAP
    p1, p0, q1, q0 = p // 10**9, p % 10**9, q // 10**9, q % 10**9
    # The product, up to 10^36, in digits of 10^9: high (two of them), middle, low.
    low = p0 * q0
    middle = p1 * q0 + p0 * q1 + low // 10**9
    high = p1 * q1 + middle // 10**9
    middle %= 10**9
    if price < PLAIN_FROM and quantity < COARSE_FROM:  # in 1e-26
        return high // 100
    if price < PLAIN_FROM:  # in 1e-20
        return high * 10**4 + middle // 10**5
    return high * 10**14 + middle * 10**5 + low % 10**9 // 10**4  # in 1e-10


@register_jitable
def add_to_limbs(whole: Any, rest: Any, code: Any) -> Any:
    """The limbs of a sum after one more number, of any sign."""
    size = abs(code)
    places = places_of(size)
    units = units_of(size)
    if places == FINE:
        w, r = 0, units // 10**10
    elif places == PLAIN:
        w, r = units // LIMB, units % LIMB
    else:
        w, r = units // 100, units % 100 * 10**6
    if code < 0:
        w, r = (-w - 1, LIMB - r) if r > 0 else (-w, r)
    w, r = whole + w, rest + r
    return (w + 1, r - LIMB) if r >= LIMB else (w, r)


@register_jitable
def sign_of_limbs(whole: Any, rest: Any) -> Any:
    """1, 0 or −1."""
    return -1 if whole < 0 else 1 if whole > 0 or rest > 0 else 0


@register_jitable
def size_of_limbs(whole: Any, rest: Any) -> Any:
    """The code of a sum's absolute value, rounded down to the grid."""
    if whole < 0:
        whole, rest = (-whole - 1, LIMB - rest) if rest > 0 else (-whole, rest)
    if whole == 0:
        return rest * 10**10
    if whole < 10**10:
        return PLAIN_SHIFT + whole * LIMB + rest
    return COARSE_SHIFT + min(whole, 10**16) * 100 + rest // 10**6


@register_jitable
def limbs_to_e8(whole: Any, rest: Any) -> Any:
    """A sum in 1e-8 as a double."""
    if -(10**10) < whole < 10**10:
        return float(whole * LIMB + rest)
    return float(whole) * 1e8 + float(rest)


@njit(F1(RI1), cache=True, nogil=True)
def _to_floats(codes):  # type: ignore[no-untyped-def]
    out = np.empty(codes.size)
    for i in range(codes.size):
        out[i] = np.nan if codes[i] == ABSENT else to_float(codes[i])
    return out


def to_floats(codes: Int64) -> Float64:
    """The numbers that codes stand for; NaN for `ABSENT`."""
    out: Float64 = _to_floats(np.ascontiguousarray(codes).reshape(-1)).reshape(codes.shape)
    return out


@njit(F1(I1, I1), cache=True, nogil=True)
def _ratios(a, b):  # type: ignore[no-untyped-def]
    out = np.empty(a.size)
    for i in range(a.size):
        out[i] = ratio(a[i], b[i])
    return out


@njit(F1(I1, I1), cache=True, nogil=True)
def _relative_gaps(low, high):  # type: ignore[no-untyped-def]
    out = np.empty(low.size)
    for i in range(low.size):
        out[i] = relative_gap(low[i], high[i])
    return out


def ratios(a: Int64, b: Int64) -> Float64:
    """`ratio` of each pair."""
    out: Float64 = _ratios(np.ascontiguousarray(a), np.ascontiguousarray(b))
    return out


def relative_gaps(low: Int64, high: Int64) -> Float64:
    """`relative_gap` of each pair."""
    out: Float64 = _relative_gaps(np.ascontiguousarray(low), np.ascontiguousarray(high))
    return out


def from_e8(units: Int64) -> Int64:
    """The codes of counts of 1e-8, of any sign and up to 1e10; `ABSENT` stays."""
    size = np.abs(units)
    code = np.where(size < 10**8, size * 10**10, size + PLAIN_SHIFT)
    out: Int64 = np.where(units == ABSENT, ABSENT, np.where(units < 0, -code, code))
    return out


def from_floats(values: Float64, below_one: int) -> Int64:
    """The codes of numbers ≥ 0, the nearest of the grid; those beyond it count as 1e16.
    `below_one`: decimal places of numbers below 1: `FINE`, of quantities `PLAIN`.
    """
    values = np.minimum(values, 1e16)
    fine = np.rint(np.minimum(values, 1.0) * 10.0**below_one).astype(np.int64)
    plain = np.rint(np.minimum(values, 1e10) * 10.0**PLAIN).astype(np.int64) + PLAIN_SHIFT
    coarse = np.rint(values * 10.0**COARSE).astype(np.int64) + COARSE_SHIFT
    large: Int64 = np.where(values < 1e10, plain, coarse)
    return np.where(values < 1.0, fine * 10 ** (FINE - below_one), large)
