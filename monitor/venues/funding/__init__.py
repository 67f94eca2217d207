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
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from monitor.core.contract.events import TS_MAX, TS_MIN
from monitor.core.decode.batch import Batch
from monitor.venues.adapter import BatchRow, VenueAdapter
from monitor.venues.funding.market_marks import Rows, build_index, build_marks, close_candles
from monitor.venues.parse import UnreadableError

TABLES = {"funding_rate": "funding rates", "oi_usd": "open interest", "c": "candles"}
"""By the column of its numbers: what a table is called."""
BATCH_ROWS = 65_536


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
        times = chunk["timestamp"].cast(pa.timestamp("ns")).cast(pa.int64()).to_pylist()
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
        closes = {market: close_candles(candle) for market, candle in candles.items()}
        coins = {coin for _, coin in closes}
        indices = {
            coin: build_index([rows for (_, of), rows in closes.items() if of == coin])
            for coin in coins
        }
        for market in sorted({*funding, *interest, *closes}):
            tables = funding[market], interest[market], closes.get(market, {})
            if len(funding[market]) == 1:
                self.notes["markets with one funding rate: its interval is not to be seen"] += 1
            marks, unpriced = build_marks(":".join(market), tables, indices.get(market[1], {}))
            self.left_out["open interest without a price to count it by"] += unpriced
            rows += marks
        if indices:
            note = "coins whose index is the median close of all venues' candles"
            self.notes[note] += len(indices)
        rows.sort(key=lambda row: row[0])
        batches: list[Batch] = []
        for low in range(0, len(rows), BATCH_ROWS):
            batches += self.build_batches([row for _, row in rows[low : low + BATCH_ROWS]])[0]
        return batches
