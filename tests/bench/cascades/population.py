"""Traders drawn by what was seen of large accounts, and moved closer to the mark at will.

February 2026, the large accounts of Hyperliquid: share of the notional of BTC longs (shorts) with
a liquidation price within 5, 10, 20 and 50 %, and maintenance over equity at four percentiles. The
draw follows the first; the second is printed beside what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.arrays.types import Bool, Float64
from tests.bench.cascades.state import (
    FIRST_TRADER,
    LOT_USD,
    START_TICKS,
    UNITS_PER_USD,
    Accounts,
    Rules,
)
from tests.bench.cascades.venue import SimulatedVenue

WITHIN = np.array([0.0, 0.05, 0.10, 0.20, 0.50])
LONG_SHARES = np.array([0.0, 0.008, 0.029, 0.174, 0.479])
SHORT_SHARES = np.array([0.0, 0.033, 0.10, 0.285, 0.574])
MAINTENANCE_PERCENTILES = {5: 1.5, 50: 8.9, 90: 27.6, 99: 46.4}
"""Maintenance over equity, %."""
NEAREST = 0.004
"""Of gross notional: nobody has less equity beyond maintenance."""
ISOLATED_SHARE = 0.3
SAME_SIDE = 0.8
"""Of a cross account's further positions, how many are on the side of its first."""
SIZE_SPREAD = 1.2
"""Deviation of the log of an account's notional."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """`long_usd`: notional of the traders' longs by market, quote currency; shorts are `shorts`
    times as much, and the makers have the rest. `closer`: by how much distances are divided."""

    traders: int
    long_usd: Float64
    shorts: float
    closer: float


def enter_crowd(venue: SimulatedVenue, crowd: Crowd, rng: np.random.Generator) -> Bool:
    """Give every trader positions and equity; which of the accounts' rows are isolated."""
    rows, markets = len(venue.accounts.cash), len(crowd.long_usd)
    isolated = np.zeros(rows, np.bool_)
    isolated[FIRST_TRADER:] = rng.random(crowd.traders) < ISOLATED_SHARE
    notional = np.zeros((rows, markets))
    for row in range(FIRST_TRADER, rows):
        count = 1 if isolated[row] else int(rng.integers(1, markets + 1))
        weight = crowd.long_usd / crowd.long_usd.sum()
        chosen = rng.choice(markets, count, replace=False, p=weight)
        side = 1.0 if rng.random() * (1.0 + crowd.shorts) < 1.0 else -1.0
        signs = np.where(rng.random(count) < SAME_SIDE, side, -side)
        signs[0] = side
        notional[row, chosen] = signs * np.exp(rng.normal(0.0, SIZE_SPREAD)) * weight[chosen]
    for sign, usd in ((1, crowd.long_usd), (-1, crowd.shorts * crowd.long_usd)):
        mine = notional * sign > 0
        sums = np.where(mine, np.abs(notional), 0.0).sum(axis=0)
        notional = np.where(mine, notional * usd / np.maximum(sums, 1e-9), notional)
    lots = np.rint(notional / LOT_USD).astype(np.int64)
    for row in range(FIRST_TRADER, rows):
        equity = _equity(lots[row] * LOT_USD, venue.rules, crowd.closer, rng)
        for c in np.flatnonzero(lots[row]).tolist():
            venue.enter(row, c, int(lots[row, c]), equity)
            equity = 0.0
    return isolated


def _equity(notional: Float64, rules: Rules, closer: float, rng: np.random.Generator) -> float:
    """Equity with which an account is due when all markets move by a drawn distance against it."""
    net = float(notional.sum())
    shares = LONG_SHARES if net >= 0 else SHORT_SHARES
    draw = rng.random()
    if draw < shares[-1]:
        distance = float(np.interp(draw, shares, WITHIN))
    else:
        distance = float(np.interp(draw, [shares[-1], 1.0], [0.5, 1.0]))
    distance /= closer
    then = notional * (1.0 - np.sign(net) * distance)
    least = _maintenance(notional, rules) + NEAREST * float(np.abs(notional).sum())
    return max(abs(net) * distance + _maintenance(then, rules), least)


def _maintenance(notional: Float64, rules: Rules) -> float:
    size, bound = np.abs(notional), rules.bound / UNITS_PER_USD
    above = np.maximum(size - bound, 0.0)
    return float(np.sum(rules.rate * size + (rules.high_rate - rules.rate) * above))


def maintenance_over_equity(accounts: Accounts, rules: Rules) -> Float64:
    """Of every trader with positions, at the first price."""
    units = accounts.quantity * START_TICKS / UNITS_PER_USD
    equity = accounts.cash / UNITS_PER_USD + units.sum(axis=1)
    rows = FIRST_TRADER + np.flatnonzero(accounts.quantity[FIRST_TRADER:].any(axis=1))
    return np.array([_maintenance(units[r], rules) / equity[r] for r in rows])
