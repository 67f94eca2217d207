"""One broken source never moves margin state: which marks and indices are trusted.

A price is trusted when it lies near the last trusted price of its market. A jump beyond that needs
at least `CONFIRMATIONS` independent inputs in the same record that agree (sources of the index, the
last trade, the middle of the book), and more than disagree; or it must last for `LASTING_UPDATES`
updates and `LASTING_S` seconds. Until then the last trusted price stays, and the price offered is
reported as a doubt. How far a price may jump is `JUMP_SIGMAS` standard deviations of the market's
own moves, clipped so that an outlier does not widen it. Without other inputs only jumps beyond
`JUMP_MOST` are doubted. After a silence of `GOOD_PRICE_MAX_AGE_S` no jump is doubted: the last
price then says nothing about the next.

Sources of an index are judged within their record: stale ones by age, outlying ones against the
median of the fresh ones; a source is frozen whose price stands still while that median moves away.
An index far from that median is not trusted, nor is a mark that follows it. Everything depends on
event time only, so batching does not show in the output.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.core.contract.units import SECOND_NS

AGREE_WITHIN = 0.005
"""Inputs within this fraction of a price agree: twice the basis that liquid perpetuals show."""
SOURCE_OUTLYING = 0.01
"""A source further than this fraction from the median of the fresh ones is broken: arbitrage keeps
spot markets within a few bps of each other."""
SOURCE_STALE_S = 30.0
"""A source of an index that is older is stale; venues' own limits lie between 10 and 60 s."""
JUMP_LEAST = 0.02
"""A move below this fraction is never a jump."""
JUMP_MOST = 0.10
"""A move above this fraction, within `GOOD_PRICE_MAX_AGE_S`, always needs confirmation."""
JUMP_SIGMAS = 10.0
"""Fat tails: at four degrees of freedom such a move comes once in some ten thousand updates."""
CONFIRMATIONS = 2
LASTING_UPDATES, LASTING_S = 5, 10.0
"""A jump without confirmation is trusted when so many updates in a row, over so many seconds, lie
near each other."""
SCALE_WEIGHT = 0.02
"""Weight of a new move in the average move: half of it is forgotten after 34 updates."""
READY_MOVES = 30
"""Moves before the average counts: its error is then about a seventh."""
GOOD_PRICE_MAX_AGE_S = 60.0
"""A last trusted price that is older says nothing about the next."""
FROZEN_S, FROZEN_MOVE = 45.0, 0.003
"""A source is frozen that has not changed for so long, while the others moved by this fraction and
it lies off them by half of that."""
DOUBT_KINDS = (
    "outlying_mark", "outlying_index", "outlying_source", "stale_source",
    "frozen_source",
)  # fmt: skip


class PriceSource(NamedTuple):
    """One source of an index, as a mark record names it; `ts` in ns."""

    name: str
    price: float
    ts: int


