"""dYdX v4: the full-node order stream, decoded to JSON lines.

`taker` (an order arrives) and `place` (it rests) → order, one where the stream has both of the same
order; `remove` → cancel, with the quantity left; a finalised `match` → a fill for each side;
`fill_amount` updates the quantity left of an order. The stream has a match up to three times: twice
optimistically (when the node matches, and again when it prepares the next state) and once finalised
in a block (`exec_mode` 7). Only the finalised one becomes fills; the others are counted.

Sources: docs.dydx.xyz, full node streaming; v4-chain `indexer/shared/removal_reason.proto`,
`clob/matches.proto`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from monitor.core.contract.fixed_point import format_decimal
from monitor.core.contract.stepped import ONE, PLAIN, count
from monitor.venues.adapter import LineAdapter
from monitor.venues.parse import (
    OPPOSITE_SIDE,
    Record,
    UnreadableError,
    epoch_ns,
    milliseconds,
    read_json,
)

FINALISED = 7
"""The value of `exec_mode` for what a block has committed."""
_FILLED = 3
"""The value of `removal_status` for an order that was filled entirely."""

# OrderRemovalReason; the contract has no reason for 0 (unspecified) and 12 (fully filled).
_REASONS = {
    1: "expired",
    2: "user",
    3: "venue",  # undercollateralised
    4: "venue",  # internal error
    5: "self_trade",
    6: "post_only",
    7: "venue",  # immediate-or-cancel would rest
    8: "venue",  # fill-or-kill could not be filled
    9: "venue",  # reduce-only resize
    10: "expired",  # by the indexer's reckoning
    11: "user",  # replaced
    13: "venue",  # equity tier
    14: "venue",  # final settlement
    15: "venue",  # isolated sub-account constraints
    16: "venue",  # replay of operations
}
_CAUSES = {
    "match_orders": "trade",
    "match_perpetual_liquidation": "liquidation",
    "match_perpetual_deleveraging": "adl",
}
_KIND = re.compile(rb'"kind": ?"(place|taker|remove|match)"')
_TIME = re.compile(rb'"ts_ms": ?([0-9]{13})\b')
_KIND_OF_EVENT = {b"place": "order", b"taker": "order", b"remove": "cancel", b"match": "fill"}


@dataclass(slots=True)
class _DydxOrder:
    """An order in the book. Numbers stay as written: they may be beyond the contract's range."""

    side: str
    price: Any
    size: Any
    placed_ts: int | None
    """None for an order of a snapshot: it was placed before the recording."""
    filled: Any = "0"
    arrived: bool = False
    """Whether only its arrival was read, and not yet that it rests."""

    def is_same(self, other: _DydxOrder) -> bool:
        """Whether the other says the same of the same order."""
        mine, its = (self.side, self.price, self.size), (other.side, other.price, other.size)
        return mine == its


def _account(d: dict[str, Any]) -> str:
    return f"{d['owner']}/{d['sub']}"


def _order_id(d: dict[str, Any]) -> str:
    return f"{d['owner']}/{d['sub']}/{d['client_id']}/{d['flags']}/{d['pair']}"


def _unfilled_quantity(order: _DydxOrder) -> str | None:
    """The quantity left; None where it is beyond the contract's range, as the order was."""
    try:
        left = count(str(order.size), PLAIN) - count(str(order.filled), PLAIN)
    except PydanticCustomError:
        return None
    return format_decimal(max(left, 0), ONE)


