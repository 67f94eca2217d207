"""Simulated accounts beside trading: their positions, leverage, margin mode and collateral."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache

import numpy as np
from numpy.typing import NDArray

from monitor.core.contract.events import Event, PositionReference
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE, format_decimal
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT, Int64
from replay.simulation.incidents.planted import PlantedIncident
from replay.simulation.log import enum_code
from replay.simulation.market import Float64, Population, Rng, Rows, SimulatedMarkets, Stretch

LEVERAGE_SHARE = 0.012
"""Leverage changes for each order, cancel or fill."""
COLLATERAL_SHARE = 0.002
"""Deposits and withdrawals for each order, cancel or fill."""
MODE_SHARE = 0.08
"""Share of leverage changes that change the margin mode too."""
HOLDER_SHARE, ISOLATED_SHARE = 0.4, 0.2
"""Share of accounts with a position at the opening; share of these positions on isolated margin."""
_LEVERAGE_MENU = (1, 2, 3, 5, 10, 15, 20, 25, 40)

LEVERAGE = np.dtype(
    [("ts", "i8"), ("symbol", "i4"), ("account", "i4"), ("leverage", "i8"), ("previous", "i8"),
     ("margin_mode", "i1")]
)  # fmt: skip
MOVE = np.dtype(
    [("ts", "i8"), ("account", "i4"), ("symbol", "i4"), ("amount", "i8"), ("cause", "i1")]
)
CROSS_MODE, ISOLATED_MODE = (
    enum_code("leverage", "margin_mode", mode) for mode in ("cross", "isolated")
)
DEPOSIT, WITHDRAWAL, ISOLATED_IN, ISOLATED_OUT, FUNDING = (
    enum_code("collateral", "cause", cause)
    for cause in ("deposit", "withdrawal", "isolated_in", "isolated_out", "funding")
)


class SimulatedPositions:
    """Net positions by account and market: sorted keys and quantities (1e-8, signed)."""

    def __init__(self, markets: int) -> None:
        self._markets = markets
        self._keys, self._quantity = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def add(self, account: NDArray[np.int32], symbol: NDArray[np.int32], signed: Int64) -> None:
        """Add quantities (1e-8, signed) of accounts in markets."""
        keys = account.astype(np.int64) * self._markets + symbol
        keys = np.concatenate([self._keys, keys])
        self._keys, index = np.unique(keys, return_inverse=True)
        total = np.zeros(len(self._keys), np.int64)
        np.add.at(total, index, np.concatenate([self._quantity, signed]))
        self._quantity = total

    def open_positions(self) -> tuple[Int64, Int64, Int64]:
        """Accounts, markets and quantities (1e-8) of the positions that are not zero."""
        rows = np.flatnonzero(self._quantity)
        account, symbol = np.divmod(self._keys[rows], self._markets)
        return account, symbol, self._quantity[rows]

    def open_interest(self) -> Int64:
        """Sum of the long positions of each market, 1e-8."""
        _, symbol, quantity = self.open_positions()
        total = np.zeros(self._markets, np.int64)
        np.add.at(total, symbol, np.maximum(quantity, 0))
        return total


Choices = dict[tuple[int, int], tuple[int, int]]
"""Leverage (1e-8) and code of the margin mode, by account and market."""


def draw_opening(
    rng: Rng,
    markets: SimulatedMarkets,
    population: Population,
    start_ts: int,
    positions: SimulatedPositions,
) -> tuple[list[Event], Rows, Choices]:
    """Positions of some accounts, market makers on the other side, the deposits of all, and the
    leverage and mode of each position.

    The equity of each account is its wealth: the profit of its positions so far is subtracted from
    its deposit. The positions are added to `positions`.
    """
    accounts, count = len(population.names), len(markets.names)
    is_maker = np.zeros(accounts, bool)
    is_maker[population.makers] = True
    holder = np.flatnonzero((rng.random(accounts) < HOLDER_SHARE) & ~is_maker)
    symbol = rng.choice(count, len(holder), p=markets.share)
    limit = np.minimum(markets.leverage_max[symbol], 25)
    leverage = np.array([*map(_choose_leverage, rng.random(len(holder)), limit.tolist())], np.int64)
    notional = population.wealth[holder] * leverage * rng.uniform(0.1, 0.7, len(holder))
    side = np.where(rng.random(len(holder)) < 0.55, 1, -1)
    # In each market one of the makers has the other side of all these positions.
    net = np.bincount(symbol, side * notional, count)
    other = population.makers[np.arange(count) % len(population.makers)]
    account = np.concatenate([holder, other])
    symbol = np.concatenate([symbol, np.arange(count)])
    value = np.concatenate([side * notional, -net])
    leverage = np.concatenate([leverage, np.minimum(markets.leverage_max, 10)])
    mode = np.where(rng.random(len(account)) < ISOLATED_SHARE, ISOLATED_MODE, CROSS_MODE)
    mode[len(holder) :] = CROSS_MODE
    lot = markets.lot[symbol]
    lots = np.rint(value / markets.price[symbol] * SCALE / lot).astype(np.int64)
    quantity = np.where(lots == 0, 1, lots) * lot
    entry = markets.price[symbol] * np.exp(0.02 * rng.standard_normal(len(account)))
    tick = markets.tick[symbol]
    entry_e8 = np.rint(entry * SCALE / tick).astype(np.int64) * tick
    positions.add(account.astype(np.int32), symbol.astype(np.int32), quantity)
    profit = quantity / SCALE * (markets.price[symbol] - entry_e8 / SCALE)
    equity = population.wealth.copy()
    np.add.at(equity, other, np.abs(net) / 5)
    np.add.at(equity, account, np.where(mode == CROSS_MODE, -profit, 0))
    deposits = np.zeros(accounts, MOVE)
    deposits["ts"], deposits["account"] = start_ts, np.arange(accounts)
    deposits["amount"] = np.maximum(np.rint(equity * MONEY_SCALE), MONEY_SCALE).astype(np.int64)
    deposits["symbol"], deposits["cause"] = -1, DEPOSIT
    margin = np.abs(quantity) / SCALE * entry / leverage
    columns = (account, symbol, quantity, entry_e8, mode, leverage, margin * MONEY_SCALE)
    rows = list(zip(*(c.tolist() for c in columns), strict=True))
    references: list[Event] = [
        PositionReference.model_validate(
            {
                "ts": start_ts,
                "symbol": markets.names[s],
                "about": "position",
                "account": population.names[a],
                "quantity": format_decimal(q, SCALE),
                "entry_price": format_decimal(e, SCALE),
                "margin_mode": "isolated" if m == ISOLATED_MODE else "cross",
                "leverage": str(lev),
                "isolated_margin": format_decimal(int(money), MONEY_SCALE)
                if m == ISOLATED_MODE
                else None,
            }
        )
        for a, s, q, e, m, lev, money in rows
    ]
    choices = {(a, s): (lev * SCALE, m) for a, s, _, _, m, lev, _ in rows}
    return references, deposits, choices


@cache
def _leverage_menu(limit: int) -> tuple[list[int], list[float]]:
    """The leverages that accounts choose, up to `limit`, and the running sum of their shares."""
    allowed = [leverage for leverage in _LEVERAGE_MENU if leverage <= limit]
    running = np.cumsum(1 / np.sqrt(allowed))
    return allowed, (running / running[-1]).tolist()


def _choose_leverage(draw: float, limit: int) -> int:
    """The leverage for a uniform `draw` from 0 to 1, at most `limit`."""
    allowed, shares = _leverage_menu(limit)
    return allowed[min(bisect_right(shares, draw), len(allowed) - 1)]


class AccountActions:
    """Draws the leverage changes, mode changes and transfers of one stretch after the other."""

    def __init__(
        self,
        rng: Rng,
        markets: SimulatedMarkets,
        population: Population,
        rate: float,
        choices: Choices,
        surges: list[PlantedIncident],
    ) -> None:
        self._rng, self._markets, self._population = rng, markets, population
        self._rate, self._choices = rate, choices
        self._surges = surges

    def step(self, stretch: Stretch) -> tuple[Rows, Rows]:
        """Leverage changes and collateral moves of `stretch`, by time."""
        changes = self._leverage_changes(stretch)
        leverage = np.zeros(len(changes), LEVERAGE)
        moves = []
        draws = self._rng.random((len(changes), 2))
        for row, (at, market, who, high) in enumerate(changes):
            before, mode = self._choices.get((who, market), (ABSENT, CROSS_MODE))
            limit = int(self._markets.leverage_max[market])
            chosen = (limit if high else _choose_leverage(draws[row, 0], limit)) * SCALE
            if not high and draws[row, 1] < MODE_SHARE:
                mode = ISOLATED_MODE if mode == CROSS_MODE else CROSS_MODE
                amount = int(self._population.wealth[who] * 0.02 * MONEY_SCALE)
                into = mode == ISOLATED_MODE
                cause = ISOLATED_IN if into else ISOLATED_OUT
                moves.append((at, who, market, amount if into else -amount, cause))
            self._choices[who, market] = chosen, mode
            leverage[row] = at, market, who, chosen, before, mode
        paid = np.concatenate([self._transfers(stretch), np.array(moves, MOVE)])
        return leverage, paid[np.argsort(paid["ts"], kind="stable")]

    def _leverage_changes(self, stretch: Stretch) -> list[tuple[int, int, int, bool]]:
        """The usual changes of the stretch and those of its surges, by time.

        Time, market, account, and whether it is a surge's: to the highest leverage of the market.
        """
        rng, until = self._rng, stretch.start_ts + stretch.seconds * SECOND_NS
        usual = self._rate * LEVERAGE_SHARE * self._markets.share
        counts = rng.poisson(usual * stretch.activity)
        cell = np.repeat(np.arange(counts.size), counts.ravel())
        second, market_of = np.divmod(cell, len(usual))
        ts = [stretch.start_ts + second * SECOND_NS + rng.integers(SECOND_NS, size=len(second))]
        where, who = [market_of], [self._population.draw(rng, len(second))]
        for surge in self._surges:
            market = self._markets.names.index(surge.symbol)
            low, high = max(surge.start_ts, stretch.start_ts), min(surge.end_ts, until)
            if low >= high:
                continue
            count = rng.poisson((surge.size - 1) * usual[market] * (high - low) / SECOND_NS)
            ts.append(rng.integers(low, high, count))
            where.append(np.full(count, market))
            who.append(self._surge_accounts(surge, count))
        raised = np.arange(sum(map(len, ts))) >= len(second)
        at = np.concatenate(ts)
        order = np.argsort(at, kind="stable")
        columns = (at, np.concatenate(where), np.concatenate(who), raised)
        return list(zip(*(column[order].tolist() for column in columns), strict=True))

    def _surge_accounts(self, surge: PlantedIncident, count: int) -> Int64:
        """The accounts of a surge's leverage changes: those that it names, else anybody."""
        if not surge.accounts:
            return self._population.draw(self._rng, count)
        named = [self._population.names.index(name) for name in surge.accounts]
        return self._rng.choice(named, count).astype(np.int64)

    def _transfers(self, stretch: Stretch) -> Rows:
        """Deposits and withdrawals, each a small part of the account's wealth."""
        rng = self._rng
        count = int(rng.poisson(self._rate * COLLATERAL_SHARE * stretch.seconds))
        rows = np.zeros(count, MOVE)
        rows["ts"] = stretch.start_ts + rng.integers(stretch.seconds * SECOND_NS, size=count)
        rows["account"] = self._population.draw(rng, count)
        out = rng.random(count) < 0.45
        part = np.where(out, -0.01, 0.03) * np.exp(0.7 * rng.standard_normal(count))
        amount = np.rint(self._population.wealth[rows["account"]] * part * MONEY_SCALE)
        rows["amount"], rows["symbol"] = amount.astype(np.int64), -1
        rows["cause"] = np.where(out, WITHDRAWAL, DEPOSIT)
        return rows


def funding_payments(
    rng: Rng, positions: SimulatedPositions, price: Float64, rate: Float64, ts: int
) -> Rows:
    """The funding of every open position at the hour `ts`: longs pay where the rate is above 0."""
    account, symbol, quantity = positions.open_positions()
    rows = np.zeros(len(account), MOVE)
    rows["ts"] = np.sort(ts + rng.integers(50_000_000, size=len(account)))
    rows["account"], rows["symbol"], rows["cause"] = account, symbol, FUNDING
    paid = quantity / SCALE * price[symbol] * rate[symbol]
    rows["amount"] = np.rint(-paid * MONEY_SCALE).astype(np.int64)
    paying: Rows = rows[rows["amount"] != 0]
    return paying
