"""Theorems of liquidation paths: random accounts, books, funds and other sides, every path."""

from __future__ import annotations

import copy
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.margin.paths.holdings import Holding, MarginHolding
from monitor.core.margin.paths.liquidation import Liquidation, Phase, StepRecord
from monitor.core.margin.paths.orders import AtBankruptcy, BookLevel
from monitor.core.margin.paths.table import PATHS
from monitor.core.margin.regimes import REGIMES
from tests.core.margin.paths.liquidations import (
    SECOND,
    book,
    exact,
    flat,
    holding,
    liquidation,
    tiers,
)

EIGHTHS = st.integers(1, 1_600).map(lambda n: Fraction(n, 8))
TABLES = st.sampled_from([
    flat("0.05"), flat("0.1"), tiers((0, "0.02"), (2_000, "0.05"), (8_000, "0.1")),
])  # fmt: skip


class Moment(NamedTuple):
    """How long after the one before, the mark, and the side of the book that a close meets."""

    after_s: int
    mark: Fraction
    levels: list[BookLevel]


@st.composite
def moments(draw: st.DrawFn, side: int) -> list[Moment]:
    out = []
    for _ in range(draw(st.integers(1, 6))):
        mark = Fraction(draw(st.integers(480, 1_200)), 8)
        steps = sorted(draw(st.lists(st.integers(0, 160), max_size=5)))
        sizes = draw(st.lists(st.integers(1, 60), min_size=5, max_size=5))
        levels = [
            BookLevel(mark - side * Fraction(step, 8), Fraction(size))
            for step, size in zip(steps, sizes, strict=False)
        ]
        out.append(Moment(draw(st.sampled_from([0, 1, 3, 30, 90])), mark, levels))
    return out


@st.composite
def cases(draw: st.DrawFn) -> tuple[Liquidation, list[Moment]]:
    """An account near or under water on any path; prices move by half at most."""
    side = draw(st.sampled_from([1, -1]))
    path = draw(st.sampled_from(sorted(PATHS)))
    regime = replace(REGIMES[path if path in REGIMES else "generic"], path=PATHS[path])
    size = draw(st.integers(1, 1_500))
    account = holding("a", side * size, 100, size * Fraction(draw(st.integers(-40, 160)), 8))
    account.other_need = Fraction(draw(st.sampled_from([0, 0, 50])))
    others = [
        holding(f"o{i}", draw(st.integers(-400, 400)), draw(EIGHTHS), draw(st.integers(0, 30_000)))
        for i in range(draw(st.integers(0, 6)))
    ]
    subject = Liquidation(
        regime, draw(TABLES), Fraction(1), account, others,
        Holding(cash=Fraction(draw(st.sampled_from([0, 10, 500, 10**6])))),
    )  # fmt: skip
    return subject, draw(moments(side))


def run(subject: Liquidation, path: list[Moment]) -> list[StepRecord]:
    now, records = 0, []
    for moment in path:
        now += moment.after_s * SECOND
        records.append(subject.step(now, moment.mark, moment.levels))
    return records


def everybody(subject: Liquidation) -> list[Holding]:
    return [
        subject.account, subject.fund, subject.backstop, subject.takers, *subject.others,
    ]  # fmt: skip


def totals(subject: Liquidation) -> tuple[Fraction, Fraction]:
    all_of_them = everybody(subject)
    return (
        sum((one.quantity for one in all_of_them), Fraction(0)),
        sum((one.cash for one in all_of_them), Fraction(0)),
    )


@settings(max_examples=150, deadline=None)
@given(cases())
def test_money_and_quantity_are_conserved(case: tuple[Liquidation, list[Moment]]) -> None:
    subject, path = case
    before = totals(subject)
    run(subject, path)
    assert totals(subject) == before


