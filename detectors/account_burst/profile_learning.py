"""What a window teaches of the accounts that acted in it: kernels over arrays.

The columns, and the law that reads them, are in `likelihood.py`. A window is learnt with what was
found of it before (`likelihood.weigh`): batches and flow apart, an outlier as what it may be at
most, and the peaks of evidence that came to nothing.
"""

from __future__ import annotations

import math

from numba import njit, types

from detectors.account_burst.likelihood import (
    ACT_COUNT,
    BATCH_EVENTS,
    BATCH_MEAN,
    BATCH_SHARE,
    BATCH_WEIGHT,
    BATCHES,
    BEGIN,
    COUNT_MAX,
    CUSUM,
    CUSUM_AFTER,
    EVENTS,
    EXCESS,
    F32,
    FIRST,
    FLOW_SHARE,
    FORECAST,
    FORECASTS,
    I64,
    IDLE,
    IN_EXCURSION,
    LAST,
    MINUTES,
    MINUTES_WINDOWS,
    NEW_EVENTS,
    OUT,
    OWN,
    P_EVENTS,
    P_EXCESS,
    P_FORECASTS,
    P_OWN,
    P_PEAKS,
    P_RATE,
    P_SHARED,
    P_SQUARES,
    PEAK,
    PEAKS,
    PROFILE_PEAKS,
    RATE,
    RATE_MIN,
    RECENT,
    RECENT_KEEP,
    RECENT_NOW,
    SEEN,
    SHARED,
    SIZES,
    SLOW,
    SLOW_WINDOWS,
    SQUARES,
    W_OWN,
    W_SHARED,
    WEIGHT_EVENTS,
    F,
    I,
    f8,
    population_tail_slope,
)

PROFILE_KEEP = 0.9995
"""What the sums behind the account's parameters keep each time it acts: the last 2,000 times."""
POPULATION_KEEP = 0.9999
"""The same for all accounts together, an act."""
BATCH_SHARE_MAX = 0.5
"""Who acts in batches more often than at every other act has them for flow: as batches they would
be one event each, and what they are by habit would be told from a burst by their shape alone."""
CEILING_FACTOR, CEILING_EVENTS = 5.0, 30.0
"""A window is learnt as at most 5 times the forecast or batch, plus 30: no outlier poisons."""
SUM_MAX = 50.0
"""A CUSUM remembers no more, so that a burst nobody reports is over when it is over."""
LEVEL_MIN = 9.0
"""Peaks from here on tell how steeply an account's evidence thins out. Of a thousand accounts the
highest has ln 1000 = 6.9 by chance; 2 more, for accounts excite each other."""
EXCESS_MAX = 8.0
"""A peak is learnt as at most this far above `LEVEL_MIN`."""
PEAK_KEEP, POPULATION_PEAK_KEEP = 0.99, 0.999
"""What the sums behind that keep a peak."""
PEAK_OVER = 0.2
"""An excursion is over when it has fallen below this share of its peak."""


@njit(types.void(types.float32[::1], F, f8), cache=True, nogil=True)
def learn_peak(habit, common, steep):  # type: ignore[no-untyped-def]
    """An excursion of an account's CUSUM is over: its peak tells how steeply they thin out."""
    if habit[PEAK] <= LEVEL_MIN:
        return
    excess = min(habit[PEAK] - LEVEL_MIN, EXCESS_MAX / min(1.0, steep))
    weight = PROFILE_PEAKS / (PROFILE_PEAKS + habit[PEAKS])  # no account speaks for all of them
    common[P_EXCESS] = common[P_EXCESS] * POPULATION_PEAK_KEEP + weight * min(excess, EXCESS_MAX)
    common[P_PEAKS] = common[P_PEAKS] * POPULATION_PEAK_KEEP + weight
    habit[EXCESS] = habit[EXCESS] * PEAK_KEEP + excess
    habit[PEAKS] = habit[PEAKS] * PEAK_KEEP + 1.0


