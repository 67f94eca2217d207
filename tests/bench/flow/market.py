"""The flow of one market of a recorded day, as one number for each statistic."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detectors.arrays.types import Float64, Int64
from replay.day import Day
from tests.bench.flow import statistics as st
from tests.bench.flow.statistics import TopBook

LEVELS = 20
"""Of a book, so many levels a side: as many as most venues publish."""
LAGS_S = (1, 10, 60)

STATISTICS = {
    "orders_per_s": "orders a second",
    "order_gap_cv": "gaps between orders: standard deviation over mean",
    "order_gap_bunched": "gaps between orders below a tenth of the mean, share",
    "order_branching": "orders that an order sets off (variance of counts over 10 s)",
    "cancel_share": "cancels an order",
    "life_p10_s": "lifetime of cancelled orders, 10th percentile, s",
    "life_p50_s": "lifetime of cancelled orders, median, s",
    "life_p90_s": "lifetime of cancelled orders, 90th percentile, s",
    "order_tail": "tail index of order sizes (Hill, largest 5 %)",
    "trades_per_s": "trades a second",
    "trade_gap_cv": "gaps between trades: standard deviation over mean",
    "trade_gap_bunched": "gaps between trades below a tenth of the mean, share",
    "trade_branching": "trades that a trade sets off",
    **{f"trade_acf_{s}s": f"autocorrelation of trades a second, {s} s apart" for s in LAGS_S},
    "trade_tail": "tail index of trade sizes (Hill, largest 5 %)",
    "spread_ticks": "spread, median, ticks",
    "spread_p50_bps": "spread, median, bps",
    "spread_p90_bps": "spread, 90th percentile, bps",
    "depth_first_fifth": f"share of the size of {LEVELS} levels in the first fifth of them",
    "depth_second_fifth": "the same in the second fifth",
    "reach_bps": f"distance of level {LEVELS} from the mid, bps",
    "recovery_s": "time until half of what a large trade took is back, median, s",
    "move_1s_bps": "standard deviation of moves of the mid in 1 s, bps",
    "move_1s_kurtosis": "kurtosis of these moves (3: normal)",
    **{f"absolute_acf_{s}s": f"autocorrelation of their size, {s} s apart" for s in LAGS_S},
}
"""What is measured of a market, and what a reader calls it."""


def busiest_market(day: Day) -> str:
    """The market with the most records."""
    (symbol, _), *_ = day.count_by_market().most_common(1)
    return symbol


def measure_market(day: Day, symbol: str) -> dict[str, float]:
    """Each of `STATISTICS`; NaN where the day does not hold what it needs."""
    out = dict.fromkeys(STATISTICS, np.nan)
    orders, cancels = (_of_market(day, kind, symbol) for kind in ("order", "cancel"))
    trades = taker_trades(_of_market(day, "fill", symbol))
    book = top_book(_of_market(day, "book", symbol))
    _measure_orders(out, orders, cancels)
    _measure_trades(out, trades)
    _measure_book(out, book, trades)
    at, price = (book.ts[book.sound], book.mid[book.sound]) if len(book.ts) else trades[:2]
    _measure_moves(out, at, price)
    return out


def _of_market(day: Day, kind: str, symbol: str) -> pa.Table:
    table = day.to_arrow(kind)
    return table.filter(pc.equal(table["symbol"], symbol))


def _times(table: pa.Table, name: str = "ts") -> Int64:
    return np.asarray(table[name].cast(pa.int64()).fill_null(0).to_numpy())


def _numbers(table: pa.Table, name: str) -> Float64:
    return np.asarray(table[name].to_numpy(), np.float64)


Trades = tuple[Int64, Float64, Float64, np.ndarray]
"""Times, last prices, sizes, and whether the taker buys."""


def taker_trades(fills: pa.Table) -> Trades:
    """What one taker trades at one time is one trade, at however many prices it is filled."""
    if len(fills) and pc.any(pc.equal(fills["liquidity"], "taker")).as_py():
        fills = fills.filter(pc.equal(fills["liquidity"], "taker"))
    ts, price, size = _times(fills), _numbers(fills, "price"), _numbers(fills, "quantity")
    buys = np.asarray(pc.equal(fills["side"], "buy").to_numpy(), bool)
    if not len(ts):
        return ts, price, size, buys
    first = np.flatnonzero(np.r_[True, (np.diff(ts) > 0) | (buys[1:] != buys[:-1])])
    last = np.r_[first[1:], len(ts)] - 1
    return ts[first], price[last], np.add.reduceat(size, first), buys[first]


def top_book(books: pa.Table) -> TopBook:
    """The first levels of each book."""

    def ladder(name: str) -> Float64:
        lists = books[name].combine_chunks()
        lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
        offset, values = lists.offsets.to_numpy(), lists.values.to_numpy()
        out = np.full((len(lists), LEVELS), np.nan)
        size = np.diff(offset)
        for level in range(LEVELS):
            deep = np.flatnonzero(size > level)
            out[deep, level] = values[offset[deep] + level]
        return out

    names = ("bids_price", "bids_quantity", "asks_price", "asks_quantity")
    return TopBook(_times(books), *map(ladder, names))


def _measure_orders(out: dict[str, float], orders: pa.Table, cancels: pa.Table) -> None:
    ts = _times(orders)
    arrived = st.arrivals(ts)
    out["orders_per_s"], out["order_gap_cv"] = arrived.rate, arrived.variation
    out["order_gap_bunched"], out["order_branching"] = arrived.bunched, arrived.branching
    if len(orders) < st.EVENTS_LEAST:
        return
    out["cancel_share"] = len(cancels) / len(orders)
    out["order_tail"] = st.tail_index(_numbers(orders, "quantity"))
    placed = dict(zip(orders["order_id"].to_pylist(), ts.tolist(), strict=True))
    lives = st.lifetimes_s(placed, cancels["order_id"].to_pylist(), _times(cancels))
    for share in (10, 50, 90):
        out[f"life_p{share}_s"] = st.quantile(lives, share / 100)


def _measure_trades(out: dict[str, float], trades: Trades) -> None:
    ts, _, size, _ = trades
    arrived = st.arrivals(ts)
    out["trades_per_s"], out["trade_gap_cv"] = arrived.rate, arrived.variation
    out["trade_gap_bunched"], out["trade_branching"] = arrived.bunched, arrived.branching
    counts = st.counts_by_second(ts)
    for lag in LAGS_S:
        out[f"trade_acf_{lag}s"] = st.autocorrelation(counts, lag)
    out["trade_tail"] = st.tail_index(size)


def _measure_book(out: dict[str, float], book: TopBook, trades: Trades) -> None:
    if len(book.ts) < st.EVENTS_LEAST:
        return
    spread = (book.ask[:, 0] - book.bid[:, 0])[book.sound]
    bps = 1e4 * spread / book.mid[book.sound]
    out["spread_ticks"] = st.quantile(spread, 0.5) / book.tick()
    out["spread_p50_bps"], out["spread_p90_bps"] = st.quantile(bps, 0.5), st.quantile(bps, 0.9)
    first, second, reach = st.depth_shares(book, LEVELS)
    out["depth_first_fifth"], out["depth_second_fifth"], out["reach_bps"] = first, second, reach
    ts, _, size, buys = trades
    recovered = st.recovery_s(book, ts, buys, size)
    if len(recovered) >= st.EVENTS_LEAST / 5:
        out["recovery_s"] = float(np.median(recovered))


def _measure_moves(out: dict[str, float], ts: Int64, price: Float64) -> None:
    moves = 1e4 * np.diff(np.log(st.last_by_second(ts, price)))
    if len(moves) < st.EVENTS_LEAST or not moves.std():
        return
    out["move_1s_bps"] = float(moves.std())
    out["move_1s_kurtosis"] = float(((moves - moves.mean()) ** 4).mean() / moves.var() ** 2)
    for lag in LAGS_S:
        out[f"absolute_acf_{lag}s"] = st.autocorrelation(np.abs(moves), lag)
