"""Theorems about tier tables and the solver."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.contract import events
from monitor.core.contract.units import WARN_RATIO
from monitor.core.margin.liquidation_price import (
    BANKRUPTCY_K,
    LIQUIDATION_K,
    Position,
    crossing,
    requirement,
)
from monitor.core.margin.liquidation_price import prices as four_prices
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import TierError, Tiers
from tests.support import recording

F = Fraction
GENERIC = REGIMES["generic"]


def table(*rows: tuple[str, str]) -> Tiers:
    return Tiers.from_rows([(F(bound), F(rate), None) for bound, rate in rows])


def maintenance(tiers: Tiers, notional: Fraction) -> Fraction:
    """Maintenance margin by the row that holds `notional`."""
    row = tiers.rows[tiers.index_at(notional)]
    return row.rate * notional - row.deduction


# Tier tables


def test_every_binance_table_loads_and_gives_its_cumulative_amounts() -> None:
    brackets = json.loads(
        gzip.decompress(recording("margin-tiers/binance-usdm-2024-10.json.gz").read_bytes())
    )
    amounts = 0
    for symbol, rows in brackets.items():
        infos = [row["info"] for row in rows]
        tiers = Tiers.from_rows(
            [(F(i["notionalFloor"]), F(i["maintMarginRatio"]), 1 / F(i["initialLeverage"]))
             for i in infos]
        )  # fmt: skip
        for row, info in zip(tiers.rows, infos, strict=True):
            assert float(row.deduction) == pytest.approx(float(info["cum"]), abs=0.011), symbol
            amounts += 1
    assert len(brackets) >= 300
    assert amounts > len(brackets)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "no rows"),
        ([("0", "0.02"), ("100", "0.01")], "tier 1: maintenance rate 0.01 falls below tier 0"),
        ([("0", "0.01"), ("100", "0.02"), ("100", "0.03")], "tier 2 starts at 100, not above"),
        ([("5", "0.01")], "the first lower bound must be 0"),
        ([("0", "1.25")], "write 1 % as 0.01"),
    ],
)
def test_a_table_that_breaks_the_rules_is_refused_with_the_row(
    rows: list[tuple[str, str]], sentence: str
) -> None:
    with pytest.raises(TierError, match=sentence):
        table(*rows)


def test_a_notional_on_a_bound_belongs_to_the_higher_tier() -> None:
    tiers = table(("0", "0.05"), ("1000", "0.1"))
    assert (tiers.index_at(F(999)), tiers.index_at(F(1000))) == (0, 1)


@given(st.fractions(0, 10**7), st.lists(st.integers(1, 10**6), min_size=1, max_size=6))
def test_the_requirement_is_the_sum_over_the_brackets_below(
    notional: Fraction, steps: list[int]
) -> None:
    bounds = [F(0), *(F(sum(steps[: i + 1])) for i in range(len(steps)))]
    rates = [F(i + 1, 100) for i in range(len(bounds))]
    tiers = Tiers.from_rows([(b, r, None) for b, r in zip(bounds, rates, strict=True)])
    tops = [*bounds[1:], max(notional, bounds[-1])]
    by_brackets = sum(
        rate * max(min(notional, top) - bound, F(0))
        for bound, top, rate in zip(bounds, tops, rates, strict=True)
    )
    assert maintenance(tiers, notional) == by_brackets


def test_a_reference_record_gives_the_same_table() -> None:
    rows = [events.Tier(lower_bound="0", maintenance_rate="0.004"),
            events.Tier(lower_bound="50000", maintenance_rate="0.005")]  # fmt: skip
    assert Tiers.from_reference(rows) == table(("0", "0.004"), ("50000", "0.005"))


# The solver

BOUNDS = [0.0, 5e4, 6e5, 3e6, 1.2e7, 7e7]
RATES = [0.004, 0.005, 0.0065, 0.01, 0.02, 0.05]
SIX = Tiers.from_rows([(F(b), F(r), None) for b, r in zip(BOUNDS, RATES, strict=True)])


def gap(x: np.ndarray, q: np.ndarray, p: np.ndarray, a: np.ndarray, other: np.ndarray,
        k: np.ndarray, fee: np.ndarray) -> np.ndarray:  # fmt: skip
    """Equity after fees less k × requirement, from the brackets and not from deductions."""
    notional = np.abs(q) * x
    tops = [*BOUNDS[1:], np.inf]
    need = sum(
        rate * np.clip(notional - low, 0, high - low)
        for low, high, rate in zip(BOUNDS, tops, RATES, strict=True)
    )
    return a + q * (x - p) - fee * notional - k * (other + need)


def test_twenty_thousand_random_pools_agree_with_bisection() -> None:
    rng = np.random.default_rng(11)
    n = 24_000
    p = np.exp(rng.normal(3, 3, n))
    notional = np.exp(rng.uniform(3, 18.5, n))
    q = notional / p * rng.choice([-1.0, 1.0], n)
    a = notional * np.exp(rng.uniform(-4, 0.5, n))
    other = np.where(rng.random(n) < 0.5, 0.0, a * rng.uniform(0, 0.6, n))  # isolated, cross
    k = rng.choice([1.25, 1.0, 2 / 3, 0.0], n)
    fee = rng.choice([0.0, 0.0006], n)
    low, high = np.zeros(n), np.where(q > 0, p * 4, p * 40)
    for _ in range(200):
        middle = 0.5 * (low + high)
        up = (gap(middle, q, p, a, other, k, fee) < 0) == (q > 0)
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    worst, met = 0.0, 0
    for i in range(n):
        position = Position("X", F(q[i]), F(p[i]), SIX, fee=F(fee[i]))
        result = crossing(GENERIC, position, F(a[i]), F(other[i]), F(k[i])).price
        if result is None:
            assert high[i] < 1e-9 * p[i]
            continue
        # Where collateral nearly pays for the whole position, the root is a small difference of
        # large floats and bisection itself knows it less well: measure on the scale of the mark.
        worst = max(worst, abs(float(result) - high[i]) / max(float(result), p[i]))
        met += 1
    assert met > 15_000
    assert worst < 1e-12


MONEY = st.fractions(F(1), F(10**6), max_denominator=10**6)
SIGN = st.sampled_from([1, -1])


@st.composite
def pools(draw: st.DrawFn) -> tuple[Position, Fraction, Fraction]:
    price = draw(st.fractions(F(1, 100), F(10**5), max_denominator=10**4))
    value = draw(MONEY)
    position = Position("X", draw(SIGN) * value / price, price, SIX,
                        fee=draw(st.sampled_from([F(0), F("0.0006")])))  # fmt: skip
    equity = value * draw(st.fractions(F(1, 100), F(2), max_denominator=100))
    return position, equity, draw(st.sampled_from([F(0), equity / 3]))


def root(
    position: Position, equity: Fraction, other: Fraction, k: Fraction = LIQUIDATION_K
) -> Fraction:
    """The liquidation price; where there is none, the price a fall never passes (0)."""
    result = crossing(GENERIC, position, equity, other, k).price
    return F(0) if result is None else result


def nearer(position: Position, one: Fraction, two: Fraction) -> bool:
    """Whether `one` comes before `two` as the mark moves against the position."""
    return one > two if position.quantity > 0 else one < two


@given(pools(), MONEY)
def test_more_collateral_never_brings_liquidation_nearer(
    pool: tuple[Position, Fraction, Fraction], more: Fraction
) -> None:
    position, equity, other = pool
    assert not nearer(position, root(position, equity + more, other), root(*pool))


@given(pools(), st.fractions(F(0), F("0.05"), max_denominator=1000))
def test_a_higher_maintenance_rate_never_moves_liquidation_away(
    pool: tuple[Position, Fraction, Fraction], rise: Fraction
) -> None:
    position, equity, other = pool
    dearer = Tiers.from_rows([(row.lower_bound, row.rate + rise, None) for row in SIX.rows])
    raised = Position("X", position.quantity, position.price, dearer, fee=position.fee)
    assert not nearer(position, root(*pool), root(raised, equity, other))


def at_worst(position: Position, price: Fraction) -> Fraction:
    """The mark itself where the pool is due already: nothing is nearer than now."""
    return position.price if nearer(position, price, position.price) else price


@given(pools(), st.fractions(F(1), F(20), max_denominator=100))
def test_a_larger_position_with_the_same_equity_never_moves_liquidation_away(
    pool: tuple[Position, Fraction, Fraction], times: Fraction
) -> None:
    position, equity, other = pool
    larger = replace(position, quantity=position.quantity * times)
    before = at_worst(position, root(*pool))
    assert not nearer(position, before, at_worst(position, root(larger, equity, other)))


@given(pools(), st.fractions(F(0), F("0.05"), max_denominator=10_000))
def test_a_larger_fee_never_moves_liquidation_away(
    pool: tuple[Position, Fraction, Fraction], more: Fraction
) -> None:
    position, equity, other = pool
    dearer = replace(position, fee=position.fee + more)
    assert not nearer(position, root(*pool), root(dearer, equity, other))


@given(pools())
def test_warn_comes_before_liquidation_before_backstop_before_bankruptcy(
    pool: tuple[Position, Fraction, Fraction],
) -> None:
    marks = [root(*pool, k) for k in (WARN_RATIO, LIQUIDATION_K, F(2, 3), BANKRUPTCY_K)]
    for first, second in pairwise(marks):
        assert not nearer(pool[0], second, first)


@given(pools(), st.integers(2, 10**4))
def test_a_market_quoted_in_smaller_units_has_the_same_price_in_them(
    pool: tuple[Position, Fraction, Fraction], units: int
) -> None:
    position, equity, other = pool
    scaled = Position("X", position.quantity * units, position.price / units, SIX,
                      fee=position.fee)  # fmt: skip
    assert root(scaled, equity, other) == root(*pool) / units


@given(pools())
def test_at_its_liquidation_price_a_pool_has_exactly_its_maintenance(
    pool: tuple[Position, Fraction, Fraction],
) -> None:
    position, equity, other = pool
    price = root(*pool)
    if price > 0:
        left = equity + position.quantity * (price - position.price)
        left -= position.fee * position.size * price
        assert left == other + maintenance(SIX, position.size * price)


@given(st.fractions(F(1, 100), F(1), max_denominator=100), st.integers(1, 10**4))
def test_without_maintenance_a_short_mirrors_a_long(share: Fraction, value: int) -> None:
    none = Tiers.flat(F(0))
    long = root(Position("X", F(1), F(value), none), share * value / 2, F(0))
    short = root(Position("X", F(-1), F(value), none), share * value / 2, F(0))
    assert long + short == 2 * value


def test_a_pool_that_cannot_be_liquidated_by_a_fall_has_no_price() -> None:
    position = Position("X", F(1), F(100), table(("0", "0.05")))
    result = four_prices(GENERIC, position, F(150), F(0))
    assert result.liquidation.price is None
    assert result.liquidation.tier is None


# Contracts in coin, hedge mode, whole positions


def balance(legs: list[Position], equity: Fraction, other: Fraction, price: Fraction) -> Fraction:
    """Equity less the requirement of a pool at `price`, by each contract's own formula."""
    left = equity - other
    for leg in legs:
        if leg.inverse:
            left += leg.quantity * (1 / leg.price - 1 / price)
            notional = leg.size / price
        else:
            left += leg.quantity * (price - leg.price)
            notional = leg.size * price
        left -= leg.fee * notional + maintenance(leg.tiers, notional)
        left -= leg.size_rate * (notional if leg.inverse else leg.size) * notional
    return left


