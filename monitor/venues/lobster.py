"""LOBSTER message files: Nasdaq order by order, `time,type,order id,size,price,direction` a line.

Types: 1 new order → order; 2 partial and 3 entire cancellation → cancel, with the shares removed;
4 execution of a visible and 5 of a hidden order → the taker's fill; 6 (auction) and 7 (halt) are
noted. Prices are dollars × 10,000. The direction is that of the resting order. There are no
accounts.

Times are seconds after midnight in New York. The date and the symbol come from the options or from
the path (`AAPL_2012-06-21_…_message_50.csv`, `…aapl-2012-06-21/…`). The file does not name its time
zone: unless the option utc_offset_h is given (-4 in summer), New York's clock is taken for UTC, and
a note says so.

Source: lobsterdata.com, "Data structure".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from monitor.core.contract.units import SECOND_NS
from monitor.venues.adapter import LineAdapter, OpenOrder, OptionError
from monitor.venues.parse import OPPOSITE_SIDE, Record, UnreadableError

DATE = "2000-01-03"
"""The date where neither an option nor the path has one."""
SYMBOL = "LOBSTER"
"""The symbol where neither an option nor the path has one."""
_HOUR_NS = 3600 * SECOND_NS
_KINDS = {b"1": "order", b"2": "cancel", b"3": "cancel", b"4": "fill", b"5": "fill"}
_TIME = re.compile(r"[0-9]{1,5}(\.[0-9]{1,12})?", re.ASCII)
_NAME = re.compile(r"(?:([A-Z][A-Za-z0-9.]{0,9})_|([a-z]{1,6})-)?([0-9]{4}-[0-9]{2}-[0-9]{2})")


class Lobster(LineAdapter):
    """Keeps the time when each open order was placed."""

    NAME = "lobster"
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "date": "the day, YYYY-MM-DD, where the path does not name it",
        "symbol": "the stock, where the path does not name it",
        "utc_offset_h": "hours from UTC to the file's clock (-4: New York in summer)",
    }

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options)
        self._open_orders: dict[bytes, OpenOrder] = {}
        hours = self.options.get("utc_offset_h", "0")
        if "utc_offset_h" not in self.options:
            self.notes["times are the file's clock (New York) written as if it were UTC"] = 1
        if not re.fullmatch(r"[+-]?1?[0-9]", hours):
            raise OptionError(f"utc_offset_h={hours}: whole hours, as -4")
        self._offset_ns = int(hours) * _HOUR_NS
        self._symbol = self.options.get("symbol", SYMBOL)
        self._midnight = self._parse_midnight(self.options.get("date", DATE))
        self._undated: set[str] = set()
        """Files whose path has no date."""

    def _parse_midnight(self, text: str) -> int:
        try:
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise OptionError(f"date={text}: a day as 2012-06-21") from None
        return int(day.timestamp()) * SECOND_NS - self._offset_ns

    def begin_file(self, file: str) -> None:
        names = list(_NAME.finditer(file))
        dates = [m[3] for m in names]
        symbols = [(m[1] or m[2]).upper() for m in names if m[1] or m[2]]
        if "date" not in self.options:
            self._midnight = self._parse_midnight(dates[-1] if dates else DATE)
            if not dates:
                self._undated.add(file)
                self.notes[f"no date is named: {DATE} stands for it"] = len(self._undated)
        if "symbol" not in self.options:
            self._symbol = symbols[-1] if symbols else SYMBOL

    def line_time(self, raw: bytes) -> int | None:
        try:
            return self._ts(raw.partition(b",")[0].strip().decode())
        except (UnreadableError, UnicodeDecodeError):
            return None

    def guess_kind(self, raw: bytes) -> str | None:
        fields = raw.split(b",", 2)
        return _KINDS.get(fields[1].strip()) if len(fields) > 1 else None

    def parse_line(self, raw: bytes) -> list[Record]:
        fields = [f.strip() for f in raw.split(b",")]
        if len(fields) < 6:
            raise UnreadableError("missing_field", f"{len(fields)} fields where 6 belong")
        time, code, key, size, price, direction = fields[:6]
        name = self.count_source(code.decode())
        if not code.isdigit():
            raise UnreadableError("bad_value", "type: no number")
        if code not in _KINDS:
            kinds = {b"6": "auctions (type 6)", b"7": "trading halts and resumptions (type 7)"}
            self.left_out[kinds.get(code, f"of the unknown type {name}")] += 1
            return []
        ts = self._ts(time.decode())
        if direction not in (b"1", b"-1"):
            raise UnreadableError("bad_value", "direction is 1 or -1")
        resting = "buy" if direction == b"1" else "sell"
        record = {
            "kind": _KINDS[code],
            "ts": ts,
            "symbol": self._symbol,
            "order_id": key.decode(),
            "price": _dollars(price.decode()),
            "quantity": size.decode(),
            "side": resting,
        }
        shares = int(size)
        if code == b"1":
            self._open_orders[key] = OpenOrder(ts, shares)
            return [record | {"action": "new"}]
        if order := self._open_orders.get(key):
            order.left -= shares
            if code == b"3" or order.left <= 0:
                del self._open_orders[key]
        if code in (b"2", b"3"):
            return [record | {"placed_ts": order.placed_ts if order else None}]
        # The id is that of the resting order; the file does not have the taker's.
        taker = {"order_id": None, "side": OPPOSITE_SIDE[resting], "liquidity": "taker"}
        return [record | taker | {"cause": "trade"}]

    def _ts(self, text: str) -> int:
        if not _TIME.fullmatch(text):
            raise UnreadableError("wrong_type", "no time in seconds after midnight")
        seconds, _, rest = text.partition(".")
        return self._midnight + int(seconds) * SECOND_NS + int(rest[:9].ljust(9, "0"))


def _dollars(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,12}", text, re.ASCII):
        raise UnreadableError("wrong_type", "price: no whole number of 1/10,000 dollar")
    return f"{int(text) // 10_000}.{int(text) % 10_000:04d}"