@dataclass(frozen=True, slots=True)
class MarkUpdate:
    """One mark record, prices in quote currency; None: the record has no such price.

    `middle`: of the last book before this record's cell of time.
    """

    ts: int
    partition: int
    offset: int
    mark: float | None
    index: float | None
    last: float | None
    middle: float | None
    sources: tuple[PriceSource, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceDoubt:
    """A price or a source that is not trusted, and why.

    `kept`: the last trusted price, or for a source the median of the fresh ones; None: there is
    none. `limit`: the fraction that it exceeds; of a stale source the age allowed, of a frozen one
    how long it has stood, s. `agree` and
    `against`: other inputs that agree and that disagree.
    """

    ts: int
    partition: int
    offset: int
    kind: str
    offered: float
    kept: float | None
    limit: float
    source: str = ""
    agree: int = 0
    against: int = 0


@dataclass(slots=True)
class TrustedPrice:
    """One price of one market. `good`: the last trusted one; NaN: none yet. `scale`: average move,
    a root second. `candidate`: the last price that was not trusted; NaN: none since `good`.
    """

    good: float = math.nan
    ts: int = 0
    scale: float = 0.0
    candidate: float = math.nan
    candidate_since: int = 0
    candidate_updates: int = 0
    moves: int = 0

    def jump_limit(self, ts: int, others: int) -> float:
        """How far the next price may lie from the last, as a fraction, beside `others` inputs."""
        wait_s = self._wait_s(ts)
        if wait_s > GOOD_PRICE_MAX_AGE_S:
            return math.inf
        if not others or self.moves < READY_MOVES:
            return JUMP_MOST
        return min(max(JUMP_LEAST, JUMP_SIGMAS * self.scale * math.sqrt(wait_s)), JUMP_MOST)

    def _wait_s(self, ts: int) -> float:
        return max((ts - self.ts) / SECOND_NS, 1.0)

    def accept(self, ts: int, price: float) -> None:
        """Trust a price."""
        if not math.isnan(self.good):
            move = abs(math.log(price / self.good)) / math.sqrt(self._wait_s(ts))
            move = min(move, 4.0 * self.scale + JUMP_LEAST / JUMP_SIGMAS)
            self.scale += SCALE_WEIGHT * (move - self.scale)
            self.moves += 1
        self.good, self.ts, self.candidate, self.candidate_updates = price, ts, math.nan, 0

    def has_lasted(self, ts: int, price: float) -> bool:
        """Take a price that is not trusted; whether such prices have lasted long enough to be."""
        if not _is_near(price, self.candidate):
            self.candidate_since, self.candidate_updates = ts, 0
        self.candidate = price
        self.candidate_updates += 1
        lasts = ts - self.candidate_since >= LASTING_S * SECOND_NS
        return lasts and self.candidate_updates >= LASTING_UPDATES

    def judge(
        self, update: MarkUpdate, name: str, inputs: list[float | None], broken: bool
    ) -> list[PriceDoubt]:
        """Trust the price `name` of a record, or doubt it; `broken`: only inputs can confirm it."""
        price: float = getattr(update, name)
        votes = [_is_near(other, price) for other in inputs if other is not None]
        agree, against = sum(votes), len(votes) - sum(votes)
        limit = self.jump_limit(update.ts, len(votes))
        is_new = math.isnan(self.good)
        trusted = (is_new or abs(price / self.good - 1.0) <= limit) and not broken
        if not trusted:
            lasts = self.has_lasted(update.ts, price) and not broken
            trusted = lasts or (agree >= CONFIRMATIONS and agree > against)
        if trusted:
            self.accept(update.ts, price)
            return []
        kept = None if is_new else self.good
        at = update.ts, update.partition, update.offset
        return [PriceDoubt(*at, f"outlying_{name}", price, kept, limit, "", agree, against)]


def _is_near(a: float | None, b: float | None, reach: float = AGREE_WITHIN) -> bool:
    return a is not None and b is not None and abs(a - b) <= reach * b


@dataclass(frozen=True, slots=True)
class SourceStand:
    """The price of a source, since when (ns) it has stood, and the median of all at that time."""

    price: float
    since: int
    median: float


@dataclass(slots=True)
class MarkGuard:
    """The prices of one market. `stands`: of the sources in the last record that had any."""

    mark: TrustedPrice = field(default_factory=TrustedPrice)
    index: TrustedPrice = field(default_factory=TrustedPrice)
    stands: dict[str, SourceStand] = field(default_factory=dict)

    def judge(self, update: MarkUpdate) -> tuple[bool, bool, list[PriceDoubt]]:
        """Whether a record's mark and index are trusted (no: also if there is none), and doubts."""
        oldest = update.ts - SOURCE_STALE_S * SECOND_NS
        fresh = [source for source in update.sources if source.ts >= oldest]
        frozen = self._frozen_sources(update.ts, fresh)
        fresh = [source for source in fresh if source not in frozen]
        prices = [source.price for source in fresh]
        median = statistics.median(prices) if prices else None
        doubts = list(_source_doubts(update, fresh, median))
        if frozen:
            doubts.append(self._frozen_doubt(update, frozen, len(fresh), median))
        inputs: list[float | None] = [*prices, update.last, update.middle]
        trusts_index = broken = trusts_mark = False
        if update.index is not None:
            broken = len(fresh) >= 2 and not _is_near(update.index, median, SOURCE_OUTLYING)
            stale = bool(update.sources) and not fresh
            index_doubts = self.index.judge(update, "index", inputs, broken or stale)
            trusts_index = not index_doubts
            doubts += index_doubts
        if update.mark is not None:
            if not prices and trusts_index:
                # The sources speak for themselves; without them the index is one more input.
                inputs = [*inputs, update.index]
            follows = broken and _is_near(update.mark, update.index)
            follows = follows and not _is_near(update.mark, median)
            mark_doubts = self.mark.judge(update, "mark", inputs, follows)
            trusts_mark = not mark_doubts
            doubts += mark_doubts
        return trusts_mark, trusts_index, doubts

    def _frozen_sources(self, ts: int, fresh: list[PriceSource]) -> list[PriceSource]:
        """The sources that stand still while most others move away."""
        if not fresh:
            return []
        median = statistics.median(source.price for source in fresh)
        stands, frozen = {}, []
        for source in fresh:
            stand = self.stands.get(source.name)
            if stand is None or stand.price != source.price:
                stand = SourceStand(source.price, ts, median)
            stands[source.name] = stand
            moved = abs(median / stand.median - 1.0) >= FROZEN_MOVE
            off = not _is_near(source.price, median, FROZEN_MOVE / 2)
            if ts - stand.since >= FROZEN_S * SECOND_NS and moved and off:
                frozen.append(source)
        self.stands = stands
        return frozen if 2 * len(frozen) < len(fresh) else []

    def _frozen_doubt(
        self, update: MarkUpdate, frozen: list[PriceSource], others: int, median: float | None
    ) -> PriceDoubt:
        """The source that has stood for longest."""
        first = min(frozen, key=lambda source: (self.stands[source.name].since, source.name))
        stood_s = (update.ts - self.stands[first.name].since) / SECOND_NS
        at = update.ts, update.partition, update.offset
        votes = others, len(frozen)
        return PriceDoubt(*at, "frozen_source", first.price, median, stood_s, first.name, *votes)


def _source_doubts(
    update: MarkUpdate, fresh: list[PriceSource], median: float | None
) -> Iterator[PriceDoubt]:
    """The worst stale and the worst outlying source of a record."""
    at = update.ts, update.partition, update.offset
    stale = [s for s in update.sources if update.ts - s.ts > SOURCE_STALE_S * SECOND_NS]
    if stale:
        oldest = min(stale, key=lambda s: (s.ts, s.name))
        age_s = (update.ts - oldest.ts) / SECOND_NS
        votes = len(fresh), len(stale)
        yield PriceDoubt(*at, "stale_source", age_s, None, SOURCE_STALE_S, oldest.name, *votes)
    if median is None or len(fresh) < 3:
        return
    worst = max(fresh, key=lambda s: (abs(s.price / median - 1.0), s.name))
    if not _is_near(worst.price, median, SOURCE_OUTLYING):
        outlying = sum(not _is_near(s.price, median, SOURCE_OUTLYING) for s in fresh)
        yield PriceDoubt(*at, "outlying_source", worst.price, median, SOURCE_OUTLYING, worst.name,
                         len(fresh) - outlying, outlying)  # fmt: skip