@given(
    pools(), st.fractions(F(10), F(10**5), max_denominator=100), st.sampled_from([F(0), F("1e-9")])
)
def test_an_inverse_pool_has_exactly_its_maintenance_at_its_liquidation_price(
    pool: tuple[Position, Fraction, Fraction], price: Fraction, size_rate: Fraction
) -> None:
    linear, equity, other = pool
    face = linear.quantity * linear.price * price  # as much coin as the linear one has quote
    position = replace(linear, quantity=face, price=price, inverse=True, size_rate=size_rate)
    result = crossing(GENERIC, position, equity, other, LIQUIDATION_K).price
    if result is not None:
        scale = position.value(result) + equity
        assert abs(balance([position], equity, other, result)) < F("1e-15") * scale


@given(pools())
def test_an_inverse_position_is_a_linear_one_against_it_in_one_over_the_price(
    pool: tuple[Position, Fraction, Fraction],
) -> None:
    linear, equity, other = pool
    inverse = replace(linear, quantity=-linear.quantity, price=1 / linear.price, inverse=True)
    result = crossing(GENERIC, inverse, equity, other, LIQUIDATION_K).price
    assert (F(0) if result is None else 1 / result) == root(*pool)


@given(pools(), st.fractions(F(1, 20), F(2), max_denominator=50), st.booleans())
def test_both_legs_of_hedge_mode_meet_the_root_of_the_pools_balance_by_bisection(
    pool: tuple[Position, Fraction, Fraction], share: Fraction, inverse: bool
) -> None:
    position, equity, other = pool
    position = replace(position, inverse=inverse)
    legs = [position, replace(position, quantity=-share * position.quantity)]
    if balance(legs, equity, other, position.price) <= 0:
        return
    there = crossing(GENERIC, legs[0], equity, other, LIQUIDATION_K, legs[1])
    back = crossing(GENERIC, legs[1], equity, other, LIQUIDATION_K, legs[0])
    assert (there.price, there.other_side) == (back.price, back.other_side)
    sides: dict[bool, Fraction | None] = {True: None, False: None}  # above today's price, below
    for price in (there.price, there.other_side):
        if price is not None:
            sides[price > position.price] = price
    for up, expected in sides.items():
        far = position.price * (F(10**9) if up else F(1, 10**9))
        if balance(legs, equity, other, far) >= 0:
            continue
        near = position.price
        for _ in range(80):
            middle = F(float((near + far) / 2))
            if balance(legs, equity, other, middle) >= 0:
                near = middle
            else:
                far = middle
        assert expected is not None
        assert abs(float(expected) - float(near)) <= 1e-9 * max(float(near), float(position.price))


