"""Whether each market's own data can be measured: its book sound, its feeds alive, its mark near.

Five conditions, each with a beginning and an end, decided by rule from closed windows alone:

- *unsound book*: the best bid has been above the best ask (crossed), or at it (locked) in a market
  where that is unusual, for `UNSOUND_S` seconds and `UNSOUND_BOOKS` snapshots. One such snapshot
  between sound ones is ordinary in feeds that merge several sources.
- *stale feed* (book, mark, index): no record for longer than is usual, while other feeds of the
  market go on. Time counts only while they do (`active`), so a halt of the whole market, or the
  rest of a day, is no stop of one feed. Usual is the second longest wait so far, so that one stop
  does not make the rule deaf to the next.
- *frozen book*: books go on to come and say the same, while trades go on, for longer than is usual.
- *mark off the market*: mark lies off the book's middle and off the trades, on one side, by more
  than the market ever shows: `GAP_DEVIATIONS` of its own usual gap, so that a standing basis is
  none, and `GAP_SIGMAS` of what its price moves meanwhile.

A book that is unsound, stale or frozen is not measured, nor is a mark that is stale or off. Nothing
is learnt of a gap while it is judged to be wrong.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectors.arrays.columns import column_numbers
from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import F1, F2, FLOAT, I1, I2, INT, Float64, Int64
from monitor.core.contract.units import DAY_S, SECOND_NS
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import to_float
from monitor.core.event_time.clock_state import NEVER
from monitor.core.windows.accumulators import MINIMUM, SUM
from monitor.core.windows.book_depth import BOOK
from monitor.core.windows.columns import MARK_COLUMNS, MARK_WIDTH, NO_MINIMUM

UNSOUND_S, UNSOUND_BOOKS = 5.0, 3
"""No book of the recorded venues is ever crossed; merged feeds show one snapshot."""
LOCKED_USUAL, LOCKED_READY, LOCKED_MEMORY_S = 0.05, 120, 3600.0
"""A locked book is ordinary where more than this share of windows end so: a recorded venue with a
tick of 0.01 bps has 47 %. It counts from so many windows with books on."""
SOUND_S = 5.0
"""A condition is over when it has not held for so long."""
STALE_S, STALE_WAITS = 45.0, 3.0
"""A feed is stale after so long and so many times its usual wait: told within a minute."""
FROZEN_S = 30.0
"""The same for a mark that is repeated without a change; it counts only where the mark is off."""
STALE_READY = 20
"""Records of a feed before its usual wait counts: the second longest of twenty random waits is
about twice their mean, and one wait in four hundred is longer than three times that."""
PAUSE_S = 30.0
"""A pause of the other feeds counts as activity for at most so long."""
GAP_READY = 60
"""Windows with a mark and a book or trades before its usual gap counts."""
GAP_LEAST, GAP_LEAST_FROZEN = 0.01, 0.005
"""A smaller gap, as a logarithm, is none; a mark that stands still is doubted earlier."""
GAP_DEVIATIONS, GAP_SIGMAS, GAP_MOVES_S = 10.0, 6.0, 20.0
"""Mean deviations of the gap; standard deviations of the book's middle over so many seconds."""
GAP_LEARNT_DEVIATIONS = 3.0
"""A gap is learnt as at most so far off: one that opens does not widen its own limit."""
GAP_USUAL_MOST = 0.05
"""A gap is learnt as at most so much: a market whose mark is wrong from the start shows it."""
GAP_MEMORY_S, MOVE_MEMORY_S = 3600.0, 600.0
GAP_PATIENCE_S = 3600.0
"""A gap of a mark that moves is a new basis after so long, and is learnt."""
OFF_S, OFF_FROZEN_S, OFF_ONE_S = 20.0, 10.0, 60.0
"""How long a mark must be off book and trades; that stands still; off the only one of them."""
OFF_TRADES = 3
"""Without a book, windows with trades off the mark: one odd trade is nothing."""
TRADE_MOST_S = 30.0
"""A trade that is older says nothing about the price."""
INDEX_NEAR = 0.005
"""An index within this fraction of the mark is off with it."""
GROWTH = 2.0
"""A gap is reported again when it has grown by this factor."""

