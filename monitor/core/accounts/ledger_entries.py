"""From admitted records to entries of the ledger.

Names are interned at once; an entry does not depend on the records before it.
"""

from __future__ import annotations

import numpy as np

from detectors.arrays.types import Int64
from monitor.core.accounts import ledger_kernels as columns
from monitor.core.decode.batch import ABSENT, POSITION, Batch, TextColumn
from monitor.core.tables.interner import Interner

_OPERATIONS = {
    "fill": columns.FILL, "leverage": columns.LEVERAGE, "collateral": columns.MOVE,
    POSITION: columns.POSITION,
}  # fmt: skip


def has_text(text: TextColumn) -> bool:
    """Whether any row has a text: public feeds have no accounts."""
    return bool((text.length >= 0).any() if text.codes is None else (text.codes >= 0).any())


def account_entries(batch: Batch, names: Interner, symbols: Interner) -> Int64:
    """Entries of changes of leverage and margin mode, of moves of collateral (symbol −1 where a
    record names none), of positions from before the first record, or of the fills that name an
    account.
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
    elif batch.kind == POSITION:
        isolated = n["isolated_margin"]
        entries[:, columns.FILL_QUANTITY] = n["quantity"]
        entries[:, columns.FILL_PRICE] = n["entry_price"]
        entries[:, columns.POSITION_MARGIN] = np.where(isolated == ABSENT, 0, isolated)
        entries[:, columns.POSITION_LEVERAGE] = n["leverage"]
        entries[:, columns.POSITION_MODE] = n["margin_mode"]
    else:
        entries[:, columns.FILL_QUANTITY] = n["side"] * n["quantity"]
        entries[:, columns.FILL_PRICE] = n["price"]
        entries[:, columns.FILL_FEE] = np.where(n["fee"] == ABSENT, 0, n["fee"])
        entries[:, columns.FILL_CAUSE] = np.where(n["cause"] == ABSENT, -1, n["cause"])
        has_account = entries[:, columns.ACCOUNT] >= 0
        entries = entries if has_account.all() else entries[has_account]
    return entries


SHOWN_COLUMNS = ("max_leverage", "liquidation_price", "mark")
"""What a venue shows of a position, behind the first columns of an entry; `ABSENT`: not this."""
SHOWN_WIDTH = columns.SYMBOL + 1 + len(SHOWN_COLUMNS)
SHOWN_LEVERAGE, SHOWN_PRICE, SHOWN_MARK = range(columns.SYMBOL + 1, columns.SYMBOL + 4)


def shown_values(positions: Batch, entries: Int64) -> Int64:
    """Of the records of positions those that say what the venue shows: the first columns of their
    entries (to `SYMBOL`), and `SHOWN_COLUMNS`.
    """
    shown = np.column_stack([positions.numbers[name] for name in SHOWN_COLUMNS])
    there = (shown != ABSENT).any(axis=1)
    return np.column_stack((entries[there, : columns.SYMBOL + 1], shown[there]))
