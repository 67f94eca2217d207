"""Where an account's equity came from: price, funding, fees and transfers, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple, Self

import numpy as np

from monitor.core.accounts.ledger import AccountLedger
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.decode.stepped_kernels import LIMB


class EquitySplit(NamedTuple):
    """Parts of an account's equity, or of what one position added to it, quote currency.

    `realised` and `unrealised`: profit by price moves, of what was closed and of what is open.
    `fees`: paid; negative where rebates were more. `transfers`: deposits less withdrawals.
    """

    realised: Fraction
    unrealised: Fraction
    funding: Fraction
    fees: Fraction
    transfers: Fraction

    @property
    def price(self) -> Fraction:
        return self.realised + self.unrealised

    @property
    def total(self) -> Fraction:
        return self.price + self.funding - self.fees + self.transfers

    @classmethod
    def of_position(cls, position: Mapping[str, int], mark: Fraction) -> Self:
        """What a position (`AccountLedger.position_values`) has added, at this mark; a flat one
        has given everything to its account."""
        quantity = position["quantity"]
        entry = position["entry"] if quantity > 0 else -position["entry"]
        worth = Fraction(quantity, LIMB) * mark
        realised, funding, fees = (
            Fraction(amount, MONEY_SCALE)
            for amount in (position["trade"] + entry, position["funding"], position["fees"])
        )
        return cls(realised, worth - Fraction(entry, MONEY_SCALE), funding, fees, Fraction(0))

    @classmethod
    def of_closed(cls, account: Mapping[str, int]) -> Self:
        """What closed positions left to an account (`AccountLedger.account_values`), and its
        transfers."""
        names = "trade", "funding", "fees", "transfers"
        trade, funding, fees, transfers = (Fraction(account[n], MONEY_SCALE) for n in names)
        return cls(trade, Fraction(0), funding, fees, transfers)

    @classmethod
    def sum(cls, parts: Iterable[Self]) -> Self:
        """All parts together."""
        return cls(*(sum(column, Fraction(0)) for column in zip(*parts, strict=True)))


def split_equity(ledger: AccountLedger, number: int, marks: Mapping[str, Fraction]) -> EquitySplit:
    """The parts of an account's equity at `marks` (by symbol).

    Raises KeyError when a market in which it has an open position has no mark.
    """
    account, symbol = ledger.row_owners()
    mine = np.flatnonzero(account == number)
    parts = [EquitySplit.of_closed(ledger.account_values(number))]
    for market, row in zip(ledger.symbols.names(symbol[mine]), mine.tolist(), strict=True):
        position = ledger.position_values(row)
        mark = marks[market] if position["quantity"] else Fraction(0)
        parts.append(EquitySplit.of_position(position, mark))
    return EquitySplit.sum(parts)