FEEDS = ("book", "mark", "index", "change", "content")
"""`change`: of the mark's value. `content`: a book that is not the one before."""
WAIT_COLUMNS = ("paused", "active", "longest", "usual", "records")
"""Of a feed: seconds since other feeds last acted; seconds in which they did since its last record;
the longest and second longest such wait; its records."""
INPUT_COLUMNS = (
    "window", "books", "crossed_books", "locked_books", "crossed_bps", "ends_locked",
    "mark_records", "index_records", "mark", "index", "mid", "trade_low", "trade_high", "flow",
    "books_come", "marks_come", "book_changes",
)  # fmt: skip
"""Of one window. Books and records of marks: how many, or whether any. `crossed_bps`: bid over ask
where it ends with a crossed book, else 0. `mark`, `index`, `mid`: the last so far; `mid`: of the
last book that was not crossed. `trade_low`, `trade_high`: prices of takers' fills. `flow`: orders,
cancels and trades. NaN where there is none. `books_come`, `marks_come`: whether any market of the
shard has such a record in the window; 1 too where no second market has them.
`book_changes`: whether prices, depths or costs are others than in the window before."""
STATE_COLUMNS = (
    "window", "unsound_since", "unsound_books", "unsound_bps", "sound_since", "unsound_open",
    "book_windows", "locked_share", "content_window", "change_window",
    "mark", "trade_low", "trade_high", "trade_window", "center", "deviation", "gaps", "mid",
    "variance", "off_since", "off_trades", "near_since", "off_open", "off_reported", "waits",
)  # fmt: skip
"""Indices of windows are 0 where there is none. `off_open`: how many times the open gap has been
reported; 0: none is open. From `waits` on stand the `WAIT_COLUMNS` of each of `FEEDS`."""
OUTPUT_COLUMNS = (
    "book_usable", "mark_usable", "unsound", "stale_book", "stale_mark", "stale_index", "off",
    "unsound_since", "unsound_bps", "usual_book", "usual_mark", "usual_index", "gap", "limit",
    "off_since", "unchanged_since", "witnesses", "with_index", "frozen", "frozen_since",
    "usual_content",
)  # fmt: skip
"""Of one window. From `unsound` to `off`, and `frozen`: the conditions, 0 where they do not hold; a
number that changes is to be reported. `usual`: waits, s. `gap`: logarithm of mark over market;
`limit`: how far off its usual it may lie. `witnesses`: 1 book, 2 trades, 3 both. `with_index`:
whether the index is off with the mark, or stale with it."""
IN, MARKET, QUALITY, WAIT = map(
    column_numbers, (INPUT_COLUMNS, STATE_COLUMNS, OUTPUT_COLUMNS, WAIT_COLUMNS)
)
MARK_AT, INDEX_AT = map(MARK_COLUMNS.index, ("mark", "index"))
"""Places in `MARK_COLUMNS`."""
_WAITS = len(WAIT_COLUMNS)
_WIDTH = MARKET.waits + _WAITS * len(FEEDS)
_BOOK, _MARK, _INDEX, _CHANGE, _CONTENT = range(len(FEEDS))


