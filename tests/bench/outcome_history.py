"""Plain bookkeeping of the liquidated accounts: their state before, and what contradicts it.

It shares no code with the rebuilt accounts (`monitor/core/accounts/ledger.py`), with whose equity
it is compared.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from monitor.core.contract import stepped
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.decode.batch import ABSENT, COLUMNS, Batch
from monitor.venues.hyperliquid.forced_fills import TableLiquidation
from monitor.venues.hyperliquid.tables import MAINTENANCE
from replay.day import Day

FEE = Fraction(25, 100_000)
"""The venue's published taker fee of 2023."""
HOUR_NS = 3600 * 10**9
_CAUSES = next(column.values for column in COLUMNS["fill"] if column.name == "cause")
_TRADE = _CAUSES.index("trade")
_ADJUSTED = next(c for c in COLUMNS["collateral"] if c.name == "cause").values.index("adjustment")
RATE = Fraction(MAINTENANCE)


@dataclass
class AccountBook:
    """Plain bookkeeping of one account, and what contradicts its rebuilt equity. Quote currency,
    exact; `holdings` in base units."""

    cash: Fraction = Fraction(0)
    holdings: dict[str, Fraction] = field(default_factory=dict)
    turnover: Fraction = Fraction(0)
    hours: Fraction = Fraction(0)
    """Notional × hours for which positions were open."""
    ts: int | None = None
    """Time of the last record."""
    old: bool = False
    contradiction: str = ""

    def value(self, last: dict[str, Fraction]) -> tuple[Fraction, Fraction]:
        """Equity and notional at the markets' last fills."""
        notional = sum((abs(q) * last[c] for c, q in self.holdings.items()), Fraction(0))
        return self.cash + sum(
            (q * last[c] for c, q in self.holdings.items()), Fraction(0)
        ), notional

    def advance_time(self, ts: int, last: dict[str, Fraction]) -> None:
        """Time passes with the positions as they are."""
        if self.holdings and self.ts is not None:
            self.hours += self.value(last)[1] * (ts - self.ts) / HOUR_NS
        self.ts = ts

    def copy(self, ts: int, last: dict[str, Fraction]) -> AccountBook:
        """A copy as of `ts`."""
        copy = dataclasses.replace(self, holdings=dict(self.holdings))
        copy.advance_time(ts, last)
        return copy

    def check(self, last: dict[str, Fraction], what: str) -> None:
        """Note a contradiction: the venue allowed `what`, yet the rebuilt equity is too low."""
        equity, notional = self.value(last)
        if not self.contradiction and equity + FEE * self.turnover < RATE * notional:
            self.contradiction = f"{what}, equity {float(equity):.2f}"


def records(day: Day) -> Iterator[tuple[int, int, Batch, int]]:
    """Moves and fills in the order of time, moves first: (ts, kind, batch, row)."""
    rows = []
    for batch in day.batches():
        if batch.kind in ("collateral", "fill"):
            first = int(batch.kind == "fill")
            rows += [(ts, first, batch, i) for i, ts in enumerate(batch.numbers["ts"].tolist())]
    rows.sort(key=lambda row: (row[0], row[1], row[2].offset[row[3]]))
    return iter(rows)


class History:
    """The records of the liquidated accounts in the order of time, and their books before each
    liquidation."""

    def __init__(self, reported: list[TableLiquidation]) -> None:
        self.books: dict[str, AccountBook] = {one.user: AccountBook() for one in reported}
        self.before: dict[tuple[int, str], AccountBook] = {}
        """The book at the beginning of a liquidation's second."""
        self.closed: dict[tuple[int, str], dict[str, Fraction]] = defaultdict(dict)
        """What was forced, by market: signed base units."""
        self.beside: Counter[tuple[int, str]] = Counter()
        """The account's other records in that second."""
        self.after: dict[tuple[int, str], str] = {}
        """What the account did next: "moved" money, or "traded"."""
        self._last: dict[str, Fraction] = {}
        self._forced: dict[str, int] = {}
        self._times = {(one.ts, one.user) for one in reported}

    def read(self, day: Day) -> None:
        """All moves and fills of the day."""
        names: dict[int, tuple[list[Any], list[Any]]] = {}
        for ts, is_fill, batch, row in records(day):
            if id(batch) not in names:
                names[id(batch)] = (
                    batch.texts["account"].to_strings(),
                    batch.texts["symbol"].to_strings(),
                )
            accounts, symbols = names[id(batch)]
            account, n = accounts[row], batch.numbers
            mine = self.books.get(account)
            if mine is not None:
                if (ts, account) in self._times and (ts, account) not in self.before:
                    self.before[ts, account] = mine.copy(ts, self._last)
                mine.advance_time(ts, self._last)
            cause = int(n["cause"][row])
            free = cause in (ABSENT, _TRADE) if is_fill else cause != _ADJUSTED
            if mine is not None and free:
                self.beside[ts, account] += (ts, account) in self._times
                at = self._forced.get(account, ts)
                if at < ts:
                    self.after.setdefault((at, account), "traded" if is_fill else "moved")
            if is_fill:
                price = stepped.exact(int(n["price"][row]))
                self._last[symbols[row]] = price
                if mine is not None:
                    signed = stepped.exact(int(n["side"][row]) * int(n["quantity"][row]))
                    self._fill(ts, account, symbols[row], signed, price, free)
            elif mine is not None:
                amount = Fraction(int(n["amount"][row]), MONEY_SCALE)
                self._move(ts, account, amount, cause)

    def _move(self, ts: int, account: str, amount: Fraction, cause: int) -> None:
        mine = self.books[account]
        if cause == _ADJUSTED:
            self.books[account] = AccountBook(
                cash=mine.cash + amount, holdings=mine.holdings, ts=ts
            )
            return
        mine.cash += amount
        mine.old |= not self._last
        if amount < 0:
            mine.check(self._last, "withdrew more than there was")

    def _fill(
        self, ts: int, account: str, symbol: str, signed: Fraction, price: Fraction, free: bool
    ) -> None:
        mine = self.books[account]
        was = mine.holdings.pop(symbol, Fraction(0))
        if was + signed:
            mine.holdings[symbol] = was + signed
        mine.cash -= signed * price
        mine.turnover += abs(signed) * price
        if not free:
            self._forced[account] = ts
            closed = self.closed[ts, account]
            closed[symbol] = closed.get(symbol, Fraction(0)) + signed
        elif abs(was + signed) > abs(was):
            mine.check(self._last, "opened below maintenance")
