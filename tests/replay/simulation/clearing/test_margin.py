"""Who is below maintenance, and what is sent to the book for it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.contract.units import SECOND_NS
from monitor.core.margin.liquidation_price import Position, crossing
from monitor.core.margin.regimes import REGIMES
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
    needed,
)

NAMES = st.sampled_from(sorted(CLEARING))
E6 = MONEY_SCALE


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), regime=NAMES, share=st.sampled_from([0.003, 0.03, 0.2]))
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
        for account, symbol, lots, _, kind in orders.tolist():
            open_lots = venue.lots(account, symbol)
            assert lots * open_lots < 0 or (lots == 0 and kind == c.FIRST)
            assert abs(lots) <= abs(open_lots)
        venue.fill_orders(orders)
        venue.settle()
        venue.now += SECOND_NS


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
    regime=NAMES,
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
    rules, tiers = REGIMES[regime], Tiers.from_reference(market(0, regime).tiers or ())
    quantity, price = side * lots * Fraction(LOTS[0]), PRICES[0] * Fraction(TICKS[0])
    position = Position("AAA", quantity, price, tiers, fee=rules.closing_fee or Fraction(0))
    root = crossing(rules, position, Fraction(deposited, E6), Fraction(0), Fraction(1)).price
    assert root is not None
    ticks = root / Fraction(TICKS[0])
    last_safe = -(-ticks // 1) if side > 0 else ticks // 1
    for mark, expected in ((int(last_safe), 0), (int(last_safe) - side, 1)):
        marks[0] = mark
        check_margin(ledger, marks, 10**18)
        assert ledger.totals[c.DUE] == expected, (mark, ticks)


def orders_at(
    regime: str, lots: int, below: int, seconds: tuple[int, ...]
) -> list[list[list[int]]]:
    """The orders at these seconds for a long that is `below` maintenance (1e-6) at the first."""
    ledger, marks = one_account(regime, 1, lots, 0)
    notional = lots * Fraction(LOTS[0]) * 50_000
    deposit(ledger, 0, int(needed(notional, regime) * E6) - below)
    return [check_margin(ledger, marks, 10**18 + s * SECOND_NS).tolist() for s in seconds]


def test_a_fifth_is_sent_first_of_a_large_position_and_the_rest_after_30_seconds() -> None:
    # A lot is worth 50: 2,000 lots are 100,000 of notional.
    assert [[o[c.ORDER_LOTS] for o in orders_at("hyperliquid", 1_999, 1, (0,))[0]]] == [[-1_999]]
    sent = orders_at("hyperliquid", 2_000, 1, (0, 1, 29, 30))
    assert [[o[c.ORDER_LOTS] for o in orders] for orders in sent] == [[-400], [], [], [-2_000]]
    assert [sent[0][0][c.ORDER_KIND], sent[3][0][c.ORDER_KIND]] == [c.FIRST, c.FURTHER]


def test_a_large_position_steps_two_tiers_down_and_a_small_one_is_taken_over() -> None:
    # 30,000 lots: 1,500,000 of notional, in the third tier; the first one ends at 200,000.
    ((order,),) = orders_at("gate", 30_000, 1, (0,))
    kept = 30_000 + order[c.ORDER_LOTS]
    assert kept * 50 < 200_000 <= (kept + 1) * 50
    assert orders_at("gate", 3_000, 1, (0, 1)) == [[[0, 0, 0, 0, c.FIRST]], []]


def test_the_limit_of_an_order_leaves_its_account_no_debt() -> None:
    # 1,000 lots need 1,000: less a millionth, 999.999999 may be lost, 1,999 ticks of 0.5 each.
    ((order,),) = orders_at("binance", 1_000, 1, (0,))
    assert order[c.ORDER_LIMIT] == PRICES[0] - 1_999


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


def test_an_account_without_positions_is_never_due_where_no_fund_pays() -> None:
    ledger = open_ledger([market(0, "hyperliquid")], 1)
    deposit(ledger, 0, -1)
    assert check_margin(ledger, np.array([1], np.int64), 10**18).tolist() == []
    assert ledger.totals[c.DUE] == 0
