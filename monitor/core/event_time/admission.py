"""The topic partitions that one stage reads, and the time that has passed in all of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64
from monitor.core.decode.batch import Batch
from monitor.core.event_time.watermark import ADMITTED, DUPLICATE, JUMP, LATE, PartitionClock

TIME_JUMP = "time_jump"
"""Reason of refusal of a record whose time lies far ahead of all before it."""

_EMPTY = np.empty(0, np.int64)
_NOTHING = np.empty(0, np.uint8), _EMPTY


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
        self.behind_ns: Int64 = _EMPTY
        """Of each record last admitted: how far it ran behind in its topic partition, ns."""
        self.late_rows: Int64 = _EMPTY
        """Rows of the last batch that came too late."""
        self.late_watermark_ns: Int64 = _EMPTY
        """Of each of `late_rows` the watermark of its topic partition at its offset, ns."""
        self.jump_offsets: Int64 = _EMPTY
        """Offsets of the records of the last batch that were refused as `TIME_JUMP`."""

    @property
    def watermark(self) -> int:
        """No record to come, from any source, can be admitted with an earlier time, ns."""
        return min(clock.watermark for clock in self.clocks.values())

    def admit(self, batch: Batch, tally: RecordCounts, source: Any = None) -> Batch:
        """Judge the records of one source, add them to `tally`, and return the admitted ones."""
        clock = self.clocks[batch.kind if source is None else source]
        before = clock.position
        verdict, times_ns = _NOTHING
        if len(batch):
            verdict, times_ns = clock.admit(batch.offset, batch.numbers["ts"])
        admitted = verdict == ADMITTED
        self.behind_ns = times_ns if admitted.all() else times_ns[admitted]
        self.late_rows = np.flatnonzero(verdict == LATE)
        self.late_watermark_ns = times_ns[self.late_rows]
        number = np.bincount(verdict, minlength=4).tolist()
        self.jump_offsets = batch.offset[verdict == JUMP]
        tally.events[batch.kind] += number[ADMITTED] + number[LATE]
        tally.late[batch.kind] += number[LATE]
        tally.refused[TIME_JUMP] += number[JUMP]
        tally.duplicates += number[DUPLICATE]
        taken: set[int] = set()
        for record in batch.refused:
            if record.offset < before or record.offset in taken:
                tally.duplicates += 1
                continue
            taken.add(record.offset)
            tally.refused[record.reason] += 1
            clock.skip_offset(record.offset)
        return batch if admitted.all() else batch.select_rows(admitted)

    def snapshot(self) -> list[Any]:
        return [clock.snapshot() for clock in self.clocks.values()]

    def restore(self, state: list[Any]) -> None:
        for clock, clock_state in zip(self.clocks.values(), state, strict=True):
            clock.restore(clock_state)
