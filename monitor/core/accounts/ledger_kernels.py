"""The compiled loops of `ledger.py`: entries into rows, and one hash of all rows.

An entry is a row of integers (`ENTRY_COLUMNS`), whatever kind of record it came from. Quantities and prices
are in 1e-8, money in 1e-6.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types, uint64

from detectors.arrays.types import I2 as I64_2
from detectors.arrays.types import RI1 as R64
from detectors.arrays.types import U1 as U64
from monitor.core.decode.batch import ABSENT
from monitor.core.tables.hash_table import mix
from monitor.core.windows.accumulators import notional

ENTRY_COLUMNS = ("ts", "op", "partition", "offset", "account", "symbol", "a", "b", "c", "d", "e")
"""What is applied, in the order of its first four columns. `a` … `e` by `op`:

POSITION: signed quantity, entry price, isolated margin, leverage, mode
LEVERAGE: leverage, mode, the leverage before as told (`ABSENT`: not told)
MOVE: amount, cause
FILL: signed quantity, price, fee, cause
"""
POSITION, LEVERAGE, MOVE, FILL = range(4)

EFFECT_COLUMNS = ("opened", "closed", "gain", "held", "before", "leverage")
"""What an entry did to its position. FILL: the quantity that it opened and closed, and what the
closed part had gained (1e-6). LEVERAGE: the quantity held, and the leverage before (0: not known).
Both: the leverage afterwards."""

POSITION_COLUMNS = (
    "quantity", "entry", "trade", "fees", "funding", "isolated", "leverage", "mode", "ts",
)  # fmt: skip
"""A position: signed quantity; entry value of what is open; cash from trading; fees paid; funding
got; margin put aside for it; leverage (0: not known) and mode by the last write; last event time.
"""
ACCOUNT_COLUMNS = ("trade", "fees", "funding", "transfers", "open", "ts")
"""An account: what its closed positions left, transfers, how many positions are open."""
DEPOSIT, WITHDRAWAL, MARGIN_IN, MARGIN_OUT, FUNDING, REBATE, ADJUSTMENT = range(7)
"""Causes of a collateral record, in the contract's order."""
ISOLATED = 1

_QUANTITY, _ENTRY, _TRADE, _FEES, _FUNDING, _ISOLATED, _LEVERAGE, _MODE, _TS = range(
    len(POSITION_COLUMNS)
)
_A_TRADE, _A_FEES, _A_FUNDING, _A_TRANSFERS, _A_OPEN, _A_TS = range(len(ACCOUNT_COLUMNS))
_OPENED_SIZE, _CLOSED_SIZE, _GAIN, _OPEN_SIZE, _BEFORE, _AFTER = range(len(EFFECT_COLUMNS))
_OP_AT, _ACCOUNT_AT, _SYMBOL_AT, _A, _B, _C, _D, _E = 1, 4, 5, 6, 7, 8, 9, 10


@njit(inline="always")
def _entry_value_share(entry, held, closed):  # type: ignore[no-untyped-def]
    """The part of an entry value that belongs to so much of what is held."""
    return np.int64(np.rint(float(entry) * float(closed) / float(abs(held))))


@njit(inline="always")
def _change_position(row, account, signed, price):  # type: ignore[no-untyped-def]
    """Change the position by `signed` at `price`; what a flat one leaves goes to the account."""
    held, size = row[_QUANTITY], abs(signed)
    value = notional(price, size)
    row[_TRADE] += -value if signed > 0 else value
    row[_QUANTITY] = held + signed
    if held == 0 or (held > 0) == (signed > 0):
        row[_ENTRY] += value
    elif size < abs(held):
        row[_ENTRY] -= _entry_value_share(row[_ENTRY], held, size)
    else:
        row[_ENTRY] = notional(price, size - abs(held))
    now = row[_QUANTITY]
    account[_A_OPEN] += np.int64(now != 0) - np.int64(held != 0)
    return value


