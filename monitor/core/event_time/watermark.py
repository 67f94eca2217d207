"""The only logic of time.

Whether a record is late, a duplicate or a jump of the clock is a property of its own topic
partition's log: of the offsets below it there and of the control records for it. What other
partitions hold, or when anything was read, does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from monitor.core.contract.events import Control
from monitor.core.decode.batch import Int64
from monitor.core.tables.interner import I64, R64

ADMITTED, LATE, DUPLICATE, JUMP = 0, 1, 2, 3
NEVER = -(2**62)
"""A time before all times."""
END_OF_LOG = 2**62
"""A position behind every offset: the log was read to its end."""

JUMP_NS = 30 * 86_400 * 1_000_000_000
"""A record this far ahead of everything before it waits for `JUMP_CONFIRM` of its kind in a row:
one record with a broken clock must not make all that follow late."""
JUMP_CONFIRM = 3

SILENT_NS, SILENT_TIMES = 10_000_000_000, 3
"""A topic partition has stopped when it is silent for so long, and for so many times the longest
silence it ever had before: a topic of few records is silent by nature."""
SILENCE_MIN_RECORDS, SILENCE_MIN_NS = 20, 60_000_000_000
"""Before so many records, over so long, nobody knows how silent it is by nature."""

_HIGH, _POSITION, _JUMPS, _FIRST, _COUNT, _LONGEST, _STOPPED = range(7)
SILENCE_COLUMNS = ("ts", "high", "longest", "count", "over")
"""A stop or, where `over` is 1, its end: when it was known, the last record's time, the longest
silence before, ns; and the records until then."""


@njit(types.int64(I64, types.int64), cache=True, nogil=True)
def _silence_limit(state, until):  # type: ignore[no-untyped-def]
    """How long a silence may be that is known to last up to `until`; 0: it is none, or not known to
    be too long.
    """
    if state[6] or state[4] < SILENCE_MIN_RECORDS or state[0] - state[3] < SILENCE_MIN_NS:
        return 0
    limit = max(SILENT_NS, SILENT_TIMES * state[5])
    return limit if until - state[0] >= limit else 0


@njit(types.void(I64, types.int64[:, ::1], types.int64, types.int64), cache=True, nogil=True)
def _write_stop(state, told, n, limit):  # type: ignore[no-untyped-def]
    told[n, 0] = state[0] + limit
    told[n, 1] = state[0]
    told[n, 2] = state[5]
    told[n, 3] = state[4]
    told[n, 4] = 0
    state[6] = 1


@njit(
    types.int64(R64, R64, I64, R64, R64, types.int64, types.uint8[::1], I64, types.int64[:, ::1]),
    cache=True,
    nogil=True,
)
def _admit(offset, ts, state, control_offset, control_ts, lateness, verdict, came, told):  # type: ignore[no-untyped-def]
    n = 0
    high = state[0]
    position = state[1]
    jumps = state[2]
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
        came[i] = max(high - lateness, floor)
        if t < came[i]:
            verdict[i] = LATE
            continue
        if high != NEVER and t > high + JUMP_NS:
            jumps += 1
            if jumps < JUMP_CONFIRM:
                verdict[i] = JUMP
                continue
        jumps = 0
        if high == NEVER:
            state[3] = t
        elif t > high:
            state[0] = high
            limit = _silence_limit(state, max(floor, t))
            if limit:
                _write_stop(state, told, n, limit)
                n += 1
            if state[6]:
                told[n, 0] = t
                told[n, 1] = high
                told[n, 2] = state[5]
                told[n, 3] = state[4]
                told[n, 4] = 1
                n += 1
                state[6] = 0
            else:
                state[5] = max(state[5], t - high)
        state[4] += 1
        high = max(high, t)
        came[i] = high - t
        verdict[i] = ADMITTED
    state[0] = high
    state[1] = position
    state[2] = jumps
    return n


class PartitionClock:
    """Time in one topic partition."""

    def __init__(self, lateness_ns: int, listens: bool = False) -> None:
        self._lateness_ns = lateness_ns
        self._tracks_silence = listens
        self._state = np.array([NEVER, 0, 0, 0, 0, 0, 0], np.int64)
        self.silences: list[tuple[int, ...]] = []
        """With `listens`, stops and their ends (`SILENCE_COLUMNS`) that are new; whoever takes them empties
        the list."""
        self._control_offset: Int64 = np.empty(0, np.int64)
        self._control_ts: Int64 = np.empty(0, np.int64)

    @property
    def position(self) -> int:
        """The offset behind the last record seen."""
        return int(self._state[_POSITION])

    @property
    def high(self) -> int:
        """The highest event time admitted so far, ns; `NEVER` before the first."""
        return int(self._state[_HIGH])

    @property
    def _floor(self) -> int:
        """The time before which, by the control records in force, nothing counts."""
        active = self._control_ts[: self._controls_in_force_count]
        return int(active.max()) if len(active) else NEVER

    @property
    def _controls_in_force_count(self) -> int:
        """How many control records are in force: the first ones, for they lie by offset."""
        return int(np.searchsorted(self._control_offset, self.position, side="right"))

    @property
    def watermark(self) -> int:
        """No record to come can be admitted with an earlier time."""
        return max(self.high - self._lateness_ns, self._floor)

    def admit(self, offset: Int64, ts: Int64) -> tuple[NDArray[np.uint8], Int64]:
        """Judge records in offset order: a verdict for each; and of one admitted how far it ran
        behind the highest time before it, of a late one the time that the log had come to, ns.
        """
        verdict = np.empty(len(offset), np.uint8)
        came = np.zeros(len(offset), np.int64)
        told = np.empty((2 * len(offset), len(SILENCE_COLUMNS)), np.int64)
        n = _admit(
            np.ascontiguousarray(offset),
            np.ascontiguousarray(ts),
            self._state,
            self._control_offset,
            self._control_ts,
            self._lateness_ns,
            verdict,
            came,
            told,
        )
        if self._tracks_silence:
            self.silences += [tuple(row) for row in told[:n].tolist()]
        self._drop_superseded_controls()
        self._check_silence()
        return verdict, came

    def _check_silence(self) -> None:
        """Whether control records tell of a silence that is too long."""
        limit = _silence_limit(self._state, self._floor) if self._tracks_silence else 0
        if limit:
            told = np.empty((1, len(SILENCE_COLUMNS)), np.int64)
            _write_stop(self._state, told, 0, limit)
            self.silences.append(tuple(told[0].tolist()))

    def skip_offset(self, offset: int) -> None:
        """A record that the contract refused takes up its offset, and tells nothing of time."""
        self._state[_POSITION] = max(self.position, offset + 1)
        self._check_silence()

    def add_controls(self, told: Iterable[tuple[int, int]]) -> None:
        """For each (offset, ts): from the offset on, nothing before `ts`, ns, counts."""
        held = zip(self._control_offset.tolist(), self._control_ts.tolist(), strict=True)
        rows = sorted({*held, *told})
        self._control_offset = np.array([offset for offset, _ in rows], np.int64)
        self._control_ts = np.array([ts for _, ts in rows], np.int64)
        self._drop_superseded_controls()
        self._check_silence()

    def _drop_superseded_controls(self) -> None:
        """Of the control records in force keep the latest time: a silent topic has one for each
        window."""
        n = self._controls_in_force_count
        if n > 1:
            latest = n - 1 - int(self._control_ts[:n][::-1].argmax())
            keep = np.r_[latest, n : len(self._control_ts)]
            self._control_offset = self._control_offset[keep]
            self._control_ts = self._control_ts[keep]

    def finish(self) -> None:
        """The log was read to its end: every control record takes effect."""
        self._state[_POSITION] = END_OF_LOG
        self._check_silence()

    def snapshot(self) -> dict[str, Any]:
        return {
            "state": self._state.copy(),
            "control_offset": self._control_offset,
            "control_ts": self._control_ts,
            "silences": [list(told) for told in self.silences],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._state = state["state"].copy()
        self._control_offset = state["control_offset"]
        self._control_ts = state["control_ts"]
        self.silences = [tuple(told) for told in state["silences"]]


def apply_controls(
    parts: Mapping[tuple[str, int], PartitionClock], records: Iterable[Control]
) -> None:
    """Hand control records to the topic partitions (by topic and number) that they speak of; those
    of others are left alone."""
    told = defaultdict(list)
    for record in records:
        if (record.topic, record.partition) in parts:
            told[record.topic, record.partition].append((record.offset, record.ts))
    for place, pairs in told.items():
        parts[place].add_controls(pairs)