@njit((INT, I2, I2, I2, I2, I2, I1, I2, I2, F2), cache=True, nogil=True)
def read_windows(low, before, sums, minima, book, mark, cell, last_book, last_mark, inputs):  # type: ignore[no-untyped-def]
    """Fill in `inputs` (`INPUT_COLUMNS`; zeros) for each symbol in each window from `low` on.

    `before`: of each symbol its last book before them. `sums`, `minima`, `book`, `mark`
    (`MARK_COLUMNS`): of each row of `inputs`, books and marks the last so far. `last_book`,
    `last_mark`: those that came, in the rows `cell`.
    """
    symbols = before.shape[0]
    for i in range(inputs.shape[0]):
        x, s, m, b = inputs[i], sums[i], minima[i], book[i]
        x[IN.window] = low + i // symbols
        x[IN.books] = s[SUM.books]
        x[IN.crossed_books], x[IN.locked_books] = s[SUM.crossed_books], s[SUM.locked_books]
        x[IN.flow] = (
            s[SUM.orders_buy] + s[SUM.orders_sell] + s[SUM.trades_buy] + s[SUM.trades_sell]
            + s[SUM.cancels_buy] + s[SUM.cancels_sell] + s[SUM.cancels_unsided]
        )  # fmt: skip
        x[IN.mark] = np.nan if mark[i, MARK_AT] == ABSENT else to_float(mark[i, MARK_AT])
        x[IN.index] = np.nan if mark[i, INDEX_AT] == ABSENT else to_float(mark[i, INDEX_AT])
        last = book[i - symbols] if i >= symbols else before[i]
        for c in range(BOOK.bid, BOOK.crossed_ts):
            if b[c] != last[c]:
                x[IN.book_changes] = 1.0
                break
        both = b[BOOK.ts] != NEVER and b[BOOK.bid] != ABSENT and b[BOOK.ask] != ABSENT
        x[IN.mid] = (to_float(b[BOOK.bid]) + to_float(b[BOOK.ask])) / 2 if both else np.nan
        lowest = min(m[MINIMUM.buy_low], m[MINIMUM.sell_low])
        highest = -min(m[MINIMUM.buy_high], m[MINIMUM.sell_high])
        x[IN.trade_low] = np.nan if lowest == NO_MINIMUM else to_float(lowest)
        x[IN.trade_high] = np.nan if lowest == NO_MINIMUM else to_float(highest)
    for i in range(cell.size):
        x, b = inputs[cell[i]], last_book[i]
        x[IN.mark_records] = 0.0 if last_mark[i, MARK_WIDTH * MARK_AT] == NEVER else 1.0
        x[IN.index_records] = 0.0 if last_mark[i, MARK_WIDTH * INDEX_AT] == NEVER else 1.0
        same = b[BOOK.crossed_ts] == b[BOOK.ts] and b[BOOK.crossed_offset] > b[BOOK.offset]
        if b[BOOK.crossed_ts] != NEVER and (b[BOOK.crossed_ts] > b[BOOK.ts] or same):
            bid, ask = to_float(b[BOOK.crossed_bid]), to_float(b[BOOK.crossed_ask])
            x[IN.crossed_bps] = (bid - ask) / (bid + ask) * 2e4
        elif b[BOOK.ts] != NEVER and b[BOOK.bid] != ABSENT and b[BOOK.bid] == b[BOOK.ask]:
            x[IN.ends_locked] = 1.0
    for begin in range(0, inputs.shape[0], symbols):
        books = marks = booked = marked = 0
        for i in range(begin, begin + symbols):
            x = inputs[i]
            books += x[IN.books] > 0.0
            marks += x[IN.mark_records] + x[IN.index_records] > 0.0
            booked += x[IN.mid] == x[IN.mid]
            marked += x[IN.mark] == x[IN.mark] or x[IN.index] == x[IN.index]
        for i in range(begin, begin + symbols):
            inputs[i, IN.books_come] = 1.0 if books > 0 or booked <= 1 else 0.0
            inputs[i, IN.marks_come] = 1.0 if marks > 0 or marked <= 1 else 0.0


@njit(FLOAT(F1, INT, FLOAT, FLOAT), cache=True, nogil=True)
def _limit(s, feed, least_s, waits):  # type: ignore[no-untyped-def]
    """How long a feed may be silent, s; infinite before that is learnt."""
    at = MARKET.waits + feed * _WAITS
    if s[at + WAIT.records] < STALE_READY:
        return np.inf
    return max(least_s, waits * s[at + WAIT.usual])


@njit(inline="always")
def _wait(s, feed, elapsed_s, others, comes):  # type: ignore[no-untyped-def]
    """One window of a feed: whether other feeds acted, and whether its own record came."""
    at = MARKET.waits + feed * _WAITS
    if s[at + WAIT.records] == 0.0 and not comes:
        return
    s[at + WAIT.paused] += elapsed_s
    if others:
        s[at + WAIT.active] += min(s[at + WAIT.paused], PAUSE_S)
        s[at + WAIT.paused] = 0.0
    if not comes:
        return
    wait = s[at + WAIT.active]
    if s[at + WAIT.records] > 0.0:
        keep = np.exp(-wait / DAY_S)
        s[at + WAIT.longest] *= keep
        s[at + WAIT.usual] *= keep
        if wait > s[at + WAIT.longest]:
            s[at + WAIT.usual], s[at + WAIT.longest] = s[at + WAIT.longest], wait
        elif wait > s[at + WAIT.usual]:
            s[at + WAIT.usual] = wait
    s[at + WAIT.records] += 1.0
    s[at + WAIT.active] = 0.0


