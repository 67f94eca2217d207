"""What a recorded day's own rows say of each market, second by second, by plain arithmetic.

Nothing of the engine's features is used: these series judge what the engine says. A book's depth is
all that the recording shows of it. A number is NaN where the market's books have a gap in the ten
seconds that it covers, and until there is something trailing to compare it with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch, Ladder
from monitor.core.decode.stepped_kernels import to_floats

Numbers = NDArray[np.float64]
SHORT_S, TRAILING_S = 10, 600
"""What happens now is what happens in ten seconds; what is usual, the median (of counts the mean)
of the ten minutes before them. A recording of less than 40 minutes has a quarter of itself."""
MEDIAN_STEP_S = 5
"""The trailing median is made anew so often."""
GAP_S, GAP_RARE = 10.0, 0.999
"""A feed has a gap where two records of a kind lie further apart than this, and than so many of all
such intervals of the day."""
SPREAD_LEAST_BPS, MOVE_LEAST_BPS = 1.0, 1.0
"""A spread is wide from so much above the usual one; a deviation of moves is not below this."""
TIMES, DEVIATIONS = 3.0, 8.0
"""What no desk calls usual: a third of the depth, three times the spread, a move of so many
trailing deviations (root of the mean square of 10 s moves)."""
COUNTED = {"fill": "trades", "order": "orders", "cancel": "cancels"}
"""Of each kind of records that is counted, what its series is called."""


class Gap(NamedTuple):
    """No record of a kind in any market; seconds since 1970, of the records before and after."""

    kind: str
    begin: float
    end: float

    @property
    def lasts_s(self) -> float:
        return self.end - self.begin


class MarketSeries(NamedTuple):
    """One market, a number for each second; index 0 is the second `start` (since 1970)."""

    symbol: str
    start: int
    trailing_s: int
    scores: dict[str, Numbers]
    """The higher, the more extreme: `price` the 10 s move, bps; `depth`, `bids`, `asks` how far
    below the usual, log; `spread` above the usual, bps; `trades`, `notional`, `orders`, `cancels`
    of 10 s above the usual. Those that the recording has."""
    log_bids: Numbers
    log_asks: Numbers
    spread_bps: Numbers
    """The book at the end of each second."""
    wide: NDArray[np.bool_]
    """The spread has been three times the usual for ten seconds, and a basis point above it."""
    moved: NDArray[np.bool_]
    """The 10 s move exceeds eight trailing deviations of such moves."""
    unsound: NDArray[np.bool_]
    """All books of this second are crossed or locked, or lack a side."""

    @property
    def thin(self) -> NDArray[np.bool_]:
        """Both sides together have had less than a third of what is usual for ten seconds."""
        thin: NDArray[np.bool_] = np.nan_to_num(self.scores["depth"]) > np.log(TIMES)
        return thin

    @property
    def seconds(self) -> int:
        return len(self.spread_bps)


class BookGrid(NamedTuple):
    """A market's book at the end of each second."""

    mid: Numbers
    spread_bps: Numbers
    log_bids: Numbers
    log_asks: Numbers
    covered: NDArray[np.bool_]
    """Whether the last ten seconds have books, and enough seconds before them."""
    unsound: NDArray[np.bool_]


class DaySeries(NamedTuple):
    """All markets of a recording that have books, the busiest first, and the gaps of its feeds."""

    markets: list[MarketSeries]
    gaps: list[Gap]


