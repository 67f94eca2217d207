"""The parts of an account's equity that do not depend on the order of entries, by its name."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from monitor.core.accounts.equity_split import split_equity
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE


class EquityParts(NamedTuple):
    """In 1e-6 of the quote currency, as the entries have them."""

    price: Fraction
    funding: Fraction
    fees: Fraction
    transfers: Fraction
    total: Fraction


def equity_parts(ledger: AccountLedger, name: str, marks: dict[str, int]) -> EquityParts:
    """Of the account `name` at `marks` (1e-8, by symbol)."""
    number = ledger.names.names(np.arange(len(ledger.names))).index(name)
    prices = {symbol: Fraction(mark, SCALE) for symbol, mark in marks.items()}
    split = split_equity(ledger, number, prices)
    parts = split.price, split.funding, split.fees, split.transfers, split.total
    return EquityParts(*(part * MONEY_SCALE for part in parts))
