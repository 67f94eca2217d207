"""From a window's integers to the numbers that are watched: the first floating point.

A window with nothing in it is a fact (0); a book never seen is not a number. Such an entry is NaN
inside the matrix, and is left out wherever a detector or a reader meets it: what they get is
finite by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core import accumulate as acc
from monitor.core.batch import ABSENT, Int64
from monitor.core.watermark import NEVER
from monitor.core.windows import ACCOUNT_COUNTS, Facts

Float64 = NDArray[np.float64]

UNITS: dict[str, str] = {
    "orders": "orders",
    "order_notional": "quote currency",
    "cancels": "cancels",
    "cancel_notional": "quote currency",
    "cancels_to_orders": "cancels an order",
    "cancels_100ms_share": "share of the cancels of known age",
    "cancels_1s_share": "share of the cancels of known age",
    "trades": "trades",
    "trade_notional": "quote currency",
    "trade_imbalance": "(bought − sold) / traded notional",
    "liquidations": "liquidations",
    "liquidation_notional": "quote currency",
    "leverage_changes": "leverage changes",
    "leverage_raises": "leverage raises",
    **{f"{what}_accounts": "accounts" for what in ("orders", "cancels")},
    **{f"{what}_top_share": "share of one account" for what in ("orders", "cancels")},
    **{f"{what}_herfindahl": "sum of squared shares" for what in ("orders", "cancels")},
    "spread_bps": "bps of the mid",
    **{f"depth_{b}bps_{s}": "quote currency" for s in ("bid", "ask") for b in acc.BAND_BPS},
    "imbalance_25bps": "(bid − ask) / depth within 25 bps",
    "cost_buy_bps": "bps of the mid",
    "cost_sell_bps": "bps of the mid",
    "book_age_s": "s",
    "mark_to_index_bps": "bps of the index",
    "funding_rate": "a funding interval",
    "open_interest": "base units",
}
"""Every feature with its unit, for one window and symbol. Counts are per window."""

NAMES = tuple(UNITS)
COLUMN = {name: i for i, name in enumerate(NAMES)}


@dataclass(slots=True)
class Features:
    """One row for each window and each symbol known by then, by time and name."""

    window: Int64
    symbol: Int64
    fact: Int64
    """The row in `Facts`, or -1 where nothing happened."""
    values: Float64
    """(rows, `NAMES`); NaN: absent."""


class Measure:
    """Makes features of closed windows, carrying the last book and mark of each symbol along."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self.book: Int64 = np.full((0, len(acc.BOOK)), NEVER, np.int64)
        self.mark: Int64 = np.full((0, 3 * len(acc.MARK)), NEVER, np.int64)

    def features(self, facts: Facts, low: int, high: int, symbols: Int64) -> Features:
        """Features of windows `low` up to `high` for `symbols` (in the order of names); `facts`
        has no other.
        """
        ns, nw = len(symbols), high - low
        self._grow(int(symbols.max(initial=-1)) + 1)
        column = np.zeros(len(self.book), np.int64)
        column[symbols] = np.arange(ns)
        fact = np.full(nw * ns, -1, np.int64)
        fact[(facts.window - low) * ns + column[facts.symbol]] = np.arange(len(facts.window))
        happened = fact >= 0
        sums = np.zeros((nw * ns, len(acc.SUMS)), np.int64)
        sums[happened] = facts.sums[fact[happened]]
        out = np.full((nw * ns, len(NAMES)), np.nan)
        window = np.repeat(np.arange(low, high), ns)
        end_ns = (window + 1) * self._window_ns
        _flow(out, sums)
        _accounts(out, facts, np.flatnonzero(happened), fact[happened])
        book = _carry(facts.book, self.book[symbols], fact, facts.book[:, 0] != NEVER, ns)
        _book(out, book, end_ns)
        self.book[symbols] = book[-ns:]
        mark = np.empty((nw * ns, len(acc.MARK)), np.int64)
        for c in range(len(acc.MARK)):
            part = slice(3 * c, 3 * c + 3)
            seen = facts.mark[:, 3 * c] != NEVER
            last = _carry(facts.mark[:, part], self.mark[symbols, part], fact, seen, ns)
            self.mark[symbols, part] = last[-ns:]
            mark[:, c] = np.where(last[:, 0] == NEVER, ABSENT, last[:, 2])
        _mark(out, mark)
        return Features(window, np.tile(symbols, nw), fact, out)

    def _grow(self, rows: int) -> None:
        if rows > len(self.book):
            more = max(rows, 2 * len(self.book)) - len(self.book)
            start = np.full((more, len(acc.BOOK)), NEVER, np.int64)
            self.book = np.concatenate((self.book, start))
            start = np.full((more, 3 * len(acc.MARK)), NEVER, np.int64)
            self.mark = np.concatenate((self.mark, start))


