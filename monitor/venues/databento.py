"""Databento's market by order (MBO), as CSV with its header or as JSON lines: CME and others.

Add → order; Modify → an order that replaces itself; Cancel → cancel; Trade → the taker's fill. A
Fill changes nothing: the Cancel (or Modify) that takes the filled quantity out of the book follows
it, and so that much of it is no cancel. A trade without an aggressor's side (an auction, implied
orders) makes no record. A snapshot's orders rest in the book and make none either; a cleaR empties
the book. There are no accounts.

The resting book of each symbol becomes a record once a second of the feed's time, where an event
ends (`F_LAST`). In an auction bids and asks cross: such a book makes none.

Prices and times come as integers (1e-9, ns since 1970) or written out. Event time is `ts_event`,
the matching engine's; of a snapshot's orders it is when they were placed.

Source: databento.com/docs, "Market by order", "MBO snapshots", "State management of resting
orders" (read 2026-11).
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitor.core.contract.events import LEVELS_MAX
from monitor.core.contract.fixed_point import INT64_MAX
from monitor.core.contract.units import SECOND_NS
from monitor.venues.adapter import LineAdapter
from monitor.venues.parse import Record, UnreadableError, decimal, read_json

F_LAST, F_SNAPSHOT = 128, 32
"""Bits of `flags`: the last record of an event; a record of a snapshot."""
_BILLION = 10**9
_SIDES = {"B": "buy", "A": "sell"}
_KINDS = {"A": "order", "M": "order", "C": "cancel", "T": "fill"}
_NEEDED = {"ts_event", "action", "side", "price", "size", "order_id", "flags"}
_FIRST_TIME = re.compile(rb"(?<![0-9])[0-9]{19}(?![0-9])")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8})(?:\.([0-9]{1,9}))?(Z|\+00:00)?")


@dataclass(slots=True)
class _RestingOrder:
    """Price in 1e-9; `left`: quantity; `filled`: how much of it fills have told of already."""

    side: str
    price: int
    left: int
    placed_ts: int
    filled: int = 0


@dataclass(slots=True)
class _Symbol:
    """One symbol's resting orders by id, and the quantity at each price of a side."""

    orders: dict[int, _RestingOrder] = field(default_factory=dict)
    levels: dict[str, Counter[int]] = field(
        default_factory=lambda: {side: Counter() for side in _SIDES.values()}
    )
    last_ts: int = 0
    """Of the last event that ended."""

    def rest(self, key: int, order: _RestingOrder) -> None:
        self.orders[key] = order
        self.levels[order.side][order.price] += order.left

    def take(self, key: int, quantity: int | None = None) -> None:
        """Take a quantity (None: all) of an order out of the book."""
        order = self.orders[key]
        quantity = order.left if quantity is None else min(quantity, order.left)
        order.left -= quantity
        if not order.left:
            del self.orders[key]
        level = self.levels[order.side]
        level[order.price] -= quantity
        if not level[order.price]:
            del level[order.price]

    def best_levels(self) -> tuple[list[int], list[int]]:
        """Prices of both sides, the best first."""
        bids, asks = self.levels["buy"], self.levels["sell"]
        return heapq.nlargest(LEVELS_MAX, bids), heapq.nsmallest(LEVELS_MAX, asks)


