"""The mark guards of all markets in arrays, so that ordinary marks pass in one compiled loop.

A record is ordinary whose sources are those of the record before, fresh and near each other, and
whose prices lie near the last trusted ones: it is trusted, and leaves no doubt. Every other one is
put before a `MarkGuard` by itself, whose rules stand in `mark_guard.py` alone; of those rules the
loop repeats what an ordinary record meets, bit for bit.
"""

from __future__ import annotations

from itertools import chain, islice
from math import log, nan, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit, types

from detectors.arrays.growable import grow_rows
from detectors.arrays.types import B1, F1, F3, I1, I2, I3, INT, Bool, Float64, Int64
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import to_float
from monitor.core.marks.mark_guard import (
    FROZEN_MOVE,
    FROZEN_S,
    GOOD_PRICE_MAX_AGE_S,
    JUMP_LEAST,
    JUMP_MOST,
    JUMP_SIGMAS,
    READY_MOVES,
    SCALE_WEIGHT,
    SOURCE_OUTLYING,
    SOURCE_STALE_S,
    MarkGuard,
    SourceStand,
    TrustedPrice,
)
from monitor.core.marks.market_rows import BEST_ASK, BEST_BID, INDEX, LAST, MARK, SYMBOL, TS

_GOOD, _SCALE, _CANDIDATE, _NUMBERS = range(4)
_GOOD_TS, _SINCE, _UPDATES, _MOVES, _COUNTS = range(5)
_PRICE, _MEDIAN, _STANDS = range(3)
_CLEAR_S = 0.001
"""Sources within so much of being stale are left to `MarkGuard`, which compares to the last ns."""
_EXACT_NS = 2**53
"""Longer times are no exact doubles."""


class SourceRows(NamedTuple):
    """The sources of mark records: those of record i are `begin[i]` to `begin[i + 1] − 1`.

    `is_same`: by record, whether the names are those that the bank holds of its market.
    """

    begin: Int64
    price: Float64
    ts: Int64
    is_same: Bool


class GuardArrays(NamedTuple):
    """By symbol. `numbers` and `counts` (symbols, mark and index, column): `TrustedPrice`. `stands`
    (symbols, sources, price and median), `since`: `SourceStand`.
    """

    numbers: Float64
    counts: Int64
    stands: Float64
    since: Int64


_SOURCES = types.BaseTuple.from_types((I1, F1, I1, B1), SourceRows)  # type: ignore[no-untyped-call]
_GUARDS = types.BaseTuple.from_types((F3, I3, F3, I2), GuardArrays)  # type: ignore[no-untyped-call]


class GuardBank:
    """The state of `MarkGuard` for every market, by its symbol's number."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[str, ...]] = {}
        """The sources of each market that has a guard."""
        self._arrays = GuardArrays(
            np.empty((0, 2, _NUMBERS)), np.empty((0, 2, _COUNTS), np.int64),
            np.empty((0, 1, _STANDS)), np.empty((0, 1), np.int64),
        )  # fmt: skip

    def pass_ordinary(self, first: int, rows: Int64, books: Int64, sources: SourceRows) -> int:
        """Trust the mark rows from `first` on, up to one that is not ordinary: its place."""
        self._grow(len(books))
        place: int = _pass_ordinary(first, rows, books, sources, self._arrays)
        return place

    def names(self, symbol: int) -> tuple[str, ...]:
        """The sources of the market's last record that had any."""
        return self._names.get(symbol, ())

    def has_names(self, symbol: int, names: tuple[str, ...]) -> bool:
        """Whether these are the sources of the market's last record that had any."""
        return self._names.get(symbol) == names

    def have_names(self, symbols: list[int], counts: list[int], names: list[str]) -> Bool:
        """`has_names` of each record; the first has the first `counts[0]` of `names`, and so on."""
        last = [self._names.get(symbol, ()) for symbol in symbols]
        # Nearly always all are the same: then there is no need to part them.
        if list(map(len, last)) == counts and list(chain.from_iterable(last)) == names:
            return np.array([symbol in self._names for symbol in symbols], np.bool_)
        each = iter(names)
        own = (tuple(islice(each, count)) for count in counts)
        return np.array(list(map(self.has_names, symbols, own)), np.bool_)

    def guard(self, symbol: int) -> MarkGuard:
        """The guard of a market; a new one where it has none."""
        names = self._names.get(symbol)
        if names is None:
            return MarkGuard()
        numbers, counts, stands, since = (array[symbol].tolist() for array in self._arrays)
        mark, index = (
            TrustedPrice(good, ts, scale, candidate, *lasting)
            for (good, scale, candidate), (ts, *lasting) in zip(numbers, counts, strict=True)
        )
        last = zip(names, stands, since, strict=False)
        sources = {name: SourceStand(price, ts, median) for name, (price, median), ts in last}
        return MarkGuard(mark, index, sources)

    def set_guard(self, symbol: int, guard: MarkGuard) -> None:
        """Keep what a guard has become."""
        self._grow(symbol + 1, len(guard.stands))
        self._names[symbol] = tuple(guard.stands)
        numbers, counts, stands, since = (array[symbol] for array in self._arrays)
        for row, price in enumerate((guard.mark, guard.index)):
            numbers[row] = price.good, price.scale, price.candidate
            counts[row] = price.ts, price.candidate_since, price.candidate_updates, price.moves
        for place, stand in enumerate(guard.stands.values()):
            stands[place], since[place] = (stand.price, stand.median), stand.since

    def _grow(self, symbols: int, sources: int = 0) -> None:
        numbers, counts, stands, since = self._arrays
        if symbols > len(numbers):
            numbers, counts = grow_rows(numbers, symbols, nan), grow_rows(counts, symbols, 0)
            stands, since = grow_rows(stands, symbols, nan), grow_rows(since, symbols, 0)
        if sources > since.shape[1]:
            more = sources - since.shape[1]
            stands = np.pad(stands, ((0, 0), (0, more), (0, 0)))
            since = np.pad(since, ((0, 0), (0, more)))
        self._arrays = GuardArrays(numbers, counts, stands, since)

    def guards(self) -> dict[int, MarkGuard]:
        """The guards of all markets that have one."""
        return {symbol: self.guard(symbol) for symbol in self._names}

    def restore(self, guards: dict[int, MarkGuard]) -> None:
        """Continue with the guards that `guards` gave."""
        self._names = {}
        for symbol, guard in guards.items():
            self.set_guard(symbol, guard)


