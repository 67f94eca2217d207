"""Hyperliquid's tables of 2023: fills, ledger updates and liquidations, each a CSV.

Rows are kept until all files are read, and become records in the order of time. Times have whole
seconds; within a second ledger updates come first, then fills in the order of their table. The
tables have no fees, no funding and no marks, nor which fills were forced: `forced_fills.py` infers
the forced fills and the marks.

Every market of that time had 50x and maintenance of half the initial margin: 1 % of notional.
Source: hyperliquid.gitbook.io, margining, liquidations (2023).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from operator import attrgetter
from typing import Any

from pydantic_core import PydanticCustomError

from monitor.core.contract.fixed_point import MONEY_SCALE, quantise, read_decimal
from monitor.core.contract.stepped import PLAIN, count
from monitor.core.contract.units import SECOND_NS
from monitor.venues.adapter import OptionError
from monitor.venues.hyperliquid.forced_fills import (
    LedgerUpdate,
    LineRecord,
    LiquidationMatcher,
    TableLiquidation,
    Trade,
)
from monitor.venues.hyperliquid.node_blocks import SIDES
from monitor.venues.parse import UnreadableError

HEADERS = {
    "fill": ("time", "user", "coin", "side", "px", "sz", "crossed"),
    "collateral": ("time", "user", "delta_usd"),
    "liquidation": (
        "time", "user", "liquidated_ntl_pos", "liquidated_account_value", "leverage_type",
    ),
}  # fmt: skip
MAINTENANCE = "0.01"
_SIDES = {**SIDES, "Bid": "buy", "Ask": "sell"}
_NAMES = {"fill": "trades", "collateral": "ledger updates", "liquidation": "liquidations"}
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)?", re.ASCII)


def iso_ns(text: str) -> int:
    """A UTC time such as `2023-02-27T15:02:26Z`, with up to nine decimals, in ns since 1970.

    >>> iso_ns("2025-10-27T16:59:59.797563798")
    1761584399797563798
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise UnreadableError("wrong_type", "no UTC time as 2023-02-27T15:02:26Z")
    at = datetime.fromisoformat(f"{match[1]}T{match[2]}").replace(tzinfo=UTC)
    return int(at.timestamp()) * SECOND_NS + int((match[3] or "0").ljust(9, "0"))


