"""The most extreme moments of a day, by its own series: what a desk would have wanted to hear of.

The ten most extreme a day of each series, at least five minutes from each other; of a shorter
recording as many as its length gives, at least one. A moment lasts while the series is above half
of its peak. The first six hours do not count, of a shorter recording its first quarter: everything
is new there. It is found when an alert that names its market is fired or updated from its onset up
to 30 seconds after its end; what the data layer says (silences, unsound books) does not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from monitor.core.contract.alert import Alert
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.contract.units import SECOND_NS
from tests.bench.detect.days.series import MarketSeries, Numbers

DAY_S = 86_400
PER_DAY = 10
APART_S = 300
WARM_UP_S = 6 * 3600
GRACE_S = 30.0
LONGEST_S = 300
"""A moment's onset and end lie at most so far from its peak."""
KINDS = ("price", "depth", "spread", "trades")
"""The series whose moments are to be found."""


class Moment(NamedTuple):
    """Times in seconds since 1970."""

    kind: str
    onset: float
    peak: float
    end: float
    score: float


def warm_up_s(market: MarketSeries) -> int:
    """How much of the recording does not count."""
    return min(WARM_UP_S, market.seconds // 4)


def moments_of(market: MarketSeries, kind: str, skip_s: int) -> list[Moment]:
    """The most extreme of one series after its first `skip_s`, the most extreme first."""
    score = np.nan_to_num(market.scores[kind], nan=-np.inf)
    score[:skip_s] = -np.inf
    number = max(1, round(PER_DAY * (market.seconds - skip_s) / DAY_S))
    return [_moment(market, kind, score, peak) for peak in peaks(score, number)]


def peaks(score: Numbers, number: int) -> list[int]:
    """The places of the highest scores, each at least `APART_S` from all others."""
    left = score.copy()
    places: list[int] = []
    while len(places) < number:
        peak = int(np.argmax(left))
        if not left[peak] > 0:
            break
        places.append(peak)
        left[max(0, peak - APART_S) : peak + APART_S + 1] = -np.inf
    return places


def _moment(market: MarketSeries, kind: str, score: Numbers, peak: int) -> Moment:
    low, high = max(0, peak - LONGEST_S), min(len(score), peak + LONGEST_S + 1)
    below = score[low:high] < score[peak] / 2
    before, after = np.flatnonzero(below[: peak - low]), np.flatnonzero(below[peak - low :])
    onset = low + int(before[-1]) + 1 if len(before) else low
    end = peak + int(after[0]) - 1 if len(after) else high - 1
    times = [float(market.start + second) for second in (onset, peak, end + 1)]
    return Moment(kind, times[0], times[1], times[2], float(score[peak]))


def alert_times(alerts: Iterable[Alert], symbol: str) -> Numbers:
    """When alerts that name a market and tell more than of its data were fired or updated; s since
    1970, in order."""
    return np.sort(
        [
            alert.ts / SECOND_NS
            for alert in alerts
            if alert.status != "resolved" and symbol in alert.symbols and not is_about_data(alert)
        ]
    ).astype(np.float64)


def is_about_data(alert: Alert) -> bool:
    """Whether all of its evidence is of the data layer."""
    specs = [FEATURES.get(evidence.stream) for evidence in alert.evidence]
    return all(spec is not None and spec.layer == "data" for spec in specs)


def is_in(times: Numbers, low: float, high: float) -> bool:
    """Whether one of the times, in order, lies in [low, high]."""
    at = int(np.searchsorted(times, low))
    return at < len(times) and bool(times[at] <= high)


def is_seen(moment: Moment, times: Numbers) -> bool:
    """Whether an alert tells of the moment."""
    return is_in(times, moment.onset, moment.end + GRACE_S)


def chance_of(moments: list[Moment], times: Numbers, market: MarketSeries) -> float:
    """The share of moments as long, spread evenly over the day, that the same alerts would tell."""
    low, high = market.start + warm_up_s(market), market.start + market.seconds
    starts = np.linspace(low, high, 1000)
    hits = [
        is_in(times, s, s + m.end - m.onset + GRACE_S) for m in moments for s in starts.tolist()
    ]
    return float(np.mean(hits)) if hits else 0.0
