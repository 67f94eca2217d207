"""From admitted records to what the venue stage holds until its time has come: rows of integers.

Names are interned at once; nothing here hangs on what came before.
"""

from __future__ import annotations

import numpy as np

from monitor.core.accountkernels import ENTRY, FILL, LEVERAGE, MOVE, POSITION
from monitor.core.batch import ABSENT, COLUMNS, Batch, Int64, Text
from monitor.core.events import PositionReference
from monitor.core.intern import Interner

MODES = next(column for column in COLUMNS["leverage"] if column.name == "margin_mode")
TOLD = ("mark", "index", "last", "open_interest")
PRICE = ("ts", "partition", "offset", "symbol", *TOLD)
LEVELS = 50
BOOK = 4 + 4 * LEVELS
"""ts, partition, offset, symbol; then 50 bid prices, bid quantities, ask prices, ask quantities."""


def _entries(op: int, batch: Batch, names: Interner, symbols: Interner) -> Int64:
    out = np.zeros((len(batch), len(ENTRY)), np.int64)
    out[:, 0], out[:, 1] = batch.numbers["ts"], op
    out[:, 2], out[:, 3] = batch.partition, batch.offset
    out[:, 4] = names.intern(batch.texts["account"])
    out[:, 5] = symbols.intern(batch.texts["symbol"])
    return out


def named(text: Text) -> bool:
    """Whether any row has a name: public feeds have no accounts."""
    return bool((text.length >= 0).any() if text.codes is None else (text.codes >= 0).any())


def of_fills(batch: Batch, names: Interner, symbols: Interner) -> Int64:
    """Fills of known accounts."""
    if not named(batch.texts["account"]):
        return np.empty((0, len(ENTRY)), np.int64)
    out = _entries(FILL, batch, names, symbols)
    n = batch.numbers
    out[:, 6], out[:, 7] = n["side"] * n["quantity"], n["price"]
    out[:, 8] = np.where(n["fee"] == ABSENT, 0, n["fee"])
    out[:, 9] = np.where(n["cause"] == ABSENT, -1, n["cause"])
    known = out[:, 4] >= 0
    return out if known.all() else out[known]


def of_leverage(batch: Batch, names: Interner, symbols: Interner) -> Int64:
    """Changes of leverage and mode."""
    out = _entries(LEVERAGE, batch, names, symbols)
    for at, name in enumerate(("leverage", "margin_mode", "previous"), 6):
        out[:, at] = batch.numbers[name]
    return out


def of_collateral(batch: Batch, names: Interner, symbols: Interner) -> Int64:
    """Moves of money; symbol −1 where none is told."""
    out = _entries(MOVE, batch, names, symbols)
    out[:, 6], out[:, 7] = batch.numbers["amount"], batch.numbers["cause"]
    return out


def of_position(
    event: PositionReference, at: tuple[int, int], names: Interner, symbols: Interner
) -> list[int]:
    """A position from before the record; `at`: partition and offset."""
    return [
        event.ts,
        POSITION,
        *at,
        int(names.intern(Text.of([event.account]))[0]),
        int(symbols.intern(Text.of([event.symbol]))[0]),
        event.quantity,
        event.entry_price,
        event.isolated_margin or 0,
        ABSENT if event.leverage is None else event.leverage,
        MODES.code(event.margin_mode),
    ]


def of_marks(batch: Batch, symbols: Interner) -> Int64:
    """(n, `PRICE`), `ABSENT` where a record has none."""
    n = batch.numbers
    symbol = symbols.intern(batch.texts["symbol"])
    partition = np.full(len(batch), batch.partition)
    columns = (n["ts"], partition, batch.offset, symbol, *(n[name] for name in TOLD))
    return np.stack(columns, axis=1).astype(np.int64)


def of_books(batch: Batch, symbols: Interner, cell_ns: int) -> Int64:
    """(n, `BOOK`): the last book of each symbol in each cell of time; no quantity: no level."""
    symbol, ts = symbols.intern(batch.texts["symbol"]), batch.numbers["ts"]
    order = np.lexsort((batch.offset, ts, ts // cell_ns, symbol))
    group = np.stack((symbol[order], ts[order] // cell_ns))
    last = order[np.append((group[:, 1:] != group[:, :-1]).any(axis=0), True)]
    out = np.zeros((len(last), BOOK), np.int64)
    out[:, 0], out[:, 1] = ts[last], batch.partition
    out[:, 2], out[:, 3] = batch.offset[last], symbol[last]
    for side, name in enumerate(("bids", "asks")):
        ladder = batch.ladders[name].take(last)
        size = np.diff(ladder.offset)
        row = np.repeat(np.arange(len(last)), size)
        level = np.arange(len(row)) - np.repeat(ladder.offset[:-1], size)
        at = 4 + 2 * side * LEVELS + level
        out[row, at] = ladder.price
        out[row, at + LEVELS] = ladder.quantity
    return out
