"""From admitted records to entries of the ledger.

Names are interned at once; an entry does not depend on the records before it.
"""

from __future__ import annotations

import numpy as np

from detectors.arrays.types import Int64
from monitor.core.accounts import ledger_kernels as columns
from monitor.core.contract.events import PositionReference
from monitor.core.decode.batch import ABSENT, COLUMNS, Batch, TextColumn
from monitor.core.tables.interner import Interner

MODE_COLUMN = next(column for column in COLUMNS["leverage"] if column.name == "margin_mode")
_OPERATIONS = {"fill": columns.FILL, "leverage": columns.LEVERAGE, "collateral": columns.MOVE}


def has_text(text: TextColumn) -> bool:
    """Whether any row has a text: public feeds have no accounts."""
    return bool((text.length >= 0).any() if text.codes is None else (text.codes >= 0).any())


def account_entries(batch: Batch, names: Interner, symbols: Interner) -> Int64:
    """Entries of changes of leverage and margin mode, of moves of collateral (symbol −1 where a
    record names none), or of the fills that name an account.
    """
    if batch.kind == "fill" and not has_text(batch.texts["account"]):
        return np.empty((0, len(columns.ENTRY_COLUMNS)), np.int64)
    entries = np.zeros((len(batch), len(columns.ENTRY_COLUMNS)), np.int64)
    entries[:, columns.TS], entries[:, columns.OP] = batch.numbers["ts"], _OPERATIONS[batch.kind]
    entries[:, columns.PARTITION], entries[:, columns.OFFSET] = batch.partition, batch.offset
    entries[:, columns.ACCOUNT] = names.intern(batch.texts["account"])
    entries[:, columns.SYMBOL] = symbols.intern(batch.texts["symbol"])
    n = batch.numbers
    if batch.kind == "leverage":
        entries[:, columns.LEVERAGE_NEW] = n["leverage"]
        entries[:, columns.LEVERAGE_MODE] = n["margin_mode"]
        entries[:, columns.LEVERAGE_BEFORE] = n["previous"]
    elif batch.kind == "collateral":
        entries[:, columns.MOVE_AMOUNT] = n["amount"]
        entries[:, columns.MOVE_CAUSE] = n["cause"]
    else:
        entries[:, columns.FILL_QUANTITY] = n["side"] * n["quantity"]
        entries[:, columns.FILL_PRICE] = n["price"]
        entries[:, columns.FILL_FEE] = np.where(n["fee"] == ABSENT, 0, n["fee"])
        entries[:, columns.FILL_CAUSE] = np.where(n["cause"] == ABSENT, -1, n["cause"])
        has_account = entries[:, columns.ACCOUNT] >= 0
        entries = entries if has_account.all() else entries[has_account]
    return entries


def position_entry(
    event: PositionReference, at: tuple[int, int], names: Interner, symbols: Interner
) -> list[int]:
    """The entry of a position from before the first record; `at`: partition and offset."""
    return [
        event.ts,
        columns.POSITION,
        *at,
        int(names.intern(TextColumn.from_strings([event.account]))[0]),
        int(symbols.intern(TextColumn.from_strings([event.symbol]))[0]),
        event.quantity,
        event.entry_price,
        event.isolated_margin or 0,
        ABSENT if event.leverage is None else event.leverage,
        MODE_COLUMN.code(event.margin_mode),
    ]
