"""The rule of time in one topic partition, record by record (docs/decisions/0017)."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectors.arrays.types import INT
from monitor.core.decode.batch import ABSENT
from monitor.core.event_time.claims import (
    confirm,
    note_key,
    refuse,
    refuse_one,
    release,
    wait,
    weigh,
)
from monitor.core.event_time.clock_rules import judge, lag_bin
from monitor.core.event_time.clock_state import (
    ADMITTED,
    AHEAD_NS,
    CLOCK,
    CONTRADICT,
    CONTROLS,
    DELAY_MAX_NS,
    DUPLICATE,
    END,
    HOUR,
    JUDGEMENT,
    JUMP,
    KEYED_ROWS,
    LATE,
    LATENESS_EVERY,
    MINUTE,
    MINUTE_NS,
    NEVER,
    RECORDS,
    SILENCE_NOTED_NS,
    SILENT_NS,
    STATE,
    WAIT,
)


@njit((RECORDS, INT, INT, INT, STATE, JUDGEMENT), cache=True, nogil=True)
def _judge_ordinary(records, i, base, floor, state, out):  # type: ignore[no-untyped-def]
    """Judge a record that claims nothing; it contradicts those that wait."""
    clock, waiting, at = state.clock, state.waiting, records.offset[i]
    if records.keys.size:
        note_key(clock, np.int64(records.keys[i] >> np.uint64(1)))
    stamp = records.stamps[i] if records.stamps.size else ABSENT
    judge(state, out, base + i, records.ts[i], stamp, floor, floor)
    if clock[CLOCK.waiting]:
        for k in range(clock[CLOCK.waiting]):
            waiting[k, WAIT.strikes] += 1
        refuse(state, out, CONTRADICT, at, floor)
        if clock[CLOCK.waiting]:
            # The clock may have come near enough to some of them.
            release(state, out, NEVER, floor, False)


@njit(INT(RECORDS, INT, INT, INT, INT, STATE, JUDGEMENT), cache=True, nogil=True)
def _admit_plain(records, i, end_offset, base, floor, state, out):  # type: ignore[no-untyped-def]
    """As `admit`, for the records before `end_offset`, while nothing happens but that they are
    admitted or late; returns the row of the first for which more is to be done. The same as
    `judge` at a fifth of its cost: nearly all records go this way.
    """
    offset, ts, stamps = records.offset, records.ts, records.stamps
    clock, behind, minute = state.clock, state.behind, state.minutes[0]
    verdict, times, turn, turns = out.verdict, out.times, out.turn, out.turns[0]
    high, position, seen = clock[CLOCK.high], clock[CLOCK.position], clock[CLOCK.seen]
    if high == NEVER or clock[CLOCK.stopped] or floor >= high + min(AHEAD_NS, SILENT_NS):
        return i
    lateness, minute_end = clock[CLOCK.lateness], clock[CLOCK.minute_end]
    bar = max(clock[CLOCK.mark], floor)
    silences = state.hours[0, HOUR.silences]
    count, stamp_high = clock[CLOCK.count], clock[CLOCK.stamp]
    step_0, step_1, step_2 = clock[CLOCK.step_0], clock[CLOCK.step_1], clock[CLOCK.step_2]
    delay, late = minute[MINUTE.delay], minute[MINUTE.late]
    left = LATENESS_EVERY - 1 - seen % LATENESS_EVERY
    stamped, stamp = stamps.size > 0, ABSENT
    while i < offset.size:
        at, t = offset[i], ts[i]
        if at < position:
            verdict[base + i] = DUPLICATE
            i += 1
            continue
        if stamped:
            stamp = stamps[i]
            if stamp != ABSENT and t > stamp + AHEAD_NS:
                break
        far = t > high and (t >= high + SILENCE_NOTED_NS or t >= minute_end)
        if far or at >= end_offset or left == 0:
            break
        position = at + 1
        left -= 1
        turn[base + i] = turns
        turns += 1
        watermark = max(high - lateness, bar)
        if t > high and t >= watermark:
            silences += 1
            step_2, step_1, step_0 = step_1, step_0, t - high
            stamp_high = stamp
            high = t
        lag = max(0, high - t)
        behind[lag_bin(lag) if lag else 0] += 1
        with_stamp = stamp != ABSENT and abs(stamp - t) <= MINUTE_NS
        delay += min(max(0, stamp - t) if with_stamp else lag, DELAY_MAX_NS)
        if t < watermark:
            late += 1
            verdict[base + i] = LATE
            times[base + i] = watermark
        else:
            count += 1
            verdict[base + i] = ADMITTED
            times[base + i] = lag
        i += 1
    judged = LATENESS_EVERY - 1 - seen % LATENESS_EVERY - left
    clock[CLOCK.seen] = seen + judged
    out.turns[0] = turns
    minute[MINUTE.records] += judged
    minute[MINUTE.delays] += judged
    minute[MINUTE.delay], minute[MINUTE.late] = delay, late
    clock[CLOCK.high], clock[CLOCK.position] = high, position
    state.hours[0, HOUR.silences] = silences
    clock[CLOCK.count], clock[CLOCK.stamp] = count, stamp_high
    clock[CLOCK.step_0], clock[CLOCK.step_1], clock[CLOCK.step_2] = step_0, step_1, step_2
    return i


@njit(INT(RECORDS, CONTROLS, INT, INT, STATE, JUDGEMENT), cache=True, nogil=True)
def admit(records, controls, start, base, state, out):  # type: ignore[no-untyped-def]
    """Judge records from row `start` on: see `PartitionClock.admit`. The verdict of record i goes
    to row `base` + i.

    Returns the row up to which it came. Without keys it stops at the first claim; with keys, once
    nothing waits any more, after `KEYED_ROWS` rows or later.
    """
    clock = state.clock
    keyed, stamped = records.keys.size > 0, records.stamps.size > 0
    c, floor, i = 0, NEVER, start
    n, controls_n = records.offset.size, controls.offset.size
    while i < n:
        if not keyed:
            next_control = controls.offset[c] if c < controls_n else END
            i = _admit_plain(records, i, next_control, base, floor, state, out)
            if i == n:
                break
        elif not clock[CLOCK.waiting] and i - start >= KEYED_ROWS:
            return i
        at = records.offset[i]
        if at < clock[CLOCK.position]:
            out.verdict[base + i] = DUPLICATE
            i += 1
            continue
        while c < controls_n and controls.offset[c] <= at:
            floor = max(floor, controls.ts[c])
            c += 1
            if clock[CLOCK.waiting]:
                # One by one, as if each had been read alone.
                release(state, out, floor, floor, False)
        t = records.ts[i]
        stamp = records.stamps[i] if stamped else ABSENT
        claims = t > max(clock[CLOCK.high], floor) + AHEAD_NS
        fate = ADMITTED
        if claims or (stamped and stamp != ABSENT and t > stamp + AHEAD_NS):
            if not keyed:
                return i
            fate = weigh(clock, t, stamp, floor)
        clock[CLOCK.position] = at + 1
        if fate == ADMITTED:
            _judge_ordinary(records, i, base, floor, state, out)
        else:
            wait(state, records, i, base + i, floor)
            if fate == JUMP:
                k = clock[CLOCK.waiting] - 1
                refuse_one(state, out, state.waiting[k], at, floor)
                clock[CLOCK.waiting] = k
            else:
                confirm(state, out, floor, False)
        i += 1
    return n
