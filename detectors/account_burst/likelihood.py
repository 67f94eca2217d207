"""The likelihood of one account's counts, with and without a burst: kernels over arrays.

Without a burst, the events of an account in a window are ordinary flow or a batch (a market maker
replaces all its quotes at once). Flow is negative binomial about a forecast that mixes two readings
of the account's rate: its slow mean and its own last seconds. A batch is geometric. A burst adds
events at a gamma distributed rate to the flow.
All parameters are the account's own, drawn to those of all accounts while it is young.
`profile_learning.py` learns them.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types

from detectors.account_burst.columns import (
    ACT_COUNT,
    BATCH_EVENTS,
    BATCHES,
    CUSUM,
    CUSUM_AFTER,
    DISPERSION,
    EVENTS,
    EXCESS,
    FIRST,
    FLOW_SHARE,
    FORECAST,
    FORECASTS,
    IDLE,
    IN_EXCURSION,
    LAST,
    LEVEL,
    MINUTES,
    OWN,
    P_EVENTS,
    P_FORECASTS,
    P_OWN,
    P_RATE,
    P_SQUARES,
    PEAKS,
    PROFILE_COLUMNS,
    RATE,
    READING,
    RECENT,
    RECENT_NOW,
    SLOW,
    SQUARES,
    STATE,
    W_OWN,
)
from detectors.account_burst.constants import (
    BATCH_ACTS,
    BATCH_MEAN,
    BATCH_MIN,
    BATCH_MIN_RELATIVE,
    BATCH_SHARE,
    BATCH_WEIGHT,
    BURST_SHAPE,
    COUNT_MAX,
    DISPERSION_MIN,
    FLOW_DISPERSION,
    FLOW_EVENTS,
    MINUTES_EVENTS,
    MINUTES_WINDOWS,
    NEW_EVENTS,
    POPULATION_EVENTS,
    PROFILE_PEAKS,
    RATE_MIN,
    RECENT_KEEP,
    SIZES,
    SLOW_WINDOWS,
    WEIGHT_EVENTS,
    WEIGHT_MAX,
    WEIGHT_OWN,
)
from detectors.arrays.types import F1, F2, FLOAT, FLOAT32_1, I1, INT, RF1, UNCALLED

_THREE = types.UniTuple(FLOAT, 3)  # type: ignore[no-untyped-call]


@njit(FLOAT(FLOAT, FLOAT), cache=True, nogil=True, **UNCALLED)
def log_prob_zero(mean, dispersion):  # type: ignore[no-untyped-def]
    """ln of the negative-binomial chance of no event."""
    return -mean / (dispersion - 1.0) * math.log(dispersion)


@njit(FLOAT(FLOAT, FLOAT, FLOAT, FLOAT), cache=True, nogil=True, **UNCALLED)
def log_prob_count(count, orders, mean, dispersion):  # type: ignore[no-untyped-def]
    """ln of the negative-binomial chance of `count`; `orders`: ln count!, of all that ask."""
    r = mean / (dispersion - 1.0)
    ways = math.lgamma(count + r) - math.lgamma(r) - orders
    return ways - r * math.log(dispersion) + count * math.log(1.0 - 1.0 / dispersion)


@njit(FLOAT(FLOAT, FLOAT), cache=True, nogil=True, **UNCALLED)
def log_sum_exp(a, b):  # type: ignore[no-untyped-def]
    """ln(e^a + e^b)."""
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))


@njit(FLOAT(FLOAT, FLOAT, FLOAT), cache=True, nogil=True, **UNCALLED)
def dispersion_with_burst(mean, dispersion, size):  # type: ignore[no-untyped-def]
    """The dispersion of a flow of `mean` with a burst of `size` added."""
    varies = mean * dispersion + size * (1.0 + size / BURST_SHAPE)
    return varies / (mean + size)


@njit(FLOAT(FLOAT, FLOAT, FLOAT), cache=True, nogil=True)
def silent_window_increment(slow, dispersion, size):  # type: ignore[no-untyped-def]
    """What a window without an act adds to a CUSUM, at most 0.

    A burst's rate may be anything, so silence of an account that is never silent would be evidence
    of one. But a burst only adds events, and silence adds none.
    """
    burst = log_prob_zero(slow + size, dispersion_with_burst(slow, dispersion, size))
    return min(0.0, burst - log_prob_zero(slow, dispersion))


@njit(FLOAT(FLOAT32_1), cache=True, nogil=True, **UNCALLED)
def tail_slope(profile):  # type: ignore[no-untyped-def]
    """How steeply the account's peaks thin out: 1 / mean excess; in theory 1, and at most that. Its
    evidence is multiplied by it."""
    return min(1.0, (PROFILE_PEAKS + profile[PEAKS]) / (PROFILE_PEAKS + profile[EXCESS]))


@njit(FLOAT(FLOAT32_1, FLOAT, FLOAT, F1), cache=True, nogil=True)
def slow_rate(profile, gap, age, population):  # type: ignore[no-untyped-def]
    """The slow rate, events a window, of an account of `age` windows, `gap` windows after its last
    act: that of the last hour, and of the last ten minutes as far as there are events in them."""
    seen = SLOW_WINDOWS * (1.0 - math.exp(-age / SLOW_WINDOWS))
    hour = profile[RATE] * math.exp(-gap / SLOW_WINDOWS) + NEW_EVENTS
    hour /= seen + NEW_EVENTS / max(population[P_RATE], RATE_MIN)
    hour = max(RATE_MIN, hour)
    seen = MINUTES_WINDOWS * (1.0 - math.exp(-age / MINUTES_WINDOWS))
    lately = profile[MINUTES] * math.exp(-gap / MINUTES_WINDOWS) + MINUTES_EVENTS
    return max(RATE_MIN, lately / (seen + MINUTES_EVENTS / hour))


@njit(FLOAT(FLOAT32_1, F1), cache=True, nogil=True, **UNCALLED)
def account_dispersion(profile, population):  # type: ignore[no-untyped-def]
    """Variance over mean of an account's flow about its forecast."""
    all_events = FLOW_EVENTS + population[P_FORECASTS]
    of_all = (FLOW_DISPERSION * FLOW_EVENTS + population[P_SQUARES]) / all_events
    own = (of_all * FLOW_EVENTS + profile[SQUARES]) / (FLOW_EVENTS + profile[FORECASTS])
    return max(DISPERSION_MIN, own)


