"""One broken source never moves margin state: which marks and indices are believed.

A price is believed when it lies within its market's own reach of the last good one. A jump beyond
that needs at least `CONFIRMATIONS` independent inputs beside it (sources of the index, the last
trade, the book's middle), more than speak against it; or it must last, `LASTING_UPDATES` updates
and `LASTING_S` seconds. Until then the last good value stays, and what was offered is told. The
reach is `JUMP_SIGMAS` standard deviations of the market's own moves, clipped so that an outlier
does not widen it. Where nothing is told beside a price, only jumps of `JUMP_MOST` are doubted, and
none after a silence of `GOOD_PRICE_MAX_AGE_S`: nothing is known then that could speak against it.

Sources of an index are judged in their own record: stale ones by age, outlying ones against the
median of the fresh. An index that leaves that median behind is not believed, nor is a mark that
follows it. Everything follows event time, so slicing shows nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from typing import Any

AGREE_WITHIN = 0.005
"""Inputs nearer than this to a price speak for it: twice the basis that liquid perpetuals show."""
SOURCE_OUTLYING = 0.01
"""A source this far from the median of the fresh ones is broken: arbitrage holds spot markets
within a few bps of each other."""
SOURCE_STALE_S = 30.0
"""A source of an index that is older is stale; venues' own limits lie between 10 and 60 s."""
JUMP_LEAST = 0.02
"""A move below this is not refused for its size."""
JUMP_MOST = 0.10
"""A move above this, within `GOOD_PRICE_MAX_AGE_S`, is always asked for confirmation."""
JUMP_SIGMAS = 10.0
"""Fat tails: at four degrees of freedom such a move comes once in some ten thousand updates."""
CONFIRMATIONS = 2
LASTING_UPDATES, LASTING_S = 5, 10.0
"""A jump that nobody confirms is believed when so many updates in a row, over so many seconds, lie
near each other."""
SCALE_WEIGHT = 0.02
"""Weight of a new move in the scale of moves: half of it is forgotten after 34 updates."""
READY_MOVES = 30
"""Moves before the scale is one: its error is then about a seventh."""
GOOD_PRICE_MAX_AGE_S = 60.0
"""A last good value that is older tells nothing of the next."""
DOUBT_KINDS = ("outlying_mark", "outlying_index", "outlying_source", "stale_source")


@dataclass(frozen=True, slots=True)
class MarkUpdate:
    """One mark record, prices in quote currency; None: not told."""

    ts: int
    partition: int
    offset: int
    mark: float | None
    index: float | None
    last: float | None
    middle: float | None
    """Of the last book before this moment's cell of time."""
    sources: tuple[tuple[str, float, int], ...] = ()
    """Name, price and time (ns) of each source of the index."""


@dataclass(frozen=True, slots=True)
class PriceDoubt:
    """What was not believed, and why."""

    ts: int
    partition: int
    offset: int
    kind: str
    offered: float
    kept: float | None
    """The last good value; of a source, the median of the fresh ones; None: there is none."""
    limit: float
    """The fraction (or the age, s) that was overstepped."""
    source: str = ""
    agree: int = 0
    against: int = 0


@dataclass(slots=True)
class TrustedPrice:
    """One price of one market: its last good value, the size of its moves, what waits."""

    good: float = math.nan
    ts: int = 0
    scale: float = 0.0
    """Average size of a move, a root second."""
    candidate: float = math.nan
    candidate_since: int = 0
    candidate_updates: int = 0
    moves: int = 0

    def jump_limit(self, ts: int, others: int) -> float:
        """How far the next value may lie away, as a fraction; `others`: inputs told beside it.

        Where nothing else is told, or too little was seen, only what no market does is doubted.
        """
        wait_s = max((ts - self.ts) / 1e9, 1.0)
        if wait_s > GOOD_PRICE_MAX_AGE_S:
            return math.inf
        if not others or self.moves < READY_MOVES:
            return JUMP_MOST
        return min(max(JUMP_LEAST, JUMP_SIGMAS * self.scale * math.sqrt(wait_s)), JUMP_MOST)

    def accept(self, ts: int, price: float) -> None:
        """Believe a value."""
        if self.good == self.good:
            wait_s = max((ts - self.ts) / 1e9, 1.0)
            move = abs(math.log(price / self.good)) / math.sqrt(wait_s)
            move = min(move, 4.0 * self.scale + JUMP_LEAST / JUMP_SIGMAS)
            self.scale += SCALE_WEIGHT * (move - self.scale)
            self.moves += 1
        self.good, self.ts, self.candidate, self.candidate_updates = price, ts, math.nan, 0

    def has_lasted(self, ts: int, price: float) -> bool:
        """Whether a value that is not believed has stood long enough to be."""
        if not _is_near(price, self.candidate):
            self.candidate_since, self.candidate_updates = ts, 0
        self.candidate = price
        self.candidate_updates += 1
        return (
            self.candidate_updates >= LASTING_UPDATES
            and ts - self.candidate_since >= LASTING_S * 1e9
        )