@njit(inline="always")
def _step_book(s, x, window, window_s, elapsed_s):  # type: ignore[no-untyped-def]
    """Since when the book is crossed or locked, and whether that is to be reported."""
    since = s[MARKET.unsound_since]
    if x[IN.books] > 0.0:
        crossed, locked = x[IN.crossed_bps] > 0.0, x[IN.ends_locked] > 0.0
        usual = s[MARKET.book_windows] < LOCKED_READY or s[MARKET.locked_share] > LOCKED_USUAL
        sound = x[IN.books] - x[IN.crossed_books] - x[IN.locked_books]
        if not crossed and (not locked or usual):
            since = 0.0
        else:
            if since == 0.0 or (crossed and sound > 0.0):
                since, s[MARKET.unsound_books] = window, 0.0
            # Which of them came after the last sound one is not kept: one did.
            unsound = x[IN.crossed_books] + x[IN.locked_books]
            s[MARKET.unsound_books] += 1.0 if sound > 0.0 else unsound
            s[MARKET.unsound_bps] = x[IN.crossed_bps]
        if since == 0.0 or (window + 1.0 - since) * window_s <= UNSOUND_S:
            s[MARKET.book_windows] += 1.0
            weight = -np.expm1(-elapsed_s / LOCKED_MEMORY_S)
            weight = max(weight, 1.0 / s[MARKET.book_windows])
            s[MARKET.locked_share] += weight * ((1.0 if locked else 0.0) - s[MARKET.locked_share])
        if since > 0.0:
            s[MARKET.sound_since] = 0.0
        elif s[MARKET.sound_since] == 0.0:
            s[MARKET.sound_since] = window
    s[MARKET.unsound_since] = since
    if since > 0.0:
        lasts = (window + 1.0 - since) * window_s >= UNSOUND_S
        stands = s[MARKET.waits + WAIT.active] >= _limit(s, _BOOK, STALE_S, STALE_WAITS)
        if (lasts and s[MARKET.unsound_books] >= UNSOUND_BOOKS) or stands:
            s[MARKET.unsound_open] = 1.0
    elif s[MARKET.sound_since] > 0.0 and (
        (window + 1.0 - s[MARKET.sound_since]) * window_s >= SOUND_S
    ):
        s[MARKET.unsound_open] = 0.0


@njit(inline="always")
def _learn_move(s, mid, elapsed_s):  # type: ignore[no-untyped-def]
    """The variance of the middle's moves, a second."""
    if mid == mid and s[MARKET.mid] > 0.0 and elapsed_s > 0.0:
        move = np.log(mid / s[MARKET.mid])
        weight = -np.expm1(-elapsed_s / MOVE_MEMORY_S)
        weight = max(weight, 1.0 / (s[MARKET.gaps] + 1.0))
        s[MARKET.variance] += weight * (move * move / elapsed_s - s[MARKET.variance])
    s[MARKET.mid] = mid if mid == mid else 0.0


@njit(inline="always")
def _learn_gap(s, gap, elapsed_s):  # type: ignore[no-untyped-def]
    gap = min(max(gap, -GAP_USUAL_MOST), GAP_USUAL_MOST)
    s[MARKET.gaps] += 1.0
    weight = max(-np.expm1(-elapsed_s / GAP_MEMORY_S), 1.0 / s[MARKET.gaps])
    off = gap - s[MARKET.center]
    if s[MARKET.gaps] > GAP_READY:
        reach = GAP_LEARNT_DEVIATIONS * s[MARKET.deviation] + GAP_LEAST_FROZEN / GAP_DEVIATIONS
        off = min(max(off, -reach), reach)
    s[MARKET.center] += weight * off
    s[MARKET.deviation] += weight * (abs(off) - s[MARKET.deviation])


@njit(inline="always")
def _is_off(s, gap, limit):  # type: ignore[no-untyped-def]
    """Whether a gap is wide in itself and beside what is usual, to the same side."""
    beside = gap - s[MARKET.center]
    return abs(gap) >= limit and abs(beside) >= limit and gap * beside > 0.0


