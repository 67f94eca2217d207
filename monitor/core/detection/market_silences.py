"""Findings of the data layer: a market falls silent while its topic partition goes on.

For each kind of record a silence is measured in busy windows: those in which the topic partition
has brought a record of that kind, of any market. So nothing is found where a whole topic stops
(`feed_times.py` says that), and a quiet night is no silence. A book or a mark that stops while its
own market goes on is stale (`market_quality.py`); here they only count where all of it stops.

A stop is a silence of a minute, and of ten times the second longest that the market has had lately,
or of five times where two kinds of record, and so all of the market, have stopped together:
thousands of markets are watched, so the rule is wider than that of a topic partition.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectors.arrays.columns import column_numbers
from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import B2, I1, I2, I3, INT, Bool, Int64
from monitor.core.contract.feature_catalogue import MARKET_SILENCE, MARKET_SILENCE_KINDS
from monitor.core.contract.units import SECOND_NS
from monitor.core.detection.judge import ClosedSpan
from monitor.core.finding import Finding
from monitor.core.settings import EngineSettings
from monitor.core.windows.columns import KINDS

SILENT_S, SILENT_TIMES, SILENT_TIMES_ALONE = 60.0, 5, 10
"""The limit: so long at least, and so many times the market's usual silence; alone: where only one
kind of record shows it. With random gaps one market in thousands is so silent in a day; with gaps
that spread by a factor of 2.7, or whose tail falls with the cube of their length, one in a hundred.
"""
USUAL_RANK = 2
"""Usual is the second longest silence: one stop does not make the rule deaf."""
MEMORY_S = 12 * 3600.0
"""A silence is remembered for so long at least, and for twice as long at most."""
RECORDS_MIN, AGE_MIN_S = 50, 600.0
"""Before so many windows with records, over so long, a market's silences say nothing."""
TOGETHER_S = 5.0
"""Kinds whose last records lie so near to each other have stopped together."""
GONE_S = 86_400.0
"""A market that stays silent for so many busy windows is taken for one that is no longer traded."""

_PLACES = [KINDS.index(kind) for kind in MARKET_SILENCE_KINDS]
_N = len(MARKET_SILENCE_KINDS)
_JUDGED_BESIDE_OTHERS = 3
"""From this kind on (books and marks) it is no silence while others of the market go on."""
assert MARKET_SILENCE_KINDS[_JUDGED_BESIDE_OTHERS:] == ("book", "mark")
FEED_COLUMNS = (
    "last", "window", "first", "windows",
    *(f"longest_{k}" for k in range(USUAL_RANK)), *(f"before_{k}" for k in range(USUAL_RANK)),
)  # fmt: skip
"""Of one kind in one market: busy windows up to its last record, the windows of that and of its
first; windows with records; the longest silences (busy windows) since the memory last moved on, and
of the time before that."""
FEED = column_numbers(FEED_COLUMNS)
EVENT_COLUMNS = ("window", "symbol", "since", "kinds", "usual", "is_end")
"""A beginning or an end (`is_end`: 1, or 2 where the market is taken for gone); `since`: the window
of the last record before it; `kinds`: which have stopped, as bits; `usual`: a usual silence, busy
windows."""
EVENT = column_numbers(EVENT_COLUMNS)
LIMIT_COLUMNS = ("least", "age", "together", "gone", "memory")
"""The bounds above, in windows."""
LIMIT = column_numbers(LIMIT_COLUMNS)
MARKET_COLUMNS = ("kinds", "since", "usual")
"""Of one market: the kinds that have stopped, as bits (0: it is not silent), since when, and the
usual silence of the one that showed it."""
MARKET = column_numbers(MARKET_COLUMNS)
BUSY_COLUMNS = ("windows", "due")
"""Of one kind: busy windows so far, and how many there must be before any market can be silent."""
BUSY = column_numbers(BUSY_COLUMNS)
_NEVER = 2**62


@njit(INT(I1), cache=True, nogil=True)
def _usual(feed):  # type: ignore[no-untyped-def]
    """The second longest silence of the memory, busy windows."""
    longest = np.sort(feed[FEED.longest_0 :].copy())
    return longest[longest.size - USUAL_RANK]