@njit(FLOAT(FLOAT32_1), cache=True, nogil=True, **UNCALLED)
def batch_mean(profile):  # type: ignore[no-untyped-def]
    """Mean number of events of an account's batch."""
    events = BATCH_MEAN * BATCH_WEIGHT + profile[BATCH_EVENTS]
    return events / (BATCH_WEIGHT + profile[BATCHES])


@njit(_THREE(FLOAT32_1, INT, FLOAT, FLOAT), cache=True, nogil=True, **UNCALLED)
def silent_forecasts(profile, gap, own, slow):  # type: ignore[no-untyped-def]
    """The forecasts of `gap` windows without an act: in window k, base + start·RECENT_KEEP^k.
    Returns base, start, and the sum of the powers."""
    decays = (1.0 - RECENT_KEEP**gap) / (1.0 - RECENT_KEEP)
    return (1.0 - own) * slow, own * profile[RECENT], decays


@njit(types.void(INT, I1, RF1, READING, STATE, F2), cache=True, nogil=True, **UNCALLED)
def score_accounts(window, row, count, reading, state, out):  # type: ignore[no-untyped-def]
    """Score each act beside what was learnt before `window`, into `out` (acts, `SCORE_COLUMNS`).

    `row`, (acts,): the account's row in `state`; -1: it was never seen. `count`, (acts,): its
    events, > 0. `reading`: the market of each act.
    """
    profiles, times, population = state
    empty_profile = np.zeros(PROFILE_COLUMNS, np.float32)
    events = POPULATION_EVENTS + population[P_EVENTS]
    own_of_all = (WEIGHT_OWN * POPULATION_EVENTS + population[P_OWN]) / events
    for i in range(row.size):
        seen_before = row[i] >= 0
        profile = profiles[row[i]] if seen_before else empty_profile
        gap = window - times[row[i], LAST] - 1 if seen_before else np.int64(0)
        age = window - times[row[i], FIRST] if seen_before else np.int64(0)
        x = min(count[i], COUNT_MAX)
        slow = slow_rate(profile, gap + 1, age, population)
        dispersion = account_dispersion(profile, population)
        recent = profile[RECENT] * RECENT_KEEP**gap
        counted = WEIGHT_EVENTS + profile[EVENTS]
        own = min((WEIGHT_EVENTS * own_of_all + profile[OWN]) / counted, WEIGHT_MAX)
        forecast = (1.0 - own) * slow + own * recent
        acts = BATCH_ACTS + profile[ACT_COUNT]
        batch = (BATCH_SHARE * BATCH_ACTS + profile[BATCHES]) / acts
        size = max(batch_mean(profile), BATCH_MIN + BATCH_MIN_RELATIVE * slow)
        as_batch = math.log(batch * min(1.0, forecast) / size) + (x - 1) * math.log1p(-1.0 / size)
        orders = math.lgamma(x + 1.0)
        as_flow = log_prob_count(x, orders, forecast, dispersion)
        usual = log_sum_exp(as_flow, as_batch)
        o = out[i]
        o[FORECAST], o[SLOW], o[W_OWN] = forecast, slow, own
        o[DISPERSION], o[FLOW_SHARE] = dispersion, math.exp(as_flow - usual)
        o[RECENT_NOW] = recent
        o[IN_EXCURSION] = 0.0
        highest = 0.0
        for k in range(len(SIZES)):
            burst = SIZES[k] * reading.usual_rate[i]
            total = np.float64(profile[CUSUM + k])
            if total > 0.0 and gap > 0:
                total += gap * silent_window_increment(slow, dispersion, burst)
            if total > 0.0:
                o[IN_EXCURSION] = 1.0
            elif x <= forecast:
                o[CUSUM_AFTER + k] = 0.0  # like silence, fewer events than usual are no evidence
                continue
            with_burst = dispersion_with_burst(forecast, dispersion, burst)
            lifted = log_prob_count(x, orders, forecast + burst, with_burst)
            ratio = log_sum_exp(lifted, as_batch) - usual
            total = max(0.0, max(0.0, total) + ratio)
            o[CUSUM_AFTER + k] = total
            highest = max(highest, total)
        o[LEVEL] = highest * tail_slope(profile)
        base, start, decays = silent_forecasts(profile, gap, own, slow)
        o[IDLE] = gap * base + start * decays
