"""Tables of funding rates, open interest and candles of many venues: Parquet, a row an interval.

What a table holds, its columns say: `timestamp`, `venue`, `coin`, and `funding_rate` (the rate paid
at that time, for one interval), or `oi_usd` (open interest, in dollars), or `c` (the close of the
candle that begins then). A market is `venue:coin`, and everything becomes its marks:

- A close is known when its candle ends: it is the `last` price of its own market, and the median of
  the closes of all venues that have the coin is the `index` of every market of that coin. The
  tables have no marks, so the records have none.
- Open interest is divided by the latest index, for the contract counts it in base units.
- The funding interval of a market, and the length of its candles, is the usual distance between
  its rows.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from statistics import median, median_low
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from monitor.core.contract.events import TS_MAX, TS_MIN
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch
from monitor.venues.adapter import BatchRow, VenueAdapter
from monitor.venues.parse import Record, UnreadableError, canonical_json

TABLES = {"funding_rate": "funding rates", "oi_usd": "open interest", "c": "candles"}
"""By the column of its numbers: what a table is called."""
BATCH_ROWS = 65_536
HOUR_NS = 3600 * SECOND_NS
INDEX_HOURS = 2.0
"""Open interest is divided by an index of this age at most: a candle of an hour may be missing."""
Rows = dict[int, tuple[float, bytes]]
"""By time, ns: the number of a row, and the row as JSON."""


class Funding(VenueAdapter):
    """Keeps all rows until all files are read (about 500 bytes each)."""

    NAME = "funding"
    READS_PARQUET = True

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options)
        self._markets: dict[str, defaultdict[tuple[str, str], Rows]] = {
            column: defaultdict(dict) for column in TABLES
        }
        """By column, and by venue and coin."""

    def read(self, chunk: Any) -> list[Batch]:
        names = set(chunk.column_names)
        column = next((c for c in TABLES if c in names), None)
        if column is None or not {"timestamp", "venue", "coin"} <= names:
            listed = ", ".join(TABLES)
            raise UnreadableError(
                "missing_field", f"a table has timestamp, venue, coin and one of {listed}"
            )
        if not pa.types.is_timestamp(chunk["timestamp"].type):
            raise UnreadableError("wrong_type", "the column timestamp holds no times")
        self.source_counts[TABLES[column]] += chunk.num_rows
        times = chunk["timestamp"].cast(pa.timestamp("ns"), safe=False).cast(pa.int64()).to_pylist()
        plain = chunk.drop_columns("timestamp").to_pylist()
        refused: list[BatchRow] = []
        for ts, row in zip(times, plain, strict=True):
            raw = msgspec.json.encode({"timestamp": ts, **row}, enc_hook=str)
            try:
                self._add(column, ts, row, raw)
            except UnreadableError as error:
                refused.append(("mark", raw, error))
        return self.build_batches(refused)[0] if refused else []

    def _add(self, column: str, ts: int | None, row: dict[str, Any], raw: bytes) -> None:
        """Keep a row; raises `UnreadableError` that says why it cannot be used."""
        venue, coin, number = row["venue"], row["coin"], row[column]
        for name, value in (("timestamp", ts), ("venue", venue), ("coin", coin), (column, number)):
            if value is None or value == "":
                raise UnreadableError("missing_field", f"{name}: empty")
        if ts is None or not TS_MIN <= ts < TS_MAX:
            raise UnreadableError("out_of_range", "timestamp: no time of this age")
        if not isinstance(venue, str) or not isinstance(coin, str):
            raise UnreadableError("wrong_type", "venue and coin are text")
        if not isinstance(number, int | float) or not np.isfinite(number):
            raise UnreadableError("wrong_type", f"{column}: no finite number")
        if (column == "c" and number <= 0) or (column == "oi_usd" and number < 0):
            raise UnreadableError("out_of_range", f"{column}: {number} is below what there can be")
        rows = self._markets[column][venue, coin]
        if ts in rows:
            self.left_out[f"{TABLES[column]} again for the same market and time"] += 1
            return
        rows[ts] = float(number), raw

    def finish(self) -> list[Batch]:
        """The records of all markets, in the order of time."""
        rows: list[tuple[int, BatchRow]] = []
        funding, interest, candles = (self._markets[column] for column in TABLES)
        closes = {market: _at_their_ends(candle) for market, candle in candles.items()}
        indices = {coin: _index(closes, coin) for coin in {coin for _, coin in closes}}
        for market in sorted({*funding, *interest, *closes}):
            tables = funding[market], interest[market], closes.get(market, {})
            rows += self._marks(":".join(market), tables, indices.get(market[1], {}))
        if indices:
            note = "coins whose index is the median close of all venues' candles"
            self.notes[note] += len(indices)
        rows.sort(key=lambda row: row[0])
        batches = []
        for low in range(0, len(rows), BATCH_ROWS):
            batches += self.build_batches([row for _, row in rows[low : low + BATCH_ROWS]])[0]
        return batches

    def _marks(
        self, symbol: str, tables: tuple[Rows, Rows, Rows], index: dict[int, float]
    ) -> list[tuple[int, BatchRow]]:
        """Time and record of one market; `tables`: funding, open interest, closes."""
        funding, interest, closes = tables
        interval_s = _usual_step(funding) // SECOND_NS if len(funding) > 1 else None
        if funding and interval_s is None:
            self.notes["markets with one funding rate: its interval is not to be seen"] += 1
        index_times = np.array(sorted(index), np.int64)
        rows = []
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
                if at >= 0 and ts - index_times[at] <= INDEX_HOURS * HOUR_NS:
                    units = interest[ts][0] / index[int(index_times[at])]
                    record["open_interest"] = f"{units:.3f}"
                else:
                    self.left_out["open interest without a price to count it by"] += 1
            if len(record) > 3:
                raw = b"\n".join(table[ts][1] for table in tables if ts in table)
                rows.append((ts, ("mark", raw, canonical_json(record))))
        return rows


def _usual_step(rows: Rows) -> int:
    """The usual time between rows, ns, in whole minutes: venues pay some milliseconds late."""
    minute = 60 * SECOND_NS
    steps = [after - before for before, after in pairwise(sorted(rows))]
    return max(1, round(median_low(steps) / minute)) * minute


def _at_their_ends(candles: Rows) -> Rows:
    """The closes by the time at which they are known."""
    length = _usual_step(candles) if len(candles) > 1 else HOUR_NS
    return {ts + length: row for ts, row in candles.items()}


def _index(closes: dict[tuple[str, str], Rows], coin: str) -> dict[int, float]:
    """By time: the median of the closes of all venues that have the coin."""
    prices = defaultdict(list)
    for (_, of_coin), rows in closes.items():
        if of_coin == coin:
            for ts, (price, _) in rows.items():
                prices[ts].append(price)
    return {ts: median(values) for ts, values in prices.items()}
