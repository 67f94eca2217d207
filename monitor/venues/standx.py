"""StandX perpetuals: Parquet files of 20-level books and of trades.

Books that repeat the timestamp of the one before, and books that the recorder marked invalid, are
dropped and counted. Numbers are doubles; each is read as its shortest decimal text would be. Every
trade has the taker's side; where all have the same one, a note doubts it.

Columns: timestamp, received_at, symbol; then of books bid_prices, bid_quantities, ask_prices,
ask_quantities, is_valid, and of trades price, quantity, side.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from monitor.core.contract.events import LEVELS_MAX, TS_MAX, TS_MIN
from monitor.core.contract.fixed_point import SCALE
from monitor.core.contract.stepped import FINE, PLAIN, add, quantise
from monitor.core.decode import codec
from monitor.core.decode.batch import ABSENT, Batch, Int64, Ladder, TextColumn, text_columns
from monitor.core.decode.stepped_kernels import from_e8
from monitor.venues.adapter import VenueAdapter
from monitor.venues.parse import Record, UnreadableError, canonical_json

EXACT_BELOW = 2.0**51 / SCALE
"""Below this, a double times 1e8, rounded, equals its shortest decimal text times 1e8."""
_BOOK = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")


def to_codes(values: NDArray[np.float64], below_one: int = FINE) -> Int64:
    """Doubles as codes of stepped decimals; -1 for NaN, infinity and numbers out of range.

    `below_one`: as of `stepped.quantise`.
    """
    fine = np.isfinite(values) & (np.abs(values) < EXACT_BELOW)
    units = np.rint(np.where(fine, values, 0) * SCALE).astype(np.int64)
    if below_one > PLAIN:
        fine &= (np.abs(values) >= 1) | (units / SCALE == values)
    codes = from_e8(units)
    for i in np.flatnonzero(~fine).tolist():
        try:
            codes[i] = quantise(repr(float(values[i])), below_one)
        except ValueError:
            codes[i] = -1
    return codes


def _dictionary_text(column: Any) -> TextColumn:
    """A string column with few distinct values."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    text = TextColumn.from_strings(encoded.dictionary.to_pylist())
    text.codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return text


class Standx(VenueAdapter):
    """Keeps the time of each market's last book, and which sides trades had so far."""

    NAME = "standx"
    READS_PARQUET = True

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options)
        self._last_book: dict[str, int] = {}
        self._sides: set[str] = set()

    def read(self, chunk: Any) -> list[Batch]:
        names = set(chunk.column_names)
        if {"timestamp", "symbol", *_BOOK} <= names:
            kind = "book"
        elif {"timestamp", "symbol", "price", "quantity", "side"} <= names:
            kind = "fill"
        else:
            raise UnreadableError("missing_field", "neither the columns of books nor of trades")
        self.source_counts[{"book": "books", "fill": "trades"}[kind]] += chunk.num_rows
        return [self._books(chunk)] if kind == "book" else [self._trades(chunk)]

    def _ts(self, kind: str, table: Any) -> Int64:
        ts = table["timestamp"].cast(pa.timestamp("ns")).cast(pa.int64()).fill_null(ABSENT)
        times: Int64 = ts.combine_chunks().to_numpy(zero_copy_only=False)
        self.anomalies.observe_times(kind, times[(times >= TS_MIN) & (times < TS_MAX)])
        return times

    def _books(self, table: Any) -> Batch:
        ts, symbol = self._ts("book", table), table["symbol"].to_pylist()
        keep = np.ones(len(ts), bool)
        for i, (name, time) in enumerate(zip(symbol, ts.tolist(), strict=True)):
            keep[i] = self._last_book.get(name) != time
            self._last_book[name] = time
        self.left_out["books that repeat the timestamp before them"] += int((~keep).sum())
        if "is_valid" in table.column_names:
            valid = table["is_valid"].fill_null(True).to_numpy().astype(bool)
            dropped = int((keep & ~valid).sum())
            self.left_out["books that the recorder marked invalid"] += dropped
            keep &= valid
        table, ts = table.filter(pa.array(keep)), ts[keep]
        topic, offset = self.assign_offsets("book", len(ts))
        batch = Batch("book", topic, 0, offset, {"ts": ts, "seq": np.full(len(ts), ABSENT)})
        batch.texts["symbol"] = _dictionary_text(table["symbol"])
        good = _valid_rows(batch)
        for side, name in (("bid", "bids"), ("ask", "asks")):
            ladder, fine = _ladder(table, side)
            batch.ladders[name] = ladder
            good &= fine
        self.anomalies.observe_books(batch.ladders)
        return self._refuse_bad_rows(batch, good, table)

    def _trades(self, table: Any) -> Batch:
        ts = self._ts("fill", table)
        topic, offset = self.assign_offsets("fill", len(ts))
        side = [str(s).lower() for s in table["side"].to_pylist()]
        self._sides |= set(side)
        batch = Batch("fill", topic, 0, offset, {"ts": ts, "seq": np.full(len(ts), ABSENT)})
        batch.numbers |= {
            "side": np.array([-1 if s == "sell" else 1 for s in side], np.int64),
            "price": to_codes(table["price"].to_numpy()),
            "quantity": to_codes(table["quantity"].to_numpy(), PLAIN),
            "fee": np.full(len(ts), ABSENT),
            "liquidity": np.ones(len(ts), np.int64),  # taker
            "cause": np.zeros(len(ts), np.int64),  # trade
        }
        batch.texts = {column.name: TextColumn.absent(len(ts)) for column in text_columns("fill")}
        batch.texts["symbol"] = _dictionary_text(table["symbol"])
        same_side = "every trade names the same side: the recorder's word, not who took"
        self.notes.pop(same_side, None)
        if len(self._sides) == 1:
            self.notes[same_side] = self.source_counts["trades"]
        good = _valid_rows(batch) & np.isin(side, ("buy", "sell"))
        good &= (batch.numbers["price"] > 0) & (batch.numbers["quantity"] > 0)
        return self._refuse_bad_rows(batch, good, table)

    def _refuse_bad_rows(self, batch: Batch, good: NDArray[np.bool_], table: Any) -> Batch:
        """`batch` without the rows that are not good, which the contract's validation refuses."""
        if good.all():
            return batch
        bad = np.flatnonzero(~good)
        raws = []
        for row in table.take(pa.array(bad)).to_pylist():
            row |= {"timestamp": str(row["timestamp"]), "received_at": str(row.get("received_at"))}
            raws.append(msgspec.json.encode(row))
        ts = batch.numbers["ts"]
        records = [canonical_json(_record(batch.kind, int(ts[i]), table, i)) for i in bad.tolist()]
        judged = codec.decode(batch.kind, batch.topic, 0, batch.offset[bad], records)
        by_offset = dict(zip(batch.offset[bad].tolist(), raws, strict=True))
        for refused in judged.refused:
            refused.raw = by_offset[refused.offset]
        if len(judged):
            raise AssertionError("the validation accepts a row that the columns show to be bad")
        kept = batch.select_rows(good)
        kept.refused = judged.refused
        return kept


