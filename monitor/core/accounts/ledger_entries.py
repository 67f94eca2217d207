"""From admitted records to what the venue stage holds until its time has come: rows of integers.

Names are interned at once; nothing here hangs on what came before.
"""

from __future__ import annotations

import numpy as np

from monitor.core.accounts.ledger_kernels import ENTRY_COLUMNS, FILL, LEVERAGE, MOVE, POSITION
from monitor.core.contract.events import PositionReference
from monitor.core.decode.batch import ABSENT, COLUMNS, Batch, Int64, TextColumn
from monitor.core.tables.interner import Interner

MODE_COLUMN = next(column for column in COLUMNS["leverage"] if column.name == "margin_mode")
MARK_VALUES = ("mark", "index", "last", "open_interest")
MARK_COLUMNS = ("ts", "partition", "offset", "symbol", *MARK_VALUES)
LEVELS = 50
BOOK_WIDTH = 4 + 4 * LEVELS
"""ts, partition, offset, symbol; then 50 bid prices, bid quantities, ask prices, ask quantities."""


def _entry_rows(op: int, batch: Batch, names: Interner, symbols: Interner) -> Int64:
    out = np.zeros((len(batch), len(ENTRY_COLUMNS)), np.int64)
    out[:, 0], out[:, 1] = batch.numbers["ts"], op
    out[:, 2], out[:, 3] = batch.partition, batch.offset
    out[:, 4] = names.intern(batch.texts["account"])
    out[:, 5] = symbols.intern(batch.texts["symbol"])
    return out


def has_text(text: TextColumn) -> bool:
    """Whether any row has a name: public feeds have no accounts."""
    return bool((text.length >= 0).any() if text.codes is None else (text.codes >= 0).any())


def fill_entries(batch: Batch, names: Interner, symbols: Interner) -> Int64:
    """Fills of known accounts."""
    if not has_text(batch.texts["account"]):
        return np.empty((0, len(ENTRY_COLUMNS)), np.int64)
    out = _entry_rows(FILL, batch, names, symbols)
    n = batch.numbers
    out[:, 6], out[:, 7] = n["side"] * n["quantity"], n["price"]
    out[:, 8] = np.where(n["fee"] == ABSENT, 0, n["fee"])
    out[:, 9] = np.where(n["cause"] == ABSENT, -1, n["cause"])
    known = out[:, 4] >= 0
    return out if known.all() else out[known]


def leverage_entries(batch: Batch, names: Interner, symbols: Interner) -> Int64:
    """Changes of leverage and mode."""
    out = _entry_rows(LEVERAGE, batch, names, symbols)
    for at, name in enumerate(("leverage", "margin_mode", "previous"), 6):
        out[:, at] = batch.numbers[name]
    return out


def collateral_entries(batch: Batch, names: Interner, symbols: Interner) -> Int64:
    """Moves of money; symbol −1 where none is told."""
    out = _entry_rows(MOVE, batch, names, symbols)
    out[:, 6], out[:, 7] = batch.numbers["amount"], batch.numbers["cause"]
    return out


def position_entry(
    event: PositionReference, at: tuple[int, int], names: Interner, symbols: Interner
) -> list[int]:
    """A position from before the record; `at`: partition and offset."""
    return [
        event.ts,
        POSITION,
        *at,
        int(names.intern(TextColumn.from_strings([event.account]))[0]),
        int(symbols.intern(TextColumn.from_strings([event.symbol]))[0]),
        event.quantity,
        event.entry_price,
        event.isolated_margin or 0,
        ABSENT if event.leverage is None else event.leverage,
        MODE_COLUMN.code(event.margin_mode),
    ]


def mark_rows(batch: Batch, symbols: Interner) -> Int64:
    """(n, `MARK_COLUMNS`), `ABSENT` where a record has none."""
    n = batch.numbers
    symbol = symbols.intern(batch.texts["symbol"])
    partition = np.full(len(batch), batch.partition)
    columns = (n["ts"], partition, batch.offset, symbol, *(n[name] for name in MARK_VALUES))
    return np.stack(columns, axis=1).astype(np.int64)


def book_rows(batch: Batch, symbols: Interner, cell_ns: int) -> Int64:
    """(n, `BOOK_WIDTH`): the last book of each symbol in each cell of time; no quantity: no level."""
    symbol, ts = symbols.intern(batch.texts["symbol"]), batch.numbers["ts"]
    order = np.lexsort((batch.offset, ts, ts // cell_ns, symbol))
    group = np.stack((symbol[order], ts[order] // cell_ns))
    last = order[np.append((group[:, 1:] != group[:, :-1]).any(axis=0), True)]
    out = np.zeros((len(last), BOOK_WIDTH), np.int64)
    out[:, 0], out[:, 1] = ts[last], batch.partition
    out[:, 2], out[:, 3] = batch.offset[last], symbol[last]
    for side, name in enumerate(("bids", "asks")):
        ladder = batch.ladders[name].select_rows(last)
        size = np.diff(ladder.offset)
        row = np.repeat(np.arange(len(last)), size)
        level = np.arange(len(row)) - np.repeat(ladder.offset[:-1], size)
        at = 4 + 2 * side * LEVELS + level
        out[row, at] = ladder.price
        out[row, at + LEVELS] = ladder.quantity
    return out