def _carry(rows: Int64, before: Int64, fact: Int64, seen: NDArray[np.bool_], ns: int) -> Int64:
    """For each window and symbol the last row seen so far, from before where there is none."""
    grid = np.full(len(fact), -1, np.int64)
    has = (fact >= 0) & seen[fact] if len(seen) else np.zeros(len(fact), np.bool_)
    grid[has] = fact[has]
    # Rows rise with time, so the last one so far is the highest.
    last = np.maximum.accumulate(grid.reshape(-1, ns), axis=0)
    last = np.where(last < 0, len(rows) + np.arange(ns), last).ravel()
    out: Int64 = np.concatenate((rows, before)).take(last, axis=0)
    return out


def _put(out: Float64, name: str, value: Float64 | Int64, known: NDArray[np.bool_]) -> None:
    out[known, COLUMN[name]] = value[known]


def _ratio(out: Float64, name: str, above: Float64 | Int64, below: Float64 | Int64) -> None:
    known = below > 0
    out[known, COLUMN[name]] = above[known] / below[known]


def _flow(out: Float64, sums: Int64) -> None:
    def total(*names: str) -> Int64:
        column: Int64 = sums[:, [acc.SUMS.index(name) for name in names]].sum(axis=1)
        return column

    def put(name: str, value: Float64 | Int64) -> None:
        out[:, COLUMN[name]] = value

    orders = total("orders_buy", "orders_sell")
    cancels = total("cancels_buy", "cancels_sell", "cancels_unsided")
    put("orders", orders)
    put("order_notional", total("order_notional_buy", "order_notional_sell") / 1e6)
    put("cancels", cancels)
    sides = ("cancel_notional_buy", "cancel_notional_sell", "cancel_notional_unsided")
    put("cancel_notional", total(*sides) / 1e6)
    _ratio(out, "cancels_to_orders", cancels, orders)
    for name in ("cancels_100ms", "cancels_1s"):
        _ratio(out, f"{name}_share", total(name), total("cancels_aged"))
    bought, sold = total("trade_notional_buy") / 1e6, total("trade_notional_sell") / 1e6
    put("trades", total("trades_buy", "trades_sell"))
    put("trade_notional", bought + sold)
    _ratio(out, "trade_imbalance", bought - sold, bought + sold)
    put("liquidations", total("liquidations"))
    put("liquidation_notional", total("liquidation_notional") / 1e6)
    put("leverage_changes", total("leverage_changes"))
    put("leverage_raises", total("leverage_raises"))


def _accounts(out: Float64, facts: Facts, cells: Int64, rows: Int64) -> None:
    """How many accounts, the share of the top one, and the Herfindahl index."""
    cell = np.full(len(facts.window), -1, np.int64)
    cell[rows] = cells
    for name in ("orders", "cancels"):
        number, total, top, squares = facts.spread[:, ACCOUNT_COUNTS.index(name)].T
        any_ = total > 0
        at = cell[any_]
        out[at, COLUMN[f"{name}_accounts"]] = number[any_]
        out[at, COLUMN[f"{name}_top_share"]] = top[any_] / total[any_]
        out[at, COLUMN[f"{name}_herfindahl"]] = squares[any_] / total[any_].astype(float) ** 2


def _book(out: Float64, book: Int64, end_ns: Int64) -> None:
    column = {name: book[:, i] for i, name in enumerate(acc.BOOK)}
    seen = column["ts"] != NEVER
    bid, ask = column["bid"], column["ask"]
    both = seen & (bid != ABSENT) & (ask != ABSENT)
    mid = (bid + ask.astype(np.float64)) / 2
    _put(out, "spread_bps", (ask - bid) / mid * 1e4, both)
    for side in ("bid", "ask"):
        for bps in acc.BAND_BPS:
            name = f"depth_{bps}bps_{side}"
            _put(out, name, column[name] / 1e6, seen)
    near_bid, near_ask = column["depth_25bps_bid"] / 1e6, column["depth_25bps_ask"] / 1e6
    depth = np.where(seen, near_bid + near_ask, 0.0)
    _ratio(out, "imbalance_25bps", near_bid - near_ask, depth)
    for name in ("cost_buy", "cost_sell"):
        known = seen & (column[name] != ABSENT)
        _put(out, f"{name}_bps", column[name] / 1e4, known)
    _put(out, "book_age_s", (end_ns - column["ts"]) / 1e9, seen)


def _mark(out: Float64, mark: Int64) -> None:
    value = {name: mark[:, i] for i, name in enumerate(acc.MARK)}
    known = {name: column != ABSENT for name, column in value.items()}
    both = known["mark"] & known["index"]
    gap = np.zeros(len(mark))
    gap[both] = value["mark"][both] / value["index"][both] - 1.0
    _put(out, "mark_to_index_bps", gap * 1e4, both)
    _put(out, "funding_rate", value["funding_rate"] / 1e8, known["funding_rate"])
    _put(out, "open_interest", value["open_interest"] / 1e8, known["open_interest"])
