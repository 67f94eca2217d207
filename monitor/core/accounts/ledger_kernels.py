"""The rows of the ledger and the compiled loops over them.

An entry is a row of integers, whatever kind of record it came from; it changes one position and its
account. Quantities and prices of entries are codes of stepped decimals, money is in 1e-6, times in
ns. A position is a sum of quantities, so it has two limbs: see
`monitor/core/decode/stepped_kernels.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types, uint64
from numba.extending import register_jitable

from detectors.arrays.types import I2, RI1, RI2, RU1, U1
from monitor.core.contract.stepped import PLAIN
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import (
    add_to_limbs,
    limbs_to_e8,
    sign_of_limbs,
    size_of_limbs,
    to_float_at,
)
from monitor.core.tables.hash_table import mix
from monitor.core.windows.accumulators import notional

ENTRY_COLUMNS = ("ts", "op", "partition", "offset", "account", "symbol", "a", "b", "c", "d", "e")
"""Entries are applied in the order of the first four columns. What stands in `a` to `e` depends on
the operation: see the names below."""
TS, OP, PARTITION, OFFSET, ACCOUNT, SYMBOL = range(6)
ORDER_COLUMNS = 4
"""`ACCOUNT`, `SYMBOL`: numbers of interned names; symbol −1: none."""

POSITION, LEVERAGE, MOVE, FILL = range(4)
"""Operations: a position from before the first record, a change of leverage and margin mode, a move
of collateral, a fill."""
FILL_QUANTITY, FILL_PRICE, FILL_FEE, FILL_CAUSE = range(6, 10)
"""The quantity is signed; cause −1: not given."""
POSITION_MARGIN, POSITION_LEVERAGE, POSITION_MODE = range(8, 11)
"""Its quantity and entry price stand in a fill's columns; leverage `ABSENT`: not known."""
LEVERAGE_NEW, LEVERAGE_MODE, LEVERAGE_BEFORE = range(6, 9)
"""The leverage before is `ABSENT` where the record does not say it."""
MOVE_AMOUNT, MOVE_CAUSE = range(6, 8)

EFFECT_COLUMNS = ("opened", "closed", "gain", "held", "before", "leverage")
"""What an entry did to its position. `FILL`: the quantity that it opened and closed (codes), and
what the closed part had gained (1e-6). `LEVERAGE`: the open quantity (a code), and the leverage
before (0: not known). Both: the leverage afterwards."""
OPENED_SIZE, CLOSED_SIZE, GAIN, OPEN_SIZE, BEFORE, AFTER = range(len(EFFECT_COLUMNS))

POSITION_COLUMNS = (
    "quantity", "entry", "trade", "fees", "funding", "isolated", "leverage", "mode", "ts", "rest",
    "set_ts",
)  # fmt: skip
"""A position: signed quantity (whole units; its second limb is `rest`); entry value of what is
open; cash from trading; fees paid; funding received; isolated margin; leverage (0: not known) and
mode by the last write; last event time; that of the last write of leverage and mode."""
ROW_QUANTITY, ROW_ENTRY, ROW_TRADE, ROW_FEES, ROW_FUNDING, ROW_ISOLATED = range(6)
ROW_LEVERAGE, ROW_MODE, ROW_TS, ROW_REST, ROW_SET_TS = range(6, len(POSITION_COLUMNS))

ACCOUNT_COLUMNS = ("trade", "fees", "funding", "transfers", "open", "ts")
"""An account: what its closed positions left, transfers, its number of open positions, last event
time (0: no record yet)."""
ACCOUNT_TRADE, ACCOUNT_FEES, ACCOUNT_FUNDING, ACCOUNT_TRANSFERS, ACCOUNT_OPEN, ACCOUNT_TS = range(
    len(ACCOUNT_COLUMNS)
)
JOURNAL_COLUMNS = (
    *ENTRY_COLUMNS, *(f"position_{n}" for n in POSITION_COLUMNS),
    *(f"account_{n}" for n in ACCOUNT_COLUMNS),
)  # fmt: skip
"""An entry, and the position and the account that it changed as they were before it."""
BEFORE_POSITION = len(ENTRY_COLUMNS)
BEFORE_ACCOUNT = BEFORE_POSITION + len(POSITION_COLUMNS)
DEPOSIT, WITHDRAWAL, MARGIN_IN, MARGIN_OUT, FUNDING, REBATE, ADJUSTMENT = range(7)
"""Causes of a collateral record, in the contract's order."""
ISOLATED = 1
"""The margin mode; 0 is cross."""

SYMBOL_BITS = 24
"""The key of a position's row is one integer. Its low bits are the number of the market, which
leaves 39 bits for that of the account. The functions take integers and arrays, compiled or not."""