@njit(inline="always")
def _step_mark(s, x, o, window, window_s, elapsed_s, frozen):  # type: ignore[no-untyped-def]
    """Whether the mark lies off book and trades. A market without a mark has its index instead."""
    mark = x[IN.mark] if x[IN.mark] == x[IN.mark] else x[IN.index]
    mid = x[IN.mid] if o[QUALITY.book_usable] > 0.0 else np.nan
    _learn_move(s, mid, elapsed_s)
    trades = x[IN.trade_low] == x[IN.trade_low]
    if trades:
        s[MARKET.trade_low], s[MARKET.trade_high] = x[IN.trade_low], x[IN.trade_high]
        s[MARKET.trade_window] = window
    booked = mid == mid
    traded = s[MARKET.trade_window] > 0.0 and (
        (window - s[MARKET.trade_window]) * window_s <= TRADE_MOST_S
    )
    if not mark > 0.0 or not (booked or traded):
        s[MARKET.off_since] = s[MARKET.near_since] = 0.0
        return
    by_trades = 0.0
    if traded and mark > s[MARKET.trade_high]:
        by_trades = np.log(mark / s[MARKET.trade_high])
    elif traded and mark < s[MARKET.trade_low]:
        by_trades = np.log(mark / s[MARKET.trade_low])
    gap = np.log(mark / mid) if booked else by_trades
    limit = max(GAP_LEAST, GAP_SIGMAS * np.sqrt(GAP_MOVES_S * s[MARKET.variance]))
    limit = max(GAP_LEAST_FROZEN if frozen else limit, GAP_DEVIATIONS * s[MARKET.deviation])
    off = s[MARKET.gaps] >= GAP_READY and _is_off(s, gap, limit)
    off = off and (not traded or (by_trades * gap > 0.0 and _is_off(s, by_trades, limit)))
    needed_s = OFF_ONE_S if not (booked and traded) else OFF_FROZEN_S if frozen else OFF_S
    if off:
        s[MARKET.near_since] = 0.0
        if s[MARKET.off_since] == 0.0:
            s[MARKET.off_since], s[MARKET.off_trades] = window, 0.0
        s[MARKET.off_trades] += 1.0 if trades else 0.0
        lasts_s = (window + 1.0 - s[MARKET.off_since]) * window_s
        enough = booked or s[MARKET.off_trades] >= OFF_TRADES
        grown = abs(gap) >= GROWTH * s[MARKET.off_reported]
        if lasts_s >= needed_s and enough and (s[MARKET.off_open] == 0.0 or grown):
            s[MARKET.off_open] += 1.0
            s[MARKET.off_reported] = abs(gap)
    else:
        if s[MARKET.near_since] == 0.0:
            s[MARKET.near_since] = window
        near_s = (window + 1.0 - s[MARKET.near_since]) * window_s
        if s[MARKET.off_open] == 0.0 or near_s >= SOUND_S:
            s[MARKET.off_open] = s[MARKET.off_reported] = s[MARKET.off_since] = 0.0
    lasts_s = (window - s[MARKET.off_since]) * window_s if s[MARKET.off_since] > 0.0 else 0.0
    if s[MARKET.off_since] == 0.0 or (lasts_s >= GAP_PATIENCE_S and not frozen):
        _learn_gap(s, gap, elapsed_s)
    o[QUALITY.gap], o[QUALITY.limit] = gap, limit
    o[QUALITY.witnesses] = (1.0 if booked else 0.0) + (2.0 if traded else 0.0)