class HyperliquidTables:
    """Keeps the rows of all tables until `records`."""

    def __init__(
        self, options: Mapping[str, str], source: Counter[str], notes: Counter[str]
    ) -> None:
        self._maintenance_rate = options.get("maintenance", MAINTENANCE)
        try:
            rate = Fraction(read_decimal(self._maintenance_rate))
        except PydanticCustomError:
            rate = Fraction(0)
        if not 0 < rate < Fraction(1, 2):
            raise OptionError(
                f"maintenance={self._maintenance_rate}: give a fraction of notional, as 0.01"
            )
        account_values = options.get("account_values", "use")
        if account_values not in ("use", "leave"):
            raise OptionError(f"account_values={account_values}: it is use or leave")
        self._initial_rate = str(float(2 * rate))
        self._use_account_values = account_values == "use"
        self._source, self._notes = source, notes
        self.table: str | None = None
        self._columns: list[str] = []
        self._ledger_updates: list[LedgerUpdate] = []
        self._trades: list[Trade] = []
        self.liquidations: list[TableLiquidation] = []

    def begin_file(self) -> None:
        """Another file follows; its first line says which table it is."""
        self.table, self._columns = None, []

    @property
    def kind(self) -> str | None:
        """The kind of record that a row of the current table makes."""
        return "fill" if self.table == "liquidation" else self.table

    def add_line(self, raw: bytes) -> None:
        """Take a header or a row. Raises what `LineAdapter.parse_line` may."""
        try:
            (cells,) = csv.reader([raw.decode()], strict=True)
        except csv.Error as error:
            raise UnreadableError("wrong_type", f"no row of a table: {error}") from None
        for table, names in HEADERS.items():
            if set(names) <= set(cells):
                self.table, self._columns = table, cells
                return
        if self.table is None:
            raise UnreadableError("missing_field", "neither a block nor a table with its header")
        if len(cells) != len(self._columns):
            detail = f"{len(cells)} cells under {len(self._columns)} names"
            raise UnreadableError("missing_field", detail)
        self._source[_NAMES[self.table]] += 1
        row = dict(zip(self._columns, cells, strict=True))
        {
            "fill": self._add_trade,
            "collateral": self._add_ledger_update,
            "liquidation": self._add_liquidation,
        }[self.table](raw, row)

    def _add_trade(self, raw: bytes, row: dict[str, str]) -> None:
        ts, side = iso_ns(row["time"]), _SIDES.get(row["side"])
        if side is None:
            raise UnreadableError("bad_value", f"side {row['side']!a}: not Bid or Ask")
        if row["crossed"] not in ("true", "false"):
            raise UnreadableError("bad_value", f"crossed {row['crossed']!a}: not true or false")
        price, size = count(row["px"]), count(row["sz"], PLAIN)
        if price <= 0 or size <= 0:
            raise UnreadableError("out_of_range", "price and size are above 0")
        record = {
            "kind": "fill",
            "ts": ts,
            "symbol": row["coin"],
            "account": row["user"],
            "side": side,
            "price": row["px"],
            "quantity": row["sz"],
            "liquidity": "taker" if row["crossed"] == "true" else "maker",
            "cause": "trade",
        }
        self._trades.append(Trade(ts, raw, record, price, size if side == "buy" else -size))

    def _add_ledger_update(self, raw: bytes, row: dict[str, str]) -> None:
        ts, amount = iso_ns(row["time"]), quantise(row["delta_usd"], MONEY_SCALE)
        record = {
            "kind": "collateral",
            "ts": ts,
            "account": row["user"],
            "amount": row["delta_usd"],
            "cause": "deposit" if amount >= 0 else "withdrawal",
        }
        self._ledger_updates.append(LedgerUpdate(ts, raw, record, amount))

    def _add_liquidation(self, raw: bytes, row: dict[str, str]) -> None:
        ts, mode = iso_ns(row["time"]), row["leverage_type"].lower()
        if mode not in ("cross", "isolated"):
            raise UnreadableError("bad_value", "leverage_type: not Cross or Isolated")
        notional = quantise(row["liquidated_ntl_pos"], MONEY_SCALE)
        value = quantise(row["liquidated_account_value"], MONEY_SCALE)
        if notional <= 0:
            raise UnreadableError("out_of_range", "liquidated_ntl_pos is above 0")
        liquidation = TableLiquidation(ts, raw, row["user"], notional, value, mode == "cross")
        self.liquidations.append(liquidation)

    def records(self) -> list[LineRecord]:
        """All records with their lines, in the order of time."""
        tables: list[tuple[str, list[Any]]] = [
            ("fill", self._trades),
            ("collateral", self._ledger_updates),
            ("liquidation", self.liquidations),
        ]
        for table, rows in tables:
            back = sum(after.ts < before.ts for before, after in pairwise(rows))
            self._notes[f"{_NAMES[table]} before an earlier one: put in the order of time"] += back
            rows.sort(key=attrgetter("ts"))
        users = {liquidation.user for liquidation in self.liquidations}
        matcher = LiquidationMatcher(self._trades, self._ledger_updates, users, self._notes)
        for liquidation in self.liquidations:
            matcher.match(liquidation, adjust=self._use_account_values)
        note = "accounts set to be worth nothing after their cross liquidation, by an adjustment"
        self._notes[note] += len(matcher.adjustments)
        updates = [(update.raw, update.record) for update in self._ledger_updates]
        fills = [(trade.raw, trade.record) for trade in self._trades]
        records = [*self._market_rules(), *updates, *matcher.adjustments, *matcher.marks, *fills]
        return sorted(records, key=lambda pair: pair[1]["ts"])

    def _market_rules(self) -> list[LineRecord]:
        """The rules of each market, at the time of its first fill."""
        tier = {
            "lower_bound": "0",
            "maintenance_rate": self._maintenance_rate,
            "initial_rate": self._initial_rate,
        }
        first: dict[str, Trade] = {}
        for trade in self._trades:
            first.setdefault(trade.record["symbol"], trade)
        rule = f"maintenance {self._maintenance_rate} of notional"
        self._notes[f"markets given the venue's rule of the time: {rule}"] += len(first)
        head = {"kind": "reference", "about": "market", "regime": "hyperliquid", "tiers": [tier]}
        return [(t.raw, {**head, "ts": t.ts, "symbol": coin}) for coin, t in first.items()]