class SeriesCollector:
    """Takes the batches of a day as the engine does, and makes its series."""

    def __init__(self) -> None:
        self._books: dict[str, list[tuple[NDArray[Any], ...]]] = {}
        self._counted: dict[tuple[str, str], list[tuple[Numbers, Numbers]]] = {}
        self._times: dict[str, list[Numbers]] = {}

    def add(self, batch: Batch) -> None:
        """Take in a batch; kinds that no series is made of only show gaps."""
        if not len(batch):
            return
        seconds = batch.numbers["ts"] / SECOND_NS
        self._times.setdefault(batch.kind, []).append(seconds)
        if batch.kind == "book":
            rows = _book_rows(batch)
            for symbol, index in rows_by_symbol(batch):
                self._books.setdefault(symbol, []).append(
                    (seconds[index], *(column[index] for column in rows))
                )
        elif batch.kind in COUNTED:
            money = np.zeros(len(batch))
            if batch.kind == "fill":
                money = to_floats(batch.numbers["price"]) * to_floats(batch.numbers["quantity"])
            for symbol, index in rows_by_symbol(batch):
                part = seconds[index], money[index]
                self._counted.setdefault((batch.kind, symbol), []).append(part)

    def series(self) -> DaySeries:
        """Of all batches so far."""
        if not self._times:
            return DaySeries([], [])
        spans = [times for parts in self._times.values() for times in parts]
        start = int(min(times.min() for times in spans))
        length = int(max(times.max() for times in spans)) - start + 1
        rows = {symbol: sum(p[-1].sum() for p in parts) for symbol, parts in self._books.items()}
        markets = [
            self._market(symbol, start, length)
            for symbol in sorted(rows, key=lambda symbol: (-rows[symbol], symbol))
            if rows[symbol]
        ]
        gaps = [gap for kind, parts in self._times.items() for gap in gaps_of(kind, parts)]
        return DaySeries(markets, gaps)

    def _market(self, symbol: str, start: int, length: int) -> MarketSeries:
        trailing_s = min(TRAILING_S, length // 4)
        grid = self._grid(symbol, start, length, trailing_s)
        mid, spread = grid.mid, grid.spread_bps
        move = np.full(length, np.nan)
        move[SHORT_S:] = 1e4 * np.abs(np.log(mid[SHORT_S:] / mid[:-SHORT_S]))
        usual_spread = trailing_median(spread, trailing_s)
        scores = {
            "price": move,
            "depth": below_usual(np.logaddexp(grid.log_bids, grid.log_asks), trailing_s),
            "bids": below_usual(grid.log_bids, trailing_s),
            "asks": below_usual(grid.log_asks, trailing_s),
            "spread": short_median(spread) - usual_spread,
        }
        scores = {name: np.where(grid.covered, score, np.nan) for name, score in scores.items()}
        scores |= self._count_scores(symbol, start, length, trailing_s)
        wide_from = np.maximum(TIMES * usual_spread, usual_spread + SPREAD_LEAST_BPS)
        deviation = np.sqrt(trailing_mean(np.nan_to_num(move) ** 2, trailing_s))
        return MarketSeries(
            symbol, start, trailing_s, scores, grid.log_bids, grid.log_asks, spread,
            wide=grid.covered & (short_least(spread) > wide_from),
            moved=grid.covered & (move > DEVIATIONS * np.maximum(deviation, MOVE_LEAST_BPS)),
            unsound=grid.unsound,
        )  # fmt: skip

    def _grid(self, symbol: str, start: int, length: int, trailing_s: int) -> BookGrid:
        columns = [np.concatenate(part) for part in zip(*self._books[symbol], strict=True)]
        order = np.argsort(columns[0], kind="stable")
        times, bid, ask, bids, asks, usable = (column[order] for column in columns)
        second = times.astype(np.int64) - start
        unsound = np.zeros(length, np.bool_)
        unsound[second] = True
        unsound[second[usable & (bid < ask)]] = False
        second = second[usable]
        bid, ask, bids, asks = (
            _at_end_of_seconds(second, values[usable], length) for values in (bid, ask, bids, asks)
        )
        mid = (bid + ask) / 2
        covered = _covered(second, length, trailing_s)
        return BookGrid(mid, 1e4 * (ask - bid) / mid, np.log(bids), np.log(asks), covered, unsound)

    def _count_scores(
        self, symbol: str, start: int, length: int, trailing_s: int
    ) -> dict[str, Numbers]:
        scores = {}
        for kind, name in COUNTED.items():
            if (kind, symbol) not in self._counted:
                continue
            times, money = (
                np.concatenate(part) for part in zip(*self._counted[kind, symbol], strict=True)
            )
            at = times.astype(np.int64) - start
            scores[name] = above_usual(_sums(at, np.ones(len(at)), length), trailing_s)
            if kind == "fill":
                scores["notional"] = above_usual(_sums(at, money, length), trailing_s)
        return scores


def series_of(batches: Iterable[Batch]) -> DaySeries:
    """The series of a day's batches."""
    collector = SeriesCollector()
    for batch in batches:
        collector.add(batch)
    return collector.series()


def rows_by_symbol(batch: Batch) -> list[tuple[str, NDArray[np.int64]]]:
    """Each symbol of a batch with its rows."""
    names, inverse = np.unique(
        [symbol or "" for symbol in batch.texts["symbol"].to_strings()], return_inverse=True
    )
    return [(str(name), np.flatnonzero(inverse == i)) for i, name in enumerate(names)]


def _book_rows(batch: Batch) -> tuple[NDArray[Any], ...]:
    """Best bid and ask (NaN: none), what rests on each side, in quote currency, and whether both
    sides are there and not crossed."""
    sides = [batch.ladders[name] for name in ("bids", "asks")]
    bid, ask = map(_best_prices, sides)
    bids, asks = map(_rests, sides)
    return bid, ask, bids, asks, (bid <= ask) & (bids > 0) & (asks > 0)


def _best_prices(side: Ladder) -> Numbers:
    there = np.diff(side.offset) > 0
    best = np.full(len(there), np.nan)
    best[there] = to_floats(side.price[side.offset[:-1][there]])
    return best


def _rests(side: Ladder) -> Numbers:
    sums = np.append(0.0, np.cumsum(to_floats(side.price) * to_floats(side.quantity)))
    rests: Numbers = sums[side.offset[1:]] - sums[side.offset[:-1]]
    return rests


def _sums(second: NDArray[np.int64], values: Numbers, length: int) -> Numbers:
    """Of the values of each second."""
    sums: Numbers = np.bincount(second, values, minlength=length).astype(np.float64)
    return sums


def _at_end_of_seconds(second: NDArray[np.int64], values: Numbers, length: int) -> Numbers:
    """The last value up to the end of each second; before the first, the first."""
    last = np.searchsorted(second, np.arange(length), side="right") - 1
    return values[np.maximum(last, 0)]


def _covered(second: NDArray[np.int64], length: int, trailing_s: int) -> NDArray[np.bool_]:
    """Whether the last ten seconds rest on books at most ten seconds old, and enough lies before
    them."""
    at = np.arange(length)
    last = np.searchsorted(second, at, side="right") - 1
    age = np.where(last >= 0, at - second[np.maximum(last, 0)], length)
    oldest = _over_windows(age.astype(np.float64), SHORT_S + 1, np.max, fill=float(length))
    covered: NDArray[np.bool_] = (oldest <= SHORT_S) & (at >= second[0] + trailing_s + SHORT_S)
    return covered


def _over_windows(values: Numbers, width: int, function, fill: float = np.nan) -> Numbers:  # type: ignore[no-untyped-def]
    """`function` of each number and the `width - 1` before it."""
    out = np.full(len(values), fill)
    if len(values) >= width:
        out[width - 1 :] = function(sliding_window_view(values, width), axis=-1)
    return out


def short_mean(values: Numbers, width: int = SHORT_S) -> Numbers:
    """The mean of each second and those before it."""
    sums = np.append(0.0, np.cumsum(values))
    out = np.full(len(values), np.nan)
    out[width - 1 :] = (sums[width:] - sums[:-width]) / width
    return out


def short_median(values: Numbers) -> Numbers:
    """The median of ten seconds."""
    return _over_windows(values, SHORT_S, np.median)


def short_least(values: Numbers, width: int = SHORT_S) -> Numbers:
    """The lowest of `width` seconds."""
    return _over_windows(values, width, np.min)


def trailing_median(values: Numbers, trailing_s: int) -> Numbers:
    """The median of the `trailing_s` seconds that end ten seconds ago; NaN before there are any."""
    out = np.full(len(values), np.nan)
    if len(values) < trailing_s + SHORT_S:
        return out
    medians = np.median(sliding_window_view(values, trailing_s)[::MEDIAN_STEP_S], axis=-1)
    first = trailing_s - 1 + SHORT_S
    out[first:] = np.repeat(medians, MEDIAN_STEP_S)[: len(values) - first]
    return out


def trailing_mean(values: Numbers, trailing_s: int) -> Numbers:
    """The mean of the `trailing_s` seconds that end ten seconds ago; NaN before there are any."""
    out = np.full(len(values), np.nan)
    out[SHORT_S:] = short_mean(values, trailing_s)[:-SHORT_S]
    return out


def below_usual(log_values: Numbers, trailing_s: int, width: int = SHORT_S) -> Numbers:
    """How far the mean of `width` seconds lies below the trailing median."""
    return trailing_median(log_values, trailing_s) - short_mean(log_values, width)


def above_usual(counts: Numbers, trailing_s: int) -> Numbers:
    """The sum of ten seconds less what the trailing mean lets expect."""
    return SHORT_S * (short_mean(counts) - trailing_mean(counts, trailing_s))


def gaps_of(kind: str, parts: list[Numbers]) -> list[Gap]:
    """The gaps between the records of a kind."""
    times = np.sort(np.concatenate(parts))
    between = np.diff(times)
    if not len(between):
        return []
    limit = max(GAP_S, float(np.quantile(between, GAP_RARE)))
    return [
        Gap(kind, float(times[i]), float(times[i + 1])) for i in np.flatnonzero(between > limit)
    ]
