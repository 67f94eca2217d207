"""Event time: what is late, what was read before, and how far the time of a log has come.

Whether a record is late, a duplicate or a jump of the clock depends on its own topic partition's
log alone (offsets, event times, append times, keys) and on the control records for it. What other
partitions hold, or when anything was read, does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64, UInt64
from monitor.core.contract.events import Control
from monitor.core.event_time import claims, clock_kernel, clock_rules, clock_state
from monitor.core.event_time.clock_state import CLOCK, NEVER, Silence, TimeNotice
from monitor.core.event_time.log_gaps import LogGap, LogGaps

END_OF_LOG = clock_state.END
"""A position behind every offset: the log was read to its end."""

_NOTHING = np.empty(0, np.int64)
_NO_KEYS = np.empty(0, np.uint64)
_KEYS_AT_ONCE = 64
"""Where only the last change of the key is wanted, so many are looked at, from the end."""

KeyHashes = Callable[[slice], UInt64]
"""The hashes of the keys of some of the records at hand."""


def _same_key(rows: slice) -> UInt64:
    return np.zeros(rows.stop - rows.start, np.uint64)


class PartitionClock(Stateful):
    """Time in one topic partition.

    A record may lie `lateness_ns` behind the highest time before it, or less once the log has shown
    how far its records run behind. `listens`: whether to note silences.
    """

    STATE = (
        "_clock", "_behind", "_minutes", "_hours", "_waiting", "_control_offset", "_control_ts",
        "silences", "notices", "gaps",
    )  # fmt: skip

    def __init__(self, lateness_ns: int, listens: bool = False) -> None:
        self._listens = listens
        self._clock = np.zeros(len(clock_state.CLOCK_COLUMNS), np.int64)
        self._clock[[CLOCK.high, CLOCK.mark]] = NEVER
        self._clock[[CLOCK.lateness, CLOCK.ceiling]] = lateness_ns
        self._behind = np.zeros(clock_state.BEHIND_BINS, np.int64)
        self._minutes = np.zeros(
            (clock_state.RULE_MINUTES, len(clock_state.MINUTE_COLUMNS)), np.int64
        )
        self._hours = np.zeros((clock_state.USUAL_HOURS, len(clock_state.HOUR_COLUMNS)), np.int64)
        self._waiting = np.zeros((0, len(clock_state.WAITING_COLUMNS)), np.int64)
        self.silences: list[Silence] = []
        """Stops and their ends that are new; whoever takes them empties the list."""
        self.notices: list[TimeNotice] = []
        """What the rules of time have to say, in the same way."""
        self.gaps = LogGaps()
        self._control_offset: Int64 = np.empty(0, np.int64)
        self._control_ts: Int64 = np.empty(0, np.int64)

    @property
    def position(self) -> int:
        """The offset behind the last record seen."""
        return int(self._clock[CLOCK.position])

    @property
    def high(self) -> int:
        """The highest event time admitted so far, ns; `NEVER` before the first."""
        return int(self._clock[CLOCK.high])

    @property
    def lateness_ns(self) -> int:
        """How far a record may lie behind `high` now, ns."""
        return int(self._clock[CLOCK.lateness])

    @property
    def waiting_offsets(self) -> list[int]:
        """Offsets of the records that wait for others to bear out their time, rising."""
        return self._waiting_column("offset")

    @property
    def waiting_times(self) -> list[int]:
        """Event times of the same records, ns."""
        return self._waiting_column("ts")

    @property
    def unopposed_times(self) -> list[int]:
        """Of `waiting_times` those of records that no ordinary record contradicts."""
        times: list[int] = self._waiting[self._waiting[:, _STRIKES] == 0, _TS].tolist()
        return times

    @property
    def late_share(self) -> float:
        """The share of late records in the last minutes of event time; 0 where they are few."""
        records, late = self._minutes[:, :2].sum(axis=0).tolist()
        return late / records if records >= clock_state.RULE_RECORDS else 0.0

    def _waiting_column(self, name: str) -> list[int]:
        column: list[int] = self._waiting[:, clock_state.WAITING_COLUMNS.index(name)].tolist()
        return column

    @property
    def _floor(self) -> int:
        """The time before which, by the control records in force, nothing counts."""
        return int(self._control_ts[: self._controls_in_force_count].max(initial=NEVER))

    @property
    def _controls_in_force_count(self) -> int:
        """How many control records are in force: the first ones, for they lie by offset."""
        if not len(self._control_offset):
            return 0
        return int(np.searchsorted(self._control_offset, self.position, side="right"))

    @property
    def watermark(self) -> int:
        """No record to come can be admitted with an earlier time, ns."""
        by_records = max(int(self._clock[CLOCK.mark]), self.high - self.lateness_ns)
        return max(by_records, self._floor)

    def admit(
        self, offset: Int64, ts: Int64, stamps: Int64 = _NOTHING, keys: KeyHashes = _same_key
    ) -> clock_state.Judgement:
        """Judge records in the order of offsets, and with them those that wait.

        `stamps`: append times, ns, `ABSENT` where there is none; empty: none at all. `keys`: see
        `KeyHashes`. The first rows of the judgement are the records that waited, in the order of
        offsets, then come the new ones. A row has a verdict and a time, ns: of an admitted record
        how far it ran behind the highest time up to it, of a late one the watermark that it met; of
        a `JUMP` the offset at which it was decided.
        """
        columns = (np.ascontiguousarray(column, np.int64) for column in (offset, ts, stamps))
        records = clock_state.Records._make(map(_read_only, (*columns, _NO_KEYS)))
        in_order = self._control_offset, self._control_ts
        controls = clock_state.Controls._make(map(_read_only, in_order))
        base, n, i, position = len(self._waiting), len(offset), 0, self.position
        out = self.blank(n)
        hashes = _NO_KEYS
        while i < n:
            if not len(self._waiting):
                seen, start = int(self._clock[CLOCK.seen]), i
                i = clock_kernel.admit(records, controls, start, base, self._state(0), out)
                first = int(np.searchsorted(offset, position))
                self._note_last_key(max(start, first), i, seen, keys)
            if i < n:
                if not len(hashes):
                    hashes = np.zeros(n, np.uint64)
                    hashes[i:] = keys(slice(i, n))
                keyed = records._replace(keys=_read_only(hashes))
                state = self._state(n - i)
                i = clock_kernel.admit(keyed, controls, i, base, state, out)
                self._waiting = state.waiting[: self._clock[CLOCK.waiting]].copy()
        self.gaps.note_read(offset[np.searchsorted(offset, position) :])
        return out

    def settle(self, out: clock_state.Judgement, end: bool = False) -> None:
        """Apply the control records in force to the records that wait, whose rows in `out` are
        those of the last `admit`, and drop the control records that count no more.

        Call it after `admit` and `skip_offset`, and after new control records. `end`: the log was
        read to its end, so what nothing bears out is refused.
        """
        if len(self._waiting):
            state, floor = self._state(0), NEVER
            for ts in self._control_ts[: self._controls_in_force_count].tolist():
                floor = max(floor, ts)
                claims.release(state, out, floor, floor, False)
            if end:
                self._believe_last(state, out, floor)
                claims.refuse(state, out, 0, END_OF_LOG, floor)
            self._waiting = state.waiting[: self._clock[CLOCK.waiting]].copy()
        silences, notices = out.counts.tolist()
        if self._listens:
            self.silences += map(Silence._make, out.silences[:silences].tolist())
        self.notices += map(TimeNotice._make, out.notices[:notices].tolist())
        out.counts[:] = 0
        self._drop_superseded_controls()
        self._check_silence()
        self.gaps.advance(self.position)

    def _believe_last(
        self, state: clock_state.ClockState, out: clock_state.Judgement, floor: int
    ) -> None:
        """At the end of the log: believe the claims that nothing contradicts, where they agree, or
        lie within `LAST_AHEAD_NS`, or the longest step that the log has made.
        """
        if self.high == floor == NEVER and self._clock[CLOCK.waiting]:
            # Nothing at all is believed: the lowest claim has nothing against it.
            lowest = int(state.waiting[: self._clock[CLOCK.waiting], _TS].min())
            claims.release(state, out, lowest - clock_state.AHEAD_NS, NEVER, False)
        claims.confirm(state, out, floor, True)
        claims.release(state, out, NEVER, floor, True)

    def believe_last(self) -> None:
        """As at the end of the log, but what is not believed waits on."""
        state = self._state(0)
        self._believe_last(state, self.blank(), NEVER)
        self._waiting = state.waiting[: self._clock[CLOCK.waiting]].copy()

    def blank(self, more: int = 0) -> clock_state.Judgement:
        """A judgement of the records that wait and of `more` new ones, in which all wait on."""
        waiting = len(self._waiting)
        self._waiting[:, _ROW] = np.arange(waiting)
        rows = waiting + more
        return clock_state.Judgement(
            np.full(rows, clock_state.WAITING, np.uint8),
            np.zeros(rows, np.int64),
            np.empty((2 * rows, len(Silence._fields)), np.int64),
            np.empty((2 * rows, len(TimeNotice._fields)), np.int64),
            np.zeros(2, np.int64),
            np.zeros(rows, np.int64),
            np.zeros(1, np.int64),
        )

    def _state(self, more: int) -> clock_state.ClockState:
        """The arrays of the state, with room for `more` claims."""
        waiting = self._waiting
        if more:
            most = min(len(waiting) + more, clock_state.WAITING_MAX) + 1
            waiting = np.empty((most, waiting.shape[1]), np.int64)
            waiting[: len(self._waiting)] = self._waiting
        return clock_state.ClockState(
            self._clock, self._behind, self._minutes, self._hours, waiting
        )

    def _note_last_key(self, first: int, last: int, seen: int, keys: KeyHashes) -> None:
        """Note where the key changed last among the ordinary records `first` up to `last`, before
        which there were `seen`.
        """
        if last <= first:
            return
        high, newest = last, 0
        while high > first:
            low = max(first, high - _KEYS_AT_ONCE)
            hashes = (keys(slice(low, high)) >> np.uint64(1)).astype(np.int64)
            if low > first:
                low += 1  # each is compared with the one before it
                before = hashes[:-1]
            else:
                own = self._clock[CLOCK.last_key] if seen else hashes[0]
                before = np.append(own, hashes[:-1])
            newest = int(hashes[-1]) if high == last else newest
            changes = np.flatnonzero(hashes[len(hashes) - len(before) :] != before)
            if len(changes):
                self._clock[CLOCK.key_change] = seen + low + int(changes[-1]) - first + 1
                break
            high = low
        self._clock[CLOCK.last_key] = newest

    def _check_silence(self) -> None:
        """Note a stop, where control records tell of a silence that is too long."""
        floor = self._floor
        if not self._listens or floor - self.high < clock_state.SILENT_NS:
            return
        state = self._state(0)
        limit = clock_rules.silence_limit(state, floor)
        if limit:
            silence = np.empty(len(Silence._fields), np.int64)
            clock_rules.write_silence(state, silence, self.high + limit, 0)
            self.silences.append(Silence(*silence.tolist()))

    def skip_offset(self, offset: int) -> None:
        """A record that the contract refused takes up its offset, and tells nothing of time."""
        self._clock[CLOCK.position] = max(self.position, offset + 1)

    def add_controls(self, controls: Iterable[tuple[int, int]]) -> None:
        """For each (offset, ts): from the offset on, nothing before `ts`, ns, counts."""
        earlier = zip(self._control_offset.tolist(), self._control_ts.tolist(), strict=True)
        rows = np.array(sorted({*earlier, *controls}), np.int64).reshape(-1, 2)
        self._control_offset, self._control_ts = rows.T.copy()

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
        self._clock[CLOCK.position] = END_OF_LOG

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.silences = [Silence(*silence) for silence in self.silences]
        self.notices = [TimeNotice(*notice) for notice in self.notices]


_ROW, _TS, _STRIKES = map(clock_state.WAITING_COLUMNS.index, ("row", "ts", "strikes"))


def _read_only(array: Any) -> Any:
    """The same numbers in an array that cannot be written: one type for compiled code."""
    view = array.view()
    view.flags.writeable = False
    return view


def apply_controls(
    clocks: Mapping[tuple[str, int], PartitionClock], records: Iterable[Control]
) -> None:
    """Hand control records to the topic partitions (by topic and number) that they name; those of
    other partitions have no effect. `AdmissionControl.settle` comes next.
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
