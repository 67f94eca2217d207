"""The rule of time in one topic partition, record by record: see docs/decisions/0017.

All state is integers in small arrays, so that a snapshot of them is the whole state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

from detectors.arrays.columns import column_numbers
from detectors.arrays.types import I1, I2, INT, RI1, RU1, Int64, UInt64
from monitor.core.contract.units import DAY_NS, MILLISECOND_NS, SECOND_NS
from monitor.core.decode.batch import ABSENT

ADMITTED, LATE, DUPLICATE, JUMP, WAITING = 0, 1, 2, 3, 4
"""Verdicts; a record that waits gets another one later."""
NEVER = -(2**62)
"""A time before all times."""

AHEAD_NS = 10 * SECOND_NS
"""A record may lie so far ahead of the clock of its log, or of its own append time."""
STEPS_AHEAD = 3
"""And so many times the shortest of the clock's last three steps: a log with a record every hour is
not surprised by the next."""
CONFIRM_MIN = 3
"""So many claims in a row, none of them contradicted, move the clock: at least."""
CONFIRM_SHARE, CONFIRM_BUSY_MAX = 24, 97
"""And one more for each `CONFIRM_SHARE` records of a minute (as many as come in 2.5 s)."""
CONFIRM_MAX = 1_000
"""And one more for each day of the jump, up to this many in all. So many of a single key count
too."""
CONTRADICT = 3
"""So many ordinary records behind it contradict a claim."""
KEYS_LATELY = 1_000
"""Two keys are needed where the key changed within so many ordinary records."""
WAITING_MAX = CONTRADICT * (CONFIRM_MAX + 1)
"""Claims that can wait at most: runs of fewer than `CONFIRM_MAX`, parted by ordinary records."""

LATENESS_MIN_NS = 50 * MILLISECOND_NS
"""The lateness in force is never below this, or below the ceiling where that is lower."""
LATENESS_EVERY, LATENESS_DECAY_AT = 256, 16_384
"""It is computed anew every so many records; the counts are halved when they are so many."""
LATENESS_RECORDS = 1_024
"""Before so many records the ceiling is in force."""
LATENESS_QUANTILE = 1_000
"""One record in so many may run further behind than half the lateness."""

SILENT_NS, SILENT_TIMES = 10 * SECOND_NS, 3
"""A topic partition has stopped when it is silent for so long, and for so many times the longest
silence it ever had before: a topic of few records is silent by nature."""
SILENCE_MIN_RECORDS, SILENCE_MIN_NS = 20, 60 * SECOND_NS
"""Before so many records, over so long, its longest silence says nothing."""

MINUTE_NS = 60 * SECOND_NS
RULE_MINUTES, RULE_RECORDS = 5, 100
"""A share of late records is that of the last five minutes, and needs so many records in them."""
LATE_PERCENT, LATE_PERCENT_OVER = 2, 1
"""A share above the first is an incident, one below the second ends it."""
DELAY_TIMES, DELAY_NS, DELAY_MINUTES = 4, 100 * MILLISECOND_NS, 5
"""Delay has flipped when a minute's mean is so many times the usual one and so much longer, and so
many minutes were learnt. Jitter around a mean cancels over the records of a minute."""
DELAY_MAX_NS = 10 * SECOND_NS
"""A longer delay counts as this long: one record does not make a mean."""
DELAY_LEARN = 32
"""A minute moves what is usual by one part in so many: one that stays is usual in time."""

TIME_JUMPS, LATE_SHARE, DELAY = 0, 1, 2
"""What a notice is about."""


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


class TimeNotice(NamedTuple):
    """Something about a topic partition's time that a rule decided; `over`: that it has ended.

    `about`: `TIME_JUMPS`: the record at `offset` was refused, `observed` is its time and
    `expected` the log's before it, ns. `LATE_SHARE`: `observed` late records of `expected`.
    `DELAY`: a minute's mean and the usual one, ns. `ts`: event time at which it was decided, ns.
    """

    ts: int
    about: int
    offset: int
    observed: int
    expected: int
    over: int


CLOCK_COLUMNS = (
    "high", "position", "first", "count", "longest", "stopped", "seen", "last_key", "key_change",
    "stamp", "step_0", "step_1", "step_2", "lateness", "ceiling", "mark", "waiting", "minute_end",
    "late_raised", "delay_raised", "delay_usual", "delay_minutes",
)  # fmt: skip
"""Highest time (ns), offset behind the last record; first time; admitted records; longest silence
(ns); whether it has stopped; ordinary records (late ones too), the last one's key, how many there
were when the key last changed; append time of the record with the highest time; the clock's last
steps (ns); lateness in force and its ceiling (ns); the watermark that an earlier lateness gave;
records that wait; the end of the current minute; whether the rules of late records and of delay
fire; the usual delay (ns), and from how many minutes."""
CLOCK = column_numbers(CLOCK_COLUMNS)
WAITING_COLUMNS = ("row", "offset", "ts", "key", "stamp", "clock", "strikes")
"""A claim that waits: its row among the verdicts, its record, the time that its log had come to
before it (ns), ordinary records behind it."""
_WAIT = column_numbers(WAITING_COLUMNS)
MINUTE_COLUMNS = ("records", "late", "delay", "delays")
_MINUTE = column_numbers(MINUTE_COLUMNS)
_SILENCE = column_numbers(Silence._fields)
_NOTICE = column_numbers(TimeNotice._fields)
BEHIND_BINS = 48
"""Bin k counts records that ran behind by less than 2^k ns, and not less than half of that."""


class Records(NamedTuple):
    """Records in the order of offsets. `stamps`: append times, or empty. `keys`: hashes, or empty
    where they were not needed yet."""

    offset: Int64
    ts: Int64
    stamps: Int64
    keys: UInt64


class Controls(NamedTuple):
    """Control records by offset."""

    offset: Int64
    ts: Int64


class ClockState(NamedTuple):
    """What one clock keeps: `CLOCK_COLUMNS`, the counts of how far records ran behind, the last
    minutes (the current one first), and the claims that wait."""

    clock: Int64
    behind: Int64
    minutes: Int64
    waiting: Int64


class Judgement(NamedTuple):
    """Where verdicts go: for each row the verdict and a time, ns (see `PartitionClock.admit`); rows
    of `Silence` and of `TimeNotice`, and how many there are of each."""

    verdict: Any
    times: Int64
    silences: Int64
    notices: Int64
    counts: Int64


RECORDS = types.NamedTuple([RI1, RI1, RI1, RU1], Records)  # type: ignore[no-untyped-call]
CONTROLS = types.NamedUniTuple(RI1, 2, Controls)  # type: ignore[no-untyped-call]
STATE = types.NamedTuple([I1, I1, I2, I2], ClockState)  # type: ignore[no-untyped-call]
JUDGEMENT = types.NamedTuple(  # type: ignore[no-untyped-call]
    [types.uint8[::1], I1, I2, I2, I1], Judgement
)


@njit(INT(I1, INT), cache=True, nogil=True)
def silence_limit(clock, until):  # type: ignore[no-untyped-def]
    """The longest silence that is usual, ns, where nothing came up to `until` for longer than that;
    else 0, as it is for a topic partition that has stopped already or is too young.
    """
    young = clock[CLOCK.high] - clock[CLOCK.first] < SILENCE_MIN_NS
    if clock[CLOCK.stopped] or clock[CLOCK.count] < SILENCE_MIN_RECORDS or young:
        return 0
    limit = max(SILENT_NS, SILENT_TIMES * clock[CLOCK.longest])
    return limit if until - clock[CLOCK.high] >= limit else 0


@njit((I1, I1, INT, INT), cache=True, nogil=True)
def write_silence(clock, silence, ts, over):  # type: ignore[no-untyped-def]
    """Write a stop, or its end, as a row of `Silence`; the clock keeps which of them it was."""
    silence[_SILENCE.ts] = ts
    silence[_SILENCE.high] = clock[CLOCK.high]
    silence[_SILENCE.longest] = clock[CLOCK.longest]
    silence[_SILENCE.records] = clock[CLOCK.count]
    silence[_SILENCE.over] = over
    clock[CLOCK.stopped] = 1 - over


@njit((JUDGEMENT, INT, INT, INT, INT, INT, INT), cache=True, nogil=True)
def _notice(out, ts, about, offset, observed, expected, over):  # type: ignore[no-untyped-def]
    row = out.notices[out.counts[1]]
    row[_NOTICE.ts] = ts
    row[_NOTICE.about] = about
    row[_NOTICE.offset] = offset
    row[_NOTICE.observed] = observed
    row[_NOTICE.expected] = expected
    row[_NOTICE.over] = over
    out.counts[1] += 1


@njit((STATE, JUDGEMENT, INT), cache=True, nogil=True)
def _end_minute(state, out, ts):  # type: ignore[no-untyped-def]
    """Judge the minutes that have ended at `ts`, by the two rules, and begin a new one."""
    clock, minutes = state.clock, state.minutes
    records, late = minutes[:, _MINUTE.records].sum(), minutes[:, _MINUTE.late].sum()
    enough = records >= RULE_RECORDS
    if not clock[CLOCK.late_raised] and enough and 100 * late > LATE_PERCENT * records:
        clock[CLOCK.late_raised] = 1
        _notice(out, ts, LATE_SHARE, 0, late, records, 0)
    elif clock[CLOCK.late_raised] and 100 * late < LATE_PERCENT_OVER * records:
        clock[CLOCK.late_raised] = 0
        _notice(out, ts, LATE_SHARE, 0, late, records, 1)
    if minutes[0, _MINUTE.delays] >= RULE_RECORDS:
        mean = minutes[0, _MINUTE.delay] // minutes[0, _MINUTE.delays]
        usual = clock[CLOCK.delay_usual]
        slow = mean > DELAY_TIMES * usual and mean > usual + DELAY_NS
        if clock[CLOCK.delay_minutes] >= DELAY_MINUTES and slow != (clock[CLOCK.delay_raised] == 1):
            clock[CLOCK.delay_raised] = 1 if slow else 0
            _notice(out, ts, DELAY, 0, mean, usual, 0 if slow else 1)
        share = min(clock[CLOCK.delay_minutes] + 1, DELAY_LEARN)
        clock[CLOCK.delay_usual] += (mean - usual) // share
        clock[CLOCK.delay_minutes] += 1
    missed = max(0, clock[CLOCK.high] - clock[CLOCK.minute_end]) // MINUTE_NS
    for _ in range(min(missed + 1, RULE_MINUTES)):
        for k in range(RULE_MINUTES - 1, 0, -1):
            minutes[k] = minutes[k - 1]
        minutes[0] = 0


@njit((STATE,), cache=True, nogil=True)
def _adapt_lateness(state):  # type: ignore[no-untyped-def]
    """Twice the time that one record in `LATENESS_QUANTILE` runs further behind."""
    clock, behind = state.clock, state.behind
    total = behind.sum()
    beyond, k = 0, BEHIND_BINS - 1
    while k > 0 and (beyond + behind[k]) * LATENESS_QUANTILE <= total:
        beyond += behind[k]
        k -= 1
    clock[CLOCK.mark] = max(clock[CLOCK.mark], clock[CLOCK.high] - clock[CLOCK.lateness])
    ceiling = clock[CLOCK.ceiling]
    wanted = max(2 << k, min(LATENESS_MIN_NS, ceiling))
    clock[CLOCK.lateness] = min(wanted, ceiling)
    if total >= LATENESS_DECAY_AT:
        behind //= 2


@njit(INT(INT), cache=True, nogil=True)
def _bin(behind):  # type: ignore[no-untyped-def]
    k = 0
    while behind > 0 and k < BEHIND_BINS - 1:
        behind >>= 1
        k += 1
    return k


@njit((STATE, JUDGEMENT, INT, INT, INT, INT, INT), cache=True, nogil=True)
def _judge(state, out, row, t, stamp, floor, bar):  # type: ignore[no-untyped-def]
    """Admit a record whose claim is believed, or call it late.

    `bar`: by the control records in force at its own offset; `NEVER` for one that waited, which was
    ahead of them. `floor`: by those in force now; a late record counts no earlier.
    """
    clock = state.clock
    high = clock[CLOCK.high]
    watermark = max(clock[CLOCK.mark], high - clock[CLOCK.lateness])
    late = t < max(watermark, bar)
    clock[CLOCK.seen] += 1
    if late:
        high = max(high, t)
    elif high == NEVER:
        high = t
        clock[CLOCK.high] = clock[CLOCK.first] = t
        clock[CLOCK.stamp] = stamp
        clock[CLOCK.minute_end] = t + MINUTE_NS
    elif t > high:
        limit = silence_limit(clock, max(bar, t))
        if limit:
            write_silence(clock, out.silences[out.counts[0]], high + limit, 0)
            out.counts[0] += 1
        if clock[CLOCK.stopped]:
            write_silence(clock, out.silences[out.counts[0]], t, 1)
            out.counts[0] += 1
        else:
            clock[CLOCK.longest] = max(clock[CLOCK.longest], t - high)
        clock[CLOCK.step_2] = clock[CLOCK.step_1]
        clock[CLOCK.step_1] = clock[CLOCK.step_0]
        clock[CLOCK.step_0] = t - high
        clock[CLOCK.high] = t
        clock[CLOCK.stamp] = stamp
        if t >= clock[CLOCK.minute_end]:
            _end_minute(state, out, max(clock[CLOCK.minute_end], floor))
            clock[CLOCK.minute_end] += ((t - clock[CLOCK.minute_end]) // MINUTE_NS + 1) * MINUTE_NS
        high = t
    behind = high - t
    state.behind[_bin(behind)] += 1
    minute = state.minutes[0]
    minute[_MINUTE.records] += 1
    # A stamp far from the record's time is that of a day sent again: it says nothing of delay.
    stamped = stamp != ABSENT and abs(stamp - t) <= MINUTE_NS
    minute[_MINUTE.delay] += min(max(0, stamp - t) if stamped else behind, DELAY_MAX_NS)
    minute[_MINUTE.delays] += 1
    if late:
        minute[_MINUTE.late] += 1
        out.verdict[row] = LATE
        out.times[row] = max(watermark, floor)
    else:
        clock[CLOCK.count] += 1
        out.verdict[row] = ADMITTED
        out.times[row] = behind
    if clock[CLOCK.seen] % LATENESS_EVERY == 0 and clock[CLOCK.seen] >= LATENESS_RECORDS:
        _adapt_lateness(state)


@njit(INT(I1), cache=True, nogil=True)
def _reach(clock):  # type: ignore[no-untyped-def]
    """How far ahead of the clock a record is believed at once, ns."""
    step = min(clock[CLOCK.step_0], clock[CLOCK.step_1], clock[CLOCK.step_2])
    return AHEAD_NS + STEPS_AHEAD * step


@njit((I1, INT), cache=True, nogil=True)
def _note_key(clock, key):  # type: ignore[no-untyped-def]
    """Note the key of a record that is judged, and counted in `seen`, next."""
    if clock[CLOCK.seen] and key != clock[CLOCK.last_key]:
        clock[CLOCK.key_change] = clock[CLOCK.seen] + 1
    clock[CLOCK.last_key] = key


@njit((STATE,), cache=True, nogil=True)
def _drop_settled(state):  # type: ignore[no-untyped-def]
    """Keep the claims that still wait: the others have a row below 0."""
    waiting, n = state.waiting, 0
    for k in range(state.clock[CLOCK.waiting]):
        if waiting[k, _WAIT.row] >= 0:
            waiting[n] = waiting[k]
            n += 1
    state.clock[CLOCK.waiting] = n


@njit((STATE, JUDGEMENT, INT, INT), cache=True, nogil=True)
def release(state, out, reached, floor):  # type: ignore[no-untyped-def]
    """Judge, in the order of offsets, the claims that the clock is near enough to, where something
    else bears out that time has come to `reached`; each may bring the clock nearer to others.
    """
    clock, waiting = state.clock, state.waiting
    more = True
    while more:
        more = False
        for k in range(clock[CLOCK.waiting]):
            row, t = waiting[k, _WAIT.row], waiting[k, _WAIT.ts]
            if row >= 0 and t <= max(clock[CLOCK.high], reached) + _reach(clock):
                _note_key(clock, waiting[k, _WAIT.key])
                _judge(state, out, row, t, waiting[k, _WAIT.stamp], floor, NEVER)
                waiting[k, _WAIT.row] = -1
                more = True
        _drop_settled(state)


@njit((STATE, JUDGEMENT, I1, INT, INT), cache=True, nogil=True)
def _refuse_one(state, out, claim, at, ts):  # type: ignore[no-untyped-def]
    out.verdict[claim[_WAIT.row]] = JUMP
    out.times[claim[_WAIT.row]] = at
    now = max(state.clock[CLOCK.high], ts)
    before = now if claim[_WAIT.clock] == NEVER else claim[_WAIT.clock]
    _notice(out, now, TIME_JUMPS, claim[_WAIT.offset], claim[_WAIT.ts], before, 0)


@njit((STATE, JUDGEMENT, INT, INT, INT), cache=True, nogil=True)
def refuse(state, out, strikes, at, ts):  # type: ignore[no-untyped-def]
    """Refuse the claims that so many ordinary records contradict, as decided at offset `at` and at
    event time `ts`.
    """
    waiting = state.waiting
    for k in range(state.clock[CLOCK.waiting]):
        if waiting[k, _WAIT.strikes] >= strikes:
            _refuse_one(state, out, waiting[k], at, ts)
            waiting[k, _WAIT.row] = -1
    _drop_settled(state)


@njit(INT(STATE, INT), cache=True, nogil=True)
def _needed(state, t):  # type: ignore[no-untyped-def]
    """How many claims in a row move the clock to `t`."""
    if state.clock[CLOCK.high] == NEVER:
        return CONFIRM_MIN
    busy = max(state.minutes[0, _MINUTE.records], state.minutes[1, _MINUTE.records])
    days = (t - state.clock[CLOCK.high]) // DAY_NS
    return min(CONFIRM_MIN + min(busy // CONFIRM_SHARE, CONFIRM_BUSY_MAX) + days, CONFIRM_MAX)


@njit(INT(STATE), cache=True, nogil=True)
def _confirmed(state):  # type: ignore[no-untyped-def]
    """The time that claims in a row bear out: enough of them lie there or later, of two keys where
    the log has two. `NEVER` where there is none.
    """
    clock, waiting = state.clock, state.waiting
    times, keys = np.empty(clock[CLOCK.waiting], np.int64), np.empty(clock[CLOCK.waiting], np.int64)
    n = 0
    for k in range(clock[CLOCK.waiting]):
        if waiting[k, _WAIT.strikes] == 0:
            times[n], keys[n] = waiting[k, _WAIT.ts], waiting[k, _WAIT.key]
            n += 1
    if n < CONFIRM_MIN or n < _needed(state, times[:n].min()):
        return NEVER
    ordered = np.sort(times[:n])[::-1]
    reached = NEVER
    for k in range(n):
        if k + 1 >= _needed(state, ordered[k]):
            reached = ordered[k]
            break
    changed = clock[CLOCK.key_change]
    if reached == NEVER or not changed or clock[CLOCK.seen] - changed >= KEYS_LATELY:
        return reached
    if n >= CONFIRM_MAX:
        return ordered[n - 1]
    # The log has two keys: no further than a second one claims too.
    leader, second = keys[times[:n].argmax()], NEVER
    for k in range(n):
        if keys[k] != leader:
            second = max(second, times[k])
    return min(reached, second)


@njit(INT(I1, INT, INT, INT), cache=True, nogil=True)
def _weigh(clock, t, stamp, floor):  # type: ignore[no-untyped-def]
    """What becomes of a claim on the clock: `ADMITTED` (to be judged as an ordinary record), `JUMP`
    or `WAITING`.
    """
    high, stamp_high = clock[CLOCK.high], clock[CLOCK.stamp]
    if stamp != ABSENT:
        if high == NEVER:
            if abs(t - stamp) <= AHEAD_NS:
                return ADMITTED
        elif stamp_high != ABSENT and high <= stamp_high + AHEAD_NS:
            if t > max(stamp, stamp_high) + AHEAD_NS:
                return JUMP
            if high >= stamp_high - AHEAD_NS:
                return ADMITTED
    return ADMITTED if t <= max(high, floor) + _reach(clock) else WAITING


@njit((STATE, RECORDS, INT, INT, INT), cache=True, nogil=True)
def _wait(state, records, i, row, floor):  # type: ignore[no-untyped-def]
    claim = state.waiting[state.clock[CLOCK.waiting]]
    claim[_WAIT.row] = row
    claim[_WAIT.offset] = records.offset[i]
    claim[_WAIT.ts] = records.ts[i]
    claim[_WAIT.key] = np.int64(records.keys[i] >> np.uint64(1))
    claim[_WAIT.stamp] = records.stamps[i] if records.stamps.size else ABSENT
    claim[_WAIT.clock] = max(state.clock[CLOCK.high], floor)
    claim[_WAIT.strikes] = 0
    state.clock[CLOCK.waiting] += 1


@njit(INT(RECORDS, CONTROLS, INT, INT, STATE, JUDGEMENT), cache=True, nogil=True)
def admit(records, controls, start, base, state, out):  # type: ignore[no-untyped-def]
    """Judge records from row `start` on: see `PartitionClock.admit`. The verdict of record i goes
    to row `base` + i.

    Returns the row of the first record that it could not judge, because it is a claim and the keys
    are not there; else the number of records.
    """
    clock = state.clock
    keyed, stamped = records.keys.size > 0, records.stamps.size > 0
    c, floor = 0, NEVER
    for i in range(start, records.offset.size):
        at = records.offset[i]
        if at < clock[CLOCK.position]:
            out.verdict[base + i] = DUPLICATE
            continue
        while c < controls.offset.size and controls.offset[c] <= at:
            floor = max(floor, controls.ts[c])
            c += 1
            if clock[CLOCK.waiting]:
                # One by one, as if each had been read alone.
                release(state, out, floor, floor)
        t = records.ts[i]
        stamp = records.stamps[i] if stamped else ABSENT
        claims = t > max(clock[CLOCK.high], floor) + AHEAD_NS
        if claims or (stamped and stamp != ABSENT and t > stamp + AHEAD_NS):
            if not keyed:
                return i
            fate = _weigh(clock, t, stamp, floor)
            if fate != ADMITTED:
                clock[CLOCK.position] = at + 1
                _wait(state, records, i, base + i, floor)
                if fate == JUMP:
                    k = clock[CLOCK.waiting] - 1
                    _refuse_one(state, out, state.waiting[k], at, floor)
                    clock[CLOCK.waiting] = k
                    continue
                out.verdict[base + i] = WAITING
                reached = _confirmed(state)
                while reached != NEVER:
                    release(state, out, reached, floor)
                    reached = _confirmed(state) if clock[CLOCK.waiting] else NEVER
                continue
        clock[CLOCK.position] = at + 1
        if keyed:
            _note_key(clock, np.int64(records.keys[i] >> np.uint64(1)))
        _judge(state, out, base + i, t, stamp, floor, floor)
        if clock[CLOCK.waiting]:
            for k in range(clock[CLOCK.waiting]):
                state.waiting[k, _WAIT.strikes] += 1
            refuse(state, out, CONTRADICT, at, floor)
            if clock[CLOCK.waiting]:
                # The clock may have come near enough to some of them.
                release(state, out, NEVER, floor)
    return records.offset.size
