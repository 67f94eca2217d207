"""Binance USD-M and COIN-M futures: the raw web socket, `<receive time> <json>` a line.

Lines may be in the envelope of a combined stream, which may hold a list of events. Depth
differences are applied to a local book, which starts with the snapshot; it becomes a book record of
the best 50 levels, at most every 100 ms of event time. A partial book (`@depth20`) replaces the
local book. In a market without depth the best prices (bookTicker) are the book. trade, or aggTrade
in a market without it, → the taker's fill; forceOrder → a fill of cause liquidation;
markPriceUpdate → mark, with the funding interval once two funding times showed it; other streams
are left out. Event times that jump are placed by the time of receipt (`event_clock.py`).

COIN-M counts quantities in contracts of a fixed amount of USD; `coin_contracts.py` makes base units
of them.

Each difference names the last update before it (pu). Where one is missing the book goes on, since a
recording has no later snapshot to wait for; levels that changed in between are stale, and a note
counts the gaps.

Source: developers.binance.com, USD-M futures, "How to manage a local order book correctly",
"Websocket market streams".
"""

from __future__ import annotations

import heapq
import math
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from monitor.core.contract.events import LEVELS_MAX
from monitor.core.contract.units import DAY_S, MILLISECOND_NS, SECOND_NS
from monitor.venues.adapter import LineAdapter
from monitor.venues.coin_contracts import CoinContracts
from monitor.venues.event_clock import EventClock
from monitor.venues.parse import (
    Record,
    UnreadableError,
    decimal,
    epoch_ns,
    integer,
    leading_time,
    milliseconds,
    read_json,
)

BOOK_INTERVAL_NS = 100 * MILLISECOND_NS
"""Event time between two book records of a market, at least."""
HOUR_S = 3_600
TICKER_ALONE_NS = 10 * SECOND_NS
"""A market whose best prices have come for so long without any depth has only them."""
PENDING_MAX = 10_000
"""Differences kept before the snapshot; the oldest are dropped and counted."""
_WAITING = "differences of a market without a snapshot: record its REST snapshot too"

# X of a trade: an order in the market, the insurance fund or ADL closed the position.
_CAUSES = {"MARKET": "trade", "INSURANCE_FUND": "backstop", "ADL": "adl"}
_Level = tuple[str, str]
_KIND_OF_EVENT = {
    b'"depthUpdate"': "book",
    b'"bookTicker"': "book",
    b'"trade"': "fill",
    b'"aggTrade"': "fill",
    b'"forceOrder"': "fill",
    b'"markPriceUpdate"': "mark",
}
_EVENT = re.compile(rb'"e": ?("[A-Za-z]+")')
_PARTIAL_DEPTH = re.compile(r"[^@]+@depth(5|10|20)(@.*)?")


def _read_levels(levels: list[Any]) -> list[tuple[float, float, _Level]]:
    """Price and quantity of each level as numbers, and as written.

    Raises `ValueError` for what is no level, so that it never enters the book.
    """
    out = []
    for price, quantity in levels:
        at, size = float(decimal(price)), float(decimal(quantity))
        if not (0 < at < math.inf and 0 <= size < math.inf):
            raise ValueError("a level's price is above 0 and its quantity at least 0")
        out.append((at, size, (price, quantity)))
    return out


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
    last_record_ts: int | None = None

    def apply(self, bids: list[Any], asks: list[Any]) -> None:
        for side, levels in ((self.bids, _read_levels(bids)), (self.asks, _read_levels(asks))):
            for price, size, level in levels:
                if size == 0:
                    side.pop(price, None)
                else:
                    side[price] = level

    def best(self) -> tuple[list[_Level], list[_Level]]:
        bids = heapq.nlargest(LEVELS_MAX, self.bids)
        asks = heapq.nsmallest(LEVELS_MAX, self.asks)
        return [self.bids[p] for p in bids], [self.asks[p] for p in asks]


