"""The marks of one market from its funding rates, open interest and closes."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from statistics import median, median_low

import numpy as np

from monitor.core.contract.units import SECOND_NS
from monitor.venues.adapter import BatchRow
from monitor.venues.parse import Record, canonical_json

HOUR_NS = 3600 * SECOND_NS
INDEX_AGE_NS = 2 * HOUR_NS
"""Open interest is divided by an index of this age at most: a candle of an hour may be missing."""
Rows = dict[int, tuple[float, bytes]]
"""By time, ns: the number of a row, and the row as JSON."""


def build_marks(
    symbol: str, tables: tuple[Rows, Rows, Rows], index: dict[int, float]
) -> tuple[list[tuple[int, BatchRow]], int]:
    """Time and record of everything that a market says, in the order of time; and how many numbers
    of open interest have no price to count them by.

    tables: funding rates, open interest in dollars, closes at the ends of their candles. index: the
    coin's price by time.
    """
    funding, interest, closes = tables
    interval_s = usual_step(funding) // SECOND_NS if len(funding) > 1 else None
    index_times = np.array(sorted(index), np.int64)
    rows: list[tuple[int, BatchRow]] = []
    unpriced = 0
    for ts in sorted({*funding, *interest, *closes}):
        record: Record = {"kind": "mark", "ts": ts, "symbol": symbol}
        if ts in index:
            record["index"] = repr(index[ts])
        if ts in closes:
            record["last"] = repr(closes[ts][0])
        if ts in funding:
            rate = f"{funding[ts][0]:.8f}"
            record |= {"funding_rate": rate, "funding_interval_s": interval_s}
        if ts in interest:
            at = int(np.searchsorted(index_times, ts, "right")) - 1
            if at >= 0 and ts - index_times[at] <= INDEX_AGE_NS:
                units = interest[ts][0] / index[int(index_times[at])]
                record["open_interest"] = f"{units:.3f}"
            else:
                unpriced += 1
        if len(record) > 3:
            raw = b"\n".join(table[ts][1] for table in tables if ts in table)
            rows.append((ts, ("mark", raw, canonical_json(record))))
    return rows, unpriced


def usual_step(rows: Rows) -> int:
    """The usual time between rows, ns, in whole minutes: venues pay some milliseconds late."""
    minute = 60 * SECOND_NS
    steps = [after - before for before, after in pairwise(sorted(rows))]
    return max(1, round(median_low(steps) / minute)) * minute


def close_candles(candles: Rows) -> Rows:
    """The closes by the time at which they are known."""
    length = usual_step(candles) if len(candles) > 1 else HOUR_NS
    return {ts + length: row for ts, row in candles.items()}


def build_index(venues: list[Rows]) -> dict[int, float]:
    """By time: the median of the closes of all venues that have the coin."""
    prices = defaultdict(list)
    for closes in venues:
        for ts, (price, _) in closes.items():
            prices[ts].append(price)
    return {ts: median(values) for ts, values in prices.items()}
