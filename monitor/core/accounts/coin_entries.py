"""Entries of markets that settle in coin, as the ledger counts them.

An inverse contract is linear in 1/price: a long of Q (quote currency) is −Q units at 1/price, and
what it earns is coin. A quanto contract is linear in the price, and each unit earns its multiplier.
So the ledger adds both up as it does all others, in an account of their currency: venues keep a
wallet for each. It is interned under the account's name, a space (which no name has) and the
currency. Such an account counts in `SETTLEMENT_UNITS` of the coin, so that its money stands at
1e-8.

What a contract is must be there before the first entry of its market: what was added up in quote
currency cannot be taken apart again. Then the market is left out for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Float64, Int64
from monitor.core.accounts import ledger_kernels as columns
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_kernels import symbol_of
from monitor.core.contract.stepped import FINE, PLAIN
from monitor.core.decode.batch import TextColumn
from monitor.core.decode.stepped_kernels import from_floats, to_floats
from monitor.core.margin.contract_types import INVERSE, SETTLEMENT_UNITS, Contract

_MONEY_MAX = 9 * 10**16
"""1e-6 of a coin: 90 billion coins, beyond which the units of the accounts leave 64 bits."""


def owner_name(name: str) -> str:
    """The account whose wallet is interned as `name`."""
    return name.partition(" ")[0]


class CoinEntries(Stateful):
    """Which markets of `ledger` settle in coin. Keeps nothing of single entries."""

    STATE = ("_terms", "_refused")

    def __init__(self, ledger: AccountLedger) -> None:
        self._ledger = ledger
        self._terms: dict[str, list[str]] = {}
        self._refused: list[str] = []
        self.contracts: dict[str, Contract] = {}
        """By market; those in quote currency are not among them."""

    def accept(self, symbol: str, contract: Contract | None) -> bool:
        """Whether entries of the market count by this contract from now on (None: it is in quote
        currency). False: some were counted by another one. A contract that does not say its
        currency has one of its own."""
        if symbol in self._refused:
            return False
        if contract is not None and contract.settles_in is None:
            contract = replace(contract, settles_in=symbol)
        if self.contracts.get(symbol) == contract:
            return True
        if self._has_entries(symbol):
            self._refused.append(symbol)
            return False
        self._terms.pop(symbol, None)
        if contract is not None:
            numbers = contract.size, contract.multiplier or 0
            currency = contract.settles_in or ""
            self._terms[symbol] = [contract.type, *map(str, numbers), currency]
        self._read_terms()
        return True

    def _has_entries(self, symbol: str) -> bool:
        (number,) = self._ledger.symbols.intern(TextColumn.from_strings([symbol]))
        return bool((symbol_of(self._ledger.keys) == number).any())

    def _read_terms(self) -> None:
        self.contracts = {
            symbol: Contract(kind, Fraction(size), Fraction(multiplier) or None, currency)
            for symbol, (kind, size, multiplier, currency) in self._terms.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._read_terms()

    def _rows_by_contract(self, entries: Int64) -> list[tuple[Int64, Contract]]:
        """The rows of each market that settles in coin."""
        if not self.contracts or not len(entries):
            return []
        names = TextColumn.from_strings(list(self.contracts))
        contracts: Mapping[int, Contract] = dict(
            zip(self._ledger.symbols.intern(names).tolist(), self.contracts.values(), strict=True)
        )
        symbols = entries[:, columns.SYMBOL]
        return [
            (np.flatnonzero(symbols == number), contracts[number])
            for number in np.unique(symbols).tolist()
            if number in contracts
        ]

    def convert(self, entries: Int64) -> Int64:
        """Entries as they were read (`ENTRY_COLUMNS`) as the ledger counts them; the same array
        where none of them settles in coin."""
        rows_by_contract = self._rows_by_contract(entries)
        if not rows_by_contract:
            return entries
        out = entries.copy()
        for rows, contract in rows_by_contract:
            out[rows, columns.ACCOUNT] = self._wallets(
                entries[rows, columns.ACCOUNT], contract.settles_in or ""
            )
            op = entries[rows, columns.OP]
            sized = rows[(op == columns.FILL) | (op == columns.POSITION)]
            out[sized, columns.FILL_FEE] = _in_units(entries[sized, columns.FILL_FEE])
            _convert_sizes(out, sized, contract)
            moves = rows[op == columns.MOVE]
            out[moves, columns.MOVE_AMOUNT] = _in_units(entries[moves, columns.MOVE_AMOUNT])
        return out

    def _wallets(self, accounts: Int64, currency: str) -> Int64:
        """The numbers of the wallets of accounts in a currency."""
        unique, place = np.unique(accounts, return_inverse=True)
        names = self._ledger.names
        wallets: list[str | None] = [f"{name} {currency}" for name in names.names(unique)]
        numbers: Int64 = names.intern(TextColumn.from_strings(wallets))[place]
        return numbers

    def restate(
        self, entries: Int64, converted: Int64, effects: Int64, mark: Float64
    ) -> tuple[Int64, Int64]:
        """Entries as they were read and their effects (`EFFECT_COLUMNS`) in base units and quote
        currency, for those who compare markets. `mark`: by symbol number, NaN: not known.
        """
        entries, effects = entries.copy(), effects.copy()
        for rows, contract in self._rows_by_contract(entries):
            price = np.nan_to_num(mark[entries[rows, columns.SYMBOL]])
            op, inverse = entries[rows, columns.OP], contract.type == INVERSE
            fills, writes = rows[op == columns.FILL], rows[op == columns.LEVERAGE]
            before, after = (
                to_floats(np.abs(part[fills, columns.FILL_QUANTITY]))
                for part in (entries, converted)
            )
            scale = np.divide(before, after, out=np.zeros(len(fills)), where=after > 0.0)
            for column in (columns.OPENED_SIZE, columns.CLOSED_SIZE):
                sizes = to_floats(effects[fills, column]) * scale
                effects[fills, column] = from_floats(sizes, PLAIN)
            effects[fills, columns.GAIN] //= SETTLEMENT_UNITS
            base = np.full(len(writes), float(contract.size / contract.units) / SETTLEMENT_UNITS)
            if inverse:
                now = price[op == columns.LEVERAGE]
                base = np.divide(1.0, now, out=np.zeros(len(writes)), where=now > 0.0)
            sizes = to_floats(effects[writes, columns.OPEN_SIZE]) * base
            effects[writes, columns.OPEN_SIZE] = from_floats(sizes, PLAIN)
            if inverse:
                moves, coin = rows[op == columns.MOVE], price[op == columns.MOVE]
                amounts = entries[moves, columns.MOVE_AMOUNT] * coin
                entries[moves, columns.MOVE_AMOUNT] = np.clip(amounts, -1e18, 1e18).astype(np.int64)
        return entries, effects


def _in_units(money: Int64) -> Int64:
    return np.clip(money, -_MONEY_MAX, _MONEY_MAX) * SETTLEMENT_UNITS


def _convert_sizes(out: Int64, rows: Int64, contract: Contract) -> None:
    """Quantity and price of these rows in the coordinate of their contract."""
    quantity = out[rows, columns.FILL_QUANTITY]
    sign, base = np.sign(quantity), to_floats(np.abs(quantity))
    price = to_floats(out[rows, columns.FILL_PRICE])
    if contract.type == INVERSE:
        # Base units are rounded to the grid; contracts are whole.
        size = float(contract.size)
        units, sign = np.rint(base * price / size) * size, -sign
        out[rows, columns.FILL_PRICE] = from_floats(SETTLEMENT_UNITS / price, FINE)
    else:
        units = base * float(contract.units / contract.size * SETTLEMENT_UNITS)
    out[rows, columns.FILL_QUANTITY] = sign * from_floats(units, PLAIN)