@njit(types.void(types.int64, f8, F, types.float32[::1], F), cache=True, nogil=True)
def learn_profile(gap, count, o, habit, common):  # type: ignore[no-untyped-def]
    """One act's lesson on rates, weights, dispersion and batches."""
    forecast, own, slow, flow = o[FORECAST], o[W_OWN], o[SLOW], o[FLOW_SHARE]
    weight = WEIGHT_EVENTS / (WEIGHT_EVENTS + habit[EVENTS])  # no account speaks for all of them
    # Windows without an act: what was forecast in vain.
    base, start = (1.0 - own) * slow, own * habit[RECENT]
    decays = (1.0 - RECENT_KEEP**gap) / (1.0 - RECENT_KEEP)
    squares = gap * base * base + 2.0 * base * start * decays
    squares += start * start * (1.0 - RECENT_KEEP ** (2 * gap)) / (1.0 - RECENT_KEEP**2)
    size = (BATCH_MEAN * BATCH_WEIGHT + habit[BATCH_EVENTS]) / (BATCH_WEIGHT + habit[BATCHES])
    count = min(count, CEILING_FACTOR * (forecast + size) + CEILING_EVENTS)
    habit[BATCHES] = habit[BATCHES] * PROFILE_KEEP + (1.0 - flow)
    habit[BATCH_EVENTS] = habit[BATCH_EVENTS] * PROFILE_KEEP + (1.0 - flow) * count
    habit[ACT_COUNT] = habit[ACT_COUNT] * PROFILE_KEEP + 1.0
    share = habit[BATCHES] / habit[ACT_COUNT]
    flow = 1.0 - (1.0 - flow) * min(1.0, BATCH_SHARE_MAX / max(share, BATCH_SHARE))
    count = flow * count + (1.0 - flow)  # a batch is one event of the flow
    squares += (count - forecast) ** 2
    from_own = count * own * o[RECENT_NOW] / forecast
    from_market = count * (1.0 - (from_own / count) - (1.0 - own - o[W_SHARED]) * slow / forecast)
    habit[OWN] = habit[OWN] * PROFILE_KEEP + from_own
    habit[SHARED] = habit[SHARED] * PROFILE_KEEP + from_market
    habit[EVENTS] = habit[EVENTS] * PROFILE_KEEP + count
    habit[SQUARES] = (habit[SQUARES] + squares) * PROFILE_KEEP
    habit[FORECASTS] = (habit[FORECASTS] + forecast + o[IDLE]) * PROFILE_KEEP
    common[P_OWN] = common[P_OWN] * POPULATION_KEEP + weight * from_own
    common[P_SHARED] = common[P_SHARED] * POPULATION_KEEP + weight * from_market
    common[P_EVENTS] = common[P_EVENTS] * POPULATION_KEEP + weight * count
    common[P_SQUARES] = common[P_SQUARES] * POPULATION_KEEP + weight * squares
    common[P_FORECASTS] = common[P_FORECASTS] * POPULATION_KEEP + weight * (forecast + o[IDLE])
    habit[RATE] = habit[RATE] * math.exp(-(gap + 1) / SLOW_WINDOWS) + count
    habit[MINUTES] = habit[MINUTES] * math.exp(-(gap + 1) / MINUTES_WINDOWS) + count
    habit[RECENT] = o[RECENT_NOW] * RECENT_KEEP + (1.0 - RECENT_KEEP) * count


@njit(types.void(types.int64, types.float32[::1], types.int64[::1]), cache=True, nogil=True)
def reset_evidence(window, habit, time):  # type: ignore[no-untyped-def]
    """No evidence before `window`."""
    for k in range(len(SIZES)):
        habit[CUSUM + k] = 0.0
    habit[SEEN] = habit[PEAK] = 0.0
    time[BEGIN] = window


@njit(types.void(types.int64, f8, types.float32[::1], types.int64[::1], F), cache=True, nogil=True)
def adopt_rate(window, rate, habit, time, common):  # type: ignore[no-untyped-def]
    """Take a level for the account's habit, and begin its evidence anew."""
    seen = SLOW_WINDOWS * (1.0 - math.exp(-(window + 1 - time[FIRST]) / SLOW_WINDOWS))
    alike = NEW_EVENTS / max(common[P_RATE], RATE_MIN)
    habit[RATE] = max(0.0, rate * (seen + alike) - NEW_EVENTS)
    habit[MINUTES] = rate * MINUTES_WINDOWS
    habit[RECENT] = rate
    reset_evidence(window + 1, habit, time)


@njit(
    types.void(types.int64, types.int64, I, F, OUT, types.boolean[::1], F32, I64, F),
    cache=True,
    nogil=True,
)
def learn(window, patience, row, count, found, held, habits, times, common):  # type: ignore[no-untyped-def]
    """Take acts in, with what `weigh` found; `held` accounts learn nothing of their habits. Of the
    others, evidence that goes on for more than `patience` windows is a habit.
    """
    steep = population_tail_slope(common)
    for i in range(row.size):
        habit, time, o = habits[row[i]], times[row[i]], found[i]
        highest = 0.0
        for k in range(len(SIZES)):
            highest = max(highest, o[CUSUM_AFTER + k])
        over = o[IN_EXCURSION] == 0.0 or highest < PEAK_OVER * habit[PEAK]
        if not held[i]:
            gap = window - time[LAST] - 1
            learn_profile(gap, min(count[i], COUNT_MAX), o, habit, common)
            if over:
                learn_peak(habit, common, steep)
        if over:
            reset_evidence(window, habit, time)
        for k in range(len(SIZES)):
            habit[CUSUM + k] = min(SUM_MAX, o[CUSUM_AFTER + k])
        habit[PEAK] = max(habit[PEAK], min(SUM_MAX, highest))  # else one excursion is told as two
        habit[SEEN] += count[i]
        time[LAST] = window
        if not held[i] and window - time[BEGIN] >= patience:
            learn_peak(habit, common, steep)
            adopt_rate(window, habit[SEEN] / (window - time[BEGIN] + 1.0), habit, time, common)
