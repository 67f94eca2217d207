"""Which fills of Hyperliquid's 2023 tables were forced, and the marks and balances that follow.

The tables have neither marks nor the cause of a fill. But each liquidation has the position's
notional N and the account value A, both at the mark, and the venue closes at the price that leaves
the account nothing: mark · (1 − A/N) for a long, mark · (1 + A/N) for a short. So each fill of the
account in that second implies a mark; where quantity times implied mark adds up to N, these fills
are the forced ones, and the implied marks become mark records.

A worked example. Account 0xa deposits 8 and buys 40 SOL at 10. A liquidation has N = 396 and A = 4,
and in its second 0xa sells 40 SOL at 9.8. A/N = 4/396, so the implied mark is
9.8 / (1 − 4/396) = 9.9, and 40 · 9.9 = 396 = N: this fill was forced, at a mark of 9.9.

>>> sale = Trade(0, b"", {"symbol": "SOL"}, 98 * ONE // 10, -40 * ONE)
>>> liquidation = TableLiquidation(0, b"", "0xa", 396_000000, 4_000000, True)
>>> float(liquidation.implied_mark(sale) / ONE)
9.9
>>> find_forced_fills(liquidation, [sale]) == [sale]
True

A cross account without a position afterwards is worth 0. By its rows it has 8 − 40 · (10 − 9.8) = 0
here. Where the rows add up to more or less (fees, funding and some transfers are not in the
tables), an adjustment just after the liquidation removes the difference. The tables show that a
position was isolated only by its liquidation, and never its margin: a position record of quantity 0
sets the mode, so that the liquidation is counted as isolated, without a prediction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction

from monitor.core.contract.fixed_point import MONEY_SCALE, format_decimal
from monitor.core.contract.stepped import ONE
from monitor.venues.parse import Record

NOTIONAL_TOLERANCE = Fraction(1, 10_000)
"""Prices have five digits, so that quantity times implied mark meets N to within 1 bp."""
_CASH_DIVISOR = ONE * ONE // MONEY_SCALE
"""Price (1e-18) times quantity (1e-18) over this is an amount in 1e-6."""
LineRecord = tuple[bytes, Record]
"""A line and a record that it makes."""


@dataclass(slots=True)
class LedgerUpdate:
    """A deposit or withdrawal; `amount` 1e-6."""

    ts: int
    raw: bytes
    record: Record
    amount: int


@dataclass(slots=True)
class Trade:
    """A fill; `price` and `signed_quantity` (a purchase is above 0) 1e-18."""

    ts: int
    raw: bytes
    record: Record
    price: int
    signed_quantity: int

    @property
    def cash(self) -> int:
        """What the account received (negative: paid), 1e-6."""
        value = self.price * abs(self.signed_quantity) // _CASH_DIVISOR
        return -value if self.signed_quantity > 0 else value


@dataclass(slots=True)
class TableLiquidation:
    """A row of the table of liquidations: notional and account value at the mark, 1e-6."""

    ts: int
    raw: bytes
    user: str
    notional: int
    value: int
    cross: bool

    def implied_mark(self, trade: Trade) -> Fraction:
        """The mark (1e-18) at which the venue closes at this trade's price."""
        share = Fraction(self.value, self.notional)
        return trade.price / (1 + share if trade.signed_quantity > 0 else 1 - share)

    def is_closed_by(self, trades: list[Trade]) -> bool:
        """Whether the trades, at their implied marks, add up to the notional."""
        if abs(self.value) >= self.notional:
            return False
        terms = (abs(t.signed_quantity) * self.implied_mark(t) for t in trades)
        total = sum(terms, Fraction(0)) / _CASH_DIVISOR
        return abs(total / self.notional - 1) <= NOTIONAL_TOLERANCE


def find_forced_fills(liquidation: TableLiquidation, trades: list[Trade]) -> list[Trade]:
    """The account's fills in that second that add up to the notional: all, else one market's."""
    same_second = [trade for trade in trades if trade.ts == liquidation.ts]
    choices = [same_second]
    for coin in dict.fromkeys(trade.record["symbol"] for trade in same_second):
        choices.append([trade for trade in same_second if trade.record["symbol"] == coin])
    return next((fills for fills in choices if fills and liquidation.is_closed_by(fills)), [])


class LiquidationMatcher:
    """Matches liquidations with fills, in the order of time; fills `marks` and `adjustments`."""

    def __init__(
        self, trades: list[Trade], updates: list[LedgerUpdate], users: set[str], notes: Counter[str]
    ) -> None:
        self._trades: dict[str, list[Trade]] = defaultdict(list)
        self._updates: dict[str, list[LedgerUpdate]] = defaultdict(list)
        for trade in trades:
            if trade.record["account"] in users:
                self._trades[trade.record["account"]].append(trade)
        for update in updates:
            self._updates[update.record["account"]].append(update)
        self._notes = notes
        self._adjusted: Counter[str] = Counter()
        """Sum of the adjustments of an account so far, 1e-6."""
        self._isolated: set[tuple[str, str]] = set()
        """Accounts and markets with a position record as isolated."""
        self.marks: list[LineRecord] = []
        """Marks, and the margin modes of the liquidated positions."""
        self.adjustments: list[LineRecord] = []

    def match(self, liquidation: TableLiquidation, adjust: bool) -> None:
        """Set the cause of its fills; `adjust`: set the account's value by an adjustment."""
        fills = find_forced_fills(liquidation, self._trades[liquidation.user])
        if not fills:
            self._notes["liquidations whose fills are not in the tables: no record"] += 1
            return
        self._notes["liquidations whose fills are recognised"] += 1
        for trade in fills:
            trade.record["cause"] = "liquidation"
        for coin, trade in {trade.record["symbol"]: trade for trade in fills}.items():
            price = format_decimal(round(liquidation.implied_mark(trade)), ONE)
            mark = {"kind": "mark", "ts": liquidation.ts, "symbol": coin, "mark": price}
            self.marks.append((liquidation.raw, mark))
            key = liquidation.user, coin
            if not liquidation.cross or key in self._isolated:
                # A position record of quantity 0 sets the margin mode and nothing else.
                mode = {
                    "kind": "reference",
                    "about": "position",
                    "ts": liquidation.ts,
                    "symbol": coin,
                    "account": liquidation.user,
                    "quantity": "0",
                    "entry_price": trade.record["price"],
                    "margin_mode": "cross" if liquidation.cross else "isolated",
                }
                self.marks.append((liquidation.raw, mode))
                self._isolated.add(key)
        if liquidation.cross and adjust:
            self._adjust(liquidation)

    def _adjust(self, liquidation: TableLiquidation) -> None:
        """Take from the account the cash that by its rows is left after the liquidation."""
        user = liquidation.user
        trades = [trade for trade in self._trades[user] if trade.ts <= liquidation.ts]
        positions: Counter[str] = Counter()
        for trade in trades:
            positions[trade.record["symbol"]] += trade.signed_quantity
        if any(positions.values()):
            self._notes["cross liquidations that leave positions: account value not used"] += 1
            return
        updates = (update for update in self._updates[user] if update.ts <= liquidation.ts)
        cash = sum(trade.cash for trade in trades) + sum(update.amount for update in updates)
        amount = -(cash + self._adjusted[user])
        if amount:
            self._adjusted[user] += amount
            adjustment = {
                "kind": "collateral",
                "ts": liquidation.ts + 1,
                "account": user,
                "amount": format_decimal(amount, MONEY_SCALE),
                "cause": "adjustment",
            }
            self.adjustments.append((liquidation.raw, adjustment))
