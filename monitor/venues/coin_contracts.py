"""Binance COIN-M: quantities in contracts of a fixed amount of USD become base units.

Base units are contracts × size / price. The size is 100 USD for BTC and 10 for others, unless the
user gives it. Every payload of COIN-M that has quantities names its pair (`ps`; `pair` in a
snapshot), and so do the names of its markets. A reference record says what the contract is before
the first record of a market.

Source: Binance, "COIN-M futures contract specifications" and "Coin-margined futures, web socket
streams", read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any

from pydantic_core import PydanticCustomError

from monitor.core.margin.contract_types import INVERSE, Contract
from monitor.venues.adapter import OptionError
from monitor.venues.parse import Record, UnreadableError, decimal

_DIGITS = Context(prec=18)
_VENUE = "binance"


class CoinContracts:
    """Knows by market whether quantities are contracts, and of how many USD.

    `size`: USD a contract as the user gives it; None: the venue's own. Raises `OptionError`.
    """

    def __init__(self, size: str | None) -> None:
        if size is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", size, re.ASCII):
            raise OptionError(f"contract_size={size}: whole USD a contract, as 100")
        self._given = size
        self._sizes: dict[str, Decimal | None] = {}
        """USD a contract, by market; None: quantities are base units (USD-M)."""

    def convert(self, payload: Mapping[str, Any], records: list[Record]) -> list[Record]:
        """The records of a payload in base units, after the reference of a market that is new."""
        complete = []
        for record in records:
            symbol = record["symbol"]
            if symbol not in self._sizes:
                contract = _coin_contract(symbol, payload.get("ps", payload.get("pair")))
                self._sizes[symbol] = None
                if contract is not None:
                    size = self._given or str(contract.size)
                    self._sizes[symbol] = Decimal(size)
                    complete.append(_reference(record["ts"], symbol, contract, size))
            size_usd = self._sizes[symbol]
            complete.append(record if size_usd is None else _in_base_units(record, size_usd))
        return complete


def _coin_contract(symbol: str, pair: object) -> Contract | None:
    """The contract of a COIN-M market; None: it is one of USD-M."""
    for name in (symbol, f"{pair}_PERP"):
        contract = Contract.at_venue(_VENUE, name)
        if contract is not None and contract.type == INVERSE:
            return contract
    return None


def _reference(ts: int, symbol: str, contract: Contract, size: str) -> Record:
    terms = {"type": contract.type, "size": size, "settles_in": contract.settles_in}
    return {"kind": "reference", "about": "market", "ts": ts, "symbol": symbol, "contract": terms}


def _in_base_units(record: Record, size_usd: Decimal) -> Record:
    """The record with its contracts as base units."""

    def base_units(price: str, contracts: str) -> str:
        try:
            usd = _DIGITS.multiply(decimal(contracts), size_usd)
            return str(_DIGITS.divide(usd, decimal(price)))
        except (UnreadableError, PydanticCustomError, ArithmeticError):
            return contracts  # The record is refused for the price or quantity that it has.

    if record["kind"] == "book":
        for side in ("bids", "asks"):
            record[side] = [(price, base_units(price, level)) for price, level in record[side]]
    elif "quantity" in record:
        record["quantity"] = base_units(record["price"], record["quantity"])
    return record
