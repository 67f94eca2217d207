"""Who is below maintenance, and what is sent to the book for it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.contract.units import SECOND_NS
from monitor.core.margin.liquidation_price import Position, liquidation_price
from monitor.core.margin.tiers import Tiers
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.accounts import change_leverage, deposit, place_position
from replay.simulation.clearing.ledger import open_ledger
from replay.simulation.clearing.margin import check_margin, free_margin, largest_order, withdraw
from replay.simulation.clearing.regimes import CLEARING
from tests.replay.simulation.clearing.small_venue import (
    ACCOUNTS,
    LOTS,
    PRICES,
    TICKS,
    SmallVenue,
    market,
)

REGIMES = st.sampled_from(sorted(CLEARING))
SECOND = 1_000_000_000
E6 = MONEY_SCALE


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), regime=REGIMES, share=st.sampled_from([0.003, 0.03, 0.2]))
def test_due_are_exactly_the_pools_below_maintenance(seed: int, regime: str, share: float) -> None:
    """Though only those are judged that can have changed."""
    venue = SmallVenue(seed, regime)
    for _ in range(25):
        venue.trade(4)
        venue.move_marks(share)
        orders = venue.check()
        below = {
            pool
            for pool, rows in venue.pools().items()
            if pool not in (ACCOUNTS, ACCOUNTS + 1) and venue.equity(pool, rows) < venue.need(rows)
        }
        due = set(venue.ledger.due[: venue.ledger.totals[c.DUE]].tolist())
        assert {pool for pool in due if pool in venue.pools()} == below
        for account, symbol, lots, _, _ in orders.tolist():
            open_lots = venue.lots(account, symbol)
            assert lots * open_lots < 0
            assert abs(lots) <= abs(open_lots)
        venue.fill_orders(orders)
        venue.settle()
        venue.now += SECOND


def one_account(
    regime: str, side: int, lots: int, deposited: int, symbol: int = 0
) -> tuple[object, np.ndarray]:
    """Account 0 with a position entered at the mark, account 1 with the other side."""
    ledger = open_ledger([market(m, regime) for m in range(3)], 2)
    marks = np.array(PRICES, np.int64)
    for account, sign in ((0, side), (1, -side)):
        deposit(ledger, account, deposited if account == 0 else 10**15)
        place = [account, symbol, sign * lots, PRICES[symbol], 10 * SCALE, c.CROSS, 0]
        place_position(ledger, np.array(place, np.int64))
    return ledger, marks


@settings(max_examples=40, deadline=None)
@given(
    regime=st.sampled_from(["hyperliquid", "binance"]),
    side=st.sampled_from([-1, 1]),
    lots=st.integers(100, 20_000),
    leverage=st.integers(3, 15),
)
def test_liquidation_is_at_the_first_tick_beyond_the_price_of_the_margin_formula(
    regime: str, side: int, lots: int, leverage: int
) -> None:
    """The formula is the engine's own, which shares no code with the clearing house."""
    notional = lots * Fraction(LOTS[0]) * PRICES[0] * Fraction(TICKS[0])
    deposited = int(notional / leverage * E6)
    ledger, marks = one_account(regime, side, lots, deposited)
    reference = market(0, regime)
    price = PRICES[0] * Fraction(TICKS[0])
    position = Position(
        "AAA", side * lots * Fraction(LOTS[0]), price, Tiers.from_reference(reference.tiers or ())
    )
    root = liquidation_price(position, Fraction(deposited, E6))
    assert root is not None
    ticks = root / Fraction(TICKS[0])
    last_safe = -(-ticks // 1) if side > 0 else ticks // 1
    for mark, expected in ((int(last_safe), 0), (int(last_safe) - side, 1)):
        marks[0] = mark
        check_margin(ledger, marks, 10**18)
        assert ledger.totals[c.DUE] == expected, (mark, ticks)


def test_a_fifth_is_sent_first_of_a_large_position_and_the_rest_after_30_seconds() -> None:
    # 2,001 lots of 0.001 at 50,000: 100,050 of notional.
    ledger, marks = one_account("hyperliquid", 1, 2_001, 6_000 * E6)
    marks[0] = 96_200
    marks[0] = 98_000
    deposit(ledger, 0, -2_300 * E6)
    sent = [check_margin(ledger, marks, 10**18 + s * SECOND).tolist() for s in (0, 1, 29, 30)]
    # Below 100,000 at this mark, so all of it at once.
    assert [o[c.ORDER_LOTS] for o in sent[0]] == [-2_001]
    ledger, marks = one_account("hyperliquid", 1, 4_001, 12_000 * E6)
    marks[0] = 98_000
    deposit(ledger, 0, -4_500 * E6)
    sent = [check_margin(ledger, marks, 10**18 + s * SECOND).tolist() for s in (0, 1, 29, 30)]
    assert [[o[c.ORDER_LOTS] for o in orders] for orders in sent] == [[-801], [], [], [-4_001]]
    assert sent[0][0][c.ORDER_KIND] == c.FIRST
    assert sent[3][0][c.ORDER_KIND] == c.FURTHER


def test_a_large_position_steps_two_tiers_down_and_a_small_one_is_taken_over() -> None:
    # 30,000 lots of 0.001 at 50,000: 1,500,000 of notional, in the third tier.
    ledger, marks = one_account("gate", 1, 30_000, 70_000 * E6)
    (order,) = check_margin(ledger, marks, 10**18).tolist()
    kept = 30_000 + order[c.ORDER_LOTS]
    assert kept * 50 < 200_000 <= (kept + 1) * 50
    ledger, marks = one_account("gate", 1, 3_000, 2_000 * E6)
    assert check_margin(ledger, marks, 10**18).tolist() == []
    assert ledger.totals[c.DUE] == 1


def test_the_limit_of_an_order_leaves_its_account_no_debt() -> None:
    ledger, marks = one_account("binance", 1, 1_000, 1_000 * E6)
    marks[0] = 98_500
    deposit(ledger, 0, -1)
    (order,) = check_margin(ledger, marks, 10**18).tolist()
    # 1,000 lots of 0.001 entered at 50,000 and 1,000 less a millionth of money: 49,000 and a bit.
    assert order[c.ORDER_LIMIT] == 98_001


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_largest_order_and_the_largest_withdrawal_leave_no_free_margin(seed: int) -> None:
    venue = SmallVenue(seed, "binance")
    venue.trade(20)
    for account in range(ACCOUNTS):
        free = free_margin(venue.ledger, account, venue.marks)
        assert withdraw(venue.ledger, account, 10**18, venue.marks) == max(free, 0)
        assert largest_order(venue.ledger, account, 0, 1, venue.marks) >= 0


def test_a_mode_does_not_change_under_an_open_position() -> None:
    ledger, _ = one_account("binance", 1, 10, 10**12)
    assert change_leverage(ledger, 0, 0, 5 * SCALE, c.ISOLATED) == (5 * SCALE, c.CROSS)
    assert change_leverage(ledger, 0, 1, 500 * SCALE, c.ISOLATED) == (25 * SCALE, c.ISOLATED)


@pytest.mark.parametrize("kind", [c.FIRST])
def test_an_account_without_positions_is_never_due(kind: int) -> None:
    ledger, marks = one_account("hyperliquid", 1, 10, 10**12)
    deposit(ledger, 1, -(10**15))
    assert check_margin(ledger, marks, 10**18).shape == (1, 5)
    assert SECOND == SECOND_NS