class Databento(LineAdapter):
    """Keeps each symbol's resting orders."""

    NAME = "databento"

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options)
        self._columns: list[str] = []
        """Of the CSV file that is read; filled in as its header is."""
        self._files: dict[str, list[str]] = {}
        """The columns of each file."""
        self._symbols: dict[str, _Symbol] = {}

    def begin_file(self, file: str) -> None:
        self._columns = self._files.setdefault(file, [])

    def line_time(self, raw: bytes) -> int | None:
        match = _FIRST_TIME.search(raw)
        return int(match[0]) if match else None

    def guess_kind(self, raw: bytes) -> str | None:
        try:
            return _KINDS.get(str(self._fields(raw).get("action")))
        except (UnreadableError, UnicodeDecodeError):
            return None

    def parse_line(self, raw: bytes) -> list[Record]:
        if not self._columns and not raw.startswith(b"{"):
            self._read_header(raw)
            return []
        d = self._fields(raw)
        action = d["action"]
        name = self.count_source(action)
        symbol = str(d.get("symbol") or d["instrument_id"])
        ts, flags = _nanoseconds(d["ts_event"]), _whole(d["flags"], "flags")
        market = self._symbols.setdefault(symbol, _Symbol())
        snapshot = bool(flags & F_SNAPSHOT)
        records = [] if snapshot else self._book(symbol, market, ts)
        head = {"ts": ts, "symbol": symbol}
        match action:
            case "A":
                more = self._add(market, d, ts, snapshot)
            case "M":
                more = self._modify(market, d, ts)
            case "C":
                more = self._cancel(market, d)
            case "T":
                more = self._trade(d)
            case "F":
                more = self._fill(market, d)
            case "R":
                more = []
                self._symbols[symbol] = market = _Symbol(last_ts=market.last_ts)
                self.notes["books that were cleared"] += 1
            case _:
                more = []
                self.left_out[f"of the action {name}, which is not needed"] += 1
        if flags & F_LAST and not snapshot:
            market.last_ts = max(market.last_ts, ts)
        return records + [head | record for record in more]

    def _read_header(self, raw: bytes) -> None:
        columns = [c.strip() for c in raw.decode().split(",")]
        missing = sorted(_NEEDED.difference(columns))
        if missing:
            raise UnreadableError("missing_field", f"{', '.join(missing)}: not in the header")
        self._columns += columns
        self.left_out["headers"] += 1

    def _fields(self, raw: bytes) -> dict[str, Any]:
        if raw.startswith(b"{"):
            d = read_json(raw)
            head = d.get("hd") or {}
            if not isinstance(head, dict):
                raise UnreadableError("wrong_type", "hd: no object")
            return d | head
        values = raw.decode().rstrip("\r").split(",")
        if len(values) != len(self._columns):
            raise UnreadableError(
                "missing_field", f"{len(values)} fields where {len(self._columns)} belong"
            )
        return dict(zip(self._columns, values, strict=True))

    def _add(self, market: _Symbol, d: dict[str, Any], ts: int, snapshot: bool) -> list[Record]:
        key, order = _whole(d["order_id"], "order_id"), _order(d, ts)
        if key in market.orders:
            market.take(key)
            self.notes["orders that were added twice: the second counts"] += 1
        market.rest(key, order)
        if snapshot:
            self.left_out["orders of a snapshot, resting before the record began"] += 1
            return []
        return [_order_record(key, order) | {"action": "new"}]

    def _modify(self, market: _Symbol, d: dict[str, Any], ts: int) -> list[Record]:
        key, order = _whole(d["order_id"], "order_id"), _order(d, ts)
        before = market.orders.get(key)
        if before is None:
            self.notes["changes of orders that were not seen placed"] += 1
        else:
            shrank = before.left - order.left
            market.take(key)
            order.placed_ts = before.placed_ts
            if before.price == order.price and 0 < shrank <= before.filled:
                order.filled = before.filled - shrank
                market.rest(key, order)
                return []
        market.rest(key, order)
        return [_order_record(key, order) | {"action": "replace", "replaces": str(key)}]

    def _cancel(self, market: _Symbol, d: dict[str, Any]) -> list[Record]:
        key, quantity = _whole(d["order_id"], "order_id"), _whole(d["size"], "size")
        order = market.orders.get(key)
        if order is None:
            self.notes["cancels of orders that were not seen placed"] += 1
            side, price = _SIDES.get(d["side"]), _price(d["price"])
            return [_cancel_record(key, side, price, quantity, None)]
        filled = min(quantity, order.filled)
        order.filled -= filled
        market.take(key, quantity)
        if quantity == filled:
            return []
        return [_cancel_record(key, order.side, order.price, quantity - filled, order.placed_ts)]

    def _fill(self, market: _Symbol, d: dict[str, Any]) -> list[Record]:
        order = market.orders.get(_whole(d["order_id"], "order_id"))
        if order is None:
            self.notes["fills of orders that were not seen placed"] += 1
        else:
            order.filled += _whole(d["size"], "size")
        return []

    def _trade(self, d: dict[str, Any]) -> list[Record]:
        side = _SIDES.get(d["side"])
        if side is None:
            self.left_out["trades without an aggressor: of an auction or of implied orders"] += 1
            return []
        order = _whole(d["order_id"], "order_id")
        return [{
            "kind": "fill", "order_id": str(order) if order else None, "side": side,
            "price": _written(_price(d["price"])), "quantity": str(_whole(d["size"], "size")),
            "liquidity": "taker", "cause": "trade",
        }]  # fmt: skip

    def _book(self, symbol: str, market: _Symbol, ts: int) -> list[Record]:
        """The book as it was when the last event of an earlier second had ended."""
        if not market.last_ts or ts // SECOND_NS <= market.last_ts // SECOND_NS:
            return []
        at, market.last_ts = market.last_ts, 0
        bids, asks = market.best_levels()
        if not bids or not asks:
            return []
        if bids[0] >= asks[0]:
            self.left_out["books of an auction, in which bids and asks cross"] += 1
            return []
        return [{"kind": "book", "ts": at, "symbol": symbol} | {
            name: [[_written(price), str(market.levels[side][price])] for price in prices]
            for name, side, prices in (("bids", "buy", bids), ("asks", "sell", asks))
        }]  # fmt: skip


