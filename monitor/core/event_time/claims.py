"""Claims on a clock that wait: what bears them out, and what contradicts them."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectors.arrays.types import BOOL, I1, INT
from monitor.core.contract.units import DAY_NS
from monitor.core.decode.batch import ABSENT
from monitor.core.event_time.clock_rules import judge, notice
from monitor.core.event_time.clock_state import (
    ADMITTED,
    AHEAD_NS,
    CLOCK,
    CONFIRM_BUSY_MAX,
    CONFIRM_MAX,
    CONFIRM_MIN,
    CONFIRM_SHARE,
    JUDGEMENT,
    JUMP,
    KEYS_LATELY,
    LAST_AHEAD_NS,
    MINUTE,
    NEVER,
    RECORDS,
    STATE,
    STEPS_AHEAD,
    TIME_JUMPS,
    WAIT,
    WAITING,
)


@njit(INT(I1), cache=True, nogil=True)
def _reach(clock):  # type: ignore[no-untyped-def]
    """How far ahead of the clock a record is believed at once, ns."""
    step = min(clock[CLOCK.step_0], clock[CLOCK.step_1], clock[CLOCK.step_2])
    return AHEAD_NS + STEPS_AHEAD * step


@njit((I1, INT), cache=True, nogil=True)
def note_key(clock, key):  # type: ignore[no-untyped-def]
    """Note the key of a record that is judged, and counted in `seen`, next."""
    if clock[CLOCK.seen] and key != clock[CLOCK.last_key]:
        clock[CLOCK.key_change] = clock[CLOCK.seen] + 1
    clock[CLOCK.last_key] = key


@njit((STATE,), cache=True, nogil=True)
def _drop_settled(state):  # type: ignore[no-untyped-def]
    """Keep the claims that still wait: the others have a row below 0."""
    waiting, n = state.waiting, 0
    for k in range(state.clock[CLOCK.waiting]):
        if waiting[k, WAIT.row] >= 0:
            for c in range(waiting.shape[1]):
                waiting[n, c] = waiting[k, c]
            n += 1
    state.clock[CLOCK.waiting] = n


@njit((STATE, JUDGEMENT, INT, INT, BOOL), cache=True, nogil=True)
def release(state, out, reached, floor, final):  # type: ignore[no-untyped-def]
    """Judge, in the order of offsets, the claims that the clock is near enough to, where something
    else bears out that time has come to `reached`; each may bring the clock nearer to others.

    `final`: at the end of the log, where the clock is near enough to a claim that nothing
    contradicts within `LAST_AHEAD_NS`, or the longest step that the log has made.
    """
    clock, waiting = state.clock, state.waiting
    more = True
    while more:
        more = False
        for k in range(clock[CLOCK.waiting]):
            row, t = waiting[k, WAIT.row], waiting[k, WAIT.ts]
            reach = _reach(clock)
            if final and waiting[k, WAIT.strikes] == 0:
                reach = max(reach, clock[CLOCK.longest_step], LAST_AHEAD_NS)
            if row >= 0 and t <= max(clock[CLOCK.high], reached) + reach:
                note_key(clock, waiting[k, WAIT.key])
                judge(state, out, row, t, waiting[k, WAIT.stamp], floor, NEVER)
                waiting[k, WAIT.row] = -1
                more = True
        _drop_settled(state)


@njit((STATE, JUDGEMENT, I1, INT, INT), cache=True, nogil=True)
def refuse_one(state, out, claim, at, ts):  # type: ignore[no-untyped-def]
    out.verdict[claim[WAIT.row]] = JUMP
    out.times[claim[WAIT.row]] = at
    now = max(state.clock[CLOCK.high], ts)
    before = now if claim[WAIT.clock] == NEVER else claim[WAIT.clock]
    notice(out, now, TIME_JUMPS, claim[WAIT.offset], claim[WAIT.ts], before, 0)


@njit((STATE, JUDGEMENT, INT, INT, INT), cache=True, nogil=True)
def refuse(state, out, strikes, at, ts):  # type: ignore[no-untyped-def]
    """Refuse the claims that so many ordinary records contradict, as decided at offset `at` and at
    event time `ts`.
    """
    waiting = state.waiting
    for k in range(state.clock[CLOCK.waiting]):
        if waiting[k, WAIT.strikes] >= strikes:
            refuse_one(state, out, waiting[k], at, ts)
            waiting[k, WAIT.row] = -1
    _drop_settled(state)


@njit(INT(STATE, INT, BOOL), cache=True, nogil=True)
def _needed(state, t, final):  # type: ignore[no-untyped-def]
    """How many claims in a row move the clock to `t`; at the end of the log (`final`) nothing more
    can contradict them, and a busy log does not need more.
    """
    if state.clock[CLOCK.high] == NEVER:
        return CONFIRM_MIN
    busy = 0 if final else max(state.minutes[0, MINUTE.records], state.minutes[1, MINUTE.records])
    days = (t - state.clock[CLOCK.high]) // DAY_NS
    return min(CONFIRM_MIN + min(busy // CONFIRM_SHARE, CONFIRM_BUSY_MAX) + days, CONFIRM_MAX)


@njit(INT(STATE, BOOL), cache=True, nogil=True)
def _confirmed(state, final):  # type: ignore[no-untyped-def]
    """The time that claims in a row bear out: enough of them lie there or later, of two keys where
    the log has two. `NEVER` where there is none.
    """
    clock, waiting = state.clock, state.waiting
    times, keys = np.empty(clock[CLOCK.waiting], np.int64), np.empty(clock[CLOCK.waiting], np.int64)
    n = 0
    for k in range(clock[CLOCK.waiting]):
        if waiting[k, WAIT.strikes] == 0:
            times[n], keys[n] = waiting[k, WAIT.ts], waiting[k, WAIT.key]
            n += 1
    if n < CONFIRM_MIN or n < _needed(state, times[:n].min(), final):
        return NEVER
    ordered = np.sort(times[:n])[::-1]
    reached = NEVER
    for k in range(n):
        if k + 1 >= _needed(state, ordered[k], final):
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
def weigh(clock, t, stamp, floor):  # type: ignore[no-untyped-def]
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
def wait(state, records, i, row, floor):  # type: ignore[no-untyped-def]
    claim = state.waiting[state.clock[CLOCK.waiting]]
    claim[WAIT.row] = row
    claim[WAIT.offset] = records.offset[i]
    claim[WAIT.ts] = records.ts[i]
    claim[WAIT.key] = np.int64(records.keys[i] >> np.uint64(1))
    claim[WAIT.stamp] = records.stamps[i] if records.stamps.size else ABSENT
    claim[WAIT.clock] = max(state.clock[CLOCK.high], floor)
    claim[WAIT.strikes] = 0
    state.clock[CLOCK.waiting] += 1


@njit((STATE, JUDGEMENT, INT, BOOL), cache=True, nogil=True)
def confirm(state, out, floor, final):  # type: ignore[no-untyped-def]
    """Believe the claims that those in a row bear out. `final`: at the end of the log."""
    reached = _confirmed(state, final)
    while reached != NEVER:
        release(state, out, reached, floor, final)
        reached = _confirmed(state, final) if state.clock[CLOCK.waiting] else NEVER
