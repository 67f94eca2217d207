"""Bitstamp: live orders, trades and book as received, `<receive time> <event> <json>` a line.

created → order; changed → order that replaces itself; deleted → cancel, also where the order had
been filled (then nothing was left); trade → the taker's fill; order_book → book. The event time is
the receive time: the venue's own has whole seconds only. There are no accounts.

Where the feed does not say who took (`type`: 0 buy, 1 sell), the taker's side is inferred: both
orders of a trade are changed or deleted just before it, each by the traded amount, and the one with
the lower id had been resting. Failing that, by the best price of the last book.

Source: bitstamp.net/websocket (channels live_orders, live_trades, order_book).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from monitor.core.contract.events import LEVELS_MAX
from monitor.core.contract.fixed_point import SCALE, quantise
from monitor.venues.base import LineAdapter, Record, UnreadableError, epoch_ns, read_json

CHANGED_MAX = 8
"""How many changed or deleted orders before a trade are looked at."""
CHANGED_MAX_AGE_NS = 2_000_000_000
"""… and how old they may be."""
_SIDES = ("buy", "sell")
_KIND_OF_EVENT = {
    b"order_created": "order",
    b"order_changed": "order",
    b"order_deleted": "cancel",
    b"trade": "fill",
    b"order_book": "book",
}


@dataclass(slots=True)
class _TrackedOrder:
    placed_ts: int
    units: int
    """What is left, in 1e-8."""


@dataclass(slots=True)
class _ChangedOrder:
    """An order that was changed or deleted a moment ago."""

    ts: int
    order_id: int
    side: str
    units: int | None
    """By how much it shrank, in 1e-8; None: not known, it had been there before the record."""


def _text(d: dict[str, Any], name: str) -> Any:
    """A number's exact text where the feed gives it (`price_str`), else the number as it stands."""
    return d.get(f"{name}_str", d[name])


class Bitstamp(LineAdapter):
    """Keeps the open orders seen placed (bounded by the venue's own book)."""

    NAME = "bitstamp"
    OPTIONS: ClassVar[Mapping[str, str]] = {"symbol": "the market (BTC-USD)"}

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options)
        self._symbol = self.options.get("symbol", "BTC-USD")
        self._open_orders: dict[int, _TrackedOrder] = {}
        self._changed_orders: deque[_ChangedOrder] = deque(maxlen=CHANGED_MAX)
        self._best_prices: tuple[int, int] | None = None
        """Best bid and ask of the last book, in 1e-8."""

    def guess_kind(self, raw: bytes) -> str | None:
        words = raw.split(b" ", 2)
        return _KIND_OF_EVENT.get(words[1]) if len(words) == 3 else None

    def parse_line(self, raw: bytes) -> list[Record]:
        words = raw.split(b" ", 2)
        if len(words) != 3:
            raise UnreadableError("wrong_type", "not <time> <event> <json>")
        ts, event = epoch_ns(words[0].decode()), words[1].decode()
        self.source_counts[event] += 1
        d = read_json(words[2])
        record = {"ts": ts, "symbol": self._symbol}
        if event in ("order_created", "order_changed"):
            return [record | self._order(d, ts, changed=event == "order_changed")]
        if event == "order_deleted":
            return [record | self._cancel(d, ts)]
        if event == "trade":
            return [record | self._fill(d, ts)]
        if event == "order_book":
            return [record | self._book(d)]
        self.notes[f"{event}: not of this format as known; no record made"] += 1
        return []

    def _order(self, d: dict[str, Any], ts: int, changed: bool) -> Record:
        key, side, quantity = d["id"], _SIDES[d["order_type"]], _text(d, "amount")
        units = quantise(str(quantity), SCALE)
        known = self._open_orders.get(key)
        if changed:
            self._changed_orders.append(
                _ChangedOrder(ts, key, side, known.units - units if known else None)
            )
        if known is not None:
            known.units = units
        elif not changed:
            self._open_orders[key] = _TrackedOrder(ts, units)
        return {
            "kind": "order",
            "order_id": str(key),
            "side": side,
            "price": _text(d, "price"),
            "quantity": quantity,
            "action": "replace" if changed else "new",
            "replaces": str(key) if changed else None,
        }

    def _cancel(self, d: dict[str, Any], ts: int) -> Record:
        key, side, quantity = d["id"], _SIDES[d["order_type"]], _text(d, "amount")
        units = quantise(str(quantity), SCALE)
        known = self._open_orders.pop(key, None)
        if known is None:
            self.notes["deletions of orders that were not seen placed"] += 1
        self._changed_orders.append(
            _ChangedOrder(ts, key, side, known.units - units if known else None)
        )
        return {
            "kind": "cancel",
            "order_id": str(key),
            "side": side,
            "price": _text(d, "price"),
            "quantity": quantity,
            "placed_ts": known.placed_ts if known else None,
        }

    def _fill(self, d: dict[str, Any], ts: int) -> Record:
        price, quantity = _text(d, "price"), _text(d, "amount")
        if "type" in d:
            side: str | None = _SIDES[d["type"]]
        else:
            side = self._taker(ts, quantise(str(price), SCALE), quantise(str(quantity), SCALE))
        order = d.get(f"{side}_order_id")
        return {
            "kind": "fill",
            "trade_id": str(d["id"]),
            "order_id": None if order is None else str(order),
            "side": side,
            "price": price,
            "quantity": quantity,
            "liquidity": "taker",
            "cause": "trade",
        }

    def _taker(self, ts: int, price: int, units: int) -> str | None:
        """Who took, by what the trade did to the orders."""
        near = [t for t in self._changed_orders if ts - t.ts <= CHANGED_MAX_AGE_NS]
        parties = [t for t in near if t.units == units] or [t for t in near if t.units is None]
        if parties:
            self.notes["trades whose taker is inferred from the orders changed before"] += 1
            resting = min(parties, key=lambda t: t.order_id)
            return _SIDES[1 - _SIDES.index(resting.side)]
        if self._best_prices and not self._best_prices[0] < price < self._best_prices[1]:
            self.notes["trades whose taker is inferred from the last book"] += 1
            return "buy" if price >= self._best_prices[1] else "sell"
        self.notes["trades whose taker could not be told: refused"] += 1
        return None

    def _book(self, d: dict[str, Any]) -> Record:
        bids, asks = d["bids"][:LEVELS_MAX], d["asks"][:LEVELS_MAX]
        if bids and asks:
            self._best_prices = (quantise(str(bids[0][0]), SCALE), quantise(str(asks[0][0]), SCALE))
        return {"kind": "book", "bids": bids, "asks": asks}
