"""A record whose time is believed: admitted or late, and what that says of silence and of delay."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectors.arrays.types import I1, I2, INT
from monitor.core.decode.batch import ABSENT
from monitor.core.event_time.clock_state import (
    ADMITTED,
    BEHIND_BINS,
    CLOCK,
    DELAY,
    DELAY_LEARN,
    DELAY_MAX_NS,
    DELAY_MINUTES,
    DELAY_NS,
    DELAY_TIMES,
    HOUR,
    JUDGEMENT,
    LATE,
    LATE_PERCENT,
    LATE_PERCENT_OVER,
    LATE_SHARE,
    LATELY_HOURS,
    LATELY_RANK,
    LATENESS_DECAY_AT,
    LATENESS_EVERY,
    LATENESS_MIN_NS,
    LATENESS_QUANTILE,
    LATENESS_RECORDS,
    MINUTE,
    MINUTE_NS,
    NEVER,
    NOTICE,
    RULE_MINUTES,
    RULE_RECORDS,
    SILENCE,
    SILENCE_MIN_NS,
    SILENCE_MIN_RECORDS,
    SILENCE_NOTED_NS,
    SILENT_NS,
    SILENT_PERCENT,
    STATE,
    USUAL_ONE_IN,
    USUAL_RANK,
)

_HOUR_NS = 60 * MINUTE_NS


@njit((I2, INT), cache=True, nogil=True)
def _note_silence(hours, silence_ns):  # type: ignore[no-untyped-def]
    """Count a silence that has ended, in the current hour; it is kept among the longest."""
    hour = hours[0]
    hour[HOUR.silences] += 1
    if silence_ns >= SILENCE_NOTED_NS:
        shortest = 1 + np.argmin(hour[1:])
        hour[shortest] = max(hour[shortest], silence_ns)


@njit((I2,), cache=True, nogil=True)
def _shift_rows(table):  # type: ignore[no-untyped-def]
    """Move each row one down, and clear the first.

    Number by number: for a row at once numba compiles the text of an error that cannot come, and
    takes two seconds for it.
    """
    for k in range(table.shape[0] - 1, -1, -1):
        for c in range(table.shape[1]):
            table[k, c] = table[k - 1, c] if k else 0


@njit((I1, I2), cache=True, nogil=True)
def _end_hour(clock, hours):  # type: ignore[no-untyped-def]
    """Begin a new hour of silences, with the minute that begins; the oldest one is forgotten."""
    _shift_rows(hours)
    clock[CLOCK.hour_end] = clock[CLOCK.minute_end] + _HOUR_NS - MINUTE_NS


@njit(INT(I2), cache=True, nogil=True)
def _usual_rank(hours):  # type: ignore[no-untyped-def]
    """How many of the silences are as long as a usual one."""
    return min(max(hours[:, HOUR.silences].sum() // USUAL_ONE_IN, 1), USUAL_RANK)


@njit(INT(I2), cache=True, nogil=True)
def _usual_silence(hours):  # type: ignore[no-untyped-def]
    """A silence that is usual, ns: see `USUAL_RANK` and `LATELY_RANK`."""
    longest = np.sort(hours[:, 1:].copy().ravel())
    lately = np.sort(hours[:LATELY_HOURS, 1:].copy().ravel())
    usual = max(longest[longest.size - _usual_rank(hours)], lately[lately.size - LATELY_RANK])
    return max(usual, SILENCE_NOTED_NS)


@njit(INT(STATE, INT), cache=True, nogil=True)
def silence_limit(state, until):  # type: ignore[no-untyped-def]
    """The silence, ns, from which on it is a stop, where nothing came up to `until` for as long;
    else 0, as it is for a topic partition that has stopped already or is too young.
    """
    clock = state.clock
    young = clock[CLOCK.high] - clock[CLOCK.first] < SILENCE_MIN_NS
    if clock[CLOCK.stopped] or clock[CLOCK.count] < SILENCE_MIN_RECORDS or young:
        return 0
    silent_ns = until - clock[CLOCK.high]
    if silent_ns < SILENT_NS:
        return 0
    limit = max(SILENT_NS, _usual_silence(state.hours) * SILENT_PERCENT // 100)
    return limit if silent_ns >= limit else 0


@njit((STATE, I1, INT, INT), cache=True, nogil=True)
def write_silence(state, silence, ts, over):  # type: ignore[no-untyped-def]
    """Write a stop, or its end, as a row of `Silence`; the clock keeps which of them it was."""
    clock, hours = state.clock, state.hours
    silence[SILENCE.ts] = ts
    silence[SILENCE.high] = clock[CLOCK.high]
    silence[SILENCE.usual] = _usual_silence(hours)
    silence[SILENCE.one_in] = hours[:, HOUR.silences].sum() // _usual_rank(hours)
    silence[SILENCE.over] = over
    clock[CLOCK.stopped] = 1 - over


@njit((JUDGEMENT, INT, INT, INT, INT, INT, INT), cache=True, nogil=True)
def notice(out, ts, about, offset, observed, expected, over):  # type: ignore[no-untyped-def]
    row = out.notices[out.counts[1]]
    row[NOTICE.ts] = ts
    row[NOTICE.about] = about
    row[NOTICE.offset] = offset
    row[NOTICE.observed] = observed
    row[NOTICE.expected] = expected
    row[NOTICE.over] = over
    out.counts[1] += 1


@njit((STATE, JUDGEMENT, INT), cache=True, nogil=True)
def _end_minute(state, out, ts):  # type: ignore[no-untyped-def]
    """Judge the minutes that have ended at `ts`, by the two rules, and begin a new one."""
    clock, minutes = state.clock, state.minutes
    records, late = minutes[:, MINUTE.records].sum(), minutes[:, MINUTE.late].sum()
    enough = records >= RULE_RECORDS
    if not clock[CLOCK.late_raised] and enough and 100 * late > LATE_PERCENT * records:
        clock[CLOCK.late_raised] = 1
        notice(out, ts, LATE_SHARE, 0, late, records, 0)
    elif clock[CLOCK.late_raised] and 100 * late < LATE_PERCENT_OVER * records:
        clock[CLOCK.late_raised] = 0
        notice(out, ts, LATE_SHARE, 0, late, records, 1)
    if minutes[0, MINUTE.delays] >= RULE_RECORDS:
        mean = minutes[0, MINUTE.delay] // minutes[0, MINUTE.delays]
        usual = clock[CLOCK.delay_usual]
        slow = mean > DELAY_TIMES * usual and mean > usual + DELAY_NS
        if clock[CLOCK.delay_minutes] >= DELAY_MINUTES and slow != (clock[CLOCK.delay_raised] == 1):
            clock[CLOCK.delay_raised] = 1 if slow else 0
            notice(out, ts, DELAY, 0, mean, usual, 0 if slow else 1)
        share = DELAY_LEARN if slow else min(clock[CLOCK.delay_minutes] + 1, DELAY_LEARN)
        clock[CLOCK.delay_usual] += (mean - usual) // share
        clock[CLOCK.delay_minutes] += 1
    missed = max(0, clock[CLOCK.high] - clock[CLOCK.minute_end]) // MINUTE_NS
    for _ in range(min(missed + 1, RULE_MINUTES)):
        _shift_rows(minutes)


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
def lag_bin(behind):  # type: ignore[no-untyped-def]
    """The place of `behind`, ns, among the `BEHIND_BINS`: its length in bits."""
    # The exponent of a double is that length: no loop, and no branch that is guessed wrongly.
    length = (np.float64(behind).view(np.int64) >> 52) - 1022
    return min(max(length, 0), BEHIND_BINS - 1)


@njit((STATE, JUDGEMENT, INT, INT, INT, INT, INT), cache=True, nogil=True)
def judge(state, out, row, t, stamp, floor, bar):  # type: ignore[no-untyped-def]
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
        clock[CLOCK.minute_end], clock[CLOCK.hour_end] = t + MINUTE_NS, t + _HOUR_NS
    elif t > high:
        limit = silence_limit(state, max(bar, t))
        if limit:
            write_silence(state, out.silences[out.counts[0]], high + limit, 0)
            out.counts[0] += 1
        if clock[CLOCK.stopped]:
            write_silence(state, out.silences[out.counts[0]], t, 1)
            out.counts[0] += 1
        _note_silence(state.hours, t - high)
        clock[CLOCK.step_2] = clock[CLOCK.step_1]
        clock[CLOCK.step_1] = clock[CLOCK.step_0]
        clock[CLOCK.step_0] = t - high
        clock[CLOCK.longest_step] = max(clock[CLOCK.longest_step], t - high)
        clock[CLOCK.high] = t
        clock[CLOCK.stamp] = stamp
        if t >= clock[CLOCK.minute_end]:
            _end_minute(state, out, max(clock[CLOCK.minute_end], floor))
            clock[CLOCK.minute_end] += ((t - clock[CLOCK.minute_end]) // MINUTE_NS + 1) * MINUTE_NS
            if t >= clock[CLOCK.hour_end]:
                _end_hour(clock, state.hours)
        high = t
    behind = high - t
    state.behind[lag_bin(behind)] += 1
    minute = state.minutes[0]
    minute[MINUTE.records] += 1
    # A stamp far from the record's time is that of a day sent again: it says nothing of delay.
    stamped = stamp != ABSENT and abs(stamp - t) <= MINUTE_NS
    minute[MINUTE.delay] += min(max(0, stamp - t) if stamped else behind, DELAY_MAX_NS)
    minute[MINUTE.delays] += 1
    out.turn[row] = out.turns[0]
    out.turns[0] += 1
    if late:
        minute[MINUTE.late] += 1
        out.verdict[row] = LATE
        out.times[row] = max(watermark, floor)
    else:
        clock[CLOCK.count] += 1
        out.verdict[row] = ADMITTED
        out.times[row] = behind
    if clock[CLOCK.seen] % LATENESS_EVERY == 0 and clock[CLOCK.seen] >= LATENESS_RECORDS:
        _adapt_lateness(state)
