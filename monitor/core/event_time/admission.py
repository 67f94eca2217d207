"""The topic partitions that one stage reads, and the time that has passed in all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.core.decode.batch import Batch, Int64
from monitor.core.event_time.record_counts import RecordCounts
from monitor.core.event_time.watermark import ADMITTED, DUPLICATE, JUMP, LATE, PartitionClock

TIME_JUMP = "time_jump"
"""Reason of refusal of a record whose time lies far ahead of all before it."""


_EMPTY = np.empty(0, np.int64)


class AdmissionControl:
    """One `PartitionClock` for each source; a source is a kind, or a kind and a partition."""

    def __init__(self, sources: tuple[Any, ...], lateness_ns: int, listens: bool = False) -> None:
        self.clocks = {source: PartitionClock(lateness_ns, listens) for source in sources}
        self.behind_ns: Int64 = _EMPTY
        """Of each record last admitted: how far it ran behind in its topic partition, ns."""
        self.late_rows: Int64 = _EMPTY
        """Rows of the last batch that are too late; and the time that the log had come to, ns."""
        self.late_watermark_ns: Int64 = _EMPTY
        self.jump_offsets: Int64 = _EMPTY
        """Offsets of the records of the last batch that were refused as `TIME_JUMP`."""

    @property
    def watermark(self) -> int:
        """No record to come, from any source, can be admitted with an earlier time, ns."""
        return min(part.watermark for part in self.clocks.values())

    def admit(self, batch: Batch, tally: RecordCounts, source: Any = None) -> Batch:
        """Count every record of `batch` once, and return those that count."""
        part = self.clocks[batch.kind if source is None else source]
        before = part.position
        if len(batch):
            verdict, came = part.admit(batch.offset, batch.numbers["ts"])
            admitted = verdict == ADMITTED
            self.behind_ns = came if admitted.all() else came[admitted]
            self.late_rows = np.flatnonzero(verdict == LATE)
            self.late_watermark_ns = came[self.late_rows]
            number = np.bincount(verdict, minlength=4).tolist()
        else:
            verdict = np.empty(0, np.uint8)
            admitted, number = np.empty(0, np.bool_), [0, 0, 0, 0]
            self.behind_ns = self.late_rows = self.late_watermark_ns = _EMPTY
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
            part.skip_offset(record.offset)
        return batch if admitted.all() else batch.select_rows(admitted)

    def snapshot(self) -> list[Any]:
        return [part.snapshot() for part in self.clocks.values()]

    def restore(self, state: list[Any]) -> None:
        for part, held in zip(self.clocks.values(), state, strict=True):
            part.restore(held)
