"""Liquidation paths against what the venues print and prescribe, step by step.

*Printed*: numbers of the venue's own page or of its own tests. *Worked*: numbers that follow by
hand from the rule that is named.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from monitor.core.margin.paths.liquidation import Phase, Transfer
from monitor.core.margin.paths.orders import FillablePrice
from monitor.core.margin.paths.ranking import (
    Standing,
    price_and_leverage,
    profit_and_leverage,
    profit_and_margin_ratio,
)
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

# dYdX. ----------------------------------------------------------------------------------------

FILLABLE = [
    # money, quantity, spread, adjustment → price at which the order is sent
    ("-4501", "0.1", "0.1", 1, "49999"),
    ("-4501", "0.1", "0.1", 2, "49998"),
    ("-4501", "0.1", "0.2", 1, "49998"),
    ("5499", "-0.1", "0.1", 1, "50001"),
    ("5499", "-0.1", "0.1", 2, "50002"),
    ("5499", "-0.1", "0.2", 1, "50002"),
    ("-5000", "0.1", "0.1", 1, "49500"),
    ("5000", "-0.1", "0.1", 1, "50500"),
    ("-5500", "0.1", "0.1", 1, "49500"),
    ("4500", "-0.1", "0.1", 1, "50500"),
    ("-4501", "0.1", "0.1", 4294, "49500"),
    ("-4501", "0.1", "0.000001", 1, "49999.99999"),
    ("-4501", "0.1", 1, 1, "49990"),
]
"""Printed: the fillable prices of dYdX chain's own tests of its liquidation keeper (read 2026-11);
0.1 BTC at an oracle price of 50,000 with a maintenance fraction of 10 %."""


@pytest.mark.parametrize(("money", "quantity", "spread", "adjustment", "price"), FILLABLE)
def test_dydx_fillable_price(
    money: str, quantity: str, spread: str, adjustment: int, price: str
) -> None:
    account = holding("a", quantity, 50_000, exact(money) + exact(quantity) * 50_000)
    subject = liquidation("dydx", flat("0.1"), account)
    limit = FillablePrice(exact(spread), exact(adjustment))
    subject.regime = replace(REGIMES["dydx"], path=replace(REGIMES["dydx"].path, limit=limit))
    assert subject.step(0, exact(50_000), []).limit == exact(price)


def test_dydx_fillable_price_beside_another_position() -> None:
    """Printed there too: 0.1 ETH at 3,000 beside 0.004 BTC at 50,000, with −490 of money: 2,976."""
    account = holding("a", "0.1", 3_000, -490 + 300 + 200, other_need=20)
    subject = liquidation("dydx", flat("0.1"), account)
    limit = FillablePrice(exact("0.1"), exact(1))
    subject.regime = replace(REGIMES["dydx"], path=replace(REGIMES["dydx"].path, limit=limit))
    assert subject.step(0, exact(3_000), []).limit == 2_976


@pytest.mark.parametrize(
    ("quantity", "sent"), [("10", "1"), ("100", "2"), ("0.015", "0.015"), ("0.1", "0.02")]
)
def test_dydx_block_limits(quantity: str, sent: str) -> None:
    """Worked from the genesis: a tenth of 500,000; 100,000 of 5,000,000 at most; all of 750; and of
    5,000 not 500 but the least, 1,000."""
    account = holding("a", quantity, 50_000, exact(quantity) * 50_000 * exact("0.09"))
    subject = liquidation("dydx", flat("0.1"), account)
    assert subject.step(0, exact(50_000), []).sent == exact(sent)


def test_dydx_fee_and_insurance() -> None:
    """Worked: with equity 90 behind 20 at 100 (10 %) the bankruptcy price is 95.5. A fill at 99
    pays 1.5 % of it, one at 96 only what it brings beyond 95.5, one at 95 costs the fund 0.5 each.
    The order is for 1,000 of 2,000, at 100 − 1.5·10·(1 − 90/200)."""
    account = holding("a", 20, 100, 90)
    subject = liquidation("dydx", flat("0.1"), account, fund=1_000, lot=1)
    record = subject.step(0, exact(100), book((99, 4), (96, 4), (95, 4)))
    assert (record.sent, record.limit) == (10, exact("91.75"))
    assert record.fills == tuple(book((99, 4), (96, 4), (95, 2)))
    assert (record.fee, record.fund_paid) == (exact("5.94") + 2, 1)
    deeper = holding("a", 20, 100, 10)
    subject = liquidation("dydx", flat("0.1"), deeper, fund=1, lot=1)
    record = subject.step(0, exact(100), book((99, 4), (98, 4), (97, 4)))
    assert record.limit == exact("85.75")
    # Bankrupt at 99.5: the fund of 1 pays 0.5 each of two at 99, and nobody the rest.
    assert (record.fills, record.fund_paid) == (tuple(book((99, 2))), 1)
    assert subject.fund.cash == 0


def test_dydx_deleverages_at_the_bankruptcy_price_when_the_fund_is_empty() -> None:
    """Worked: equity −20 behind 10 at 100; the other side takes all of it at 102."""
    account = holding("a", 10, 110, 80)
    others = [holding("b", -4, 100, 500), holding("c", -20, 100, 500), holding("d", 5, 100, 500)]
    subject = liquidation("dydx", flat("0.1"), account, others, lot=1)
    record = subject.step(0, exact(100), book((99, 100)))
    assert (record.fills, record.phase) == ((), Phase.CLOSED)
    assert sum(one.quantity for one in record.deleveraged) == 10
    assert {one.price for one in record.deleveraged} == {102}
    assert account.equity(exact(100)) == 0


# Hyperliquid. ---------------------------------------------------------------------------------


def test_hyperliquid_sells_a_fifth_of_a_large_position_then_waits() -> None:
    """Worked from "Liquidations": 200,000 at a maintenance of 5 %: 400 of 2,000 first, the rest
    after 30 s, and meanwhile nothing."""
    account = holding("a", 2_000, 100, 8_000)
    subject = liquidation("hyperliquid", flat("0.05"), account, lot=1)
    first = subject.step(0, exact(100), book(("99.9", 10_000)))
    assert (first.sent, first.phase, account.quantity) == (400, Phase.WAITING, 1_600)
    assert account.equity(exact(99)) == 8_000 - 40 - 1_600
    quiet = subject.step(27 * SECOND, exact(99), book((99, 10_000)))
    assert (quiet.sent, quiet.phase) == (0, Phase.WAITING)
    rest = subject.step(30 * SECOND, exact(99), book((99, 10_000)))
    assert (rest.sent, rest.phase) == (1_600, Phase.CLOSED)


def test_hyperliquid_sells_a_small_position_at_once() -> None:
    account = holding("a", 999, 100, 4_900)
    subject = liquidation("hyperliquid", flat("0.05"), account, lot=1)
    assert subject.step(0, exact(100), book((99, 10_000))).sent == 999


def test_hyperliquid_backstop_takes_position_and_margin() -> None:
    """Worked: below 2/3 of 5 % of 100,000 the vault gets the position and all of the 3,000."""
    account = holding("a", 1_000, 100, 3_000)
    subject = liquidation("hyperliquid", flat("0.05"), account, lot=1)
    record = subject.step(0, exact(100), book((100, 10_000)))
    assert (record.sent, record.backstop) == (0, Transfer(exact(1_000), exact(97)))
    assert (account.cash, subject.backstop.equity(exact(100))) == (0, 3_000)


def test_hyperliquid_deleverages_at_the_previous_mark_by_its_ranking() -> None:
    """Worked from "Auto-deleveraging": below zero at 94, and 1,700 left at the mark before, 96.5.
    Scores of the shorts at 94 (entry/mark · notional/account value): c 100/94 · 94,000/20,000 = 5;
    b 99/94 · 94,000/40,000 = 2.475; so c goes first, whole, then 200 of b."""
    account = holding("a", 1_200, 100, 5_900)
    b, c = holding("b", -1_000, 99, 35_000), holding("c", -1_000, 100, 14_000)
    assert (b.equity(exact(94)), c.equity(exact(94))) == (40_000, 20_000)
    subject = liquidation("hyperliquid", flat("0.01"), account, [b, c], lot=1)
    assert subject.step(0, exact("96.5"), []).phase is Phase.SAFE
    record = subject.step(3 * SECOND, exact(94), book((94, 5_000)))
    assert [(one.account, one.quantity, one.rank) for one in record.deleveraged] == [
        ("c", 1_000, 1), ("b", 200, 2),
    ]  # fmt: skip
    assert {one.price for one in record.deleveraged} == {exact("96.5")}
    assert (record.phase, account.cash) == (Phase.CLOSED, 1_700)
    standing = Standing(-1, c.entry, exact(94), exact(94_000), exact(20_000), exact(0))
    assert price_and_leverage(standing) == 5


# Binance. -------------------------------------------------------------------------------------


def test_binance_leverage_pnl() -> None:
    """Printed formula ("What Is Auto-Deleveraging"), with the numbers of a question to Binance's
    developers: profit 40.2, wallet 4.27, margin ratio 13.42 % → 9.41 · 13.42 % = 1.26."""
    equity = exact("44.47")
    standing = Standing(1, exact(100), exact(200), exact("80.4"), equity, equity * exact("0.1342"))
    assert float(profit_and_margin_ratio(standing)) == pytest.approx(1.26, abs=0.005)
    # With less than 1 in the wallet, 1 counts; a loss counts nothing.
    poor = standing._replace(equity=exact("40.7"), need=exact("4.07"))
    assert profit_and_margin_ratio(poor) == exact("4.02")
    assert profit_and_margin_ratio(standing._replace(side=-1)) == 0


def test_binance_takes_over_what_its_order_leaves() -> None:
    """Worked from "Liquidation Protocols": of 10 at 100 with 40 behind them (10 %) an order
    (immediate or cancel) sells 4 within the bankruptcy price of 96; the fund takes 6 there, and 24
    with them."""
    account = holding("a", 10, 100, 40)
    subject = liquidation("binance", flat("0.1"), account, fund=1_000, lot=1)
    record = subject.step(0, exact(100), book((99, 3), (96, 1), (95, 50)))
    assert (record.sent, record.limit) == (10, 96)
    assert record.fills == tuple(book((99, 3), (96, 1)))
    assert record.taken_over == Transfer(exact(6), exact(96))
    assert subject.fund.equity(exact(100)) == 1_024
    assert (account.quantity, account.cash) == (0, 9)  # 3·(99 − 96)


def test_binance_deleverages_what_its_fund_cannot_bear() -> None:
    """Worked: bankrupt at 102 with the mark at 100, a fund of 7 bears 3 of 10 (2 each)."""
    account = holding("a", 10, 110, 80)
    others = [holding("b", -100, 101, 5_000), holding("c", -100, 120, 1_000)]
    subject = liquidation("binance", flat("0.05"), account, others, fund=7, lot=1)
    record = subject.step(0, exact(100), book((99, 100)))
    assert (record.taken_over, record.fund_paid) == (Transfer(exact(3), exact(102)), 6)
    assert [(one.account, one.quantity) for one in record.deleveraged] == [("c", 7)]
    assert account.equity(exact(100)) == 0


# Bybit and BitMEX. ----------------------------------------------------------------------------

MILLIONS = tiers((0, "0.005"), (1_000_000, "0.01"), (2_000_000, "0.015"))


def test_bybit_closes_what_exceeds_the_tier_below_or_nothing() -> None:
    """Worked from "Liquidation Process": 1.5 M is in the second tier; half a million (and the lot
    that brings it below the bound) is sold fill-or-kill."""
    account = holding("a", 15_000, 100, 9_900)
    subject = liquidation("bybit", MILLIONS, account, lot=1)
    record = subject.step(0, exact(100), book((100, 10_000)))
    assert (record.sent, record.phase) == (5_001, Phase.SAFE)
    # 5,000 are not enough: nothing fills, and the engine takes over all of it.
    account = holding("a", 15_000, 100, 9_900)
    subject = liquidation("bybit", MILLIONS, account, lot=1)
    record = subject.step(0, exact(100), book((100, 5_000)))
    assert (record.sent, record.fills) == (5_001, ())
    assert record.taken_over == Transfer(exact(15_000), exact("99.34"))


def test_bybit_looks_its_tier_up_at_entry_value() -> None:
    """Worked: 15,000 bought at 140 count 2.1 M and are in the third tier, though worth 1.5 M;
    14,285 count less than 2 M."""
    account = holding("a", 15_000, 140, 610_000)
    subject = liquidation("bybit", MILLIONS, account, lot=1)
    assert subject.step(0, exact(100), []).sent == 15_000 - 14_285


def test_bybit_steps_down_again_where_bitmex_takes_over() -> None:
    """Worked: after the fill equity is still below the lower tier's maintenance."""
    for venue, quantity in (("bybit", 19_999), ("bitmex", 0)):
        account = holding("a", 25_000, 100, 9_000)
        subject = liquidation(venue, MILLIONS, account, lot=1)
        record = subject.step(0, exact(100), book((100, 10_000)))
        assert (record.sent, account.quantity) == (5_001, quantity)
        assert (record.taken_over is None) == (venue == "bybit")