@njit(inline="always")
def _middle_of(values, count):  # type: ignore[no-untyped-def]
    """The median of the first `count` values, which are put in order."""
    for i in range(1, count):
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    half = count // 2
    return values[half] if count % 2 == 1 else (values[half - 1] + values[half]) / 2


@njit(inline="always")
def _is_ordinary(price, ts, others, numbers, counts):  # type: ignore[no-untyped-def]
    """Whether a price lies near the last trusted one, beside `others` inputs."""
    good = numbers[_GOOD]
    if not good > 0.0 or not price > 0.0 or ts - counts[_GOOD_TS] > _EXACT_NS:
        return False
    wait_s = max((ts - counts[_GOOD_TS]) / SECOND_NS, 1.0)
    if wait_s > GOOD_PRICE_MAX_AGE_S:
        return True
    limit = JUMP_MOST
    if others > 0 and counts[_MOVES] >= READY_MOVES:
        limit = min(max(JUMP_LEAST, JUMP_SIGMAS * numbers[_SCALE] * sqrt(wait_s)), JUMP_MOST)
    return abs(price / good - 1.0) <= limit


@njit(inline="always")
def _accept(price, ts, numbers, counts):  # type: ignore[no-untyped-def]
    wait_s = max((ts - counts[_GOOD_TS]) / SECOND_NS, 1.0)
    move = abs(log(price / numbers[_GOOD])) / sqrt(wait_s)
    move = min(move, 4.0 * numbers[_SCALE] + JUMP_LEAST / JUMP_SIGMAS)
    numbers[_SCALE] += SCALE_WEIGHT * (move - numbers[_SCALE])
    counts[_MOVES] += 1
    numbers[_GOOD], numbers[_CANDIDATE] = price, np.nan
    counts[_GOOD_TS], counts[_UPDATES] = ts, 0


@njit(INT(INT, I2, I2, _SOURCES, _GUARDS), cache=True, nogil=True)
def _pass_ordinary(first, rows, books, sources, guards):  # type: ignore[no-untyped-def]
    """See `GuardBank.pass_ordinary`. A row changes nothing before all of it proved ordinary."""
    room = guards.since.shape[1]
    values = np.empty(room)
    for i in range(first, rows.shape[0]):
        row = rows[i]
        symbol, ts = row[SYMBOL], row[TS]
        numbers, counts = guards.numbers[symbol], guards.counts[symbol]
        stands, since = guards.stands[symbol], guards.since[symbol]
        begin, count = sources.begin[i], sources.begin[i + 1] - sources.begin[i]
        median = np.nan
        if count > 0:
            if not sources.is_same[i] or count > room:
                return i
            for k in range(count):
                price, at = sources.price[begin + k], sources.ts[begin + k]
                if not price > 0.0 or (ts - at) / SECOND_NS > SOURCE_STALE_S - _CLEAR_S:
                    return i
                values[k] = price
            median = _middle_of(values, count)
            for k in range(count):
                price = sources.price[begin + k]
                if not abs(price - median) <= SOURCE_OUTLYING * median:
                    return i
                stood = stands[k, _PRICE] == price and ts - since[k] >= FROZEN_S * SECOND_NS
                moved = stood and abs(median / stands[k, _MEDIAN] - 1.0) >= FROZEN_MOVE
                if moved and not abs(price - median) <= FROZEN_MOVE / 2 * median:
                    return i
        book = books[symbol]
        is_fresh = ts - book[TS] <= GOOD_PRICE_MAX_AGE_S * SECOND_NS
        others = count + (1 if row[LAST] != ABSENT else 0)
        others += 1 if book[BEST_BID] > 0 and book[BEST_ASK] > 0 and is_fresh else 0
        index = mark = np.nan
        if row[INDEX] != ABSENT:
            index = to_float(row[INDEX])
            if count >= 2 and not abs(index - median) <= SOURCE_OUTLYING * median:
                return i
            if not _is_ordinary(index, ts, others, numbers[1], counts[1]):
                return i
            others += 1 if count == 0 else 0
        if row[MARK] != ABSENT:
            mark = to_float(row[MARK])
            if not _is_ordinary(mark, ts, others, numbers[0], counts[0]):
                return i
        for k in range(count):
            if stands[k, _PRICE] != sources.price[begin + k]:
                stands[k, _PRICE], stands[k, _MEDIAN] = sources.price[begin + k], median
                since[k] = ts
        if index == index:
            _accept(index, ts, numbers[1], counts[1])
        if mark == mark:
            _accept(mark, ts, numbers[0], counts[0])
    return rows.shape[0]
