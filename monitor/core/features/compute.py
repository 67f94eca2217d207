"""From a window's integers to features: the first floating point.

A window in which nothing happened has 0 where the feed of that kind runs; a feed that never ran
and a book never seen have no number. Such an entry is NaN inside the matrix, and is left out
wherever a detector or a reader meets it: what they get is finite by construction.

A feed runs from its first record in the shard's topic partition, whichever market that is about:
from then on the venue would have told. Who tells orders would tell cancels, and a feed that names
accounts is the venue's own, so it would tell changes of leverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from detectors.arrays.growable import grow_rows
from detectors.arrays.hash_table import empty_table
from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.contract.feature_catalogue import BAND_BPS, FEATURE_NAMES, FEATURES
from monitor.core.contract.units import YEAR_S
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import ratios, relative_gaps, to_floats
from monitor.core.event_time.clock_state import NEVER
from monitor.core.features import data_quality, moments, resting_sizes, rolling
from monitor.core.features.data_quality import INDEX_AT, MARK_AT, QUALITY, DataQuality
from monitor.core.features.moments import Moments
from monitor.core.features.resting_sizes import RestingSizes
from monitor.core.features.rolling import IN, RollingMarketState
from monitor.core.windows import columns, pending
from monitor.core.windows.accumulators import MINIMUM, SUM
from monitor.core.windows.book_depth import BOOK
from monitor.core.windows.closed_windows import ClosedWindows
from monitor.core.windows.columns import KINDS, MARK_TS, MARK_VALUE, MARK_WIDTH, NO_MINIMUM
from monitor.core.windows.sequence_gaps import count_missing

FEATURE_COLUMN = {name: i for i, name in enumerate(FEATURE_NAMES)}
_FEEDS_OF_COLUMN = {
    FEATURE_COLUMN[name]: [KINDS.index(kind) for kind in FEATURES[name].records]
    for name in FEATURE_NAMES
    if FEATURES[name].counts_events and FEATURES[name].layer != "data"
}
"""By column that is 0 where nothing happened: its feeds. Late records are known with any record,
and missing ones with any sequence number."""
_MOMENTS_OF = [
    FEATURE_COLUMN[name] for name in ("trades", "trade_notional", "depth_25bps", "spread_bps")
]
"""What `Moments` takes beside prices."""
_ORDER, _CANCEL, _LEVERAGE = map(KINDS.index, ("order", "cancel", "leverage"))


@dataclass(slots=True)
class Features:
    """One row for each window and each symbol known by then, by time and name."""

    window: Int64
    symbol: Int64
    values: Float64
    """(rows, `FEATURE_NAMES`); NaN: absent."""
    quality: Float64
    """(rows, `data_quality.OUTPUT_COLUMNS`): whether the market's own data are sound."""