def test_the_other_legs_rates_may_make_a_rise_the_danger_for_a_net_long_pool() -> None:
    tiers = Tiers.flat(F("0.1"))
    legs = [Position("X", F(100), F(10), tiers), Position("X", F(-95), F(10), tiers)]
    result = crossing(GENERIC, legs[0], F(300), F(0), LIQUIDATION_K, legs[1])
    assert result.price == (300 - 50) / F("14.5")  # 300 + 5 (x − 10) = 0.1 · 195 x
    assert result.other_side is None


def test_the_rate_of_a_whole_position_is_that_of_its_tier_and_stays() -> None:
    rows = [(F(0), F("0.01"), None), (F(1000), F("0.05"), None)]
    whole = Tiers.from_rows(rows, whole=True)
    position = Position("X", F(10), F(100), whole)
    assert requirement(GENERIC, position) == 50
    price = crossing(GENERIC, position, F(100), F(0), LIQUIDATION_K).price
    assert price == F(900) / F("9.5")  # 9.5 · 94.7 is below the bound of 1000


def test_tiers_by_contracts_do_not_move_with_the_price() -> None:
    rows = [(F(0), F("0.01"), None), (F(20), F("0.05"), None)]
    by_contracts = Tiers.from_rows(rows, by_contracts=True)
    position = Position("X", F(4), F(100), by_contracts, contracts=F(40))
    # 1 % of half of it and 5 % of the other half, at any price.
    assert requirement(GENERIC, position) == 12
    assert requirement(GENERIC, position, F(50)) == 6
