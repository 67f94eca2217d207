"""Arithmetic on codes, compiled, against fractions."""

from __future__ import annotations

from fractions import Fraction as F
from math import floor, isclose

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numba import njit, types

from detectors.arrays.types import FLOAT, INT
from monitor.core.contract import stepped
from monitor.core.decode import stepped_kernels as kernels
from monitor.core.windows.accumulators import notional

ABOVE_ZERO = st.one_of(
    st.integers(1, stepped.CODE_MAX),
    st.integers(1, 10**12),
    st.integers(stepped.PLAIN_FROM - 10**12, stepped.PLAIN_FROM + 10**14),
    st.integers(stepped.COARSE_FROM - 10**12, stepped.COARSE_FROM + 10**12),
)
QUANTITIES = ABOVE_ZERO.map(lambda c: stepped.quantise(stepped.format_code(c), stepped.PLAIN))

_PAIR = types.UniTuple(INT, 2)
_reach = njit(_PAIR(INT, INT))(kernels.reach)
_add = njit(_PAIR(INT, INT, INT))(kernels.add_to_limbs)
_middle, _size = (njit(INT(INT, INT))(f) for f in (kernels.middle, kernels.size_of_limbs))
_reach, _add = (
    njit(_PAIR(INT, INT))(kernels.reach),
    njit(_PAIR(INT, INT, INT))(kernels.add_to_limbs),
)
_gap, _ratio = (njit(FLOAT(INT, INT))(f) for f in (kernels.relative_gap, kernels.ratio))


def _floor_code(number: F) -> int:
    """The highest code whose number is not above `number`."""
    places = 18 if number < 1 else 8 if number < 10**10 else 2
    return kernels.encode(floor(number * 10**places), places)


@given(ABOVE_ZERO, QUANTITIES)
def test_notional_is_exact_and_rounded_down(price: int, quantity: int) -> None:
    exact = stepped.exact(price) * stepped.exact(quantity)
    assume(exact < 10**12 - 1)
    assert notional(price, quantity) == floor(exact * 10**6)


def test_notional_is_capped() -> None:
    assert notional(stepped.CODE_MAX, stepped.CODE_MAX) == kernels.NOTIONAL_CAP
    assert notional(stepped.quantise("1e9"), stepped.quantise("1e15")) == kernels.NOTIONAL_CAP


@given(ABOVE_ZERO, st.integers(1, 100))
def test_the_reach_around_a_price_is_exact_to_a_step_at_any_price(code: int, bps: int) -> None:
    low, high = _reach(code, bps)
    number = stepped.exact(code)
    unit = F(1, 10 ** stepped.split(code)[1])
    assert number * (1 - F(bps, 10_000)) <= stepped.exact(low)
    assert stepped.exact(low) < number * (1 - F(bps, 10_000)) + unit
    assert stepped.exact(high) <= number * (1 + F(bps, 10_000))


@given(ABOVE_ZERO, ABOVE_ZERO)
def test_the_middle_lies_half_way(a: int, b: int) -> None:
    half = (stepped.exact(a) + stepped.exact(b)) / 2
    got = stepped.exact(int(_middle(a, b)))
    step = F(1, 10 ** stepped.split(max(a, b))[1])
    assert abs(got - half) <= max(2 * step, half * F(1, 10**15))


@given(ABOVE_ZERO, ABOVE_ZERO)
def test_ratios_and_gaps_are_the_nearest_doubles_or_next_to_them(a: int, b: int) -> None:
    x, y = stepped.exact(a), stepped.exact(b)
    assert isclose(_ratio(a, b), float(x / y), rel_tol=1e-14)
    assert isclose(_gap(a, b), float((y - x) / ((x + y) / 2)), rel_tol=1e-14, abs_tol=1e-15)


@given(st.lists(st.tuples(QUANTITIES, st.sampled_from([1, -1])), max_size=20))
def test_a_sum_of_quantities_is_exact(parts: list[tuple[int, int]]) -> None:
    whole = rest = 0
    for code, sign in parts:
        whole, rest = _add(whole, rest, sign * code)
    total = sum((sign * stepped.exact(code) for code, sign in parts), F(0))
    assert whole + F(rest, kernels.LIMB) == total
    assert 0 <= rest < kernels.LIMB
    assert kernels.sign_of_limbs(whole, rest) == (total > 0) - (total < 0)
    assert isclose(kernels.limbs_to_e8(whole, rest) / 1e8, float(total), rel_tol=1e-15)
    if abs(total) <= 10**16:
        assert _size(whole, rest) == _floor_code(abs(total))


@given(st.lists(st.integers(-stepped.CODE_MAX, stepped.CODE_MAX), max_size=5))
def test_a_code_becomes_the_nearest_double(codes: list[int]) -> None:
    got = kernels.to_floats(np.array(codes, np.int64)).tolist()
    assert all(
        isclose(g, float(stepped.exact(c)), rel_tol=3e-16) for g, c in zip(got, codes, strict=True)
    )
    assert got == [kernels.to_float(code) for code in codes]


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_counts_of_1e_8_become_codes(units: int) -> None:
    (code,) = kernels.from_e8(np.array([units])).tolist()
    assert stepped.exact(code) == F(units, 10**8)


@given(ABOVE_ZERO, QUANTITIES)
def test_codes_of_doubles_are_the_nearest(price: int, quantity: int) -> None:
    for code, below_one in ((price, stepped.FINE), (quantity, stepped.PLAIN)):
        (again,) = kernels.from_floats(kernels.to_floats(np.array([code])), below_one).tolist()
        assert isclose(stepped.exact(again), stepped.exact(code), rel_tol=1e-15, abs_tol=1e-18)
    assert kernels.from_floats(np.array([0.0, 1e17]), stepped.PLAIN).tolist() == [
        0, stepped.CODE_MAX,
    ]  # fmt: skip