@njit((I1, INT, INT), cache=True, nogil=True)
def _note_record(feed, busy, window):  # type: ignore[no-untyped-def]
    """Count a window with records, and the silence before it; `busy`: the busy windows before."""
    if feed[FEED.windows] == 0:
        feed[FEED.first] = window
    else:
        shortest = FEED.longest_0 + np.argmin(feed[FEED.longest_0 : FEED.before_0])
        feed[shortest] = max(feed[shortest], busy - feed[FEED.last])
    feed[FEED.last], feed[FEED.window] = busy + 1, window
    feed[FEED.windows] += 1


@njit((I1, INT, INT, I1, INT), cache=True, nogil=True)
def _write(event, window, symbol, market, is_end):  # type: ignore[no-untyped-def]
    event[EVENT.window], event[EVENT.symbol] = window, symbol
    event[EVENT.since], event[EVENT.kinds] = market[MARKET.since], market[MARKET.kinds]
    event[EVENT.usual], event[EVENT.is_end] = market[MARKET.usual], is_end


@njit((I1, INT, INT, I3, I2, I2), cache=True, nogil=True)
def _end(event, window, symbol, feeds, markets, busy):  # type: ignore[no-untyped-def]
    """End the silence of a market that has a record again. Its other kinds that had stopped are
    given the time of a full silence from now on."""
    market = markets[symbol]
    _write(event, window, symbol, market, 1)
    for k in range(_N):
        if market[MARKET.kinds] >> k & 1:
            feeds[symbol, k, FEED.last] = busy[k, BUSY.windows]
    market[:] = 0


@njit(INT(INT, INT, I3, I2, I2, I1, I2, INT), cache=True, nogil=True)
def _find_silent(kind, window, feeds, markets, busy, limits, events, n):  # type: ignore[no-untyped-def]
    """Write the markets in which `kind` is silent for too long now, and note when to look again;
    returns how many `events` there are."""
    now, due = busy[kind, BUSY.windows], _NEVER
    for symbol in range(feeds.shape[0]):
        feed, market = feeds[symbol, kind], markets[symbol]
        if feed[FEED.windows] == 0:
            continue
        if market[MARKET.kinds]:
            gone = feed[FEED.last] + limits[LIMIT.gone]
            if not market[MARKET.kinds] >> kind & 1:
                due = min(due, now + limits[LIMIT.least])
            elif now < gone:
                due = min(due, gone)
            else:
                _write(events[n], window, symbol, market, 2)
                n += 1
                market[:], feeds[symbol] = 0, 0
            continue
        young = window - feed[FEED.first] < limits[LIMIT.age]
        if young or feed[FEED.windows] < RECORDS_MIN:
            due = min(due, now + limits[LIMIT.least])
            continue
        usual = _usual(feed)
        silent = now - feed[FEED.last]
        limit = max(limits[LIMIT.least], SILENT_TIMES * usual)
        if silent < limit:
            due = min(due, feed[FEED.last] + limit)
            continue
        stopped, goes_on = 0, False
        for k in range(_N):
            if feeds[symbol, k, FEED.windows] == 0:
                continue
            if feeds[symbol, k, FEED.window] <= feed[FEED.window] + limits[LIMIT.together]:
                stopped |= 1 << k
            else:
                goes_on = True
        is_alone = goes_on or stopped == 1 << kind
        stale = goes_on and kind >= _JUDGED_BESIDE_OTHERS
        if stale or (is_alone and silent < SILENT_TIMES_ALONE * usual):
            due = min(due, now + limits[LIMIT.least])
            continue
        market[MARKET.kinds], market[MARKET.usual] = stopped, usual
        market[MARKET.since] = feed[FEED.window]
        _write(events[n], window, symbol, market, 0)
        n += 1
        due = min(due, feed[FEED.last] + limits[LIMIT.gone])
    busy[kind, BUSY.due] = due
    return n