class FeatureCalculator(Stateful):
    """Makes features of closed windows, carrying the last book and mark of each symbol along."""

    STATE = (
        "last_book", "last_mark", "_usable_book", "_highest_seq", "_quality", "_rolling_state",
        "_running_feeds", "_resting_sizes", "_moments",
    )  # fmt: skip

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._quality = DataQuality(window_ns)
        self._rolling_state = RollingMarketState(window_ns)
        self._moments = Moments(window_ns)
        self._resting_sizes = RestingSizes()
        self.last_book: Int64 = np.empty((0, len(columns.BOOK_COLUMNS)), np.int64)
        self._usable_book = self.last_book
        self.last_mark: Int64 = np.empty((0, MARK_WIDTH * len(columns.MARK_COLUMNS)), np.int64)
        self._highest_seq: Int64 = np.empty((0, len(columns.KINDS)), np.int64)
        """By symbol and feed: the highest of the venue's numbers so far."""
        self._running_feeds: Bool = np.zeros(len(KINDS), np.bool_)

    @property
    def reach_bps(self) -> Float64:
        """By symbol number: as `RollingMarketState.reach_bps`."""
        return self._rolling_state.reach_bps

    def compute(self, closed: ClosedWindows, low: int, high: int, symbols: Int64) -> Features:
        """Features of windows `low` up to `high` for `symbols`, which are in the order of names;
        `closed` has no other windows or symbols.
        """
        ns, nw = len(symbols), high - low
        known = int(symbols.max(initial=-1)) + 1
        self.last_book = grow_rows(self.last_book, known, NEVER)
        self._usable_book = grow_rows(self._usable_book, known, NEVER)
        self.last_mark = grow_rows(self.last_mark, known, NEVER)
        self._highest_seq = grow_rows(self._highest_seq, known, -1)
        place = np.zeros(len(self.last_book), np.int64)
        place[symbols] = np.arange(ns)
        cell = (closed.window - low) * ns + place[closed.symbol]
        row = np.full(nw * ns, -1, np.int64)
        row[cell] = np.arange(len(closed.window))
        sums = np.zeros((nw * ns, len(columns.SUMS)), np.int64)
        sums[cell] = closed.sums
        minima = np.full((nw * ns, len(columns.MINIMA)), NO_MINIMUM, np.int64)
        minima[cell] = closed.minima
        out = np.full((nw * ns, len(FEATURE_NAMES)), np.nan)
        window = np.repeat(np.arange(low, high), ns)
        symbol = np.tile(symbols, nw)
        end_ns = (window + 1) * self._window_ns
        _put_flow(out, sums, minima)
        _put_accounts(out, closed, cell)
        seen = closed.book[:, BOOK.ts] != NEVER
        before = self.last_book[symbols]
        book = _forward_fill(closed.book, before, row, seen)
        mark, mark_ts, index_ts = self._last_marks(closed, row, symbols)
        self.last_book[symbols] = book[-ns:]
        _put(out, "book_age_s", (end_ns - book[:, BOOK.ts]) / 1e9, book[:, BOOK.ts] != NEVER)
        _put(out, "mark_age_s", (end_ns - mark_ts) / 1e9, mark_ts != NEVER)
        _put(out, "index_age_s", (end_ns - index_ts) / 1e9, index_ts != NEVER)
        inputs = np.zeros((nw * ns, len(data_quality.INPUT_COLUMNS)))
        here = book, mark, cell, closed.book, closed.mark
        data_quality.read_windows(low, before, sums, minima, *here, inputs)
        quality = self._quality.step(inputs, symbol)
        # What is not sound is as if it were not there.
        book[quality[:, QUALITY.book_usable] == 0.0, BOOK.ts] = NEVER
        doubtful = quality[:, QUALITY.mark_usable] == 0.0
        mark[doubtful, MARK_AT] = mark[doubtful, INDEX_AT] = ABSENT
        _put_book(out, book)
        _put_mark(out, mark)
        usable = np.concatenate((self._usable_book[symbols], book[:-ns]))
        _put_near_touch(out, closed, usable, cell)
        self._put_resting_sizes(out, closed, cell, quality, book[:, BOOK.ts] != NEVER)
        self._usable_book[symbols] = book[-ns:]
        gaps = np.empty(nw * ns)
        count_missing(sums, minima, symbol, self._highest_seq, gaps)
        out[:, FEATURE_COLUMN["missing"]] = gaps
        inputs = _rolling_input(out, sums, minima, book)
        past = self._rolling_state.step(inputs, symbol)
        out[:, [FEATURE_COLUMN[name] for name in rolling.OUTPUT_COLUMNS]] = past
        moved = self._moments.step(_moments_input(out, minima, inputs[:, IN.mid]), symbol)
        out[:, [FEATURE_COLUMN[name] for name in moments.OUTPUT_COLUMNS]] = moved
        self._drop_unknown(out, closed, low, nw)
        return Features(window, symbol, out, quality)

    def _put_resting_sizes(
        self, out: Float64, closed: ClosedWindows, cell: Int64, quality: Float64, seen: Bool
    ) -> None:
        """Levels that have shrunk where they stand; none in windows without a book of their own."""
        columns_of = [FEATURE_COLUMN[name] for name in resting_sizes.OUTPUT_COLUMNS]
        shrunk = np.where(seen[:, None], 0.0, np.full((1, len(columns_of)), np.nan))
        usable = quality[cell, QUALITY.book_usable] != 0.0
        times = np.where(usable, closed.book[:, BOOK.ts], NEVER)
        self._resting_sizes.step(closed.ladder, times, cell, closed.symbol, shrunk)
        out[:, columns_of] = shrunk

    def _drop_unknown(self, out: Float64, closed: ClosedWindows, low: int, windows: int) -> None:
        """Take out the numbers of windows before their feeds ran; `out` has `windows` from `low`
        on, and as many rows for each."""
        runs = np.zeros((windows, len(KINDS)), np.bool_)
        np.logical_or.at(runs, closed.window - low, closed.last_offset >= 0)
        runs[closed.window[closed.account_row] - low, _LEVERAGE] = True
        runs[:, _CANCEL] |= runs[:, _ORDER]
        runs[0] |= self._running_feeds
        runs = np.logical_or.accumulate(runs)
        self._running_feeds = runs[-1].copy()
        if runs[0].all():
            return
        lacks = np.repeat(~runs, len(out) // windows, axis=0)
        for column, feeds in _FEEDS_OF_COLUMN.items():
            out[lacks[:, feeds].any(axis=1), column] = np.nan

    def _last_marks(
        self, closed: ClosedWindows, row: Int64, symbols: Int64
    ) -> tuple[Int64, Int64, Int64]:
        """The last of each of `MARK_COLUMNS`, and the event times of mark and index."""
        mark = np.empty((len(row), len(columns.MARK_COLUMNS)), np.int64)
        times = np.empty_like(mark)
        for c in range(len(columns.MARK_COLUMNS)):
            part = slice(MARK_WIDTH * c, MARK_WIDTH * (c + 1))
            rows = closed.mark[:, part]
            seen = rows[:, MARK_TS] != NEVER
            last = _forward_fill(rows, self.last_mark[symbols, part], row, seen)
            self.last_mark[symbols, part] = last[-len(symbols) :]
            times[:, c] = last[:, MARK_TS]
            mark[:, c] = np.where(times[:, c] == NEVER, ABSENT, last[:, MARK_VALUE])
        return mark, times[:, MARK_AT], times[:, INDEX_AT]


def _forward_fill(rows: Int64, before: Int64, row: Int64, seen: Bool) -> Int64:
    """For each window and symbol the last of `rows` that is `seen`, up to that window; `before`
    (one for each symbol) where there is none. `row`: of each window and symbol its row, or -1.
    """
    grid = np.full(len(row), -1, np.int64)
    has = (row >= 0) & seen[row] if len(seen) else np.zeros(len(row), np.bool_)
    grid[has] = row[has]
    # Rows rise with time, so the last one so far is the highest.
    last = np.maximum.accumulate(grid.reshape(-1, len(before)), axis=0)
    last = np.where(last < 0, len(rows) + np.arange(len(before)), last).ravel()
    out: Int64 = np.concatenate((rows, before)).take(last, axis=0)
    return out


def _put(out: Float64, name: str, value: Float64 | Int64, mask: Bool) -> None:
    out[mask, FEATURE_COLUMN[name]] = value[mask]


def _put_ratio(out: Float64, name: str, above: Float64 | Int64, below: Float64 | Int64) -> None:
    mask = below > 0
    out[mask, FEATURE_COLUMN[name]] = above[mask] / below[mask]


def _total(sums: Int64, *names: str) -> Int64:
    total: Int64 = sums[:, [getattr(SUM, name) for name in names]].sum(axis=1)
    return total


def _put_flow(out: Float64, sums: Int64, minima: Int64) -> None:
    total = partial(_total, sums)

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
    put("sweep_bps", _sweep_bps(minima).max(axis=1))
    for name in ("fees", "rebates", "liquidation_notional"):
        put(name, total(name) / 1e6)
    _put_ratio(out, "rebates_to_fees", total("rebates"), total("fees"))
    for name in ("liquidations", "leverage_changes", "leverage_raises", "leverage_first_high",
                 "mode_switches", "late"):  # fmt: skip
        put(name, total(name))
    _put_ratio(out, "leverage_raises_share", total("leverage_raises"), total("leverage_compared"))
    put("leverage_doublings", total("leverage_doublings") / columns.DOUBLING_UNITS)
    behind = minima[:, MINIMUM.behind]
    _put(out, "lag_ms", -behind / 1e6, behind != NO_MINIMUM)


def _sweep_bps(minima: Int64) -> Float64:
    """How far apart the prices of buying and of selling takers lie, bps; 0 where there are none."""
    out = np.zeros((len(minima), 2))
    pairs = (MINIMUM.buy_low, MINIMUM.buy_high), (MINIMUM.sell_low, MINIMUM.sell_high)
    for c, (low, high) in enumerate(pairs):
        some = minima[:, low] != NO_MINIMUM
        out[some, c] = (ratios(-minima[some, high], minima[some, low]) - 1.0) * 1e4
    return out


def _put_near_touch(out: Float64, closed: ClosedWindows, before: Int64, cell: Int64) -> None:
    """Cancels near the touch, by the last book before their window (`before`, by cell)."""
    cancels = np.ascontiguousarray(closed.cancels)
    table = empty_table(len(cancels))
    pending.add_near_touch(cancels, cell, before, table, closed.near_touch)
    number = np.zeros((len(before), len(columns.NEAR_TOUCH_COLUMNS)), np.int64)
    number[cell] = closed.near_touch
    priced, near, notional, named, top = number.T
    seen = before[:, BOOK.ts] != NEVER
    _put(out, "cancels_near", near, seen)
    _put(out, "cancels_near_notional", notional / 1e6, seen)
    _put_ratio(out, "cancels_near_share", near, priced)
    _put_ratio(out, "cancels_near_top_share", top, named)


def _rolling_input(out: Float64, sums: Int64, minima: Int64, book: Int64) -> Float64:
    """What `RollingMarketState` takes, by `INPUT_COLUMNS`."""
    inputs = np.empty((len(out), len(rolling.INPUT_COLUMNS)))
    inputs[:, IN.depth_bid] = out[:, FEATURE_COLUMN["depth_25bps_bid"]]
    inputs[:, IN.depth_ask] = out[:, FEATURE_COLUMN["depth_25bps_ask"]]
    mid = book[:, BOOK.mid]
    quoted = (book[:, BOOK.ts] != NEVER) & (mid != ABSENT)
    inputs[:, IN.mid] = np.where(quoted, to_floats(mid), np.nan)
    for i, (side, hit) in enumerate((("buy", "sell"), ("sell", "buy"))):
        inputs[:, IN.cancelled_buy + i] = _total(sums, f"cancel_notional_{side}") / 1e6
        # A venue tells of both sides of a trade, or of its taker's alone.
        filled = _total(sums, f"maker_notional_{side}"), _total(sums, f"trade_notional_{hit}")
        inputs[:, IN.filled_buy + i] = np.maximum(*filled) / 1e6
    inputs[:, [IN.swept_buy_bps, IN.swept_sell_bps]] = _sweep_bps(minima)
    inputs[:, IN.funding_apr] = out[:, FEATURE_COLUMN["funding_apr"]]
    for name, column in (("bid", BOOK.bid), ("ask", BOOK.ask)):
        has = quoted & (book[:, column] != ABSENT)
        inputs[:, getattr(IN, name)] = np.where(has, to_floats(book[:, column]), np.nan)
    for name, column in (("reach_bid", BOOK.reach_bid), ("reach_ask", BOOK.reach_ask)):
        inputs[:, getattr(IN, name)] = book[:, column] / 1e4
    inputs[:, IN.premium] = out[:, FEATURE_COLUMN["mark_to_index_bps"]] / 1e4
    return inputs


def _moments_input(out: Float64, minima: Int64, mid: Float64) -> Float64:
    """What `Moments` takes, by `moments.INPUT_COLUMNS`."""
    inputs = np.empty((len(out), len(moments.INPUT_COLUMNS)))
    low = np.minimum(minima[:, MINIMUM.buy_low], minima[:, MINIMUM.sell_low])
    high = -np.minimum(minima[:, MINIMUM.buy_high], minima[:, MINIMUM.sell_high])
    traded = low != NO_MINIMUM
    price = np.full(len(out), np.nan)
    price[traded] = (to_floats(low[traded]) + to_floats(high[traded])) / 2
    # A book that stands for longer than the longest move says nothing of when the price moved.
    is_old = out[:, FEATURE_COLUMN["book_age_s"]] > max(moments.MOVES_S)
    inputs[:, moments.IN.mid] = np.where(is_old, np.nan, mid)
    inputs[:, moments.IN.trade_price] = price
    inputs[:, moments.IN.trades :] = out[:, _MOMENTS_OF]
    return inputs


def _put_accounts(out: Float64, closed: ClosedWindows, cell: Int64) -> None:
    """How many accounts, the share of the top one, and the Herfindahl index."""
    for name in ("orders", "cancels"):
        spread = closed.concentration[:, columns.ACCOUNT_COUNTS.index(name)]
        number, total, top, squares = spread.T
        any_ = total > 0
        at = cell[any_]
        out[at, FEATURE_COLUMN[f"{name}_accounts"]] = number[any_]
        out[at, FEATURE_COLUMN[f"{name}_top_share"]] = top[any_] / total[any_]
        herfindahl = squares[any_] / total[any_].astype(float) ** 2
        out[at, FEATURE_COLUMN[f"{name}_herfindahl"]] = herfindahl


def _put_book(out: Float64, book: Int64) -> None:
    column = {name: book[:, i] for i, name in enumerate(columns.BOOK_COLUMNS)}
    seen = column["ts"] != NEVER
    bid, ask = column["bid"], column["ask"]
    both = seen & (bid != ABSENT) & (ask != ABSENT)
    spread = np.zeros(len(book))
    spread[both] = relative_gaps(bid[both], ask[both]) * 1e4
    _put(out, "spread_bps", spread, both)
    for name in (f"depth_{bps}bps_{side}" for side in ("bid", "ask") for bps in BAND_BPS):
        _put(out, name, column[name] / 1e6, seen)
    near_bid, near_ask = column["depth_25bps_bid"] / 1e6, column["depth_25bps_ask"] / 1e6
    depth = np.where(seen, near_bid + near_ask, 0.0)
    _put(out, "depth_25bps", depth, seen)
    _put(out, "depth_25bps_least", np.minimum(near_bid, near_ask), seen)
    _put_ratio(out, "imbalance_25bps", near_bid - near_ask, depth)
    priced = {name: seen & (column[name] != ABSENT) for name in ("cost_buy", "cost_sell")}
    for name, mask in priced.items():
        _put(out, f"{name}_bps", column[name] / 1e4, mask)
    cost = np.maximum(column["cost_buy"], column["cost_sell"])
    _put(out, "cost_bps", cost / 1e4, priced["cost_buy"] & priced["cost_sell"])


def _put_mark(out: Float64, mark: Int64) -> None:
    value = {name: mark[:, i] for i, name in enumerate(columns.MARK_COLUMNS)}
    has = {name: column != ABSENT for name, column in value.items()}
    both = has["mark"] & has["index"]
    gap = np.zeros(len(mark))
    gap[both] = ratios(value["mark"][both], value["index"][both]) - 1.0
    _put(out, "mark_to_index_bps", gap * 1e4, both)
    _put(out, "mark_gap_bps", np.abs(gap) * 1e4, both)
    rate = value["funding_rate"] / 1e8
    _put(out, "funding_rate", rate, has["funding_rate"])
    interval_s = value["funding_interval_s"]
    timed = has["funding_rate"] & has["funding_interval_s"] & (interval_s > 0)
    _put(out, "funding_apr", rate * (YEAR_S / np.where(timed, interval_s, 1)), timed)
    _put(out, "open_interest", to_floats(value["open_interest"]), has["open_interest"])