def _order(d: dict[str, Any], ts: int) -> _RestingOrder:
    side = _SIDES.get(d["side"])
    if side is None:
        raise UnreadableError("bad_value", "side: an order's is A or B")
    size = _whole(d["size"], "size")
    if size <= 0:
        raise UnreadableError("bad_value", "size: an order's is above 0")
    return _RestingOrder(side, _price(d["price"]), size, ts)


def _order_record(key: int, order: _RestingOrder) -> Record:
    return {
        "kind": "order", "order_id": str(key), "side": order.side,
        "price": _written(order.price), "quantity": str(order.left),
    }  # fmt: skip


def _cancel_record(
    key: int, side: str | None, price: int, quantity: int, placed_ts: int | None
) -> Record:
    return {
        "kind": "cancel", "order_id": str(key), "side": side, "price": _written(price),
        "quantity": str(quantity), "placed_ts": placed_ts,
    }  # fmt: skip


def _whole(value: Any, name: str) -> int:
    """A whole number, as JSON or as text."""
    text = str(value)
    if not re.fullmatch(r"-?[0-9]{1,20}", text, re.ASCII):
        raise UnreadableError("wrong_type", f"{name}: no whole number")
    return int(text)


def _price(value: Any) -> int:
    """A price in 1e-9, from such an integer or from a decimal with its point."""
    text = str(value)
    if "." in text:
        return int(decimal(text) * _BILLION)
    price = _whole(text, "price")
    if price == INT64_MAX:
        raise UnreadableError("missing_field", "price: undefined")
    return price


def _written(price: int) -> str:
    sign, price = "-" if price < 0 else "", abs(price)
    return f"{sign}{price // _BILLION}.{price % _BILLION:09d}"


def _nanoseconds(value: Any) -> int:
    """A time in ns since 1970, from such an integer or written out in UTC."""
    text = str(value)
    if re.fullmatch(r"[0-9]{1,19}", text, re.ASCII):
        return int(text)
    parts = _TIME.fullmatch(text)
    if parts is None:
        raise UnreadableError("wrong_type", "no time in ns since 1970, or as 2024-01-01T00:00:00Z")
    seconds = datetime.fromisoformat(f"{parts[1].replace(' ', 'T')}+00:00")
    return int(seconds.timestamp()) * SECOND_NS + int((parts[2] or "").ljust(9, "0"))
