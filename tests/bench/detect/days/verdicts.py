"""Every alert judged by one rule on the day's own series.

Judged is from when an alert says that its change began (at most a minute before it fires) less ten
seconds to half a minute after it; of an incident its first alert, and whether it is rightly
critical by the first that is. *Worth waking for*: in that time lies one of the
ten most extreme moments a day of any series, or both sides thinner than a third for ten seconds, or
a spread three times the usual and a basis point above it for ten seconds, or a 10 s move of more
than eight trailing deviations. *Real but trivial*: any series beyond its 99.9 % of the day.
*False*: neither. What the data layer says is judged by the rows' own gaps: real beside a gap or an
unsound book, worth waking for where that lasted a minute; *not judged* where it speaks of late or
missing records. The rule was fixed before any alert was judged by it; what it says of moments taken
at random (100 s each, the most that it looks at) stands beside what it says of alerts.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from monitor.core.contract.alert import Alert
from monitor.core.contract.units import SECOND_NS
from tests.bench.detect.days.moments import is_about_data, moments_of, warm_up_s
from tests.bench.detect.days.series import DaySeries, MarketSeries

BEFORE_S, EARLIER_S, AFTER_S = 10, 60, 30
"""Judged is from so long before the change began, which is at most so long before the alert, to so
long after it."""
RARE = 0.999
LONG_S = 60
SILENT_KINDS = {"feed_stopped", "stale_book", "stale_mark", "stale_index"}


class Verdict(StrEnum):
    """What an alert is worth."""

    WORTH = "worth waking for"
    TRIVIAL = "real but trivial"
    FALSE = "false"
    NOT_JUDGED = "not judged"


class Judge:
    """Judges the incidents of one day."""

    def __init__(self, series: DaySeries) -> None:
        self._series = series
        self._worth = {m.symbol: worth_seconds(m) for m in series.markets}
        self._real = {m.symbol: rare_seconds(m) for m in series.markets}

    def verdict(self, alert: Alert) -> Verdict:
        """Of one publication; an incident is judged by its first."""
        at = alert.ts / SECOND_NS
        begin = max(alert.since / SECOND_NS, at - EARLIER_S) - BEFORE_S
        end = at + AFTER_S
        if is_about_data(alert):
            return self._of_data(alert.kind, begin, end)
        markets = [
            m for m in self._series.markets if not alert.symbols or m.symbol in alert.symbols
        ]
        if not markets:
            return Verdict.NOT_JUDGED
        return min((self._of_market(m, begin, end) for m in markets), key=list(Verdict).index)

    def shares_at_random(self) -> tuple[float, float]:
        """Which share of all seconds after the warm-up the rule would call worth waking for, and
        real, in the busiest market."""
        market = self._series.markets[0]
        low, high = market.start + warm_up_s(market), market.start + market.seconds
        width = BEFORE_S + EARLIER_S + AFTER_S
        drawn = [self._of_market(market, at, at + width) for at in range(low, high - width, 10)]
        worth = sum(v is Verdict.WORTH for v in drawn)
        real = worth + sum(v is Verdict.TRIVIAL for v in drawn)
        return worth / len(drawn), real / len(drawn)

    def _of_market(self, market: MarketSeries, begin: float, end: float) -> Verdict:
        low, high = max(0, int(begin) - market.start), int(end) + 1 - market.start
        if self._worth[market.symbol][low:high].any():
            return Verdict.WORTH
        real = self._real[market.symbol][low:high].any()
        return Verdict.TRIVIAL if real else Verdict.FALSE

    def _of_data(self, kind: str, begin: float, end: float) -> Verdict:
        if kind in SILENT_KINDS:
            lasts = [g.lasts_s for g in self._series.gaps if g.begin <= end and g.end >= begin]
        elif kind == "unsound_book":
            lasts = []
            for market in self._series.markets:
                low, high = (max(0, int(t) - market.start) for t in (begin, end))
                if market.unsound[low : high + 1].any():
                    lasts.append(float(market.unsound[low : high + LONG_S].sum()))
        else:
            return Verdict.NOT_JUDGED
        if not lasts:
            return Verdict.FALSE
        return Verdict.WORTH if max(lasts) >= LONG_S else Verdict.TRIVIAL


def worth_seconds(market: MarketSeries) -> NDArray[np.bool_]:
    """The seconds that are worth waking for."""
    worth: NDArray[np.bool_] = market.thin | market.wide | market.moved
    for kind in market.scores:
        for moment in moments_of(market, kind, skip_s=0):
            low, high = int(moment.onset) - market.start, int(moment.end) - market.start
            worth[low:high] = True
    return worth


def rare_seconds(market: MarketSeries) -> NDArray[np.bool_]:
    """The seconds in which a series is beyond its 99.9 % of the day."""
    rare = np.zeros(market.seconds, np.bool_)
    for score in market.scores.values():
        if not np.isnan(score).all():
            rare |= np.nan_to_num(score, nan=-np.inf) > np.nanquantile(score, RARE)
    return rare
