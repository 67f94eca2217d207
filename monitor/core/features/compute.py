"""From a window's integers to the numbers that are watched: the first floating point.

A window with nothing in it is a fact (0); a book never seen is not a number. Such an entry is NaN
inside the matrix, and is left out wherever a detector or a reader meets it: what they get is
finite by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.contract.feature_catalogue import BAND_BPS, FEATURE_NAMES
from monitor.core.decode.batch import ABSENT, Int64
from monitor.core.event_time.watermark import NEVER
from monitor.core.features import rolling
from monitor.core.features.rolling import RollingMarketState
from monitor.core.windows import accumulators as acc
from monitor.core.windows import pending, sequence_gaps
from monitor.core.windows.closed_windows import ACCOUNT_COUNTS, ClosedWindows

Float64 = NDArray[np.float64]

FEATURE_COLUMN = {name: i for i, name in enumerate(FEATURE_NAMES)}


@dataclass(slots=True)
class Features:
    """One row for each window and each symbol known by then, by time and name."""

    window: Int64
    symbol: Int64
    closed_row: Int64
    """The row in `ClosedWindows`, or -1 where nothing happened."""
    values: Float64
    """(rows, `NAMES`); NaN: absent."""


class FeatureCalculator:
    """Makes features of closed windows, carrying the last book and mark of each symbol along."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._rolling_state = RollingMarketState(window_ns)
        self.last_book: Int64 = np.full((0, len(acc.BOOK_COLUMNS)), NEVER, np.int64)
        self.last_mark: Int64 = np.full((0, 3 * len(acc.MARK_COLUMNS)), NEVER, np.int64)
        self._highest_seq: Int64 = np.full((0, len(acc.KINDS)), -1, np.int64)
        """By symbol and feed: the highest of the venue's numbers so far."""

    def compute(self, facts: ClosedWindows, low: int, high: int, symbols: Int64) -> Features:
        """Features of windows `low` up to `high` for `symbols` (in the order of names); `facts`
        has no other.
        """
        ns, nw = len(symbols), high - low
        self._grow(int(symbols.max(initial=-1)) + 1)
        column = np.zeros(len(self.last_book), np.int64)
        column[symbols] = np.arange(ns)
        fact = np.full(nw * ns, -1, np.int64)
        fact[(facts.window - low) * ns + column[facts.symbol]] = np.arange(len(facts.window))
        happened = fact >= 0
        sums = np.zeros((nw * ns, len(acc.SUMS)), np.int64)
        sums[happened] = facts.sums[fact[happened]]
        lows = np.full((nw * ns, len(acc.MINIMA)), acc.NO_MINIMUM, np.int64)
        lows[happened] = facts.minima[fact[happened]]
        out = np.full((nw * ns, len(FEATURE_NAMES)), np.nan)
        window = np.repeat(np.arange(low, high), ns)
        end_ns = (window + 1) * self._window_ns
        _put_flow(out, sums, lows)
        _put_accounts(out, facts, np.flatnonzero(happened), fact[happened])
        book = _forward_fill(
            facts.book, self.last_book[symbols], fact, facts.book[:, 0] != NEVER, ns
        )
        _put_book(out, book, end_ns)
        before = np.concatenate((self.last_book[symbols], book[:-ns]))
        _put_near_touch(out, facts, before, np.flatnonzero(happened), fact[happened])
        self.last_book[symbols] = book[-ns:]
        mark = np.empty((nw * ns, len(acc.MARK_COLUMNS)), np.int64)
        mark_ts = np.full(nw * ns, NEVER)
        for c in range(len(acc.MARK_COLUMNS)):
            part = slice(3 * c, 3 * c + 3)
            seen = facts.mark[:, 3 * c] != NEVER
            last = _forward_fill(facts.mark[:, part], self.last_mark[symbols, part], fact, seen, ns)
            self.last_mark[symbols, part] = last[-ns:]
            mark[:, c] = np.where(last[:, 0] == NEVER, ABSENT, last[:, 2])
            mark_ts = np.maximum(mark_ts, last[:, 0])
        _put_mark(out, mark)
        _put(out, "mark_age_s", (end_ns - mark_ts) / 1e9, mark_ts != NEVER)
        symbol = np.tile(symbols, nw)
        gaps = np.empty(nw * ns)
        sequence_gaps.count_missing(sums, lows, symbol, self._highest_seq, gaps)
        out[:, FEATURE_COLUMN["missing"]] = gaps
        said = self._rolling_state.step(_rolling_input(out, sums, lows, book), symbol)
        out[:, [FEATURE_COLUMN[name] for name in rolling.OUTPUT]] = said
        return Features(window, symbol, fact, out)

    def snapshot(self) -> dict[str, Any]:
        carried = {"book": self.last_book, "mark": self.last_mark, "seen": self._highest_seq}
        return carried | {"memory": self._rolling_state.state}

    def restore(self, state: dict[str, Any]) -> None:
        self.last_book, self.last_mark = state["book"], state["mark"]
        self._highest_seq = np.array(state["seen"])
        self._rolling_state.state = state["memory"]

    def _grow(self, rows: int) -> None:
        if rows > len(self.last_book):
            more = max(rows, 2 * len(self.last_book)) - len(self.last_book)
            start = np.full((more, len(acc.BOOK_COLUMNS)), NEVER, np.int64)
            self.last_book = np.concatenate((self.last_book, start))
            start = np.full((more, 3 * len(acc.MARK_COLUMNS)), NEVER, np.int64)
            self.last_mark = np.concatenate((self.last_mark, start))
            start = np.full((more, len(acc.KINDS)), -1, np.int64)
            self._highest_seq = np.concatenate((self._highest_seq, start))


