"""Hyperliquid's tables of 2023: fills, ledger updates and liquidations, each a CSV.

Rows are held until all files are read, then told in the order of time; within one second (the
tables' resolution) ledger updates come first, then fills in their table's order. Fees, funding and
marks are not in the tables, nor which fills were forced, but each liquidation tells the notional N
and the account value A at the mark, and the venue closes at the price that leaves the account
nothing: mark · (1 − A/N) for a long, mark · (1 + A/N) for a short. So those fills of the account in
that second whose marks, taken back so, make up N are the forced ones, and the marks become mark
records. A cross account that is flat after it is worth 0: what the rebuilt one has more or less
(fees, funding, moves that the tables lack) is taken away by an adjustment just after. That a
position was isolated is told with its liquidation alone, and its margin nowhere: a reference of
quantity 0 says the mode, so that it is counted as isolated, and not predicted.

Every market of that time had 50x and maintenance of half the initial margin: 1 % of notional.
Source: hyperliquid.gitbook.io, margining, liquidations (2023).
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE, format_decimal, quantise
from monitor.venues.base import OptionError, Record, UnreadableError

HEADERS = {
    "fill": ("time", "user", "coin", "side", "px", "sz", "crossed"),
    "collateral": ("time", "user", "delta_usd"),
    "liquidation": (
        "time", "user", "liquidated_ntl_pos", "liquidated_account_value", "leverage_type",
    ),
}  # fmt: skip
MAINTENANCE = "0.01"
NOTIONAL_TOLERANCE = Fraction(1, 10_000)
"""Marks taken back from a price of five digits make up N to within 1 bp."""
BATCH_ROWS = 65_536
_SIDES = {"Bid": "buy", "Ask": "sell", "B": "buy", "A": "sell"}
_NAMES = {"fill": "trades", "collateral": "ledger updates", "liquidation": "liquidations"}
_E10 = 10**10
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)?", re.ASCII)
LineRecord = tuple[bytes, Record]
"""A line and a record that it makes."""


def iso_ns(text: str) -> int:
    """A UTC time as `2023-02-27T15:02:26Z`, with up to nine decimals, in ns since 1970.

    >>> iso_ns("2025-10-27T16:59:59.797563798")
    1761584399797563798
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise UnreadableError("wrong_type", "no UTC time as 2023-02-27T15:02:26Z")
    at = datetime.fromisoformat(f"{found[1]}T{found[2]}").replace(tzinfo=UTC)
    return int(at.timestamp()) * 10**9 + int((found[3] or "0").ljust(9, "0"))


@dataclass(slots=True)
class LedgerUpdate:
    """A ledger update; `amount` 1e-6."""

    ts: int
    raw: bytes
    record: Record
    amount: int


@dataclass(slots=True)
class Trade:
    """A fill; `price`, `signed_quantity` 1e-8."""

    ts: int
    raw: bytes
    record: Record
    price: int
    signed_quantity: int

    @property
    def cash(self) -> int:
        """What it brought the account, 1e-6."""
        value = self.price * abs(self.signed_quantity) // _E10
        return -value if self.signed_quantity > 0 else value


@dataclass(slots=True)
class TableLiquidation:
    """A liquidation as the venue told it: notional and account value, 1e-6."""

    ts: int
    raw: bytes
    user: str
    notional: int
    value: int
    cross: bool

    def closing_mark(self, trade: Trade) -> Fraction:
        """The mark (1e-8) at which the venue closed at this trade's price."""
        share = Fraction(self.value, self.notional)
        return trade.price / (1 + share if trade.signed_quantity > 0 else 1 - share)

    def is_closed_by(self, trades: list[Trade]) -> bool:
        """Whether these trades are the close of just this notional."""
        if abs(self.value) >= self.notional:
            return False
        total = (
            sum((abs(t.signed_quantity) * self.closing_mark(t) for t in trades), Fraction(0)) / _E10
        )
        return abs(total / self.notional - 1) <= NOTIONAL_TOLERANCE


def _event_ts(row: LedgerUpdate | Trade | TableLiquidation) -> int:
    return row.ts


