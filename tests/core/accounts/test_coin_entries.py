"""What the ledger adds up of contracts that settle in coin is what they are worth in it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from monitor.core.accounts.coin_entries import CoinEntries, owner_name
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_kernels import (
    ACCOUNT,
    ENTRY_COLUMNS,
    FILL,
    FILL_FEE,
    FILL_PRICE,
    FILL_QUANTITY,
    OFFSET,
    OP,
    TS,
)
from monitor.core.contract import stepped
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.decode.batch import TextColumn
from monitor.core.margin.contract_types import INVERSE, QUANTO, SETTLEMENT_UNITS, Contract

COINS = Fraction(1, MONEY_SCALE * SETTLEMENT_UNITS)
"""The unit of a wallet's money."""


def fills(contracts: np.ndarray, prices: list[str], contract: Contract) -> np.ndarray:
    """Fills of account 0 in symbol 0, in base units of 8 decimals."""
    entries = np.zeros((len(contracts), len(ENTRY_COLUMNS)), np.int64)
    entries[:, OP], entries[:, FILL_FEE] = FILL, 3
    entries[:, TS] = entries[:, OFFSET] = np.arange(len(contracts))
    for i, (n, price) in enumerate(zip(contracts.tolist(), prices, strict=True)):
        base = float(n * contract.size) / (float(price) if contract.type == INVERSE else 1.0)
        entries[i, FILL_QUANTITY] = stepped.quantise(f"{base:.8f}", stepped.PLAIN)
        entries[i, FILL_PRICE] = stepped.quantise(price)
    return entries


@pytest.mark.parametrize(
    "contract",
    [Contract(INVERSE, Fraction(100), None, "BTC"), Contract(INVERSE, Fraction(1), None, "BTC"),
     Contract(QUANTO, Fraction(1), Fraction("0.000001"), "XBT")],
)  # fmt: skip
def test_position_and_money_are_those_of_the_contracts(contract: Contract) -> None:
    rng = np.random.default_rng(5)
    ledger = AccountLedger(10, 10, 10**18)
    ledger.names.intern(TextColumn.from_strings(["someone"]))
    ledger.symbols.intern(TextColumn.from_strings(["M"]))
    coin = CoinEntries(ledger)
    assert coin.accept("M", contract)
    contracts = rng.integers(1, 5_000, 60) * rng.choice([-1, 1], 60)
    prices = [f"{p:.1f}" for p in rng.uniform(20_000, 90_000, 60)]
    read = fills(contracts, prices, contract)
    converted = coin.convert(read)
    ledger.apply_entries(converted, read)
    (name,) = ledger.names.names(converted[:1, ACCOUNT])
    assert (name, owner_name(name)) == (f"someone {contract.settles_in}", "someone")
    (row,) = (ledger.position_values(r) for r in range(len(ledger.position_rows)))
    account = ledger.account_values(int(converted[0, ACCOUNT]))
    inverse = contract.type == INVERSE
    net = int(contracts.sum()) * contract.units * (-1 if inverse else SETTLEMENT_UNITS)
    assert Fraction(row["quantity"], 10**8) == net
    flow = sum(
        n * contract.units * (1 / Fraction(p) if inverse else -Fraction(p))
        for n, p in zip(contracts.tolist(), prices, strict=True)
    )
    cash = (row["trade"] + account["trade"]) * COINS
    # Each fill is rounded to the unit; a price of 1/x has 18 decimals.
    assert abs(cash - flow) <= 61 * COINS
    assert (row["fees"] + account["fees"]) * COINS == Fraction(60 * 3, MONEY_SCALE)
    assert ledger.fills_by_cause[0, 0] == 60


def test_a_market_that_has_entries_keeps_what_it_is() -> None:
    ledger = AccountLedger(10, 10, 10**18)
    ledger.names.intern(TextColumn.from_strings(["someone"]))
    ledger.symbols.intern(TextColumn.from_strings(["M"]))
    coin = CoinEntries(ledger)
    one, other = (Contract(INVERSE, Fraction(size), None, "BTC") for size in (1, 10))
    assert coin.accept("M", one)
    assert coin.accept("M", other)
    ledger.apply_entries(coin.convert(fills(np.array([5]), ["100"], other)))
    assert coin.accept("M", other)
    assert not coin.accept("M", one)
    assert not coin.accept("M", other)
    again = CoinEntries(ledger)
    again.restore(coin.snapshot())
    assert again.contracts == coin.contracts == {"M": other}
    assert not again.accept("M", other)