def test_bitmex_lowest_risk_limit_is_taken_over_at_bankruptcy() -> None:
    """Printed ("Liquidation", its example): long 1 contract at 100.00, liquidated at 99.50,
    bankrupt at 99.00."""
    account = holding("a", 1, 100, 1)
    subject = liquidation("bitmex", flat("0.005"), account, lot=1)
    assert subject.step(0, exact("99.51"), []).phase is Phase.SAFE
    record = subject.step(SECOND, exact("99.50"), book(("99.5", 5)))
    assert (record.orders_cancelled, record.sent) == (True, 0)
    assert record.taken_over == Transfer(exact(1), exact(99))
    assert subject.fund.equity(exact("99.50")) == exact("0.5")


def test_bitmex_ranking() -> None:
    """Printed formula ("Auto-Deleveraging"): profit in per cent of the entry value times mark value
    over mark value less bankrupt value; divided by it at a loss."""
    gain = Standing(1, exact(100), exact(110), exact(1_100), exact(200), exact(0))
    assert profit_and_leverage(gain) == Fraction(1, 10) * Fraction(11, 2)
    loss = gain._replace(side=-1)
    assert profit_and_leverage(loss) == -Fraction(1, 10) / Fraction(11, 2)


# OKX, Deribit, Drift. -------------------------------------------------------------------------


