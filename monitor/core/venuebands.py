"""From the venue's accounts, marks, books and rules to its bands, and what is published of them.

Markets are numbered by name and pools by the hash of the account's name, so that no sum of floats
hangs on arrival. Nothing is guessed: a market without a mark or a tier table makes its holders'
pools unknown. An isolated position for which no margin is on record has what its leverage says
(entry value / leverage, taken from the account's cross pool); those are counted as `assumed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from monitor.core.accountkernels import ISOLATED, ROW
from monitor.core.accounts import Accounts
from monitor.core.bandkernels import BIN_WIDTH, BINS
from monitor.core.bands import Books, Floats, Ints, Positions, Rules, arrange, refresh
from monitor.core.batch import ABSENT
from monitor.core.entries import LEVELS
from monitor.core.grid import MONEY, SCALE
from monitor.core.regimes import REGIMES
from monitor.core.tiers import Tiers
from monitor.core.venue import Venue

NEAR = 0.02
"""Distance from the mark within which forced notional is at stake in an alert."""
_NOTHING = Tiers.flat(Fraction(1))


@dataclass(frozen=True, slots=True)
class MarketBands:
    """Bands of one market. Pairs are (long, short): longs are forced when the mark falls."""

    symbol: str
    mark: float
    nearest: tuple[float | None, float | None]
    """Price of the zone edge nearest to the mark that forces anybody."""
    forced: tuple[dict[int, int], dict[int, int]]
    """Notional, 1e-6 of the quote currency, by zone: zone z is from 5z up to 5(z + 1) bps away."""
    near: tuple[float, float]
    """Notional forced within `NEAR`, quote currency."""
    absorbed: tuple[float | None, float | None]
    """Share of `near` that the last book can take within the same distance; None: no book, or
    nothing to take."""

    def at_stake(self) -> dict[str, float]:
        """For an alert."""
        return {
            "forced_notional": float(f"{sum(self.near):.6g}"),
            "long": float(f"{self.near[0]:.6g}"),
            "short": float(f"{self.near[1]:.6g}"),
            "within_pct": NEAR * 100,
        }


@dataclass(frozen=True, slots=True)
class VenueBands:
    """Bands of a venue, as of `ts` (ns)."""

    ts: int
    markets: list[MarketBands]
    """By name; those in which somebody holds something and the mark and the table are known."""
    pools: int
    unknown: int
    """Pools without a mark, a table or a margin for every position."""
    assumed: int
    """Isolated positions whose margin is taken from their leverage."""


def pools(accounts: Accounts, market_of: Ints) -> tuple[Positions, int]:
    """Cross and isolated pools of all that is open; `market_of`: number of each symbol.

    Also the number of isolated positions whose margin was assumed.
    """
    rows = accounts.rows
    owner, symbol = accounts.of_rows()
    column = dict(zip(ROW, rows.T, strict=True))
    rank = accounts.rank()
    is_open = column["quantity"] != 0
    isolated = column["mode"] == ISOLATED
    margin = column["isolated"].astype(np.int64)
    leverage = column["leverage"]
    assumed = is_open & isolated & (margin <= 0) & (leverage > 0)
    factor = column["entry"][assumed] / leverage[assumed] * SCALE
    margin[assumed] = np.rint(factor).astype(np.int64)
    # All money in integers of 1e-6, so that it may be summed in any order.
    own = column["trade"] + column["funding"] - column["fees"]
    data = accounts.accounts
    cash = data[:, 0] - data[:, 1] + data[:, 2] + data[:, 3]
    np.add.at(cash, owner, np.where(isolated, -margin, own))
    held = np.flatnonzero(is_open)
    alone = held[isolated[held]]
    crossed = held[~isolated[held]]
    alone = alone[np.lexsort((market_of[symbol[alone]], rank[owner[alone]]))]
    holds = np.zeros(len(rank), np.bool_)
    holds[rank[owner[crossed]]] = True
    holders = np.flatnonzero(holds)
    number = np.cumsum(holds) - 1
    by_rank = np.empty(len(rank), np.int64)
    by_rank[rank] = cash
    own_margin = (own + margin)[alone].astype(np.float64)
    own_margin[margin[alone] <= 0] = np.nan
    money = np.concatenate((by_rank[holders].astype(np.float64), own_margin)) / MONEY
    pool = np.concatenate((number[rank[owner[crossed]]], len(holders) + np.arange(len(alone))))
    place = np.concatenate((crossed, alone))
    quantity = column["quantity"][place] / SCALE
    entry = column["entry"][place] / MONEY / np.abs(quantity)
    kind = (np.arange(len(money)) >= len(holders)).astype(np.int64)
    market = market_of[symbol[place]]
    return arrange(pool, market, quantity, entry, money, kind), int(assumed.sum())


def bands(venue: Venue, ts: int) -> VenueBands | None:
    """The bands as of now; None where nobody holds anything."""
    accounts = venue.accounts
    held = accounts.rows[:, ROW.index("quantity")] != 0
    if not held.any():
        return None
    _, symbol = accounts.of_rows()
    used = np.flatnonzero(np.bincount(symbol[held]))
    names = accounts.symbols.names(used)
    used = used[np.array(sorted(range(len(names)), key=names.__getitem__))]
    names = sorted(names)
    market_of = np.full(len(accounts.symbols), -1, np.int64)
    market_of[used] = np.arange(len(used))
    rules, known = _rules(venue, names)
    told = venue.mark.data[used]
    at = np.where(told[:, 0] != ABSENT, told[:, 0], told[:, 1])
    mark = np.where(known & (at != ABSENT), at / SCALE, np.nan)
    books = _books(venue, used, mark)
    positions, assumed = pools(accounts, market_of)
    result = refresh(positions, rules, mark, books, reach=NEAR)
    shown = [
        _market(
            name, float(mark[m]), [result.forced(side, m) for side in (0, 1)], books.depth[:, m]
        )
        for m, name in enumerate(names)
        if mark[m] == mark[m]
    ]
    return VenueBands(ts, shown, len(positions.cash), result.unknown, assumed)


def _rules(venue: Venue, names: list[str]) -> tuple[Rules, NDArray[np.bool_]]:
    known = np.array([name in venue.tables for name in names])
    nothing = (REGIMES["generic"], _NOTHING)
    markets = [venue.tables.get(name, nothing) for name in names]
    return Rules.of(markets), known


def _books(venue: Venue, used: Ints, mark: Floats) -> Books:
    ladders = venue.book.data[used, 4:].reshape(len(used), 2, 2, LEVELS) / SCALE
    price = np.ascontiguousarray(ladders[:, :, 0].transpose(1, 0, 2))
    size = np.ascontiguousarray(ladders[:, :, 1].transpose(1, 0, 2))
    return Books.of(mark, price, size)


def _market(name: str, mark: float, forced: list[Ints], depth: Floats) -> MarketBands:
    zones, near, absorbed, nearest = [], [], [], []
    reach = round(NEAR / BIN_WIDTH)
    for side, by_zone in enumerate(forced):
        found = np.flatnonzero(by_zone)
        zones.append(dict(zip(found.tolist(), by_zone[found].tolist(), strict=True)))
        sign = -1 if side == 0 else 1
        nearest.append(mark * (1 + sign * int(found[0]) * BIN_WIDTH) if len(found) else None)
        sum_of = int(by_zone[:reach].sum()) / MONEY
        room = float(depth[side, min(reach, BINS) - 1])
        near.append(sum_of)
        absorbed.append(min(1.0, room / sum_of) if sum_of and room == room else None)
    return MarketBands(
        name,
        mark,
        (nearest[0], nearest[1]),
        (zones[0], zones[1]),
        (near[0], near[1]),
        (absorbed[0], absorbed[1]),
    )