@dataclass
class _FundingTimes:
    """The next funding time (ns) that a market named last, and the interval between two of them."""

    next_ts: int
    interval_s: int | None = None

    def observe(self, next_ts: int) -> None:
        between = (next_ts - self.next_ts) // SECOND_NS
        if 0 < between <= DAY_S and between % HOUR_S == 0:
            # Marks missing over a funding time make the difference a multiple of the interval.
            self.interval_s = min(between, self.interval_s or between)
        self.next_ts = next_ts


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
        self._tickers: dict[str, tuple[int, _LocalBook]] = {}
        """Since when the best prices of a market are received, and they as a book."""
        self._clock = EventClock()
        self._trade_streams: dict[str, str] = {}
        """The stream, trade or aggTrade, whose trades count in a market: the first one there."""
        self._funding: dict[str, _FundingTimes] = {}
        self._symbol = self.options.get("symbol")
        """The market of the last line that names one: a snapshot names none."""
        self._coin_contracts = CoinContracts(self.options.get("contract_size"))

    def line_time(self, raw: bytes) -> int | None:
        return leading_time(raw)

    def guess_kind(self, raw: bytes) -> str | None:
        event = _EVENT.search(raw)
        return _KIND_OF_EVENT.get(event[1]) if event else None

    def parse_line(self, raw: bytes) -> list[Record]:
        time, _, text = raw.partition(b" ")
        received = epoch_ns(time.decode())
        message = read_json(text)
        stream, data = str(message.get("stream", "")), message.get("data", message)
        records = []
        for d in data if isinstance(data, list) else [data]:
            of_event = self._event_records(d, stream, received)
            payload = d["o"] if d.get("e") == "forceOrder" else d
            records += self._coin_contracts.convert(payload, of_event)
        return records

    def _event_records(self, d: dict[str, Any], stream: str, received: int) -> list[Record]:
        if "lastUpdateId" in d:
            self.count_source("snapshot")
            # A snapshot of COIN-M names its market itself, one of USD-M does not.
            symbol = stream.partition("@")[0].upper() or d.get("symbol") or self._symbol
            return self._snapshot(symbol, d["bids"], d["asks"], d["lastUpdateId"], d, received)
        if "e" not in d and "result" in d:
            self.left_out["replies to a subscription"] += 1
            return []
        event = self.count_source(d["e"])
        if event == "forceOrder":
            return self._forced_fill(d["o"], received)
        self._symbol = self.options.get("symbol", d.get("s", self._symbol))
        if event == "depthUpdate" and _PARTIAL_DEPTH.fullmatch(stream):
            return self._snapshot(d["s"], d["b"], d["a"], d["u"], d, received)
        if event == "depthUpdate":
            return self._difference(d, received)
        if event == "bookTicker":
            return self._ticker(d, received)
        if event in ("trade", "aggTrade"):
            return self._fill(d, event, received)
        if event == "markPriceUpdate":
            return [self._mark(d, received)]
        self.left_out[f"of the stream {event}, which is not needed"] += 1
        return []

    def _place(self, ms: Any, received: int) -> int:
        """The event time to use for one that the venue gives in ms, ns."""
        ts = milliseconds(ms)
        placed = self._clock.place(ts, received)
        if placed != ts:
            self.notes["event times that jump: placed by the time of receipt"] += 1
        return placed

    def _snapshot(
        self,
        symbol: str | None,
        bids: list[Any],
        asks: list[Any],
        update_id: Any,
        d: dict[str, Any],
        received: int,
    ) -> list[Record]:
        if symbol is None:
            raise UnreadableError("missing_field", "no line before the snapshot names its market")
        before = self._books.get(symbol, _LocalBook())
        update_id = integer(update_id, "update id")
        book = _LocalBook(last_update_id=update_id, last_record_ts=before.last_record_ts)
        book.apply(bids, asks)
        self._books[symbol] = book
        self.left_out[_WAITING] -= len(before.pending)
        for early in before.pending:
            self._apply_difference(book, early)
        has_time = d.get("T") is not None
        ts = self._place(d["T"], received) if has_time else self._clock.event_time(received)
        return self._book_records(symbol, book, ts)

    def _difference(self, d: dict[str, Any], received: int) -> list[Record]:
        book = self._books.setdefault(d["s"], _LocalBook())
        ts = self._place(d["T"], received)
        for name in ("U", "u", "pu"):
            integer(d[name], name)
        if book.last_update_id is None:
            _read_levels([*d["b"], *d["a"]])
            book.pending.append(d)
            self.left_out[_WAITING] += 1
            if len(book.pending) > PENDING_MAX:
                book.pending.popleft()
                self.notes["differences forgotten before the snapshot came"] += 1
            return []
        if not self._apply_difference(book, d):
            return []
        return self._book_records(d["s"], book, ts)

    def _apply_difference(self, book: _LocalBook, d: dict[str, Any]) -> bool:
        """Apply a difference unless it is older than the book; whether it was applied."""
        assert book.last_update_id is not None
        if d["u"] < book.last_update_id or (book.chained and d["u"] == book.last_update_id):
            self.left_out["differences older than the book"] += 1
            return False
        book.apply(d["b"], d["a"])
        last = book.last_update_id
        if not (d["pu"] == last if book.chained else d["U"] <= last + 1):
            self.notes["breaks in the chain of differences: the book goes on, in part stale"] += 1
        book.last_update_id, book.chained = d["u"], True
        return True

    def _ticker(self, d: dict[str, Any], received: int) -> list[Record]:
        symbol = d["s"]
        if symbol in self._books:
            self.left_out["of bookTicker in markets whose depth is there too"] += 1
            return []
        since, book = self._tickers.setdefault(symbol, (received, _LocalBook()))
        if received - since < TICKER_ALONE_NS:
            self.left_out["of bookTicker while depth may still come"] += 1
            return []
        book.bids, book.asks = {}, {}
        book.apply([[d["b"], d["B"]]], [[d["a"], d["A"]]])
        has_time = d.get("T") is not None
        ts = self._place(d["T"], received) if has_time else self._clock.event_time(received)
        return self._book_records(symbol, book, ts)

    def _book_records(self, symbol: str, book: _LocalBook, ts: int) -> list[Record]:
        # Two-sided, so that one book with a time ahead does not silence those that follow it.
        last = book.last_record_ts
        if last is not None and abs(ts - last) < BOOK_INTERVAL_NS:
            return []
        book.last_record_ts = ts
        bids, asks = book.best()
        return [{"kind": "book", "ts": ts, "symbol": symbol, "bids": bids, "asks": asks}]

    def _fill(self, d: dict[str, Any], event: str, received: int) -> list[Record]:
        if self._trade_streams.setdefault(d["s"], event) != event:
            self.left_out[f"of {event}, whose trades are in another stream too"] += 1
            return []
        return [
            {
                "kind": "fill",
                "ts": self._place(d["T"], received),
                "symbol": d["s"],
                "trade_id": str(d["t"] if event == "trade" else d["a"]),
                "side": "sell" if d["m"] else "buy",
                "price": d["p"],
                "quantity": d["q"],
                "liquidity": "taker",
                "cause": _CAUSES.get(d.get("X", "MARKET")),
            }
        ]

    def _forced_fill(self, o: dict[str, Any], received: int) -> list[Record]:
        """What a liquidation order has filled, at its average price.

        The venue publishes one such order a market and second at most, and its trades are in the
        stream of trades too.
        """
        if decimal(o["z"]) == 0:
            self.left_out["liquidation orders that had filled nothing yet"] += 1
            return []
        self.notes["liquidation orders: their trades are among the other fills too"] += 1
        return [
            {
                "kind": "fill",
                "ts": self._place(o["T"], received),
                "symbol": o["s"],
                "side": str(o["S"]).lower(),
                "price": o["ap"],
                "quantity": o["z"],
                "liquidity": "taker",
                "cause": "liquidation",
            }
        ]

    def _mark(self, d: dict[str, Any], received: int) -> Record:
        funding = None
        if next_ms := d.get("T"):
            next_ts = milliseconds(next_ms)
            funding = self._funding.setdefault(d["s"], _FundingTimes(next_ts))
            funding.observe(next_ts)
        return {
            "kind": "mark",
            "ts": self._place(d["E"], received),
            "symbol": d["s"],
            "mark": d["p"],
            "index": d.get("i"),
            "funding_rate": d.get("r") or None,
            "funding_interval_s": funding.interval_s if funding else None,
        }