class HyperliquidTables:
    """Reads rows and holds them; `records` gives all of them in the order of time."""

    def __init__(
        self, options: Mapping[str, str], source: Counter[str], notes: Counter[str]
    ) -> None:
        self._maintenance_rate = options.get("maintenance", MAINTENANCE)
        try:
            rate = Fraction(self._maintenance_rate)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not 0 < rate < Fraction(1, 2):
            raise OptionError(
                f"maintenance={self._maintenance_rate}: give a fraction of notional, as 0.01"
            )
        words = options.get("account_values", "use")
        if words not in ("use", "leave"):
            raise OptionError(f"account_values={words}: it is use or leave")
        self._initial_rate = str(float(2 * rate))
        self._use_account_values = words == "use"
        self._source, self._notes = source, notes
        self.table: str | None = None
        self._columns: list[str] = []
        self._ledger_updates: list[LedgerUpdate] = []
        self._trades: list[Trade] = []
        self.liquidations: list[TableLiquidation] = []

    def begin_file(self) -> None:
        """Another file begins: its first line is to say which table it is."""
        self.table, self._columns = None, []

    @property
    def kind(self) -> str | None:
        """The kind of record that the present table's rows make."""
        return "fill" if self.table == "liquidation" else self.table

    def add_line(self, raw: bytes) -> None:
        """A header or a row. Raises `UnreadableError` and what `LineAdapter.add_line` may."""
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
            told = f"{len(cells)} cells under {len(self._columns)} names"
            raise UnreadableError("missing_field", told)
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
        price, size = quantise(row["px"], SCALE), quantise(row["sz"], SCALE)
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
        forced = TableLiquidation(ts, raw, row["user"], notional, value, mode == "cross")
        self.liquidations.append(forced)

    def records(self) -> Iterator[list[LineRecord]]:
        """All records in the order of time, in parts."""
        tables: list[tuple[str, list[Any]]] = [
            ("fill", self._trades),
            ("collateral", self._ledger_updates),
            ("liquidation", self.liquidations),
        ]
        for table, rows in tables:
            back = sum(after.ts < before.ts for before, after in pairwise(rows))
            self._notes[f"{_NAMES[table]} before an earlier one: put in the order of time"] += back
            rows.sort(key=_event_ts)
        marks, adjusted = self._match_liquidations()
        moves = [(move.raw, move.record) for move in self._ledger_updates]
        fills = [(trade.raw, trade.record) for trade in self._trades]
        told = [*self._market_rules(), *moves, *adjusted, *marks, *fills]
        told.sort(key=lambda one: one[1]["ts"])
        for low in range(0, len(told), BATCH_ROWS):
            yield told[low : low + BATCH_ROWS]

    def _market_rules(self) -> list[LineRecord]:
        """The rules of each market, as of its first fill."""
        tier = {
            "lower_bound": "0",
            "maintenance_rate": self._maintenance_rate,
            "initial_rate": self._initial_rate,
        }
        first: dict[str, Trade] = {}
        for trade in self._trades:
            first.setdefault(trade.record["symbol"], trade)
        words = f"markets given the venue's rule of the time: maintenance {self._maintenance_rate} of notional"
        self._notes[words] += len(first)
        head = {"kind": "reference", "about": "market", "regime": "hyperliquid", "tiers": [tier]}
        return [(t.raw, {**head, "ts": t.ts, "symbol": coin}) for coin, t in first.items()]

    def _match_liquidations(self) -> tuple[list[LineRecord], list[LineRecord]]:
        """Mark the forced fills; the marks and the adjustments that the liquidations tell."""
        by_user: dict[str, list[Trade]] = defaultdict(list)
        moved: dict[str, list[LedgerUpdate]] = defaultdict(list)
        wanted = {forced.user for forced in self.liquidations}
        for trade in self._trades:
            if trade.record["account"] in wanted:
                by_user[trade.record["account"]].append(trade)
        for move in self._ledger_updates:
            moved[move.record["account"]].append(move)
        marks: list[LineRecord] = []
        adjusted: list[LineRecord] = []
        taken: Counter[str] = Counter()
        isolated: set[tuple[str, str]] = set()
        for forced in self.liquidations:
            trades = by_user[forced.user]
            made = _find_forced_fills(forced, trades)
            if not made:
                self._notes["liquidations whose fills are not in the tables: no record"] += 1
                continue
            self._notes["liquidations whose fills are recognised"] += 1
            by_coin = {trade.record["symbol"]: trade for trade in made}
            for trade in made:
                trade.record["cause"] = "liquidation"
            for coin, trade in by_coin.items():
                told = format_decimal(round(forced.closing_mark(trade)), SCALE)
                marks.append((forced.raw, _mark_record(forced.ts, coin, told)))
                if not forced.cross or (forced.user, coin) in isolated:
                    marks.append((forced.raw, _mode_record(forced, trade)))
                    isolated.add((forced.user, coin))
            if forced.cross and self._use_account_values:
                left = self._remaining_cash(forced, trades, moved[forced.user])
                if left is None:
                    words = "cross liquidations that leave positions: account value not used"
                    self._notes[words] += 1
                elif left - taken[forced.user]:
                    amount = taken[forced.user] - left
                    taken[forced.user] += -amount
                    adjusted.append((forced.raw, _adjustment_record(forced, amount)))
        words = "accounts set to be worth nothing after their cross liquidation, by an adjustment"
        self._notes[words] += len(adjusted)
        return marks, adjusted

    def _remaining_cash(
        self, forced: TableLiquidation, trades: list[Trade], moves: list[LedgerUpdate]
    ) -> int | None:
        """What the account has (1e-6) after the liquidation by the tables; None: positions too."""
        held: Counter[str] = Counter()
        for trade in trades:
            if trade.ts <= forced.ts:
                held[trade.record["symbol"]] += trade.signed_quantity
        if any(held.values()):
            return None
        cash = sum(trade.cash for trade in trades if trade.ts <= forced.ts)
        return cash + sum(move.amount for move in moves if move.ts <= forced.ts)


def _find_forced_fills(forced: TableLiquidation, trades: list[Trade]) -> list[Trade]:
    """The account's fills in that second that make up the notional: all, else one market's."""
    then = [trade for trade in trades if trade.ts == forced.ts]
    choices: list[list[Trade]] = [then]
    for coin in dict.fromkeys(trade.record["symbol"] for trade in then):
        choices.append([trade for trade in then if trade.record["symbol"] == coin])
    return next((made for made in choices if made and forced.is_closed_by(made)), [])


def _mark_record(ts: int, coin: str, price: str) -> dict[str, Any]:
    return {"kind": "mark", "ts": ts, "symbol": coin, "mark": price}


def _mode_record(forced: TableLiquidation, trade: Trade) -> dict[str, Any]:
    """The margin mode in which a position stood when it was liquidated; it changes nothing else."""
    return {
        "kind": "reference",
        "about": "position",
        "ts": forced.ts,
        "symbol": trade.record["symbol"],
        "account": forced.user,
        "quantity": "0",
        "entry_price": trade.record["price"],
        "margin_mode": "cross" if forced.cross else "isolated",
    }


def _adjustment_record(forced: TableLiquidation, amount: int) -> dict[str, Any]:
    return {
        "kind": "collateral",
        "ts": forced.ts + 1,
        "account": forced.user,
        "amount": format_decimal(amount, MONEY_SCALE),
        "cause": "adjustment",
    }