def _forward_fill(
    rows: Int64, before: Int64, fact: Int64, seen: NDArray[np.bool_], ns: int
) -> Int64:
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
    out[known, FEATURE_COLUMN[name]] = value[known]


def _put_ratio(out: Float64, name: str, above: Float64 | Int64, below: Float64 | Int64) -> None:
    known = below > 0
    out[known, FEATURE_COLUMN[name]] = above[known] / below[known]


_SUM_COLUMN = {name: i for i, name in enumerate(acc.SUMS)}


def _total(sums: Int64, *names: str) -> Int64:
    column = sums[:, _SUM_COLUMN[names[0]]]
    for name in names[1:]:
        column = column + sums[:, _SUM_COLUMN[name]]
    return column


def _put_flow(out: Float64, sums: Int64, lows: Int64) -> None:
    def total(*names: str) -> Int64:
        return _total(sums, *names)

    def put(name: str, value: Float64 | Int64) -> None:
        out[:, FEATURE_COLUMN[name]] = value

    orders = total("orders_buy", "orders_sell")
    cancels = total("cancels_buy", "cancels_sell", "cancels_unsided")
    put("orders", orders)
    put("order_notional", total("order_notional_buy", "order_notional_sell") / 1e6)
    put("cancels", cancels)
    pulled_buy, pulled_sell = total("cancel_notional_buy"), total("cancel_notional_sell")
    put("cancel_notional", (pulled_buy + pulled_sell + total("cancel_notional_unsided")) / 1e6)
    _put_ratio(out, "cancel_imbalance", pulled_buy - pulled_sell, pulled_buy + pulled_sell)
    _put_ratio(out, "cancels_to_orders", cancels, orders)
    for name in ("cancels_100ms", "cancels_1s"):
        _put_ratio(out, f"{name}_share", total(name), total("cancels_aged"))
    bought, sold = total("trade_notional_buy") / 1e6, total("trade_notional_sell") / 1e6
    put("trades", total("trades_buy", "trades_sell"))
    put("trade_notional", bought + sold)
    _put_ratio(out, "trade_imbalance", bought - sold, bought + sold)
    _put_ratio(out, "fills_per_taker", total("taker_fills"), total("takers"))
    put("sweep_bps", _sweep_bps(lows).max(axis=1))
    put("fees", total("fees") / 1e6)
    put("rebates", total("rebates") / 1e6)
    _put_ratio(out, "rebates_to_fees", total("rebates"), total("fees"))
    for name in ("liquidations", "leverage_changes", "leverage_raises", "leverage_first_high"):
        put(name, total(name))
    put("liquidation_notional", total("liquidation_notional") / 1e6)
    _put_ratio(out, "leverage_raises_share", total("leverage_raises"), total("leverage_known"))
    put("leverage_doublings", total("leverage_doublings") / acc.DOUBLING_UNITS)
    put("mode_switches", total("mode_switches"))
    put("late", total("late"))
    behind = lows[:, acc.MINIMA.index("behind")]
    _put(out, "lag_ms", -behind / 1e6, behind != acc.NO_MINIMUM)


def _sweep_bps(lows: Int64) -> Float64:
    """How far apart the prices of buying and of selling takers lie, bps; 0 where there are none."""
    columns = [
        (acc.MINIMA.index(f"{s}_low"), acc.MINIMA.index(f"{s}_high")) for s in ("buy", "sell")
    ]
    out = np.zeros((len(lows), 2))
    for c, (low, high) in enumerate(columns):
        some = lows[:, low] != acc.NO_MINIMUM
        out[some, c] = (-lows[some, high] / lows[some, low] - 1.0) * 1e4
    return out


def _put_near_touch(
    out: Float64, facts: ClosedWindows, before: Int64, cells: Int64, rows: Int64
) -> None:
    """Cancels near the touch as the last book before their window had it."""
    cell = np.zeros(len(facts.window), np.int64)
    cell[rows] = cells
    touch = np.ascontiguousarray(
        before[:, [acc.BOOK_COLUMNS.index(n) for n in ("ts", "bid", "ask")]]
    )
    pulled = np.ascontiguousarray(facts.cancels)
    total = np.zeros(len(pulled), np.int64)
    pending.add_near_touch(
        pulled, cell, touch, pending.empty_hash_table(len(pulled)), total, facts.near_touch
    )
    number = np.zeros((len(before), len(pending.NEAR_TOUCH_COLUMNS)), np.int64)
    number[cells] = facts.near_touch[rows]
    priced, near, notional, named, top = number.T
    seen = touch[:, 0] != NEVER
    _put(out, "cancels_near", near, seen)
    _put(out, "cancels_near_notional", notional / 1e6, seen)
    _put_ratio(out, "cancels_near_share", near, priced)
    _put_ratio(out, "cancels_near_top_share", top, named)


