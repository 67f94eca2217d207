"""Drift: a number stays off its usual for hours, where usual is by the hour of the day.

Every hour each number gives one value (`monitor/core/detection/drift/hourly_numbers.py`). The usual
is a level of the last weeks plus the hour's own distance from it, as far as past days show one.
Judged is the mean distance from the usual over the last `SPANS` hours, each beside the distances
that this span had in the last weeks. Such series are autocorrelated, so that an hour is less than
one observation: what a scale is worth follows from the autocorrelation, and a young market needs a
far larger change. The chance of such a mean is Student's; how heavy the tails really are, each kind
of number learns from its own alarms (`RATE_STEP`).

A drift begins when the chance is below the limit, and the last hour still lies half as far off. It
ends when an hour does not; after two days off, what was drift is the usual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Float64, Int64

DAY_HOURS = 24
SPANS = (3, 8, 24)
"""Hours over which distances are averaged: a fall, a shift's length, and a slow slide."""
TESTS = 2.0
"""Spans that end together overlap: the three of them are like two tests."""
MEMORY_DAYS = 21
"""What is usual is a mean over about so many days: the last weeks."""
HOURS_MIN = 12
"""A number that has come in fewer hours is not judged: half a daily cycle."""
PRIOR_CORRELATION, PRIOR_HOURS = 0.7, 24.0
"""Between an hour and the next, before a day has shown it: .5 to .85 in 208 days of hourly volume,
range and funding of perpetuals at four venues, .76 in a day's depth of StandX."""
FREEDOM_MAX = 20.0
"""Degrees of freedom at most. On those series, thresholds from 20 gave .5 to 1.5 times the alarms
allowed, from 8 a tenth, from 30 up to eight times as many at rare chances."""
ONE_HOUR_MAX = 6.0
"""An hour counts as at most so many scales off, so that one burst is no drift."""
LEARNT_MAX = 4.0
"""And is learnt as at most so many, so that a slow slide is not what is usual before it is seen."""
RATE_STEP, RATE_RANGE = 0.4, (-5.0, 5.0)
"""An alarm lowers the limit of its kind of number by a third (e^−.4); the time in which one alarm
is allowed raises it back. So tails that are heavier or lighter than Student's cost no more and no
fewer alarms than allowed. The range, of the logarithm: a factor of 150 either way."""
USUAL_AFTER_HOURS = 48
"""What has been off for two days is the new usual."""
_SCALE_OF_LEAST = 0.25
"""A scale is at least this part of the least change worth telling."""
_RING = max(SPANS)


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """A drift that begins, goes on or ends, of number `stream` of market `market`."""

    market: int
    stream: int
    change: float
    """The mean distance from the usual since it began."""
    usual: float
    """Of this hour of the day."""
    p: float
    """The chance of as much in an hour."""
    hours: int
    """For how long it has lasted, this hour included."""
    days: int
    """Past days that show this hour's usual."""
    end: str = ""
    """Why it is over: "back" at the usual, "usual" by now, or "gone" (no values). Empty: it is not.
    """


