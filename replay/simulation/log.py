"""The log of the simulated venue: rows become the contract's batches, in the order of a log."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monitor.core.contract import events
from monitor.core.contract.keys import partition_of
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from monitor.core.decode.batch import (
    ABSENT,
    COLUMNS,
    STEPPED_TYPES,
    Batch,
    Int64,
    Ladder,
    TextColumn,
    number_columns,
    text_columns,
)
from monitor.core.decode.stepped_kernels import from_e8
from replay.day import DayWriter
from replay.simulation.market import Rng, Rows

Fields = dict[str, Int64 | TextColumn | Ladder]

SILENCE_NS = 5 * SECOND_NS
"""A topic partition without records for longer has control records in between."""
PUBLISH_NS = 2 * MILLISECOND_NS
"""From an event to its record in the log."""
DISORDER, DISORDER_NS = 0.005, 10 * MILLISECOND_NS
"""Share of records that are delayed in the log, and the longest delay."""
_DIGITS = 10 ** np.arange(10, -1, -1)


def enum_code(kind: str, column: str, value: str) -> int:
    """The integer that stands for `value` in a column of `kind`."""
    return next(c for c in COLUMNS[kind] if c.name == column).code(value)


def identifiers(prefix: str, numbers: Int64) -> TextColumn:
    """Ids of a letter and 11 digits; absent where the number is negative."""
    glyphs = np.empty((len(numbers), 12), np.uint8)
    glyphs[:, 0] = ord(prefix)
    for place, power in enumerate(_DIGITS.tolist(), 1):
        glyphs[:, place] = numbers // power % 10 + ord("0")
    start = np.arange(len(numbers)) * 12
    return TextColumn(glyphs.ravel(), start, np.where(numbers < 0, -1, 12))


def batch_of_columns(kind: str, partition: int, offset: Int64, fields: Fields) -> Batch:
    """A batch with the given columns (prices and quantities in 1e-8); the others are absent."""
    rows = len(offset)
    batch = Batch(kind, events.TOPICS[kind], partition, offset)
    batch.numbers = {column.name: np.full(rows, ABSENT) for column in number_columns(kind)}
    batch.texts = {column.name: TextColumn.absent(rows) for column in text_columns(kind)}
    for name, values in fields.items():
        if isinstance(values, TextColumn):
            batch.texts[name] = values
        elif isinstance(values, Ladder):
            price, quantity = from_e8(values.price), from_e8(values.quantity)
            batch.ladders[name] = Ladder(values.offset, price, quantity)
        else:
            batch.numbers[name] = values.astype(np.int64)
    for column in number_columns(kind):
        if column.type in STEPPED_TYPES:
            batch.numbers[column.name] = from_e8(batch.numbers[column.name])
    return batch


class SimulatedLog:
    """Gives records their partition and offset, and writes control records during silence."""

    def __init__(self, day: DayWriter, rng: Rng, partitions: int, start_ts: int) -> None:
        self._day, self._rng, self.partitions = day, rng, partitions
        self._offset = {(kind, p): 0 for kind in events.KINDS for p in range(partitions)}
        self._latest_ts = dict.fromkeys(self._offset, start_ts)
        self._published_ts = dict.fromkeys(self._offset, start_ts)
        for kind, partition in self._offset:
            day.declare(kind, events.TOPICS[kind], partition, 0)

    @property
    def record_counts(self) -> dict[str, int]:
        """Records by kind so far."""
        counts = dict.fromkeys(events.KINDS, 0)
        for (kind, _), offset in self._offset.items():
            counts[kind] += offset
        return counts

    def partition_of(self, names: list[str]) -> Int64:
        """The partition of each key: a hash of the key, the same in every run."""
        return np.array([partition_of(name, self.partitions) for name in names], np.int64)

    def write_rows(
        self,
        kind: str,
        rows: Rows,
        partition: Int64,
        delay_ns: Int64,
        build: Callable[[Rows], Fields],
    ) -> None:
        """Write rows with a `ts`, in any order; `build` makes the columns of the sorted rows.

        `delay_ns`: by how much each is published later than usual.
        """
        delay = PUBLISH_NS + delay_ns
        late = self._rng.random(len(rows)) < DISORDER
        delay[late] += self._rng.integers(DISORDER_NS, size=int(late.sum()))
        published = rows["ts"] + delay
        order = np.argsort(published, kind="stable")
        rows, partition, published = rows[order], partition[order], published[order]
        for number in range(self.partitions):
            here = partition == number
            mine = rows[here]
            if not len(mine):
                continue
            self._write_silences(kind, number, mine["ts"])
            offset = self._offset[kind, number] + np.arange(len(mine))
            self._offset[kind, number] += len(mine)
            batch = batch_of_columns(kind, number, offset, build(mine))
            # Broker's times do not go back; a delayed record may be the last of its stretch.
            times = np.maximum(published[here], self._published_ts[kind, number])
            batch.append_ts = times
            self._published_ts[kind, number] = int(times[-1])
            self._day.write(batch)

    def write_batch(self, batch: Batch) -> None:
        """Write a batch whose offsets continue those of its topic partition."""
        self._offset[batch.kind, batch.partition] += len(batch)
        self._day.write(batch)

    def write_heartbeats(self, until: int) -> None:
        """Write control records for topic partitions without records up to `until` (ns)."""
        for (kind, partition), offset in self._offset.items():
            latest = self._latest_ts[kind, partition]
            for ts in range(latest + SILENCE_NS, until, SILENCE_NS):
                self._day.control(events.TOPICS[kind], partition, offset, ts)
                self._latest_ts[kind, partition] = ts

    def _write_silences(self, kind: str, partition: int, ts: Int64) -> None:
        """Write control records where all of `ts` so far are long before all that follow."""
        before, topic = self._latest_ts[kind, partition], events.TOPICS[kind]
        earliest = np.minimum.accumulate(ts[::-1])[::-1]
        latest = np.maximum.accumulate(np.concatenate(([before], ts)))
        for row in np.flatnonzero(earliest - latest[:-1] > SILENCE_NS).tolist():
            offset = self._offset[kind, partition] + row
            for quiet in range(int(latest[row]) + SILENCE_NS, int(earliest[row]), SILENCE_NS):
                self._day.control(topic, partition, offset, quiet)
        self._latest_ts[kind, partition] = int(latest[-1])
