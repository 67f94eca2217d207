"""Simulated accounts beside trading: their positions at the opening, and what they wish."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from monitor.core.contract.events import Event, PositionReference
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE, format_decimal
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Int64
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.columns import CROSS, ISOLATED
from replay.simulation.incidents.planted import PlantedIncident
from replay.simulation.market import (
    Float64,
    Population,
    Rng,
    Rows,
    SimulatedMarkets,
    to_money,
)
from replay.simulation.trading.draws import (
    draw_array,
    exponential_quantiles,
    log_normal_quantiles,
    normal_quantiles,
)
from replay.simulation.trading.state import WISH

LEVERAGE_SHARE = 0.012
"""Leverage changes for each order, cancel or fill."""
COLLATERAL_SHARE = 0.002
"""Deposits and withdrawals for each order, cancel or fill."""
MODE_SHARE = 0.08
"""Share of leverage changes that change the margin mode too."""
HOLDER_SHARE, HEDGED_SHARE, ISOLATED_SHARE, LONG_SHARE = 0.4, 0.15, 0.2, 0.55
"""Share of accounts with a position at the opening; of these, those with a second one of the other
side in the next market, on cross margin; of the others, those on isolated margin; long ones."""
MARGIN_USED, MARGIN_SPREAD, MARGIN_MAX = 0.05, 0.9, 0.45
"""Maintenance over equity at the opening: median, spread of the logarithm, largest. Large accounts
of Hyperliquid had 1.5, 8.9, 27.6 and 46.4 % at the 5th, 50th, 90th and 99th percentile in February
2026, but only 3 to 10 % of notional within 10 % of its liquidation price, which needs a lower
median."""
ENTRY_SPREAD = 0.02
"""Spread of the entry prices around the price of the opening."""
_LEVERAGE_MENU = (1, 2, 3, 5, 10, 15, 20, 25, 40)


class Opening(NamedTuple):
    """Positions (`clearing.columns.PLACE_COLUMNS`) and what each account pays in, 1e-6."""

    places: Int64
    deposits: Int64


def draw_opening(
    rng: Rng, markets: SimulatedMarkets, population: Population, maker_account: Int64
) -> Opening:
    """Positions of some accounts, with market makers on the other side.

    The equity of each account is its wealth: the profit of its positions so far is subtracted from
    what it pays in. `maker_account`: market makers by market, the first of which takes the other
    side of all its positions.
    """
    accounts, count = len(population.names), len(markets.names)
    may_hold = np.ones(accounts, bool)
    may_hold[population.makers] = may_hold[population.arbitrageurs] = False
    holder = np.flatnonzero((rng.random(accounts) < HOLDER_SHARE) & may_hold)
    market = np.searchsorted(np.cumsum(markets.share)[:-1], rng.random(len(holder)), side="right")
    used = MARGIN_USED * draw_array(rng, log_normal_quantiles(MARGIN_SPREAD), (len(holder),))
    # A market's maintenance rate is half of its initial one, 1 over its highest leverage.
    multiple = np.minimum(used, MARGIN_MAX) * 2 * markets.leverage_max[market]
    side = np.where(rng.random(len(holder)) < LONG_SHARE, 1, -1)
    is_hedged = (rng.random(len(holder)) < HEDGED_SHARE) & (count > 1)
    mode = np.where(rng.random(len(holder)) < ISOLATED_SHARE, ISOLATED, CROSS)
    mode[is_hedged] = CROSS
    value = side * population.wealth[holder] * multiple
    other_market = (market[is_hedged] + 1) % count
    second = -value[is_hedged] * markets.leverage_max[other_market]
    second /= markets.leverage_max[market[is_hedged]]
    account = np.concatenate([holder, holder[is_hedged]])
    market = np.concatenate([market, other_market])
    mode = np.concatenate([mode, mode[is_hedged]])
    places = np.zeros((len(account), len(c.PLACE_COLUMNS)), np.int64)
    lots = np.rint(
        np.concatenate([value, second]) / markets.lot_value[market] / markets.ticks[market]
    )
    places[:, :3] = np.stack([account, market, lots.astype(np.int64)], axis=1)
    places[places[:, 2] == 0, 2] = 1
    leverage = np.concatenate([multiple, multiple[is_hedged]])
    places[:, 4] = _menu_from(leverage, markets.leverage_max[market]) * SCALE
    places[:, 5] = mode
    net = np.zeros(count, np.int64)
    np.add.at(net, market, places[:, 2])
    against = np.zeros((count, len(c.PLACE_COLUMNS)), np.int64)
    against[:, 0], against[:, 1], against[:, 2] = maker_account, np.arange(count), -net
    against[:, 4] = np.minimum(markets.leverage_max, 10) * SCALE
    places = np.concatenate([places, against[net != 0]])
    return _price_opening(rng, markets, population, places)


def _menu_from(multiple: Float64, highest: Int64) -> Int64:
    """The lowest leverage of the menu that is at least `multiple`; at most the `highest`."""
    menu = np.array([*_LEVERAGE_MENU, 10**6], np.int64)
    return np.minimum(menu[np.searchsorted(menu, multiple)], highest)


def _price_opening(
    rng: Rng, markets: SimulatedMarkets, population: Population, places: Int64
) -> Opening:
    """Entry prices and isolated margins of positions, and the deposits that go with them."""
    account, market, lots = places[:, 0], places[:, 1], places[:, 2]
    price = markets.ticks[market].astype(np.int64)
    away = 1 + ENTRY_SPREAD * draw_array(rng, normal_quantiles(), (len(places),))
    entry = np.rint(markets.ticks[market] * away).astype(np.int64)
    tick_value = to_money(markets.lot_value)[market]
    is_isolated = places[:, 5] == ISOLATED
    value = np.abs(lots) * entry * tick_value
    margin = value // places[:, 4] * SCALE + value % places[:, 4] * SCALE // places[:, 4]
    places[:, 3], places[:, 6] = entry, np.where(is_isolated, margin, 0)
    deposits = to_money(population.wealth)
    profit = lots * (price - entry) * tick_value
    np.subtract.at(deposits, account, np.where(is_isolated, places[:, 6], profit))
    is_maker = np.isin(account, population.makers)
    np.add.at(deposits, account[is_maker], value[is_maker] // 5)
    return Opening(places, np.maximum(deposits, MONEY_SCALE))


def position_references(
    markets: SimulatedMarkets, population: Population, places: Int64, ts: int
) -> list[Event]:
    """The reference records of the positions of the opening."""
    return [
        PositionReference.model_validate(
            {
                "ts": ts,
                "symbol": markets.names[market],
                "about": "position",
                "account": population.names[account],
                "quantity": format_decimal(lots * int(markets.lot[market]), SCALE),
                "entry_price": format_decimal(entry * int(markets.tick[market]), SCALE),
                "margin_mode": "isolated" if mode == ISOLATED else "cross",
                "leverage": format_decimal(leverage, SCALE),
                "isolated_margin": format_decimal(margin, MONEY_SCALE)
                if mode == ISOLATED
                else None,
            }
        )
        for account, market, lots, entry, leverage, mode, margin in places.tolist()
    ]


@cache
def _leverage_shares(limit: int) -> tuple[Int64, Float64]:
    """The leverages that accounts choose, up to `limit`, and the running sum of their shares."""
    allowed = [leverage for leverage in _LEVERAGE_MENU if leverage <= limit]
    running = np.cumsum(1 / np.sqrt(allowed))
    return np.array(allowed, np.int64), running / running[-1]


class AccountWishes:
    """Draws the leverage changes, mode changes and transfers of one stretch after the other."""

    def __init__(
        self,
        rng: Rng,
        markets: SimulatedMarkets,
        population: Population,
        rate: float,
        surges: list[PlantedIncident],
    ) -> None:
        self._rng, self._markets, self._population = rng, markets, population
        self._rate, self._surges = rate, surges
        self._factors = log_normal_quantiles(0.7)

    def step(self, start_ts: int, activity: Float64) -> Rows:
        """What accounts wish (`WISH`) in the seconds of `activity` (seconds × markets, times the
        usual), by time."""
        parts = [self._usual_changes(start_ts, activity), self._transfers(start_ts, len(activity))]
        until = start_ts + len(activity) * SECOND_NS
        parts += [self._surge(surge, start_ts, until) for surge in self._surges]
        wishes = np.concatenate(parts)
        return wishes[np.argsort(wishes["ts"], kind="stable")]

    def _usual_changes(self, start_ts: int, activity: Float64) -> Rows:
        markets = self._markets
        ts, market = _arrivals(
            self._rng, start_ts, self._rate * LEVERAGE_SHARE * markets.share * activity
        )
        rows = np.zeros(len(ts), WISH)
        rows["ts"], rows["symbol"] = ts, market
        rows["account"] = self._population.draw(self._rng, len(ts))
        draws = self._rng.random(len(ts))
        for limit in np.unique(markets.leverage_max[market]).tolist():
            mine = markets.leverage_max[market] == limit
            menu, shares = _leverage_shares(limit)
            place = np.searchsorted(shares, draws[mine], side="right")
            rows["amount"][mine] = menu[np.minimum(place, len(menu) - 1)] * SCALE
        rows["switches"] = self._rng.random(len(ts)) < MODE_SHARE
        return rows

    def _surge(self, surge: PlantedIncident, start_ts: int, until: int) -> Rows:
        """Further changes of a surge: to the highest leverage of its market."""
        low, high = max(surge.start_ts, start_ts), min(surge.end_ts, until)
        if low >= high:
            return np.zeros(0, WISH)
        market = self._markets.names.index(surge.symbol)
        usual = self._rate * LEVERAGE_SHARE * self._markets.share[market]
        mean = (surge.size - 1) * usual * (high - low) / SECOND_NS
        count = int(mean + self._rng.random())
        rows = np.zeros(count, WISH)
        rows["ts"], rows["symbol"] = self._rng.integers(low, high, count), market
        rows["amount"] = self._markets.leverage_max[market] * SCALE
        if surge.accounts:
            named = [self._population.names.index(name) for name in surge.accounts]
            rows["account"] = self._rng.choice(named, count)
        else:
            rows["account"] = self._population.draw(self._rng, count)
        return rows

    def _transfers(self, start_ts: int, seconds: int) -> Rows:
        """Deposits and withdrawals, each a small part of the account's wealth."""
        rng = self._rng
        ts, _ = _arrivals(rng, start_ts, np.full((seconds, 1), self._rate * COLLATERAL_SHARE))
        rows = np.zeros(len(ts), WISH)
        rows["ts"], rows["symbol"] = ts, -1
        rows["account"] = self._population.draw(rng, len(ts))
        part = np.where(rng.random(len(ts)) < 0.45, -0.01, 0.03)
        part = part * draw_array(rng, self._factors, (len(ts),))
        rows["amount"] = to_money(self._population.wealth[rows["account"]] * part)
        return rows


def _arrivals(rng: Rng, start_ts: int, rates: Float64) -> tuple[Int64, Int64]:
    """Times (ns) and columns of a Poisson process with these rates, (seconds, columns) a second."""
    running = np.cumsum(rates.ravel())
    most = int(running[-1] + 8 * np.sqrt(running[-1]) + 20)
    at = np.cumsum(draw_array(rng, exponential_quantiles(), (most,)))
    cell = np.searchsorted(running, at[at < running[-1]], side="right")
    second, column = np.divmod(cell, rates.shape[1])
    ts = start_ts + second * SECOND_NS + rng.integers(SECOND_NS, size=len(cell))
    return ts, column
