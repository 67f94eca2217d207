"""The topic partitions that one stage reads, and the time that has passed in all of them."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64, UInt64
from monitor.core.decode.batch import Batch
from monitor.core.decode.batch_state import batch_from_state, batch_to_state
from monitor.core.event_time.clock_state import (
    ADMITTED,
    DUPLICATE,
    JUMP,
    LATE,
    WAITING,
    Judgement,
)
from monitor.core.event_time.watermark import KeyHashes, PartitionClock
from monitor.core.tables.interner import hash_text

TIME_JUMP = "time_jump"
"""Reason of refusal of a record whose time lies far ahead of its log, and which nothing bears out.
"""

_EMPTY = np.empty(0, np.int64)


class Admission(NamedTuple):
    """Records that were judged together: those that waited and were decided now come first."""

    admitted: Batch
    behind_ns: Int64
    """Of each admitted record: how far it ran behind in its topic partition, ns."""
    late: Batch
    late_watermark_ns: Int64
    """Of each late record: the watermark of its topic partition that it met, ns."""
    jumped: Batch
    """Records that were refused as `TIME_JUMP`."""
    decided_at: Int64
    """Of each of these the offset at which that was decided: of the record itself, or of one that
    contradicts it."""
    order: Int64
    """Rows of the admitted records, and behind them of the late ones, in the order in which they
    were judged."""


class RecordCounts(Stateful):
    """What came in, by kind and by fate; a record read twice (same partition and offset) counts
    once. Counts of a set of records: their order cannot show.
    """

    STATE = ("events", "late", "repeated", "refused", "duplicates")

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        """Records that the contract accepts, by kind; late ones included."""
        self.late: Counter[str] = Counter()
        """Records that came too late to count in windows, by kind."""
        self.repeated: Counter[str] = Counter()
        """Accepted records that say again what one before them said, by kind (`repeats`)."""
        self.refused: Counter[str] = Counter()
        """Records that were not accepted, by reason."""
        self.duplicates = 0
        """Records that had been read before: they depend on this run, not on the day."""

    def add(self, other: RecordCounts) -> None:
        """Add the counts of another stage."""
        self.events += other.events
        self.late += other.late
        self.repeated += other.repeated
        self.refused += other.refused
        self.duplicates += other.duplicates

    def reproducible_counts(self) -> dict[str, Any]:
        """The counts that are the same for the same set of records, however it is read."""
        names = "events", "late", "repeated", "refused"
        parts = {name: getattr(self, name) for name in names}
        return {name: dict(sorted((+count).items())) for name, count in parts.items()}


class AdmissionControl:
    """One `PartitionClock` for each source; a source is a kind, or a kind and a partition.

    `listens`: whether the clocks watch for silence.
    """

    def __init__(self, sources: tuple[Any, ...], lateness_ns: int, listens: bool = False) -> None:
        self.clocks = {source: PartitionClock(lateness_ns, listens) for source in sources}
        self._waiting: dict[Any, Batch] = {}
        """By source: the records that wait for others to bear out their time."""

    @property
    def watermark(self) -> int:
        """No record to come, from any source, can be admitted with an earlier time, ns."""
        return min(clock.watermark for clock in self.clocks.values())

    def admit(self, batch: Batch, tally: RecordCounts, source: Any = None) -> Admission:
        """Judge the records of one source, and those of it that wait; count them in `tally`."""
        source = batch.kind if source is None else source
        clock = self.clocks[source]
        before = clock.position
        waiting = self._waiting.get(source)
        judgement = clock.admit(*clock_columns(batch)) if len(batch) else clock.blank()
        taken: set[int] = set()
        for record in batch.refused:
            if record.offset < before or record.offset in taken:
                tally.duplicates += 1
                continue
            taken.add(record.offset)
            tally.refused[record.reason] += 1
            clock.skip_offset(record.offset)
        clock.settle(judgement)
        rows = batch if waiting is None else waiting.with_more(batch) if len(batch) else waiting
        return self._divide(source, rows, judgement, tally)

    def settle(self, tally: RecordCounts, end: bool = False) -> list[Admission]:
        """What new control records decide, of the sources in which records wait. `end`: all logs
        were read to their end.
        """
        admissions = []
        for source, clock in self.clocks.items():
            if end:
                clock.finish()
            judgement = clock.blank()
            clock.settle(judgement, end)
            if source in self._waiting:
                rows = self._waiting[source]
                admissions.append(self._divide(source, rows, judgement, tally))
        return admissions

    def _divide(
        self, source: Any, rows: Batch, judgement: Judgement, tally: RecordCounts
    ) -> Admission:
        """Part the rows by their verdicts."""
        verdict, times_ns = judgement.verdict, judgement.times
        number = np.bincount(verdict, minlength=WAITING + 1).tolist()
        tally.events[rows.kind] += number[ADMITTED] + number[LATE]
        tally.late[rows.kind] += number[LATE]
        tally.refused[TIME_JUMP] += number[JUMP]
        tally.duplicates += number[DUPLICATE]
        if number[WAITING]:
            self._waiting[source] = rows.select_rows(verdict == WAITING)
        else:
            self._waiting.pop(source, None)
        nothing = Batch(rows.kind, rows.topic, rows.partition, _EMPTY)
        if number[ADMITTED] == len(rows):
            order = np.argsort(judgement.turn, kind="stable")
            return Admission(rows, times_ns, nothing, _EMPTY, nothing, _EMPTY, order)
        turns = [judgement.turn[verdict == fate] for fate in (ADMITTED, LATE)]
        order = np.argsort(np.concatenate(turns), kind="stable")
        parts: list[Any] = []
        for fate in (ADMITTED, LATE, JUMP):
            mask = verdict == fate
            parts += [rows.select_rows(mask), times_ns[mask]] if number[fate] else [nothing, _EMPTY]
        return Admission._make((*parts, order))

    def snapshot(self) -> dict[str, Any]:
        waiting = [self._waiting.get(source) for source in self.clocks]
        rows = [None if batch is None else batch_to_state(batch) for batch in waiting]
        return {"clocks": [clock.snapshot() for clock in self.clocks.values()], "waiting": rows}

    def restore(self, state: dict[str, Any]) -> None:
        self._waiting = {}
        every = zip(self.clocks.items(), state["clocks"], state["waiting"], strict=True)
        for (source, clock), clock_state, rows in every:
            clock.restore(clock_state)
            if rows is not None:
                self._waiting[source] = batch_from_state(rows)


def clock_columns(batch: Batch) -> tuple[Int64, Int64, Int64, KeyHashes]:
    """What a clock needs of a batch: the arguments of `PartitionClock.admit`."""
    stamps = _EMPTY if batch.append_ts is None else batch.append_ts
    return batch.offset, batch.numbers["ts"], stamps, functools.partial(key_hashes, batch)


def key_hashes(batch: Batch, rows: slice) -> UInt64:
    """Of each of the rows a hash of its account, or of its symbol where it names no account."""
    if "account" not in batch.texts:
        return _hashes(batch, "symbol", rows)
    accounts = _hashes(batch, "account", rows)
    if accounts.all():
        return accounts
    return np.where(accounts == 0, _hashes(batch, "symbol", rows), accounts)


def _hashes(batch: Batch, column: str, rows: slice) -> UInt64:
    return hash_text(batch.texts[column].select_rows(rows))