def _valid_rows(batch: Batch) -> NDArray[np.bool_]:
    """Whether the contract accepts time and symbol of each row."""
    ts, symbol = batch.numbers["ts"], batch.texts["symbol"]
    valid = [
        s is not None and 0 < len(s) <= 128 and s.isprintable() and " " not in s
        for s in TextColumn(symbol.buffer, symbol.start, symbol.length).to_strings()
    ]
    named = np.array([*valid, False], bool)[symbol.codes]  # code -1, no symbol, takes the last
    fine: NDArray[np.bool_] = (ts >= TS_MIN) & (ts < TS_MAX) & named
    return fine


def _ladder(table: Any, side: str) -> tuple[Ladder, NDArray[np.bool_]]:
    """One side of the books, and whether each is well formed: sizes, positive, best level first."""
    lists = [table[f"{side}_{what}"].combine_chunks() for what in ("prices", "quantities")]
    bounds = [a.offsets.to_numpy().astype(np.int64) for a in lists]
    size, other = np.diff(bounds[0]), np.diff(bounds[1])
    if not np.array_equal(size, other) or any(a.null_count for a in lists):
        raise UnreadableError("wrong_type", f"{side}: prices and quantities differ in number")
    price, quantity = (
        to_codes(a.values.to_numpy(zero_copy_only=False)[b[0] : b[-1]], below_one)
        for a, b, below_one in zip(lists, bounds, (FINE, PLAIN), strict=True)
    )
    step = np.diff(price) * (1 if side == "ask" else -1)
    row = np.repeat(np.arange(len(size)), size)
    fine = size <= LEVELS_MAX
    fine[row[(price <= 0) | (quantity <= 0)]] = False
    same_book = row[1:] == row[:-1]
    fine[row[1:][same_book & (step < 0)]] = False
    again = np.flatnonzero(same_book & (step == 0) & fine[row[1:]])
    for i in again[::-1].tolist():  # as the contract merges them
        quantity[i] = add(int(quantity[i]), int(quantity[i + 1]))
    size = np.bincount(np.delete(row, again + 1), minlength=len(size))
    offset = np.append(0, np.cumsum(size))
    return Ladder(offset, np.delete(price, again + 1), np.delete(quantity, again + 1)), fine


def _record(kind: str, ts: int, table: Any, i: int) -> Record:
    """Row `i` as a canonical record, its doubles as their shortest text."""
    row = table.slice(i, 1).to_pylist()[0]

    def text(value: Any) -> Any:
        return repr(value) if isinstance(value, float) else value

    record = {"kind": kind, "ts": ts, "symbol": row["symbol"]}
    if kind == "book":
        for side, name in (("bid", "bids"), ("ask", "asks")):
            levels = zip(row[f"{side}_prices"], row[f"{side}_quantities"], strict=True)
            record[name] = [[text(p), text(q)] for p, q in levels]
    else:
        side = str(row["side"]).lower()
        record |= {"side": side, "price": text(row["price"]), "quantity": text(row["quantity"])}
    return record