def test_okx_two_tiers_down() -> None:
    """Printed ("Forced partial or full liquidation"): 15,000 swaps are in the third tier (12,001
    and more), 2,000 are the most of the first: 13,000 are closed."""
    table = tiers((0, "0.005"), (2_001, "0.01"), (12_001, "0.02"), whole=True, by_contracts=True)
    account = holding("a", 15_000, 100, 29_000)
    subject = liquidation("okx", table, account, lot=1)
    record = subject.step(0, exact(100), book((100, 20_000)))
    assert (record.sent, account.quantity, record.phase) == (13_000, 2_000, Phase.SAFE)
    # From the second tier all of it is taken over without an order.
    account = holding("a", 12_000, 100, 11_000)
    subject = liquidation("okx", table, account, fund=10**6, lot=1)
    record = subject.step(0, exact(100), book((100, 20_000)))
    assert (record.sent, record.phase) == (0, Phase.CLOSED)
    assert record.taken_over is not None


def test_deribit_reduces_in_rounds_of_a_second() -> None:
    """Worked: 100 at 100 with 480 behind them at 5 %: 95 need less than equity, 96 just as much."""
    account = holding("a", 100, 100, 480)
    subject = liquidation("deribit", flat("0.05"), account, lot=1)
    first = subject.step(0, exact(100), book(("99.5", 3)))
    assert (first.sent, first.fills, first.phase) == (5, tuple(book(("99.5", 3))), Phase.WAITING)
    assert subject.step(SECOND // 2, exact(100), book((100, 9))).sent == 0
    # 478.5 behind 97: once more until 95 are left.
    assert subject.step(SECOND, exact(100), book((100, 9))).sent == 2
    assert (account.quantity, subject.step(2 * SECOND, exact(100), []).phase) == (95, Phase.SAFE)


def test_drift_share_grows_and_losses_are_socialised() -> None:
    """Worked from its liquidation maths: a tenth at once, all of it a minute later."""
    account = holding("a", 1_000, 100, 4_900)
    others = [holding("b", -600, 100, 50_000), holding("c", 200, 100, 50_000)]
    subject = liquidation("drift", flat("0.05"), account, others, fund=100, lot=1)
    first = subject.step(0, exact(100), book((98, 5)))
    assert (first.sent, first.limit, first.fills) == (3, 99, ())  # of the 21 that are needed
    assert subject.step(30 * SECOND, exact(100), []).sent == 13
    assert subject.step(60 * SECOND, exact(100), []).sent == 21
    # 500 below zero when all is sold at 94.6: the fund pays 100, b and c 3 to 1 the rest.
    record = subject.step(61 * SECOND, exact("94.6"), book(("94.6", 2_000)))
    assert (record.sent, record.phase) == (1_000, Phase.CLOSED)
    assert (record.fund_paid, record.socialised, record.debt) == (100, 400, 0)
    assert [o.equity(o.entry) for o in others] == [49_700, 49_900]
