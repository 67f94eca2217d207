"""Event time: what is late, what was read before, and how far the time of a log has come.

Whether a record is late, a duplicate or a jump of the clock depends on its own topic partition's
log alone: on the offsets below it and on the control records for it. What other partitions hold, or
when anything was read, does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from detectors.arrays.columns import column_numbers
from detectors.arrays.state import Stateful
from detectors.arrays.types import I1, I2, INT, RI1, Int64
from monitor.core.contract.events import Control
from monitor.core.contract.units import DAY_NS, SECOND_NS
from monitor.core.event_time.log_gaps import LogGap, LogGaps

ADMITTED, LATE, DUPLICATE, JUMP = 0, 1, 2, 3
NEVER = -(2**62)
"""A time before all times."""
END_OF_LOG = 2**62
"""A position behind every offset: the log was read to its end."""

JUMP_NS = 30 * DAY_NS
"""A record this far ahead of everything before it waits for `JUMP_CONFIRM` of its kind in a row:
one record with a broken clock must not make all that follow late."""
JUMP_CONFIRM = 3

SILENT_NS, SILENT_TIMES = 10 * SECOND_NS, 3
"""A topic partition has stopped when it is silent for so long, and for so many times the longest
silence it ever had before: a topic of few records is silent by nature."""
SILENCE_MIN_RECORDS, SILENCE_MIN_NS = 20, 60 * SECOND_NS
"""Before so many records, over so long, its longest silence says nothing."""

_CLOCK_COLUMNS = ("high", "position", "jumps", "first", "count", "longest", "stopped")
"""Highest time (ns), offset behind the last record, jumps in a row, first time; admitted records;
longest silence (ns); whether it has stopped."""
_CLOCK = column_numbers(_CLOCK_COLUMNS)


class Silence(NamedTuple):
    """A topic partition stopped, or spoke again (`over` is 1).

    `ts`: event time at which that was certain, ns. `high`: the last record's event time, ns.
    `longest`: the longest silence before, ns. `records`: those admitted until then.
    """

    ts: int
    high: int
    longest: int
    records: int
    over: int


_SILENCE = column_numbers(Silence._fields)


@njit(INT(I1, INT), cache=True, nogil=True)
def _silence_limit(clock, until):  # type: ignore[no-untyped-def]
    """The longest silence that is usual, ns, where nothing came up to `until` for longer than that;
    else 0, as it is for a topic partition that has stopped already or is too young.
    """
    young = clock[_CLOCK.high] - clock[_CLOCK.first] < SILENCE_MIN_NS
    if clock[_CLOCK.stopped] or clock[_CLOCK.count] < SILENCE_MIN_RECORDS or young:
        return 0
    limit = max(SILENT_NS, SILENT_TIMES * clock[_CLOCK.longest])
    return limit if until - clock[_CLOCK.high] >= limit else 0


@njit((I1, I1, INT, INT), cache=True, nogil=True)
def _write_silence(clock, silence, ts, over):  # type: ignore[no-untyped-def]
    """Write a stop, or its end, as a row of `Silence`; the clock keeps which of them it was."""
    silence[_SILENCE.ts] = ts
    silence[_SILENCE.high] = clock[_CLOCK.high]
    silence[_SILENCE.longest] = clock[_CLOCK.longest]
    silence[_SILENCE.records] = clock[_CLOCK.count]
    silence[_SILENCE.over] = over
    clock[_CLOCK.stopped] = 1 - over


@njit(INT(RI1, RI1, I1, RI1, RI1, INT, types.uint8[::1], I1, I2), cache=True, nogil=True)
def _admit(offset, ts, clock, control_offset, control_ts, lateness, verdict, times, silences):  # type: ignore[no-untyped-def]
    """Judge records in the order of offsets: see `PartitionClock.admit`. Returns how many rows of
    `silences` were written.
    """
    n = 0
    high = clock[_CLOCK.high]
    position = clock[_CLOCK.position]
    jumps = clock[_CLOCK.jumps]
    nc = control_offset.size
    c = 0
    floor = NEVER
    for i in range(offset.size):
        if offset[i] < position:
            verdict[i] = DUPLICATE
            continue
        position = offset[i] + 1
        while c < nc and control_offset[c] <= offset[i]:
            floor = max(floor, control_ts[c])
            c += 1
        t = ts[i]
        times[i] = max(high - lateness, floor)
        if t < times[i]:
            verdict[i] = LATE
            continue
        if high != NEVER and t > high + JUMP_NS:
            jumps += 1
            if jumps < JUMP_CONFIRM:
                verdict[i] = JUMP
                continue
        jumps = 0
        if high == NEVER:
            clock[_CLOCK.first] = t
        elif t > high:
            clock[_CLOCK.high] = high
            limit = _silence_limit(clock, max(floor, t))
            if limit:
                _write_silence(clock, silences[n], high + limit, 0)
                n += 1
            if clock[_CLOCK.stopped]:
                _write_silence(clock, silences[n], t, 1)
                n += 1
            else:
                clock[_CLOCK.longest] = max(clock[_CLOCK.longest], t - high)
        clock[_CLOCK.count] += 1
        high = max(high, t)
        times[i] = high - t
        verdict[i] = ADMITTED
    clock[_CLOCK.high] = high
    clock[_CLOCK.position] = position
    clock[_CLOCK.jumps] = jumps
    return n


class PartitionClock(Stateful):
    """Time in one topic partition.

    A record may lie `lateness_ns` behind the highest time before it. `listens`: whether to note
    silences.
    """

    STATE = ("_clock", "_control_offset", "_control_ts", "silences", "gaps")

    def __init__(self, lateness_ns: int, listens: bool = False) -> None:
        self._lateness_ns = lateness_ns
        self._tracks_silence = listens
        self._clock = np.array([NEVER, *(0 for _ in _CLOCK_COLUMNS[1:])], np.int64)
        self.silences: list[Silence] = []
        """Stops and their ends that are new; whoever takes them empties the list."""
        self.gaps = LogGaps()
        self._control_offset: Int64 = np.empty(0, np.int64)
        self._control_ts: Int64 = np.empty(0, np.int64)

    @property
    def position(self) -> int:
        """The offset behind the last record seen."""
        return int(self._clock[_CLOCK.position])

    @property
    def high(self) -> int:
        """The highest event time admitted so far, ns; `NEVER` before the first."""
        return int(self._clock[_CLOCK.high])

    @property
    def _floor(self) -> int:
        """The time before which, by the control records in force, nothing counts."""
        return int(self._control_ts[: self._controls_in_force_count].max(initial=NEVER))

    @property
    def _controls_in_force_count(self) -> int:
        """How many control records are in force: the first ones, for they lie by offset."""
        return int(np.searchsorted(self._control_offset, self.position, side="right"))

    @property
    def watermark(self) -> int:
        """No record to come can be admitted with an earlier time, ns."""
        return max(self.high - self._lateness_ns, self._floor)

    def admit(self, offset: Int64, ts: Int64) -> tuple[NDArray[np.uint8], Int64]:
        """Judge records in the order of offsets.

        Returns a verdict for each record, and a time for each, ns: of an admitted record how far it
        ran behind the highest time up to it, of a late one the watermark that it met.
        """
        records = np.ascontiguousarray(offset), np.ascontiguousarray(ts)
        controls = self._control_offset, self._control_ts
        verdict, times = np.empty(len(offset), np.uint8), np.zeros(len(offset), np.int64)
        silences = np.empty((2 * len(offset), len(Silence._fields)), np.int64)
        out = verdict, times, silences
        n = _admit(*records, self._clock, *controls, self._lateness_ns, *out)
        if self._tracks_silence:
            self.silences += map(Silence._make, silences[:n].tolist())
        self._drop_superseded_controls()
        self._check_silence()
        self.gaps.note_admitted(offset[verdict == ADMITTED])
        self.gaps.advance(self.position)
        return verdict, times

    def _check_silence(self) -> None:
        """Note a stop, where control records tell of a silence that is too long."""
        limit = _silence_limit(self._clock, self._floor) if self._tracks_silence else 0
        if limit:
            silence = np.empty(len(Silence._fields), np.int64)
            _write_silence(self._clock, silence, self.high + limit, 0)
            self.silences.append(Silence(*silence.tolist()))

    def skip_offset(self, offset: int) -> None:
        """A record that the contract refused takes up its offset, and tells nothing of time."""
        self._clock[_CLOCK.position] = max(self.position, offset + 1)
        self._check_silence()
        self.gaps.advance(self.position)

    def add_controls(self, controls: Iterable[tuple[int, int]]) -> None:
        """For each (offset, ts): from the offset on, nothing before `ts`, ns, counts."""
        earlier = zip(self._control_offset.tolist(), self._control_ts.tolist(), strict=True)
        rows = np.array(sorted({*earlier, *controls}), np.int64).reshape(-1, 2)
        self._control_offset, self._control_ts = rows.T.copy()
        self._drop_superseded_controls()
        self._check_silence()

    def _drop_superseded_controls(self) -> None:
        """Of the control records in force keep the latest time: a silent topic has one for each
        window.
        """
        n = self._controls_in_force_count
        if n > 1:
            latest = n - 1 - int(self._control_ts[:n][::-1].argmax())
            keep = np.r_[latest, n : len(self._control_ts)]
            self._control_offset = self._control_offset[keep]
            self._control_ts = self._control_ts[keep]

    def finish(self) -> None:
        """The log was read to its end: every control record takes effect."""
        self._clock[_CLOCK.position] = END_OF_LOG
        self._check_silence()
        self.gaps.advance(END_OF_LOG)

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.silences = [Silence(*silence) for silence in self.silences]


def apply_controls(
    clocks: Mapping[tuple[str, int], PartitionClock], records: Iterable[Control]
) -> None:
    """Hand control records to the topic partitions (by topic and number) that they name; those of
    other partitions have no effect.
    """
    by_partition = defaultdict(list)
    for record in records:
        if (record.topic, record.partition) in clocks:
            by_partition[record.topic, record.partition].append((record.offset, record.ts))
            if record.gap is not None:
                gap, clock = record.gap, clocks[record.topic, record.partition]
                log_gap = LogGap(
                    gap.missing_from, record.offset, gap.log_offset, record.ts, gap.is_new_log
                )
                clock.gaps.add(log_gap, clock.position)
    for place, pairs in by_partition.items():
        clocks[place].add_controls(pairs)