@register_jitable
def pack_key(account: Any, symbol: Any) -> Any:
    """The key of account number `account` in market number `symbol`."""
    return (account << SYMBOL_BITS) | symbol


@register_jitable
def account_of(key: Any) -> Any:
    return key >> SYMBOL_BITS


@register_jitable
def symbol_of(key: Any) -> Any:
    return key & ((1 << SYMBOL_BITS) - 1)


@njit(inline="always")
def is_open(row):  # type: ignore[no-untyped-def]
    """Whether a position is not flat."""
    return row[ROW_QUANTITY] != 0 or row[ROW_REST] != 0


@njit(inline="always")
def _entry_value_share(row, closed):  # type: ignore[no-untyped-def]
    """The part of the entry value that belongs to the quantity `closed` (a code) of a position."""
    quantity = abs(limbs_to_e8(row[ROW_QUANTITY], row[ROW_REST]))
    return np.int64(np.rint(float(row[ROW_ENTRY]) * to_float_at(closed, PLAIN) / quantity))


@njit(inline="always")
def _change_position(row, account, signed, price):  # type: ignore[no-untyped-def]
    """Add `signed` units at `price` to a position; returns their value (1e-6)."""
    size = abs(signed)
    value = notional(price, size)
    row[ROW_TRADE] += -value if signed > 0 else value
    whole, rest = add_to_limbs(row[ROW_QUANTITY], row[ROW_REST], signed)
    before, after = sign_of_limbs(row[ROW_QUANTITY], row[ROW_REST]), sign_of_limbs(whole, rest)
    if before == 0 or (before > 0) == (signed > 0):
        row[ROW_ENTRY] += value
    elif after == before:
        row[ROW_ENTRY] -= _entry_value_share(row, size)
    else:
        row[ROW_ENTRY] = notional(price, size_of_limbs(whole, rest))
    row[ROW_QUANTITY], row[ROW_REST] = whole, rest
    account[ACCOUNT_OPEN] += np.int64(after != 0) - np.int64(before != 0)
    return value


@njit(inline="always")
def _settle_flat_position(row, account):  # type: ignore[no-untyped-def]
    """Give the account what a flat position leaves; its margin returns to the account too."""
    account[ACCOUNT_TRADE] += row[ROW_TRADE]
    account[ACCOUNT_FEES] += row[ROW_FEES]
    account[ACCOUNT_FUNDING] += row[ROW_FUNDING]
    row[ROW_TRADE] = row[ROW_FEES] = row[ROW_FUNDING] = row[ROW_ISOLATED] = row[ROW_ENTRY] = 0


@njit(inline="always")
def _note_fill(row, signed, price, effect):  # type: ignore[no-untyped-def]
    """Write what a fill is about to do to a position."""
    whole, rest, size = row[ROW_QUANTITY], row[ROW_REST], abs(signed)
    effect[AFTER] = row[ROW_LEVERAGE]
    before = sign_of_limbs(whole, rest)
    if before == 0 or (before > 0) == (signed > 0):
        effect[OPENED_SIZE] = size
        return
    after_whole, after_rest = add_to_limbs(whole, rest, signed)
    turns = sign_of_limbs(after_whole, after_rest) == -before
    closed = size_of_limbs(whole, rest) if turns else size
    gain = notional(price, closed) - _entry_value_share(row, closed)
    effect[OPENED_SIZE] = size_of_limbs(after_whole, after_rest) if turns else 0
    effect[CLOSED_SIZE] = closed
    effect[GAIN] = gain if before > 0 else -gain


@njit(inline="always")
def _move_collateral(entry, r, data, account):  # type: ignore[no-untyped-def]
    """Add an amount to the isolated margin, funding, fees or transfers that its cause names."""
    amount, cause = entry[MOVE_AMOUNT], entry[MOVE_CAUSE]
    if cause in (MARGIN_IN, MARGIN_OUT):
        if r >= 0:
            # The cause says which way: venues differ in whose sign they write.
            data[r, ROW_ISOLATED] += abs(amount) if cause == MARGIN_IN else -abs(amount)
    elif cause == FUNDING:
        if r >= 0 and is_open(data[r]):
            data[r, ROW_FUNDING] += amount
        else:
            account[ACCOUNT_FUNDING] += amount
    elif cause == REBATE:
        account[ACCOUNT_FEES] -= amount
    else:
        account[ACCOUNT_TRANSFERS] += amount
    if r >= 0:
        data[r, ROW_TS] = max(data[r, ROW_TS], entry[TS])


