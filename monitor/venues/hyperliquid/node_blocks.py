"""The blocks of a Hyperliquid node: a JSON object each, with the fills of all accounts.

Each fill becomes one side of a trade, with the account's fee and what forced it. It carries the
position before it (startPosition). For an account seen first in a market this becomes a position
record, as cross, because the mode is not in the feed. Afterwards it is compared with the fills so
far; where it differs (a gap in the recording) a position record sets the difference, and a note
counts it. A liquidation carries the venue's mark, which becomes a mark record. Spot fills make no
record: they change no position. Markets of other dexes (`dex:COIN`) have collateral of their own,
so their accounts are named `user/dex`. Deposits and transfers are not in these files.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from pydantic_core import PydanticCustomError

from monitor.core.contract.fixed_point import SCALE, format_decimal
from monitor.core.contract.stepped import ONE, PLAIN, count
from monitor.venues.parse import Record, UnreadableError, integer, milliseconds, read_json

SIDES = {"B": "buy", "A": "sell"}
_METHODS = {"market": "liquidation", "backstop": "backstop"}
_DELEVERAGED = "Auto-Deleveraging"
_CLOSES = ("Close Long", "Close Short", "Long > Short", "Short > Long")
_NOISE_BITS = 50
"""The node computes positions as doubles: digits beyond the 50th binary one are rounding noise."""
_DEX = re.compile(r"([^:]+):.+")
_SPOT = re.compile(r"@\d+|.+/.+")


class NodeBlocks:
    """Parses blocks; keeps the position of every account in every market."""

    def __init__(self, source: Counter[str], notes: Counter[str], left_out: Counter[str]) -> None:
        self._source, self._notes, self._left_out = source, notes, left_out
        self._positions: dict[tuple[str, str], int] = {}
        self._block: int | None = None
        """The number of the block before."""

    def parse(self, raw: bytes) -> list[Record]:
        """The records of a block: marks, then positions and fills."""
        block = read_json(raw)
        number, events = integer(block["block_number"], "block_number"), block["events"]
        if not isinstance(events, list):
            raise UnreadableError("wrong_type", "events: no list")
        self._source["blocks"] += 1
        if self._block is not None and number > self._block + 1:
            self._notes["blocks missing between those there"] += number - self._block - 1
        elif self._block is not None and number <= self._block:
            self._notes["blocks that do not come after the one before"] += 1
        self._block = number
        records: list[Record] = []
        marks: dict[str, Record] = {}
        for account, d in events:
            self._source["fills"] += 1
            if _SPOT.fullmatch(d["coin"]):
                self._left_out["fills of spot markets, which have no positions"] += 1
                continue
            fill = self._fill(account, d, number)
            records += [*self._position_records(fill, d), fill]
            mark = (d.get("liquidation") or {}).get("markPx")
            if mark is not None:
                head = {"kind": "mark", "ts": fill["ts"], "symbol": fill["symbol"]}
                marks[d["coin"]] = {**head, "mark": mark}
        return [*marks.values(), *records]

    def _fill(self, user: str, d: dict[str, Any], number: int) -> Record:
        """One side of a trade. The contract refuses it where a field is missing or wrong."""
        coin, time, tid, oid = (d.get(name) for name in ("coin", "time", "tid", "oid"))
        dex, crossed = _DEX.fullmatch(str(coin)), d.get("crossed")
        return {
            "kind": "fill",
            "ts": milliseconds(time) if isinstance(time, int) else time,
            "seq": number,
            "symbol": coin,
            "account": f"{user}/{dex[1]}" if dex and isinstance(user, str) else user,
            "trade_id": None if tid is None else str(tid),
            "order_id": None if oid is None else str(oid),
            "side": SIDES.get(d.get("side", ""), d.get("side")),
            "price": d.get("px"),
            "quantity": d.get("sz"),
            "fee": d.get("fee"),
            "liquidity": None if crossed is None else "taker" if crossed else "maker",
            "cause": self._cause(user, d),
        }

    def _cause(self, user: str, d: dict[str, Any]) -> str:
        if d.get("dir") == _DELEVERAGED:
            return "adl"
        by = d.get("liquidation")
        if not by or by["liquidatedUser"] != user:
            return "trade"
        if by["method"] not in _METHODS:
            self._notes["liquidations by another method than market and backstop"] += 1
        return _METHODS.get(by["method"], "liquidation")

    def _position_records(self, fill: Record, d: dict[str, Any]) -> list[Record]:
        """A position record where the fills so far do not add up to the fill's start position."""
        key = fill["account"], fill["symbol"]
        try:
            start = count(str(d["startPosition"]), PLAIN)
            size = count(str(fill["quantity"]), PLAIN)
            price = count(str(fill["price"]))
        except (KeyError, PydanticCustomError):
            price = size = 0
        valid = isinstance(fill["ts"], int) and fill["side"] in SIDES.values()
        if not valid or min(price, size) <= 0:
            # The start of the account's next fill will differ by this fill.
            self._notes["fills that cannot be read: the position is not moved by them"] += 1
            return []
        before = self._positions.get(key)
        self._positions[key] = start + (size if fill["side"] == "buy" else -size)
        more = start - (before or 0)
        if before is not None:
            if abs(more) <= ONE // SCALE + (abs(start) >> _NOISE_BITS):
                self._notes["start positions that are as the fills before had left them"] += 1
                return []
            self._notes["start positions that differ from the fills before: set by a record"] += 1
        elif start == 0:
            self._notes["accounts first met in a market without a position there"] += 1
            return []
        else:
            self._notes["positions from before the recording: set by a record"] += 1
        return [
            {
                "kind": "reference",
                "ts": fill["ts"],
                "about": "position",
                "symbol": fill["symbol"],
                "account": fill["account"],
                "quantity": format_decimal(more, ONE),
                "entry_price": format_decimal(self._entry_price(start, size, price, d), ONE),
                "margin_mode": "cross",
            }
        ]

    def _entry_price(self, start: int, size: int, price: int, d: dict[str, Any]) -> int:
        """The average entry price (1e-18), from the profit of a closing fill; else its price."""
        closed = min(abs(start), size)
        try:
            if closed and d.get("dir") in _CLOSES:
                profit = count(str(d["closedPnl"])) * ONE // closed
                entry = price - profit if start > 0 else price + profit
                if entry > 0:
                    return entry
        except (KeyError, PydanticCustomError):
            pass
        note = "positions set by a record whose entry price is not told: at the fill's price"
        self._notes[note] += 1
        return price