@njit(INT(I1, I1, B2, I3, I2, I2, I1, I2), cache=True, nogil=True)
def find_silences(window, symbol, came, feeds, markets, busy, limits, events):  # type: ignore[no-untyped-def]
    """Take in windows with records, in order of time; returns how many `events` it wrote.

    `came`: whether each row has records of each kind. `feeds` (symbols, kinds, `FEED_COLUMNS`),
    `markets` (symbols, `MARKET_COLUMNS`) and `busy` (kinds, `BUSY_COLUMNS`) are the state.
    """
    n, i = 0, 0
    while i < window.size:
        begin, now = i, window[i]
        while i < window.size and window[i] == now:
            for k in range(_N):
                if came[i, k]:
                    _note_record(feeds[symbol[i], k], busy[k, BUSY.windows], now)
                    due = busy[k, BUSY.windows] + limits[LIMIT.least]
                    busy[k, BUSY.due] = min(busy[k, BUSY.due], due)
            i += 1
        for k in range(_N):
            busy[k, BUSY.windows] += came[begin:i, k].any()
        for row in range(begin, i):
            market = markets[symbol[row]]
            for k in range(_N):
                if came[row, k] and market[MARKET.kinds] >> k & 1:
                    _end(events[n], now, symbol[row], feeds, markets, busy)
                    n += 1
        for k in range(_N):
            if came[begin:i, k].any() and busy[k, BUSY.windows] >= busy[k, BUSY.due]:
                n = _find_silent(k, now, feeds, markets, busy, limits, events, n)
    return n


class MarketSilences(Stateful):
    """The silences of the markets of one shard, by symbol number."""

    STATE = "_feeds", "_markets", "_busy", "_memory_end"

    def __init__(self, settings: EngineSettings, partition: int) -> None:
        self._partition = partition
        self._window_s = settings.time.window_ns / SECOND_NS
        bounds = SILENT_S, AGE_MIN_S, TOGETHER_S, GONE_S, MEMORY_S
        self._limits = np.array([settings.window_count(s) for s in bounds], np.int64)
        self._feeds: Int64 = np.zeros((0, _N, len(FEED_COLUMNS)), np.int64)
        self._markets: Int64 = np.zeros((0, len(MARKET_COLUMNS)), np.int64)
        self._busy: Int64 = np.zeros((_N, len(BUSY_COLUMNS)), np.int64)
        self._busy[:, BUSY.due] = _NEVER
        self._memory_end = 0
        """The window with which the memory moves on."""

    def judge(self, closed: ClosedSpan) -> list[Finding]:
        """The silences that begin or end in these windows, by time."""
        rows = closed.windows
        if not len(rows.window):
            return []
        symbols = int(rows.symbol.max()) + 1
        self._feeds = grow_rows(self._feeds, symbols)
        self._markets = grow_rows(self._markets, symbols)
        came = rows.last_offset[:, _PLACES] >= 0
        findings: list[Finding] = []
        low = 0
        while low < len(rows.window):
            # The memory moves on between two windows, wherever the span was cut.
            if rows.window[low] >= self._memory_end:
                self._move_memory(int(rows.window[low]))
            high = int(np.searchsorted(rows.window, self._memory_end))
            findings += self._find(closed, slice(low, high), came)
            low = high
        return findings

    def _find(self, closed: ClosedSpan, rows: slice, came: Bool) -> list[Finding]:
        window, symbol = (
            np.ascontiguousarray(column[rows])
            for column in (closed.windows.window, closed.windows.symbol)
        )
        # A market is silent once, and again only after a row that ended it.
        most = 3 * (len(window) + len(self._markets))
        events = np.empty((most, len(EVENT_COLUMNS)), np.int64)
        state = self._feeds, self._markets, self._busy, self._limits
        kinds = np.ascontiguousarray(came[rows])
        n = find_silences(window, symbol, kinds, *state, events)
        return [self._finding(closed, row) for row in events[:n].tolist()]

    def _move_memory(self, window: int) -> None:
        """Forget the older half of the silences that are remembered."""
        now, before = (
            slice(first, first + USUAL_RANK) for first in (FEED.longest_0, FEED.before_0)
        )
        self._feeds[:, :, before] = self._feeds[:, :, now]
        self._feeds[:, :, now] = 0
        self._memory_end = window + int(self._limits[LIMIT.memory])

    def _finding(self, closed: ClosedSpan, row: list[int]) -> Finding:
        window, symbol, since, kinds, usual, is_end = row
        stopped = [kind for k, kind in enumerate(MARKET_SILENCE_KINDS) if kinds >> k & 1]
        seconds = (window - since) * self._window_s, max(1, usual) * self._window_s
        where = window, since, self._partition, closed.names.get(symbol, "")
        facts: dict[str, float | int | str | None] = {"kinds": ",".join(stopped)}
        facts["is_gone"] = int(is_end == 2)
        return Finding(
            *where, MARKET_SILENCE, MARKET_SILENCE, *seconds, 0.0, facts=facts, is_end=bool(is_end)
        )
