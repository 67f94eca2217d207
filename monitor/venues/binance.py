"""Binance USD-M and COIN-M futures: the raw web socket, `<receive time> <json>` a line.

Depth differences are applied to a local book, which starts with the snapshot; it becomes a book
record of the best 50 levels, at most every 100 ms of event time. trade → the taker's fill;
markPriceUpdate → mark; bookTicker and other streams are counted. Each difference names the last
update before it (pu). Where one is missing the book goes on, since a recording has no later
snapshot to wait for; levels that changed in between are stale, and a note counts the gaps.

COIN-M counts quantities in contracts of a fixed amount of USD; `coin_contracts.py` makes base units
of them.

Source: developers.binance.com, USD-M futures, "How to manage a local order book correctly".
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from monitor.core.contract.events import LEVELS_MAX
from monitor.core.contract.units import MILLISECOND_NS
from monitor.venues.adapter import LineAdapter
from monitor.venues.coin_contracts import CoinContracts
from monitor.venues.parse import Record, UnreadableError, epoch_ns, read_json

BOOK_INTERVAL_NS = 100 * MILLISECOND_NS
"""Event time between two book records of a market, at least."""
PENDING_MAX = 10_000
"""Differences kept before the snapshot; the oldest are dropped and counted."""

# X of a trade: an order in the market, the insurance fund or ADL closed the position.
_CAUSES = {"MARKET": "trade", "INSURANCE_FUND": "backstop", "ADL": "adl"}
_Level = tuple[str, str]
_KIND_OF_EVENT = {b'"depthUpdate"': "book", b'"trade"': "fill", b'"markPriceUpdate"': "mark"}


@dataclass
class _LocalBook:
    """A market's local book: levels as written, by their price as a number."""

    bids: dict[float, _Level] = field(default_factory=dict)
    asks: dict[float, _Level] = field(default_factory=dict)
    last_update_id: int | None = None
    """Id of the last update applied; None before the snapshot."""
    chained: bool = False
    """Whether a difference has been applied since the snapshot."""
    pending: deque[dict[str, Any]] = field(default_factory=deque)
    last_record_ts: int = -BOOK_INTERVAL_NS

    def apply(self, bids: list[_Level], asks: list[_Level]) -> None:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in levels:
                if float(quantity) == 0:
                    side.pop(float(price), None)
                else:
                    side[float(price)] = (price, quantity)

    def best(self) -> tuple[list[_Level], list[_Level]]:
        bids = heapq.nlargest(LEVELS_MAX, self.bids)
        asks = heapq.nsmallest(LEVELS_MAX, self.asks)
        return [self.bids[p] for p in bids], [self.asks[p] for p in asks]


class Binance(LineAdapter):
    """Keeps one local book a market."""

    NAME = "binance"
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "symbol": "the market of a snapshot that comes before any other line names one",
        "contract_size": "USD a contract of COIN-M, where it is not 100 (BTC) or 10 (others)",
    }

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options)
        self._books: dict[str, _LocalBook] = {}
        self._symbol = self.options.get("symbol")
        """The market of the last line that names one: a snapshot names none."""
        self._coin_contracts = CoinContracts(self.options.get("contract_size"))

    def guess_kind(self, raw: bytes) -> str | None:
        return next((kind for e, kind in _KIND_OF_EVENT.items() if b'"e":' + e in raw), None)

    def parse_line(self, raw: bytes) -> list[Record]:
        time, _, text = raw.partition(b" ")
        received = epoch_ns(time.decode())
        message = read_json(text)
        if "lastUpdateId" in message:
            self.source_counts["snapshot"] += 1
            return self._coin_contracts.convert(message, self._snapshot(message, received))
        d = message.get("data", message)
        event = d["e"]
        self.source_counts[event] += 1
        self._symbol = self.options.get("symbol", d.get("s", self._symbol))
        return self._coin_contracts.convert(d, self._event_records(event, d))

    def _event_records(self, event: str, d: dict[str, Any]) -> list[Record]:
        if event == "depthUpdate":
            return self._difference(d)
        if event == "trade":
            return [self._fill(d)]
        if event == "markPriceUpdate":
            return [self._mark(d)]
        return []

    def _snapshot(self, d: dict[str, Any], received: int) -> list[Record]:
        if self._symbol is None:
            raise UnreadableError("missing_field", "no line before the snapshot names its market")
        before = self._books.get(self._symbol, _LocalBook())
        book = self._books[self._symbol] = _LocalBook(last_record_ts=before.last_record_ts)
        book.apply(d["bids"], d["asks"])
        book.last_update_id = d["lastUpdateId"]
        for early in before.pending:
            self._apply_difference(book, early)
        ts = d["T"] * MILLISECOND_NS if "T" in d else received
        return self._book_records(self._symbol, book, ts)

    def _difference(self, d: dict[str, Any]) -> list[Record]:
        book = self._books.setdefault(d["s"], _LocalBook())
        if book.last_update_id is None:
            book.pending.append(d)
            if len(book.pending) > PENDING_MAX:
                book.pending.popleft()
                self.notes["differences forgotten before the snapshot came"] += 1
            return []
        if not self._apply_difference(book, d):
            return []
        return self._book_records(d["s"], book, d["T"] * MILLISECOND_NS)

    def _apply_difference(self, book: _LocalBook, d: dict[str, Any]) -> bool:
        """Apply a difference unless it is older than the book; whether it was applied."""
        assert book.last_update_id is not None
        if d["u"] < book.last_update_id or (book.chained and d["u"] == book.last_update_id):
            self.notes["differences older than the book: dropped"] += 1
            return False
        last = book.last_update_id
        if not (d["pu"] == last if book.chained else d["U"] <= last + 1):
            self.notes["breaks in the chain of differences: the book goes on, in part stale"] += 1
        book.apply(d["b"], d["a"])
        book.last_update_id, book.chained = d["u"], True
        return True

    def _book_records(self, symbol: str, book: _LocalBook, ts: int) -> list[Record]:
        if ts - book.last_record_ts < BOOK_INTERVAL_NS:
            return []
        book.last_record_ts = ts
        bids, asks = book.best()
        return [{"kind": "book", "ts": ts, "symbol": symbol, "bids": bids, "asks": asks}]

    def _fill(self, d: dict[str, Any]) -> Record:
        return {
            "kind": "fill",
            "ts": d["T"] * MILLISECOND_NS,
            "symbol": d["s"],
            "trade_id": str(d["t"]),
            "side": "sell" if d["m"] else "buy",
            "price": d["p"],
            "quantity": d["q"],
            "liquidity": "taker",
            "cause": _CAUSES.get(d.get("X", "MARKET")),
        }

    def _mark(self, d: dict[str, Any]) -> Record:
        return {
            "kind": "mark",
            "ts": d["E"] * MILLISECOND_NS,
            "symbol": d["s"],
            "mark": d["p"],
            "index": d.get("i"),
            "funding_rate": d.get("r") or None,
        }
