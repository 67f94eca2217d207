"""Hyperliquid: a node's fills (JSON lines, a block each), and the tables of 2023 (CSV).

A node's block → one fill for each side of each trade, with the account's fee and what forced it.
The fills tell the position from which they start: where a pair of account and market is met first,
it becomes a position record (as cross: the mode is not told). From then on it is checked against
the fills before, and where it differs (a gap in the recording) the difference becomes a position
record and is counted. A liquidation tells the venue's mark: a mark record. Spot fills make no
record, for there is no position in them. Markets of other dexes (`dex:COIN`) have collateral of
their own, so their accounts are named `user/dex`. Deposits and transfers are not in these files.

Tables: see `hyperliquid_tables.py`. Files may be given in any order; each is known by its first
line. Sources: hyperliquid.gitbook.io, nodes (`--write-fills`, `--batch-by-block`), API info
endpoint (`userFills`), margining and liquidations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic_core import PydanticCustomError

from monitor.core.contract.fixed_point import SCALE, format_decimal, quantise
from monitor.core.decode.batch import Batch
from monitor.venues.base import MS, LineAdapter, Record, UnreadableError, read_json
from monitor.venues.hyperliquid_tables import HyperliquidTables

_SIDES = {"B": "buy", "A": "sell"}
_METHODS = {"market": "liquidation", "backstop": "backstop"}
_DELEVERAGED = "Auto-Deleveraging"
_CLOSES = ("Close Long", "Close Short", "Long > Short", "Short > Long")
_NOISE_BITS = 50
"""The node writes positions from doubles: what is beyond their 50th binary digit is noise."""
_DEX = re.compile(r"([^:]+):.+")
_SPOT = re.compile(r"@\d+|.+/.+")


class Hyperliquid(LineAdapter):
    """Keeps the position of every account and market met (about 200 bytes each), and the rows of
    tables until all files are read (about 500 bytes each)."""

    NAME = "hyperliquid"
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "maintenance": "maintenance rate of the tables' markets (0.01)",
        "account_values": "use (they set the account after its liquidation) or leave",
    }

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options)
        self.tables = HyperliquidTables(self.options, self.source_counts, self.notes)
        self._positions: dict[tuple[str, str], int] = {}
        self._block: int | None = None

    def begin_file(self, file: str) -> None:
        self.tables.begin_file()

    def guess_kind(self, raw: bytes) -> str | None:
        if raw.lstrip()[:1] == b"{":
            return "fill"
        return self.tables.kind

    def parse_line(self, raw: bytes) -> list[Record]:
        if raw.lstrip()[:1] != b"{":
            self.tables.add_line(raw)
            self.anomalies.observe_line(raw)
            return []
        block = read_json(raw)
        number, events = block["block_number"], block["events"]
        if not isinstance(number, int) or not isinstance(events, list):
            raise UnreadableError("wrong_type", "block_number is no integer or events no list")
        self.source_counts["blocks"] += 1
        self._check_block_number(number)
        records: list[Record] = []
        marks: dict[str, Record] = {}
        for account, told in events:
            self.source_counts["fills"] += 1
            if _SPOT.fullmatch(told["coin"]):
                self.notes["fills of spot markets: there is no position in them, no record"] += 1
                continue
            fill = self._fill(account, told, number)
            records += [*self._position_records(fill, told), fill]
            mark = (told.get("liquidation") or {}).get("markPx")
            if mark is not None:
                head = {"kind": "mark", "ts": fill["ts"], "symbol": fill["symbol"]}
                marks[told["coin"]] = {**head, "mark": mark}
        return [*marks.values(), *records]

    def finish(self) -> list[Batch]:
        """The tables' records, in the order of time."""
        return [batch for rows in self.tables.records() for batch in self.build_batches(rows)]

    def _check_block_number(self, number: int) -> None:
        if self._block is not None and number > self._block + 1:
            self.notes["blocks missing between those there"] += number - self._block - 1
        elif self._block is not None and number <= self._block:
            self.notes["blocks that do not come after the one before"] += 1
        self._block = number

    def _fill(self, user: str, told: dict[str, Any], number: int) -> Record:
        """One side of a trade; what is missing or wrong in it is refused by the contract."""
        coin, time, tid, oid = (told.get(name) for name in ("coin", "time", "tid", "oid"))
        dex, crossed = _DEX.fullmatch(str(coin)), told.get("crossed")
        return {
            "kind": "fill",
            "ts": time * MS if isinstance(time, int) else time,
            "seq": number,
            "symbol": coin,
            "account": f"{user}/{dex[1]}" if dex and isinstance(user, str) else user,
            "trade_id": None if tid is None else str(tid),
            "order_id": None if oid is None else str(oid),
            "side": _SIDES.get(told.get("side", ""), told.get("side")),
            "price": told.get("px"),
            "quantity": told.get("sz"),
            "fee": told.get("fee"),
            "liquidity": None if crossed is None else "taker" if crossed else "maker",
            "cause": self._cause(user, told),
        }

    def _cause(self, user: str, told: dict[str, Any]) -> str:
        if told.get("dir") == _DELEVERAGED:
            return "adl"
        by = told.get("liquidation")
        if not by or by["liquidatedUser"] != user:
            return "trade"
        if by["method"] not in _METHODS:
            self.notes[f"liquidations by {by['method']!r}: not known, taken as liquidation"] += 1
        return _METHODS.get(by["method"], "liquidation")

    def _position_records(self, fill: Record, told: dict[str, Any]) -> list[Record]:
        """A position record where the fills so far do not lead to the start that is told."""
        key = fill["account"], fill["symbol"]
        try:
            start = quantise(str(told["startPosition"]), SCALE)
            size = quantise(str(fill["quantity"]), SCALE)
            price = quantise(str(fill["price"]), SCALE)
        except (KeyError, PydanticCustomError):
            price = size = 0
        sound = isinstance(fill["ts"], int) and fill["side"] in _SIDES.values()
        if not sound or min(price, size) <= 0:
            # The next start will differ by what this fill was.
            self.notes["fills that cannot be read: the position is not moved by them"] += 1
            return []
        held = self._positions.get(key)
        self._positions[key] = start + (size if fill["side"] == "buy" else -size)
        more = start - (held or 0)
        if held is not None:
            if abs(more) <= 1 + (abs(start) >> _NOISE_BITS):
                self.notes["start positions that are as the fills before had left them"] += 1
                return []
            self.notes["start positions that differ from the fills before: set by a record"] += 1
        elif start == 0:
            self.notes["accounts first met in a market without a position there"] += 1
            return []
        else:
            self.notes["positions from before the recording: set by a record"] += 1
        return [
            {
                "kind": "reference",
                "ts": fill["ts"],
                "about": "position",
                "symbol": fill["symbol"],
                "account": fill["account"],
                "quantity": format_decimal(more, SCALE),
                "entry_price": format_decimal(self._entry_price(start, size, price, told), SCALE),
                "margin_mode": "cross",
            }
        ]

    def _entry_price(self, start: int, size: int, price: int, told: dict[str, Any]) -> int:
        """The average entry price (1e-8), from what a closing fill made; else the fill's price."""
        closed = min(abs(start), size)
        try:
            if closed and told.get("dir") in _CLOSES:
                made = quantise(str(told["closedPnl"]), SCALE) * SCALE // closed
                entry = price - made if start > 0 else price + made
                if entry > 0:
                    return entry
        except (KeyError, PydanticCustomError):
            pass
        words = "positions set by a record whose entry price is not told: at the fill's price"
        self.notes[words] += 1
        return price