@settings(max_examples=150, deadline=None)
@given(cases())
def test_positions_only_shrink_and_never_change_sides(
    case: tuple[Liquidation, list[Moment]],
) -> None:
    """The account's own, and those that are deleveraged: never beyond what they are."""
    subject, path = case
    holders = [subject.account, *subject.others]
    now = 0
    for moment in path:
        before = [one.quantity for one in holders]
        now += moment.after_s * SECOND
        record = subject.step(now, moment.mark, moment.levels)
        for quantity, one in zip(before, holders, strict=True):
            assert quantity * one.quantity >= 0
            assert abs(one.quantity) <= abs(quantity)
        parts = [
            *(fill.quantity for fill in record.fills),
            *(d.quantity for d in record.deleveraged),
        ]
        parts += [taken.quantity for taken in (record.taken_over, record.backstop) if taken]
        assert all(part > 0 for part in parts)
        assert sum(parts) == abs(before[0]) - abs(subject.account.quantity)
        assert all(d.account.startswith("o") for d in record.deleveraged)


def deleveraged(records: list[StepRecord]) -> Fraction:
    return sum((d.quantity for record in records for d in record.deleveraged), Fraction(0))


@settings(max_examples=150, deadline=None)
@given(cases(), st.sampled_from([1, 100, 10**5]))
def test_a_larger_fund_never_raises_what_is_deleveraged(
    case: tuple[Liquidation, list[Moment]], more: int
) -> None:
    subject, path = case
    richer = copy.deepcopy(subject)
    richer.fund.cash += more
    assert deleveraged(run(richer, path)) <= deleveraged(run(subject, path))


@settings(max_examples=100, deadline=None)
@given(cases())
def test_an_order_limited_at_bankruptcy_makes_no_debt(
    case: tuple[Liquidation, list[Moment]],
) -> None:
    subject, path = case
    if isinstance(subject.regime.path.limit, AtBankruptcy):
        assert all(record.debt == 0 for record in run(subject, path))


@settings(max_examples=60, deadline=None)
@given(cases())
def test_it_is_deterministic(case: tuple[Liquidation, list[Moment]]) -> None:
    subject, path = case
    assert run(copy.deepcopy(subject), path) == run(subject, path)


def test_a_mark_is_judged_once_a_refresh() -> None:
    account = holding("a", 100, 100, 400)
    subject = liquidation("hyperliquid", flat("0.05"), account, lot=1)
    assert subject.step(0, exact(100), []).sent == 100
    assert subject.step(2 * SECOND, exact(100), book((100, 500))).sent == 0
    assert subject.step(3 * SECOND, exact(100), book((100, 500))).phase is Phase.CLOSED


def test_a_market_order_without_a_fund_leaves_a_debt_that_is_said() -> None:
    """10 bought at 100 with 30 behind them, sold at 90: 70 are missing."""
    account = holding("a", 10, 100, 30)
    subject = Liquidation(
        replace(REGIMES["generic"], path=PATHS["market"]), flat("0.01"), exact(1), account
    )
    record = subject.step(0, exact(95), book((90, 100)))
    assert (record.fills, record.debt) == (tuple(book((90, 10))), 70)
    assert account.cash == -70


def test_every_regime_has_the_path_of_its_name() -> None:
    assert {name: regime.path.name for name, regime in REGIMES.items()} == {
        name: name for name in REGIMES
    }
    assert set(PATHS) == {*REGIMES, "market"}


def test_one_fund_serves_several_liquidations() -> None:
    """A fund of 20: the first account takes it all, the second is left to the other side."""
    fund = Holding(cash=exact(20))
    others = [MarginHolding(exact(-100), exact(20_000), "o", exact(100))]
    first, second = (
        Liquidation(
            REGIMES["binance"], flat("0.05"), exact(1), holding(n, 10, 110, 80), others, fund
        )
        for n in "ab"
    )
    assert first.step(0, exact(100), []).fund_paid == 20
    record = second.step(0, exact(100), [])
    assert (record.fund_paid, record.deleveraged[0].quantity) == (0, 10)