class Dydx(LineAdapter):
    """Keeps the open orders, at most as many as the venue's book has."""

    NAME = "dydx"

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options)
        self._open_orders: dict[str, _DydxOrder] = {}

    def line_time(self, raw: bytes) -> int | None:
        match = _TIME.search(raw)
        return epoch_ns(match[1].decode()) if match else None

    def guess_kind(self, raw: bytes) -> str | None:
        match = _KIND.search(raw)
        return _KIND_OF_EVENT[match[1]] if match else None

    def parse_line(self, raw: bytes) -> list[Record]:
        d = read_json(raw)
        kind = d["kind"]
        name = self.count_source(kind)
        if kind in ("place", "taker"):
            return self._order(d)
        if kind == "remove":
            return [self._cancel(d)]
        if kind == "match":
            return self._fills(d)
        if kind == "fill_amount":
            self._fill_amount(d)
        else:
            self.left_out[f"of the kind {name}, which is not needed"] += 1
        return []

    def _order(self, d: dict[str, Any]) -> list[Record]:
        key, ts = _order_id(d), milliseconds(d["ts_ms"])
        before, side = self._open_orders.get(key), d["side"].lower()
        snapshot = bool(d.get("snapshot"))
        if snapshot:
            self.notes["orders of a snapshot, resting before the record began"] += 1
        placed = ts if not snapshot else before.placed_ts if before else None
        filled = before.filled if before else "0"
        order = _DydxOrder(side, d["price"], d["size"], placed, filled, d["kind"] == "taker")
        if before is not None and before.arrived and before.is_same(order):
            before.arrived = order.arrived
            self.left_out["of orders that came as `taker` already: one order"] += 1
            return []
        self._open_orders[key] = order
        return [{
            "kind": "order",
            "ts": ts,
            "symbol": d["pair"],
            "order_id": key,
            "account": _account(d),
            "side": side,
            "price": d["price"],
            "quantity": d["size"],
            "action": "replace" if before else "new",
            "replaces": key if before else None,
            "reduce_only": d.get("reduce_only"),
        }]  # fmt: skip

    def _cancel(self, d: dict[str, Any]) -> Record:
        key, ts = _order_id(d), milliseconds(d["ts_ms"])
        record = {
            "kind": "cancel",
            "ts": ts,
            "symbol": d["pair"],
            "order_id": key,
            "account": _account(d),
            "reason": _REASONS.get(d.get("reason", 0)),
        }
        order = self._open_orders.pop(key, None)
        if order is None:
            self.notes["removals of orders that were not seen open"] += 1
            return record
        return record | {
            "side": order.side,
            "price": order.price,
            "quantity": "0" if d.get("removal_status") == _FILLED else _unfilled_quantity(order),
            "placed_ts": order.placed_ts,
        }

    def _fill_amount(self, d: dict[str, Any]) -> None:
        order = self._open_orders.get(_order_id(d))
        if order is not None:
            order.filled = d["total_filled"]

    def _fills(self, d: dict[str, Any]) -> list[Record]:
        if d.get("exec_mode", FINALISED) != FINALISED:
            self.left_out["optimistic matches, whose fills count when finalised"] += 1
            return []
        ts, cause = milliseconds(d["ts_ms"]), _CAUSES.get(d["match"])
        if cause is None:
            raise UnreadableError("bad_value", f"match: {ascii(d['match'])[:60]}")
        orders = {_order_id(o): o for o in d.get("orders", ())}
        taker = d.get("taker") or d.get("liquidated")
        records = []
        for fill in d["fills"]:
            maker = fill["maker"]
            order, resting = orders.get(_order_id(maker)), self._open_orders.get(_order_id(maker))
            if order:
                side, price = order["side"].lower(), order["price"]
            elif resting:
                side, price = resting.side, resting.price
            else:
                raise UnreadableError("missing_field", "orders: the maker's price is not told")
            parties = [(maker, side, "maker", "trade")]
            if taker:
                parties.append((taker, OPPOSITE_SIDE.get(side, side), "taker", cause))
            # A liquidated account has no order of its own.
            records += [
                {
                    "kind": "fill",
                    "ts": ts,
                    "symbol": maker["pair"],
                    "price": price,
                    "quantity": fill["size"],
                    "order_id": _order_id(who) if "client_id" in who else None,
                    "account": _account(who),
                    "side": its_side,
                    "liquidity": liquidity,
                    "cause": its_cause,
                }
                for who, its_side, liquidity, its_cause in parties
            ]
        return records