def _rolling_input(out: Float64, sums: Int64, lows: Int64, book: Int64) -> Float64:
    """What the markets' memory is given, as `rolling.INPUT` has it."""
    given = np.empty((len(out), len(rolling.INPUT)))
    for side in ("bid", "ask"):
        given[:, rolling.INPUT.index(f"depth_{side}")] = out[
            :, FEATURE_COLUMN[f"depth_25bps_{side}"]
        ]
    mid = book[:, acc.BOOK_COLUMNS.index("mid")]
    known = (book[:, 0] != NEVER) & (mid != ABSENT)
    given[:, 2] = np.where(known, mid / 1e8, np.nan)
    for side, hit in (("buy", "sell"), ("sell", "buy")):
        at = rolling.INPUT.index(f"cancelled_{side}")
        given[:, at] = _total(sums, f"cancel_notional_{side}") / 1e6
        # A venue tells of both sides of a trade, or of its taker's alone.
        filled = _total(sums, f"maker_notional_{side}"), _total(sums, f"trade_notional_{hit}")
        given[:, rolling.INPUT.index(f"filled_{side}")] = np.maximum(*filled) / 1e6
    given[:, 7:9] = _sweep_bps(lows)
    given[:, 9] = out[:, FEATURE_COLUMN["funding_apr"]]
    given[:, 10] = out[:, FEATURE_COLUMN["mark_to_index_bps"]] / 1e4
    return given


def _put_accounts(out: Float64, facts: ClosedWindows, cells: Int64, rows: Int64) -> None:
    """How many accounts, the share of the top one, and the Herfindahl index."""
    cell = np.full(len(facts.window), -1, np.int64)
    cell[rows] = cells
    for name in ("orders", "cancels"):
        number, total, top, squares = facts.concentration[:, ACCOUNT_COUNTS.index(name)].T
        any_ = total > 0
        at = cell[any_]
        out[at, FEATURE_COLUMN[f"{name}_accounts"]] = number[any_]
        out[at, FEATURE_COLUMN[f"{name}_top_share"]] = top[any_] / total[any_]
        out[at, FEATURE_COLUMN[f"{name}_herfindahl"]] = (
            squares[any_] / total[any_].astype(float) ** 2
        )


def _put_book(out: Float64, book: Int64, end_ns: Int64) -> None:
    column = {name: book[:, i] for i, name in enumerate(acc.BOOK_COLUMNS)}
    seen = column["ts"] != NEVER
    bid, ask = column["bid"], column["ask"]
    both = seen & (bid != ABSENT) & (ask != ABSENT)
    mid = (bid + ask.astype(np.float64)) / 2
    _put(out, "spread_bps", (ask - bid) / mid * 1e4, both)
    for side in ("bid", "ask"):
        for bps in BAND_BPS:
            name = f"depth_{bps}bps_{side}"
            _put(out, name, column[name] / 1e6, seen)
    near_bid, near_ask = column["depth_25bps_bid"] / 1e6, column["depth_25bps_ask"] / 1e6
    depth = np.where(seen, near_bid + near_ask, 0.0)
    _put(out, "depth_25bps", depth, seen)
    _put(out, "depth_25bps_least", np.minimum(near_bid, near_ask), seen)
    _put_ratio(out, "imbalance_25bps", near_bid - near_ask, depth)
    known = seen.copy()
    for name in ("cost_buy", "cost_sell"):
        known &= column[name] != ABSENT
        _put(out, f"{name}_bps", column[name] / 1e4, seen & (column[name] != ABSENT))
    _put(out, "cost_bps", np.maximum(column["cost_buy"], column["cost_sell"]) / 1e4, known)
    _put(out, "book_age_s", (end_ns - column["ts"]) / 1e9, seen)


def _put_mark(out: Float64, mark: Int64) -> None:
    value = {name: mark[:, i] for i, name in enumerate(acc.MARK_COLUMNS)}
    known = {name: column != ABSENT for name, column in value.items()}
    both = known["mark"] & known["index"]
    gap = np.zeros(len(mark))
    gap[both] = value["mark"][both] / value["index"][both] - 1.0
    _put(out, "mark_to_index_bps", gap * 1e4, both)
    _put(out, "mark_gap_bps", np.abs(gap) * 1e4, both)
    rate = value["funding_rate"] / 1e8
    _put(out, "funding_rate", rate, known["funding_rate"])
    interval_s = value["funding_interval_s"]
    timed = known["funding_rate"] & known["funding_interval_s"] & (interval_s > 0)
    _put(out, "funding_apr", rate * (rolling.YEAR_S / np.where(timed, interval_s, 1)), timed)
    _put(out, "open_interest", value["open_interest"] / 1e8, known["open_interest"])
