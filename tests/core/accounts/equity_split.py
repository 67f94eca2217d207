"""Where an account's equity came from, by the rows of the ledger: the theorem that it is exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.core.accounts.ledger import AccountLedger
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE


@dataclass(frozen=True, slots=True)
class EquitySplit:
    """Parts of an account's equity, 1e-6 of the quote currency."""

    price: int
    """Profit by price moves, open positions at the marks given."""
    funding: int
    fees: int
    """Paid; negative where rebates were more."""
    transfers: int

    @property
    def equity(self) -> int:
        return self.price + self.funding - self.fees + self.transfers


def split_equity(ledger: AccountLedger, name: str, marks: dict[str, int]) -> EquitySplit:
    """The parts of an account's equity at `marks` (1e-8, by symbol); money rounded down.

    Raises KeyError when a market in which it has an open position has no mark.
    """
    number = ledger.names.names(np.arange(len(ledger.names))).index(name)
    account, symbol = ledger.row_owners()
    mine = np.flatnonzero(account == number)
    own = ledger.account_values(number)
    trade, fees, funding, transfers = (own[n] for n in ("trade", "fees", "funding", "transfers"))
    for market, row in zip(ledger.symbols.names(symbol[mine]), mine.tolist(), strict=True):
        position = ledger.position_values(row)
        trade += position["trade"]
        fees += position["fees"]
        funding += position["funding"]
        if position["quantity"]:
            trade += position["quantity"] * marks[market] // (SCALE**2 // MONEY_SCALE)
    return EquitySplit(trade, funding, fees, transfers)