@njit((F2, F2, I1, FLOAT, F2), cache=True, nogil=True, error_model="numpy")
def _step(inputs, state, symbol, window_s, out):  # type: ignore[no-untyped-def]
    """Rows in the order of windows."""
    for i in range(inputs.shape[0]):
        x, s, o = inputs[i], state[symbol[i]], out[i]
        window = x[IN.window]
        elapsed_s = (window - s[MARKET.window]) * window_s if s[MARKET.window] > 0.0 else 0.0
        s[MARKET.window] = window
        books = x[IN.books] > 0.0
        marks = x[IN.mark_records] > 0.0
        flow = x[IN.flow] > 0.0
        mark = x[IN.mark] if x[IN.mark] == x[IN.mark] else x[IN.index]
        changed = mark == mark and mark != s[MARKET.mark]
        if changed:
            s[MARKET.mark], s[MARKET.change_window] = mark, window
        # Where a whole topic stops, that is one alert and not one for each market.
        others = (flow or books) and x[IN.marks_come] > 0.0
        _wait(s, _BOOK, elapsed_s, (flow or marks) and x[IN.books_come] > 0.0, books)
        _wait(s, _MARK, elapsed_s, others, marks)
        _wait(s, _INDEX, elapsed_s, others, x[IN.index_records] > 0.0)
        _wait(s, _CHANGE, elapsed_s, flow or books, changed)
        trades = x[IN.trade_low] == x[IN.trade_low]
        new_book = x[IN.book_changes] > 0.0
        _wait(s, _CONTENT, elapsed_s, trades and books, new_book)
        if new_book:
            s[MARKET.content_window] = window
        _step_book(s, x, window, window_s, elapsed_s)
        for feed in range(_CHANGE):
            at = MARKET.waits + feed * _WAITS
            o[QUALITY.usual_book + feed] = s[at + WAIT.usual]
            stale = s[at + WAIT.active] >= _limit(s, feed, STALE_S, STALE_WAITS)
            o[QUALITY.stale_book + feed] = 1.0 if stale else 0.0
        # A window's book is its last sound one, whatever came after it.
        fresh = x[IN.crossed_bps] > 0.0 and x[IN.books] > x[IN.crossed_books]
        sound = s[MARKET.unsound_since] == 0.0 or fresh
        at = MARKET.waits + _CONTENT * _WAITS
        stands = s[at + WAIT.active] >= _limit(s, _CONTENT, STALE_S, STALE_WAITS)
        if stands and o[QUALITY.stale_book] == 0.0 and s[MARKET.unsound_open] == 0.0:
            o[QUALITY.frozen] = 1.0
        o[QUALITY.frozen_since] = s[MARKET.content_window]
        o[QUALITY.usual_content] = s[at + WAIT.usual]
        usable = sound and not stands and o[QUALITY.stale_book] == 0.0
        o[QUALITY.book_usable] = 1.0 if usable else 0.0
        at = MARKET.waits + _CHANGE * _WAITS
        frozen = s[at + WAIT.active] >= _limit(s, _CHANGE, FROZEN_S, STALE_WAITS)
        _step_mark(s, x, o, window, window_s, elapsed_s, frozen)
        o[QUALITY.unsound], o[QUALITY.off] = s[MARKET.unsound_open], s[MARKET.off_open]
        if s[MARKET.unsound_open] > 0.0:
            o[QUALITY.stale_book] = 0.0  # one alert for one book
        no_mark = s[MARKET.waits + _MARK * _WAITS + WAIT.records] == 0.0
        stale_mark = o[QUALITY.stale_mark] > 0.0
        stale_index = o[QUALITY.stale_index] > 0.0
        doubtful = s[MARKET.off_open] > 0.0 or stale_mark or (no_mark and stale_index)
        o[QUALITY.mark_usable] = 0.0 if doubtful else 1.0
        near = abs(x[IN.index] / x[IN.mark] - 1.0) <= INDEX_NEAR
        with_index = stale_index if stale_mark else near
        o[QUALITY.with_index] = 1.0 if with_index else 0.0
        if stale_mark:
            o[QUALITY.stale_index] = 0.0  # one alert for both
        o[QUALITY.unsound_since] = s[MARKET.unsound_since]
        o[QUALITY.unsound_bps] = s[MARKET.unsound_bps]
        o[QUALITY.off_since] = s[MARKET.off_since]
        o[QUALITY.unchanged_since] = s[MARKET.change_window] if frozen else 0.0


class DataQuality(Stateful):
    """The state of every market, by symbol number."""

    STATE = ("_markets",)

    def __init__(self, window_ns: int) -> None:
        self._window_s = window_ns / SECOND_NS
        self._markets: Float64 = np.zeros((0, _WIDTH))

    def step(self, inputs: Float64, symbol: Int64) -> Float64:
        """`OUTPUT_COLUMNS` of each row of `inputs` (`INPUT_COLUMNS`), rows in the order of
        windows.
        """
        self._markets = grow_rows(self._markets, int(symbol.max(initial=-1)) + 1)
        out = np.zeros((len(inputs), len(OUTPUT_COLUMNS)))
        _step(inputs, self._markets, symbol, self._window_s, out)
        return out
