"""What a clock keeps, and the bounds of the rule of time (docs/decisions/0017).

All state is integers in small arrays, so that a snapshot of them is the whole state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import types

from detectors.arrays.columns import column_numbers
from detectors.arrays.types import I1, I2, RI1, RU1, Int64, UInt64
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS

ADMITTED, LATE, DUPLICATE, JUMP, WAITING = 0, 1, 2, 3, 4
"""Verdicts; a record that waits gets another one later."""
NEVER = -(2**62)
"""A time before all times."""
END = 2**62
"""An offset behind all offsets."""

AHEAD_NS = 10 * SECOND_NS
"""A record may lie so far ahead of the clock of its log, or of its own append time."""
STEPS_AHEAD = 3
"""And so many times the shortest of the clock's last three steps: a log with a record every hour is
not surprised by the next."""
LAST_AHEAD_NS = 3_600 * SECOND_NS
"""At the end of a log, where nothing comes behind it that it could make late, a claim that nothing
contradicts is believed within so much: a log of two records a minute apart loses neither."""
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

KEYED_ROWS = 256
"""After a claim so many records at least are looked at with their keys."""

LATENESS_MIN_NS = 50 * MILLISECOND_NS
"""The lateness in force is never below this, or below the ceiling where that is lower."""
LATENESS_EVERY, LATENESS_DECAY_AT = 256, 16_384
"""It is computed anew every so many records; the counts are halved when they are so many."""
LATENESS_RECORDS = 1_024
"""Before so many records the ceiling is in force."""
LATENESS_QUANTILE = 1_000
"""One record in so many may run further behind than half the lateness."""

SILENT_NS, SILENT_PERCENT = 10 * SECOND_NS, 250
"""A topic partition has stopped when it is silent for so long, and for so many percent of a silence
that is usual there: a topic of few records is silent by nature."""
USUAL_HOURS, USUAL_RANK, USUAL_ONE_IN = 24, 24, 50
"""Usual is a silence as long as comes once an hour: of the silences of the last 24 hours in which
records came the 24th longest; where there are few, the one that one in 50 reaches."""
LATELY_HOURS, LATELY_RANK = 2, 2
"""And no shorter than the second longest of this hour and the one before: at night a topic may have
a tenth of the day's records, and ten times its silences."""
SILENCE_NOTED_NS = SECOND_NS
"""Shorter silences are counted and not kept: no limit depends on how short they are."""
SILENCE_MIN_RECORDS, SILENCE_MIN_NS = 20, 60 * SECOND_NS
"""Before so many records, over so long, its silences say nothing."""

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
    `usual`: a usual silence, ns. `one_in`: one in so many of the last silences is as long.
    """

    ts: int
    high: int
    usual: int
    one_in: int
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
    "high", "position", "first", "count", "hour_end", "stopped", "seen", "last_key", "key_change",
    "stamp", "step_0", "step_1", "step_2", "longest_step", "lateness", "ceiling", "mark", "waiting",
    "minute_end", "late_raised", "delay_raised", "delay_usual", "delay_minutes",
)  # fmt: skip
"""Highest time (ns), offset behind the last record; first time; admitted records; the end of the
current hour of silences; whether it has stopped; ordinary records (late ones too), the last one's
key, how many there were when the key last changed; append time of the record with the highest time;
the clock's last steps, and the longest of those beyond `AHEAD_NS` (ns); lateness in force and its
ceiling (ns); the watermark that an earlier lateness gave; records that wait; the end of the current
minute; whether the rules of late records and of delay fire; the usual delay (ns), and from how many
minutes."""
CLOCK = column_numbers(CLOCK_COLUMNS)
WAITING_COLUMNS = ("row", "offset", "ts", "key", "stamp", "clock", "strikes")
"""A claim that waits: its row among the verdicts, its record, the time that its log had come to
before it (ns), ordinary records behind it."""
WAIT = column_numbers(WAITING_COLUMNS)
MINUTE_COLUMNS = ("records", "late", "delay", "delays")
MINUTE = column_numbers(MINUTE_COLUMNS)
SILENCE = column_numbers(Silence._fields)
NOTICE = column_numbers(TimeNotice._fields)
HOUR_COLUMNS = ("silences", *(f"longest_{k}" for k in range(USUAL_RANK)))
"""Of an hour in which records came: how many silences (one before each record that moved the
clock), and the longest ones, ns, in no order."""
HOUR = column_numbers(HOUR_COLUMNS)
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
    minutes and the last hours of silences (the current one first), and the claims that wait."""

    clock: Int64
    behind: Int64
    minutes: Int64
    hours: Int64
    waiting: Int64


class Judgement(NamedTuple):
    """Where verdicts go: for each row the verdict and a time, ns (see `PartitionClock.admit`); rows
    of `Silence` and of `TimeNotice`, and how many there are of each. `turn`: the place of each
    admitted or late row in the order in which they were judged; `turns`: how many were.
    """

    verdict: Any
    times: Int64
    silences: Int64
    notices: Int64
    counts: Int64
    turn: Int64
    turns: Int64


RECORDS = types.NamedTuple([RI1, RI1, RI1, RU1], Records)  # type: ignore[no-untyped-call]
CONTROLS = types.NamedUniTuple(RI1, 2, Controls)  # type: ignore[no-untyped-call]
STATE = types.NamedTuple([I1, I1, I2, I2, I2], ClockState)  # type: ignore[no-untyped-call]
JUDGEMENT = types.NamedTuple(  # type: ignore[no-untyped-call]
    [types.uint8[::1], I1, I2, I2, I1, I1, I1], Judgement
)