@njit(inline="always")
def _set_leverage(entry, row, effect):  # type: ignore[no-untyped-def]
    effect[OPEN_SIZE] = size_of_limbs(row[ROW_QUANTITY], row[ROW_REST])
    before = entry[LEVERAGE_BEFORE]
    effect[BEFORE] = row[ROW_LEVERAGE] if before == ABSENT else before
    # An entry older than the journal may come after a later write.
    if entry[TS] >= row[ROW_SET_TS]:
        row[ROW_LEVERAGE], row[ROW_MODE] = entry[LEVERAGE_NEW], entry[LEVERAGE_MODE]
        row[ROW_SET_TS] = entry[TS]
    effect[AFTER] = row[ROW_LEVERAGE]


@njit(inline="always")
def _open_before(entry, row, account):  # type: ignore[no-untyped-def]
    """Add a position from before the first record to what its fills have done so far."""
    row[ROW_ISOLATED] += entry[POSITION_MARGIN]
    account[ACCOUNT_TRANSFERS] += entry[POSITION_MARGIN]
    if entry[TS] >= row[ROW_SET_TS]:
        row[ROW_MODE], row[ROW_SET_TS] = entry[POSITION_MODE], entry[TS]
        if entry[POSITION_LEVERAGE] != ABSENT:
            row[ROW_LEVERAGE] = entry[POSITION_LEVERAGE]


@njit(inline="always")
def _count_fill(entry, value, fills_by_cause):  # type: ignore[no-untyped-def]
    cause = entry[FILL_CAUSE] if entry[FILL_CAUSE] >= 0 else fills_by_cause.shape[0] - 1
    fills_by_cause[cause, 0] += 1
    fills_by_cause[cause, 1] += value


@njit(types.void(I2, I2), cache=True, nogil=True)
def count_fills(entries, fills_by_cause):  # type: ignore[no-untyped-def]
    """Add the fills among these entries to counts and notional by cause."""
    for i in range(entries.shape[0]):
        entry = entries[i]
        if entry[OP] == FILL and entry[FILL_QUANTITY] != 0:
            value = notional(entry[FILL_PRICE], abs(entry[FILL_QUANTITY]))
            _count_fill(entry, value, fills_by_cause)


@njit(inline="always")
def _write_journal(r, data, account, before):  # type: ignore[no-untyped-def]
    """Keep a position (zeros where there is none) and its account as they are before an entry."""
    for j in range(len(POSITION_COLUMNS)):
        before[BEFORE_POSITION + j] = data[r, j] if r >= 0 else 0
    for j in range(len(ACCOUNT_COLUMNS)):
        before[BEFORE_ACCOUNT + j] = account[j]


@njit(types.void(I2, RI1, I2, I2, I2, I2, I2, I2), cache=True, nogil=True)
def apply_entries(entries, rows, data, accounts, fills_by_cause, effects, journal, own_rules):  # type: ignore[no-untyped-def]
    """Apply entries in their order; `rows[i]` is the row of entry i's position, −1 for none.

    `fills_by_cause`: (causes + 1, 2), count and notional, added to; the last row counts fills
    without a cause. `effects`: (n, `EFFECT_COLUMNS`), zeros, written. `journal`: (n,
    `JOURNAL_COLUMNS`), in which the rows as they were before are written. `own_rules`: (rows, 1),
    the rules of its own of each position, which end with it: set to 0 as it closes or turns.
    """
    for i in range(entries.shape[0]):
        entry, r = entries[i], rows[i]
        account = accounts[entry[ACCOUNT]]
        _write_journal(r, data, account, journal[i])
        account[ACCOUNT_TS] = max(account[ACCOUNT_TS], entry[TS])
        if entry[OP] == MOVE:
            _move_collateral(entry, r, data, account)
            continue
        row = data[r]
        row[ROW_TS] = max(row[ROW_TS], entry[TS])
        if entry[OP] == LEVERAGE:
            _set_leverage(entry, row, effects[i])
            continue
        signed, price = entry[FILL_QUANTITY], entry[FILL_PRICE]
        is_fill = entry[OP] == FILL
        if signed != 0:
            if is_fill:
                _note_fill(row, signed, price, effects[i])
            side = sign_of_limbs(row[ROW_QUANTITY], row[ROW_REST])
            value = _change_position(row, account, signed, price)
            if side != sign_of_limbs(row[ROW_QUANTITY], row[ROW_REST]):
                own_rules[r, 0] = 0
            if is_fill:
                _count_fill(entry, value, fills_by_cause)
        if is_fill:
            row[ROW_FEES] += entry[FILL_FEE]
        else:
            _open_before(entry, row, account)
        if not is_open(row):
            _settle_flat_position(row, account)


@njit(types.void(RU1, RI2, U1), cache=True, nogil=True)
def hash_rows(names, data, out):  # type: ignore[no-untyped-def]
    """Hash each row with the hash of its name; sums of the hashes do not depend on the order."""
    for i in range(data.shape[0]):
        h = mix(names[i])
        for j in range(data.shape[1]):
            h = mix(h ^ uint64(data[i, j])) + uint64(j)
        out[i] = h