def _is_near(a: float | None, b: float | None, reach: float = AGREE_WITHIN) -> bool:
    return a is not None and b is not None and abs(a - b) <= reach * b


def _median(prices: list[float]) -> float | None:
    ordered = sorted(prices)
    half = len(ordered) // 2
    if not ordered:
        return None
    return ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half])


@dataclass(slots=True)
class MarkGuard:
    """The prices of one market."""

    mark: TrustedPrice = field(default_factory=TrustedPrice)
    index: TrustedPrice = field(default_factory=TrustedPrice)

    def judge(self, told: MarkUpdate) -> tuple[bool, bool, list[PriceDoubt]]:
        """Whether the mark and the index of a record are believed, and what is in doubt."""
        oldest = told.ts - SOURCE_STALE_S * 1e9
        fresh = [source for source in told.sources if source[2] >= oldest]
        median = _median([price for _, price, _ in fresh])
        doubts = list(_source_doubts(told, fresh, median))
        prices = [price for _, price, _ in fresh]
        index, broken = told.index is not None, False
        if told.index is not None:
            inputs: list[float | None] = [*prices, told.last, told.middle]
            broken = len(fresh) >= 2 and not _is_near(told.index, median, SOURCE_OUTLYING)
            stale = bool(told.sources) and not fresh
            index = self._accept_if_trusted(self.index, told, told.index, inputs, broken or stale)
            if not index:
                doubts.append(_make_doubt("outlying_index", told, told.index, self.index, inputs))
        mark = told.mark is not None
        if told.mark is not None:
            # The sources speak for themselves; without them the index is one more input.
            inputs = [*prices, told.last, told.middle]
            if not prices and index:
                inputs.append(told.index)
            follows = broken and _is_near(told.mark, told.index) and not _is_near(told.mark, median)
            mark = self._accept_if_trusted(self.mark, told, told.mark, inputs, follows)
            if not mark:
                doubts.append(_make_doubt("outlying_mark", told, told.mark, self.mark, inputs))
        return mark, index, doubts

    def _accept_if_trusted(
        self,
        series: TrustedPrice,
        told: MarkUpdate,
        price: float,
        inputs: list[float | None],
        broken: bool,
    ) -> bool:
        first = series.good != series.good
        agree, against = _count_votes(price, inputs)
        reach = series.jump_limit(told.ts, agree + against)
        believed = (first or abs(price / series.good - 1.0) <= reach) and not broken
        if not believed:
            lasts = series.has_lasted(told.ts, price) and not broken
            believed = lasts or (agree >= CONFIRMATIONS and agree > against)
        if believed:
            series.accept(told.ts, price)
        return believed

    def snapshot(self) -> list[Any]:
        return [list(astuple(self.mark)), list(astuple(self.index))]

    @classmethod
    def from_state(cls, state: list[Any]) -> MarkGuard:
        """From a snapshot."""
        return cls(TrustedPrice(*state[0]), TrustedPrice(*state[1]))


def _count_votes(price: float, inputs: list[float | None]) -> tuple[int, int]:
    agree = against = 0
    for other in inputs:
        if other is not None:
            if _is_near(other, price):
                agree += 1
            else:
                against += 1
    return agree, against


def _make_doubt(
    kind: str, told: MarkUpdate, price: float, series: TrustedPrice, inputs: list[float | None]
) -> PriceDoubt:
    kept = None if series.good != series.good else series.good
    agree, against = _count_votes(price, inputs)
    limit = series.jump_limit(told.ts, agree + against)
    return PriceDoubt(told.ts, told.partition, told.offset, kind, price, kept, limit, "",
                 agree, against)  # fmt: skip


def _source_doubts(
    told: MarkUpdate, fresh: list[tuple[str, float, int]], median: float | None
) -> Iterator[PriceDoubt]:
    """The worst stale and the worst outlying source of a record."""
    at = told.ts, told.partition, told.offset
    stale = [s for s in told.sources if told.ts - s[2] > SOURCE_STALE_S * 1e9]
    if stale:
        name, _, ts = min(stale, key=lambda s: (s[2], s[0]))
        age_s = (told.ts - ts) / 1e9
        yield PriceDoubt(
            *at, "stale_source", age_s, None, SOURCE_STALE_S, name, len(fresh), len(stale)
        )
    if median is None or len(fresh) < 3:
        return
    name, price, _ = max(fresh, key=lambda s: (abs(s[1] / median - 1.0), s[0]))
    if not _is_near(price, median, SOURCE_OUTLYING):
        others = sum(not _is_near(p, median, SOURCE_OUTLYING) for _, p, _ in fresh)
        yield PriceDoubt(*at, "outlying_source", price, median, SOURCE_OUTLYING, name,
                    len(fresh) - others, others)  # fmt: skip