@njit(inline="always")
def _settle_flat_position(row, account):  # type: ignore[no-untyped-def]
    account[_A_TRADE] += row[_TRADE]
    account[_A_FEES] += row[_FEES]
    account[_A_FUNDING] += row[_FUNDING]
    row[_TRADE] = row[_FEES] = row[_FUNDING] = row[_ISOLATED] = row[_ENTRY] = 0


@njit(inline="always")
def _note_fill(row, signed, price, out):  # type: ignore[no-untyped-def]
    """What a fill is about to do to a position, into a row of `EFFECT_COLUMNS`."""
    held, size = row[_QUANTITY], abs(signed)
    out[_AFTER] = row[_LEVERAGE]
    if held == 0 or (held > 0) == (signed > 0):
        out[_OPENED_SIZE] = size
        return
    closed = min(size, abs(held))
    gain = notional(price, closed) - _entry_value_share(row[_ENTRY], held, closed)
    out[_OPENED_SIZE], out[_CLOSED_SIZE] = size - closed, closed
    out[_GAIN] = gain if held > 0 else -gain


@njit(types.void(I64_2, R64, I64_2, I64_2, I64_2, I64_2), cache=True, nogil=True)
def apply_entries(entries, rows, data, accounts, forced, moved):  # type: ignore[no-untyped-def]
    """Apply entries in their order; `rows[i]` is the place of entry i's position, −1 for none.

    `forced`: (causes + 1, 2), count and notional of fills by cause, the last row without one.
    `moved`: (n, `EFFECT_COLUMNS`), of zeros; filled in.
    """
    for i in range(entries.shape[0]):
        entry = entries[i]
        op, r = entry[_OP_AT], rows[i]
        account = accounts[entry[_ACCOUNT_AT]]
        account[_A_TS] = entry[0]
        if op == MOVE:
            amount, cause = entry[_A], entry[_B]
            if cause in (MARGIN_IN, MARGIN_OUT):
                if r >= 0:
                    # The cause says which way: venues differ in whose sign they write.
                    data[r, _ISOLATED] += abs(amount) if cause == MARGIN_IN else -abs(amount)
            elif cause == FUNDING:
                if r >= 0 and data[r, _QUANTITY] != 0:
                    data[r, _FUNDING] += amount
                else:
                    account[_A_FUNDING] += amount
            elif cause == REBATE:
                account[_A_FEES] -= amount
            else:
                account[_A_TRANSFERS] += amount
            if r >= 0:
                data[r, _TS] = entry[0]
            continue
        row = data[r]
        row[_TS] = entry[0]
        out = moved[i]
        if op == LEVERAGE:
            out[_OPEN_SIZE] = abs(row[_QUANTITY])
            out[_BEFORE] = row[_LEVERAGE] if entry[_C] == ABSENT else entry[_C]
            row[_LEVERAGE], row[_MODE] = entry[_A], entry[_B]
            out[_AFTER] = row[_LEVERAGE]
            continue
        if entry[_A] != 0:
            if op == FILL:
                _note_fill(row, entry[_A], entry[_B], out)
            value = _change_position(row, account, entry[_A], entry[_B])
            if op == FILL:
                cause = entry[_D] if entry[_D] >= 0 else forced.shape[0] - 1
                forced[cause, 0] += 1
                forced[cause, 1] += value
        if op == FILL:
            row[_FEES] += entry[_C]
        else:
            row[_ISOLATED] += entry[_C]
            account[_A_TRANSFERS] += entry[_C]
            row[_MODE] = entry[_E]
            if entry[_D] != ABSENT:
                row[_LEVERAGE] = entry[_D]
        if row[_QUANTITY] == 0:
            _settle_flat_position(row, account)


_R64_2 = types.Array(types.int64, 2, "C", readonly=True)
_RU64 = types.Array(types.uint64, 1, "C", readonly=True)


@njit(types.void(_RU64, _R64_2, U64), cache=True, nogil=True)
def hash_rows(names, data, out):  # type: ignore[no-untyped-def]
    """One hash for each row, of its name's hash and its numbers; their sum hangs on no order."""
    for i in range(data.shape[0]):
        h = mix(names[i])
        for j in range(data.shape[1]):
            h = mix(h ^ uint64(data[i, j])) + uint64(j)
        out[i] = h
