"""Bitstamp: live orders, trades and book as received, `<receive time> <event> <json>` a line.

order_created → order; order_changed → order that replaces itself; order_deleted → cancel, also
where the order was filled (its quantity is 0 then); trade → the taker's fill; order_book → book.
The event time is the receive time, because the venue's own times are whole seconds. The feed has no
accounts.

Where a trade lacks the taker's side (`type`: 0 buy, 1 sell), it is inferred. Both orders of a trade
are changed or deleted just before it, each by the traded amount; the one with the lower id was
resting. Where this shows nothing, the best prices of the last book decide.

Source: bitstamp.net/websocket (channels live_orders, live_trades, order_book).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from monitor.core.contract.events import LEVELS_MAX
from monitor.core.contract.stepped import PLAIN, count
from monitor.core.contract.units import SECOND_NS
from monitor.venues.adapter import LineAdapter, OpenOrder
from monitor.venues.parse import (
    OPPOSITE_SIDE,
    Record,
    UnreadableError,
    epoch_ns,
    leading_time,
    read_json,
)

CHANGED_MAX = 8
"""The latest changed or deleted orders in which the parties of a trade are looked for."""
CHANGED_MAX_AGE_NS = 2 * SECOND_NS
"""How long before the trade they may have changed."""
_SIDES = ("buy", "sell")
_KIND_OF_EVENT = {
    b"order_created": "order",
    b"order_changed": "order",
    b"order_deleted": "cancel",
    b"trade": "fill",
    b"order_book": "book",
}


@dataclass(slots=True)
class _ChangedOrder:
    """An order that was changed or deleted."""

    ts: int
    order_id: int
    side: str
    units: int | None
    """By how much it shrank, 1e-18; None for an order that was placed before the recording."""


def _text(d: dict[str, Any], name: str) -> Any:
    """The exact text of a number where the feed has it (price_str for price), else the number."""
    return d.get(f"{name}_str", d[name])


class Bitstamp(LineAdapter):
    """Keeps the open orders, at most as many as the venue's book has."""

    NAME = "bitstamp"
    OPTIONS: ClassVar[Mapping[str, str]] = {"symbol": "the market (BTC-USD)"}

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options)
        self._symbol = self.options.get("symbol", "BTC-USD")
        self._open_orders: dict[int, OpenOrder] = {}
        self._changed_orders: deque[_ChangedOrder] = deque(maxlen=CHANGED_MAX)
        self._best_prices: tuple[int, int] | None = None
        """Best bid and ask of the last book, 1e-18."""

    def line_time(self, raw: bytes) -> int | None:
        return leading_time(raw)

    def guess_kind(self, raw: bytes) -> str | None:
        parts = raw.split(b" ", 2)
        return _KIND_OF_EVENT.get(parts[1]) if len(parts) == 3 else None

    def parse_line(self, raw: bytes) -> list[Record]:
        parts = raw.split(b" ", 2)
        if len(parts) != 3:
            raise UnreadableError("wrong_type", "not <time> <event> <json>")
        ts, event = epoch_ns(parts[0].decode()), parts[1].decode()
        name = self.count_source(event)
        d = read_json(parts[2])
        kind = _KIND_OF_EVENT.get(parts[1])
        if kind is None:
            self.left_out[f"of the event {name}, which is not needed"] += 1
            return []
        record = {"kind": kind, "ts": ts, "symbol": self._symbol}
        if kind == "fill":
            return [record | self._fill(d, ts)]
        return [record | (self._book(d) if kind == "book" else self._order(d, ts, event))]

    def _order(self, d: dict[str, Any], ts: int, event: str) -> Record:
        key, side, quantity = d["id"], _SIDES[d["order_type"]], _text(d, "amount")
        units = count(str(quantity), PLAIN)
        order = self._open_orders.get(key)
        if event != "order_created":
            shrank = order.left - units if order else None
            self._changed_orders.append(_ChangedOrder(ts, key, side, shrank))
        if event == "order_deleted":
            if self._open_orders.pop(key, None) is None:
                self.notes["deletions of orders that were not seen placed"] += 1
            more: Record = {"placed_ts": order.placed_ts if order else None}
        else:
            changed = event == "order_changed"
            if order:
                order.left = units
            elif not changed:
                self._open_orders[key] = OpenOrder(ts, units)
            more = {"action": "replace", "replaces": str(key)} if changed else {"action": "new"}
        price = _text(d, "price")
        return {"order_id": str(key), "side": side, "price": price, "quantity": quantity} | more

    def _fill(self, d: dict[str, Any], ts: int) -> Record:
        price, quantity = _text(d, "price"), _text(d, "amount")
        if "type" in d:
            side: str | None = _SIDES[d["type"]]
        else:
            side = self._taker(ts, count(str(price)), count(str(quantity), PLAIN))
        order = d.get(f"{side}_order_id")
        return {
            "trade_id": str(d["id"]),
            "order_id": None if order is None else str(order),
            "side": side,
            "price": price,
            "quantity": quantity,
            "liquidity": "taker",
            "cause": "trade",
        }

    def _taker(self, ts: int, price: int, units: int) -> str | None:
        """The taker's side, from the orders that the trade changed; `price` and `units` 1e-18."""
        recent = [o for o in self._changed_orders if ts - o.ts <= CHANGED_MAX_AGE_NS]
        parties = [o for o in recent if o.units == units] or [o for o in recent if o.units is None]
        if parties:
            self.notes["trades whose taker is inferred from the orders changed before"] += 1
            resting = min(parties, key=lambda o: o.order_id)
            return OPPOSITE_SIDE[resting.side]
        if self._best_prices and not self._best_prices[0] < price < self._best_prices[1]:
            self.notes["trades whose taker is inferred from the last book"] += 1
            return "buy" if price >= self._best_prices[1] else "sell"
        self.notes["trades whose taker could not be told: refused"] += 1
        return None

    def _book(self, d: dict[str, Any]) -> Record:
        bids, asks = d["bids"][:LEVELS_MAX], d["asks"][:LEVELS_MAX]
        if bids and asks:
            self._best_prices = (count(str(bids[0][0])), count(str(asks[0][0])))
        return {"bids": bids, "asks": asks}
