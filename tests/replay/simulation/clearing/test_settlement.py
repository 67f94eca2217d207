"""What the book leaves goes to the vault, the fund, and then to the other side in its order."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.margin.paths.ranking import SCORES, Ranking, Standing
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.accounts import deposit
from replay.simulation.clearing.regimes import CLEARING
from tests.replay.simulation.clearing.small_venue import (
    ACCOUNTS,
    LOTS,
    TICKS,
    SmallVenue,
)

VAULT, FUND = ACCOUNTS, ACCOUNTS + 1
RANKINGS = {
    "hyperliquid": Ranking.PRICE_AND_LEVERAGE,
    "binance": Ranking.PROFIT_AND_MARGIN_RATIO,
    "gate": Ranking.PROFIT_AND_LEVERAGE,
}


def ranking(venue: SmallVenue, symbol: int, side: int) -> list[int]:
    """The accounts with a position on that side, the first to be deleveraged first."""
    scores = []
    for pool, rows in venue.pools().items():
        for row in rows:
            position = venue.ledger.positions[row]
            equity = venue.equity(pool, rows)
            if position[c.MARKET] != symbol or position[c.LOTS] * side < 0 or equity <= 0:
                continue
            size = abs(int(position[c.LOTS])) * Fraction(LOTS[symbol])
            entry = Fraction(int(position[c.ENTRY]), MONEY_SCALE) / size
            mark = int(venue.marks[symbol]) * Fraction(TICKS[symbol])
            standing = Standing(side, entry, mark, size * mark, equity, venue.need(rows))
            score = SCORES[RANKINGS[venue.regime]](standing)
            scores.append((-score, row, int(position[c.HOLDER])))
    return [account for _, _, account in sorted(scores)]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), regime=st.sampled_from(sorted(CLEARING)))
def test_deleveraging_takes_the_first_of_the_ranking(seed: int, regime: str) -> None:
    """In the order of the engine's formulas, with which the clearing house shares no code."""
    venue, seen = SmallVenue(seed, regime, fund=0), 0
    for _ in range(12):
        venue.trade(5)
        venue.move_marks(0.15)
        venue.check()  # and the book takes nothing
        before = {(m, s): ranking(venue, m, s) for m in range(3) for s in (-1, 1)}
        fills = venue.settle().tolist()
        sides = [(f[c.FILL_MARKET], 1 if f[c.FILL_LOTS] > 0 else -1) for f in fills]
        for fill, side in zip(fills, sides, strict=True):
            # What was closed before, by anybody or in another market, changes who comes first.
            if fill[c.FILL_CAUSE] != c.ADL or side != sides[0]:
                break
            ranked = before[side]
            while ranked[0] != fill[c.FILL_MAKER]:
                assert venue.lots(ranked[0], side[0]) == 0  # deleveraged before, to the end
                ranked.pop(0)
            seen += 1
        venue.now += 10**9
    event(f"deleveraged: {seen > 0}")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), regime=st.sampled_from(sorted(CLEARING)))
def test_nobody_is_left_below_maintenance_but_who_waits_for_the_book(
    seed: int, regime: str
) -> None:
    """A pool that stays due has equity left, above the vault's share, or nobody is on the other
    side of its positions; and the fund is never in debt to the marks that it took over at."""
    venue = SmallVenue(seed, regime)
    for _ in range(25):
        venue.trade(5)
        venue.move_marks(0.1)
        venue.fill_orders(venue.check())
        due = set(venue.ledger.due[: venue.ledger.totals[c.DUE]].tolist())
        venue.settle()
        for pool, rows in venue.pools().items():
            if pool not in due:
                continue
            equity, need = venue.equity(pool, rows), venue.need(rows)
            waits = equity >= need * Fraction(2, 3) if regime == "hyperliquid" else equity >= 0
            if equity < need and not (waits and regime != "binance"):
                assert all(not others(venue, row) for row in rows)
        venue.now += 10**9


def others(venue: SmallVenue, row: int) -> list[int]:
    """Pools with equity on the other side of a position."""
    symbol, lots = venue.ledger.positions[row, [c.MARKET, c.LOTS]].tolist()
    return ranking(venue, symbol, -1 if lots > 0 else 1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.03, 0.2]))
def test_the_vault_leaves_an_account_less_than_a_tick_of_each_lot(seed: int, share: float) -> None:
    venue, taken = SmallVenue(seed, "hyperliquid"), 0
    for _ in range(20):
        venue.trade(5)
        venue.move_marks(share)
        venue.check()
        pools = venue.pools()
        fills = venue.settle().tolist()
        for account, rows in pools.items():
            mine = [f for f in fills if f[c.FILL_TAKER] == account]
            if {f[c.FILL_CAUSE] for f in mine} != {c.BACKSTOP} or len(mine) != len(rows):
                continue
            elsewhere = [r for p, more in pools.items() if p != account for r in more]
            if account in venue.ledger.positions[elsewhere, c.HOLDER]:
                continue  # what its isolated positions leave comes back to it as well
            ticks = [
                abs(f[c.FILL_LOTS]) * int(venue.ledger.markets[f[c.FILL_MARKET], c.TICK_VALUE])
                for f in mine
            ]
            assert 0 <= venue.ledger.pools[account, c.CASH] < sum(ticks)
            taken += 1
        venue.now += 10**9
    event(f"taken over: {taken > 0}")


def test_the_fund_pays_the_debt_of_an_account_without_positions() -> None:
    venue = SmallVenue(1, "binance", fund=100)
    account = 0
    owed = int(venue.ledger.pools[account, c.CASH]) + 30 * MONEY_SCALE
    deposit(venue.ledger, account, -owed)
    venue.check()
    venue.settle()
    assert venue.ledger.pools[[account, FUND], c.CASH].tolist() == [0, 70 * MONEY_SCALE]
    assert [move[1:5] for move in venue.moves[-2:]] == [
        (account, -1, 30 * MONEY_SCALE, c.ADJUSTMENT),
        (FUND, -1, -30 * MONEY_SCALE, c.ADJUSTMENT),
    ]
    assert np.all(venue.ledger.last_marks == venue.marks)