class DriftLevels(Stateful):
    """The usual levels of a few numbers of many markets: arrays (markets, numbers).

    `least`: the smallest change of each number that is worth telling. `side`: 1 where only a rise
    is, −1 where only a fall, 0 where both are.
    """

    STATE = (
        "_hour", "hours", "_level", "_of_hour", "_days", "_distance", "_scale", "_scale_hours",
        "_product", "_square", "_side_now", "_begin", "_size", "_log_rate",
    )  # fmt: skip

    def __init__(self, least: Float64, side: Int64) -> None:
        self._least, self._side = least, side
        numbers = len(least)
        self._hour = 0
        """The last hour that was judged, counted from 1970."""
        self.hours: Float64 = np.zeros((0, numbers))
        """Hours learnt."""
        self._level: Float64 = np.zeros((0, numbers))
        self._of_hour: Float64 = np.zeros((0, numbers, DAY_HOURS))
        """How far the usual of each hour of the day lies from the level."""
        self._days: Float64 = np.zeros((0, numbers, DAY_HOURS))
        self._distance: Float64 = np.zeros((0, numbers, _RING))
        """From the usual in the last hours, the newest last; NaN: no value."""
        self._scale: Float64 = np.zeros((0, numbers, len(SPANS)))
        """Root mean square of the mean distances over each span."""
        self._scale_hours: Float64 = np.zeros((0, numbers, len(SPANS)))
        # Of the distances of an hour and the hour before it, for their correlation.
        self._product: Float64 = np.zeros((0, numbers))
        self._square: Float64 = np.zeros((0, numbers))
        self._side_now: Int64 = np.zeros((0, numbers), np.int64)
        """Of a drift that goes on: to which side; else 0."""
        self._begin: Int64 = np.zeros((0, numbers), np.int64)
        """The first hour of its evidence."""
        self._size: Float64 = np.zeros((0, numbers))
        """How far off it was when it was reported."""
        self._log_rate: Float64 = np.zeros(numbers)

    def grow(self, markets: int) -> None:
        """Have rows for `markets`."""
        if markets <= len(self.hours):
            return
        for name in self.STATE[1:-1]:
            fill = np.nan if name == "_distance" else 0
            setattr(self, name, grow_rows(getattr(self, name), markets, fill))

    @property
    def judging(self) -> int:
        """Numbers of all markets that have come for long enough to be judged."""
        return int(np.count_nonzero(self.hours >= HOURS_MIN))

    def judge(self, hour: int, values: Float64, p_limit: float) -> list[DriftEvent]:
        """Judge the values of one hour (its number since 1970), then learn them; NaN: no value.

        Hours come in order; those left out had no values. `p_limit`: on the chance for each number
        of each market.
        """
        slot = hour % DAY_HOURS
        self._pass_hours(hour)
        usual = self._usual(slot)
        came = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            distance = np.where(came & (self.hours > 0), values - usual, np.nan)
            self._distance[..., -1] = distance
            means = self._means()
            p = self._chances(means)
            events = self._begin_drifts(hour, slot, usual, means, p, p_limit)
            events += self._end_drifts(hour, slot, usual, distance, p)
            self._learn(slot, usual, values, means)
        return events

    def _pass_hours(self, hour: int) -> None:
        """Make room for an hour's distances."""
        passed = min(_RING, hour - self._hour)
        self._distance = np.roll(self._distance, -passed, axis=-1)
        self._distance[..., _RING - passed :] = np.nan
        self._hour = hour

    def _usual(self, slot: int) -> Float64:
        """The level and the hour's distance from it, which counts by half after one day."""
        days = self._days[..., slot]
        usual: Float64 = self._level + self._of_hour[..., slot] * days / (days + 1.0)
        return usual

    def _means(self) -> Float64:
        """The mean distance over each span; NaN where more than half of it has no value."""
        most = ONE_HOUR_MAX * self._scales()[..., :1]
        means = np.full((*self._level.shape, len(SPANS)), np.nan)
        for i, span in enumerate(SPANS):
            part = np.clip(self._distance[..., -span:], -most, most)
            came = np.isfinite(part)
            count = came.sum(axis=-1)
            enough = (2 * count > span) & came[..., -1]
            total = np.where(came, part, 0.0).sum(axis=-1)
            means[..., i] = np.where(enough, total / np.maximum(count, 1), np.nan)
        return means

    def _scales(self) -> Float64:
        scales: Float64 = np.maximum(self._scale, _SCALE_OF_LEAST * self._least[:, None])
        return scales

    def _correlation(self) -> Float64:
        """Between an hour's distance and the next."""
        hours = np.minimum(self.hours, MEMORY_DAYS * DAY_HOURS)
        seen = np.where(self._square > 0, self._product / np.maximum(self._square, 1e-300), 0.0)
        prior = PRIOR_CORRELATION * PRIOR_HOURS
        return np.clip((prior + hours * seen) / (PRIOR_HOURS + hours), 0.0, 0.98)

    def _chances(self, means: Float64) -> Float64:
        """(markets, numbers): of as much over any span; 1 where nothing can be said."""
        correlation = self._correlation()
        apart = np.maximum((1 + correlation) / (1 - correlation), 1.0)[..., None]
        hours = np.minimum(self._scale_hours, MEMORY_DAYS * DAY_HOURS)
        freedom = np.clip(hours / np.maximum(apart, np.array(SPANS, float)), 1.0, FREEDOM_MAX)
        t = means / self._scales()
        side = self._side[:, None]
        tail = np.where(side == 0, 2.0 * stdtr(freedom, -np.abs(t)), stdtr(freedom, -t * side))
        far = np.abs(means) >= self._least[:, None]
        last = self._distance[..., -1:]
        stays = np.sign(means) * last >= 0.5 * np.abs(means)
        judged = (self.hours >= HOURS_MIN)[..., None] & far & stays & np.isfinite(t)
        p: Float64 = np.where(judged, TESTS * tail, 1.0)
        return p / np.exp(self._log_rate)[:, None]

    def _begin_drifts(
        self, hour: int, slot: int, usual: Float64, means: Float64, chances: Float64, p_limit: float
    ) -> list[DriftEvent]:
        """Those that begin with this hour, and those that go on and are as unlikely as ever."""
        p = chances.min(axis=-1)
        span = chances.argmin(axis=-1)
        change = np.take_along_axis(means, span[..., None], axis=-1)[..., 0]
        rare = p <= p_limit
        free = (self.hours >= HOURS_MIN) & np.isfinite(means).any(axis=-1) & (self._side_now == 0)
        begins = free & rare
        self._side_now = np.where(begins, np.sign(change), self._side_now).astype(np.int64)
        length = np.array(SPANS)[span]
        self._begin = np.where(begins, hour - length + 1, self._begin)
        self._size = np.where(begins, np.abs(change), self._size)
        allowed, alarms = free.sum(axis=0) * p_limit, begins.sum(axis=0)
        self._log_rate = np.clip(self._log_rate + RATE_STEP * (allowed - alarms), *RATE_RANGE)
        goes_on = rare & (self._side_now == np.sign(change))
        return [
            self._event(hour, slot, usual, market, number, min(1.0, float(p[market, number])))
            for market, number in np.argwhere(goes_on).tolist()
        ]

    def _end_drifts(
        self, hour: int, slot: int, usual: Float64, distance: Float64, chances: Float64
    ) -> list[DriftEvent]:
        """Those that are over: back at the usual, or the usual by now."""
        on = self._side_now != 0
        back = on & (self._side_now * distance < 0.5 * self._size)
        last = on & ~back & (hour - self._begin >= USUAL_AFTER_HOURS)
        events = []
        for market, number in np.argwhere(back | last).tolist():
            ring = self._distance[market, number]
            why = "back"
            if last[market, number]:
                why = "usual" if np.isfinite(ring[-1]) else "gone"
            one = self._event(hour, slot, usual, market, number, 1.0, why)
            events.append(one)
            if why != "back":
                self._level[market, number] += one.change
                ring[:] = np.nan
        self._side_now[back | last] = 0
        return events

    def _event(
        self, hour: int, slot: int, usual: Float64, market: int, number: int, p: float,
        end: str = "",
    ) -> DriftEvent:  # fmt: skip
        hours = hour - int(self._begin[market, number]) + 1
        ring = self._distance[market, number, -min(hours, _RING) :]
        came = ring[np.isfinite(ring)]
        change = float(came.mean()) if len(came) else 0.0
        days = int(self._days[market, number, slot])
        return DriftEvent(market, number, change, float(usual[market, number]), p, hours, days, end)

    def _learn(self, slot: int, usual: Float64, values: Float64, means: Float64) -> None:
        """A drift that goes on teaches how far such numbers stray, and not what is usual."""
        memory = MEMORY_DAYS * DAY_HOURS
        weight = 1.0 / np.minimum(self.hours + 1.0, memory)
        came = np.isfinite(values) & (self._side_now == 0)
        first = came & (self.hours == 0)
        later = came & ~first
        self._learn_scales(means)
        off = self._bound(values - usual)
        before = self._bound(self._distance[..., -2])
        pair = later & np.isfinite(before)
        self._product += np.where(pair, weight * (off * before - self._product), 0.0)
        self._square += np.where(pair, weight * (before * before - self._square), 0.0)
        days = self._days[..., slot]
        from_hour = usual + off - self._level - self._of_hour[..., slot]
        self._of_hour[..., slot] += np.where(
            later, from_hour / np.minimum(days + 1.0, MEMORY_DAYS), 0.0
        )
        self._days[..., slot] = days + later
        self._level = np.where(first, values, self._level + np.where(later, weight * off, 0.0))
        self.hours += came

    def _bound(self, distance: Float64) -> Float64:
        """Distances as they are learnt: an outlier counts as `LEARNT_MAX` scales."""
        most = LEARNT_MAX * self._scales()[..., 0]
        young = self.hours < HOURS_MIN / 2
        return np.where(young, distance, np.clip(distance, -most, most))

    def _learn_scales(self, means: Float64) -> None:
        came: Bool = np.isfinite(means)
        young = self._scale_hours < HOURS_MIN / 2
        size = np.abs(means)
        size = np.where(young, size, np.minimum(size, LEARNT_MAX * self._scales()))
        self._scale_hours += came
        # The later half counts more: in the first days the daily cycle is not known yet.
        weight = 1.0 / np.clip(self._scale_hours / 2.0, 1.0, MEMORY_DAYS * DAY_HOURS)
        square = self._scale**2
        square += np.where(came, weight * (size**2 - square), 0.0)
        self._scale = np.sqrt(square)
