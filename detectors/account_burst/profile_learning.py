"""What a window teaches of the accounts that acted in it: kernels over arrays.

A window is learnt with the scores of its acts (`score_accounts`). Batches are counted apart from
flow, an outlier as no more than `CEILING_FACTOR` allows, and each peak of evidence that came to
nothing teaches how high evidence gets by habit.
"""

from __future__ import annotations

import math

from numba import njit, types

from detectors.account_burst.columns import (
    ACT_COUNT,
    BATCH_EVENTS,
    BATCHES,
    BEGIN,
    CUSUM,
    CUSUM_AFTER,
    EVENTS,
    EXCESS,
    FIRST,
    FLOW_SHARE,
    FORECAST,
    FORECASTS,
    IDLE,
    IN_EXCURSION,
    LAST,
    MINUTES,
    OWN,
    P_EVENTS,
    P_FORECASTS,
    P_OWN,
    P_RATE,
    P_SQUARES,
    PEAK,
    PEAKS,
    RATE,
    RECENT,
    RECENT_NOW,
    SEEN,
    SLOW,
    SQUARES,
    STATE,
    W_OWN,
)
from detectors.account_burst.constants import (
    BATCH_SHARE,
    COUNT_MAX,
    MINUTES_WINDOWS,
    NEW_EVENTS,
    RATE_MIN,
    RECENT_KEEP,
    SIZES,
    SLOW_WINDOWS,
    WEIGHT_EVENTS,
)
from detectors.account_burst.likelihood import batch_mean, silent_forecasts
from detectors.arrays.types import B1, F1, F2, FLOAT, FLOAT32_1, I1, INT, RF1, UNCALLED
from detectors.stats.limits import CEILING_EVENTS, CEILING_FACTOR, SUM_MAX

PROFILE_KEEP = 0.9995
"""What the sums behind the account's parameters keep at each of its acts: a memory of 2,000."""
POPULATION_KEEP = 0.9999
"""What the sums of all accounts keep at each act of any account."""
BATCH_SHARE_MAX = 0.5
"""Batches are counted apart from flow in at most this share of an account's acts. An account that
nearly always acts in batches has them for flow: counted apart, each would be one event, and only
their shape would tell its habit from a burst."""
LEVEL_MIN = 9.0
"""Peaks from here on tell how steeply an account's evidence thins out. Of a thousand accounts the
highest has ln 1000 = 6.9 by chance; 2 more, for accounts excite each other."""
EXCESS_MAX = 8.0
"""A peak is learnt as at most this far above `LEVEL_MIN`."""
PEAK_KEEP = 0.99
"""What an account's sums of peaks keep at each peak."""
PEAK_OVER = 0.2
"""An excursion is over when its evidence has fallen below this share of its peak."""


@njit(inline="always")
def _decay_and_add(sums, column, keep, value):  # type: ignore[no-untyped-def]
    sums[column] = sums[column] * keep + value


@njit(types.void(FLOAT32_1), cache=True, nogil=True, **UNCALLED)
def learn_peak(profile):  # type: ignore[no-untyped-def]
    """Learn the peak of an excursion that is over."""
    if profile[PEAK] <= LEVEL_MIN:
        return
    _decay_and_add(profile, EXCESS, PEAK_KEEP, min(profile[PEAK] - LEVEL_MIN, EXCESS_MAX))
    _decay_and_add(profile, PEAKS, PEAK_KEEP, 1.0)


@njit(types.void(INT, FLOAT, F1, FLOAT32_1, F1), cache=True, nogil=True, **UNCALLED)
def learn_profile(gap, count, o, profile, population):  # type: ignore[no-untyped-def]
    """Learn rates, weights, dispersion and batches from one act and its score `o`; `gap`: the
    windows without an act before it."""
    forecast, own, slow, flow = o[FORECAST], o[W_OWN], o[SLOW], o[FLOW_SHARE]
    # The more of an account's events are counted, the less one more counts for all accounts.
    weight = WEIGHT_EVENTS / (WEIGHT_EVENTS + profile[EVENTS])
    base, start, decays = silent_forecasts(profile, gap, own, slow)
    squares = gap * base * base + 2.0 * base * start * decays
    squares += start * start * (1.0 - RECENT_KEEP ** (2 * gap)) / (1.0 - RECENT_KEEP**2)
    count = min(count, CEILING_FACTOR * (forecast + batch_mean(profile)) + CEILING_EVENTS)
    _decay_and_add(profile, BATCHES, PROFILE_KEEP, 1.0 - flow)
    _decay_and_add(profile, BATCH_EVENTS, PROFILE_KEEP, (1.0 - flow) * count)
    _decay_and_add(profile, ACT_COUNT, PROFILE_KEEP, 1.0)
    share = profile[BATCHES] / profile[ACT_COUNT]
    flow = 1.0 - (1.0 - flow) * min(1.0, BATCH_SHARE_MAX / max(share, BATCH_SHARE))
    count = flow * count + (1.0 - flow)  # a batch is one event of the flow
    squares += (count - forecast) ** 2
    from_own = count * own * o[RECENT_NOW] / forecast
    _decay_and_add(profile, OWN, PROFILE_KEEP, from_own)
    _decay_and_add(profile, EVENTS, PROFILE_KEEP, count)
    profile[SQUARES] = (profile[SQUARES] + squares) * PROFILE_KEEP
    forecasts = profile[FORECASTS] + forecast + o[IDLE]
    profile[FORECASTS] = forecasts * PROFILE_KEEP
    _decay_and_add(population, P_OWN, POPULATION_KEEP, weight * from_own)
    _decay_and_add(population, P_EVENTS, POPULATION_KEEP, weight * count)
    _decay_and_add(population, P_SQUARES, POPULATION_KEEP, weight * squares)
    forecasts = weight * (forecast + o[IDLE])
    _decay_and_add(population, P_FORECASTS, POPULATION_KEEP, forecasts)
    hour = math.exp(-(gap + 1) / SLOW_WINDOWS)
    profile[RATE] = profile[RATE] * hour + count
    minutes = math.exp(-(gap + 1) / MINUTES_WINDOWS)
    profile[MINUTES] = profile[MINUTES] * minutes + count
    profile[RECENT] = o[RECENT_NOW] * RECENT_KEEP + (1.0 - RECENT_KEEP) * count


@njit(types.void(INT, INT, STATE), cache=True, nogil=True)
def reset_evidence(window, row, state):  # type: ignore[no-untyped-def]
    """Let the account's evidence begin anew at `window`."""
    profile = state.profiles[row]
    profile[CUSUM:] = 0.0
    profile[SEEN] = profile[PEAK] = 0.0
    state.times[row, BEGIN] = window


@njit(types.void(INT, INT, FLOAT, STATE), cache=True, nogil=True)
def adopt_rate(window, row, rate, state):  # type: ignore[no-untyped-def]
    """Take `rate`, events a window, for the account's habit; its evidence begins anew after
    `window`."""
    profile = state.profiles[row]
    age = window + 1 - state.times[row, FIRST]
    seen = SLOW_WINDOWS * (1.0 - math.exp(-age / SLOW_WINDOWS))
    prior = NEW_EVENTS / max(state.population[P_RATE], RATE_MIN)
    profile[RATE] = max(0.0, rate * (seen + prior) - NEW_EVENTS)
    profile[MINUTES] = rate * MINUTES_WINDOWS
    profile[RECENT] = rate
    reset_evidence(window + 1, row, state)


@njit(types.void(INT, INT, I1, RF1, F2, B1, STATE), cache=True, nogil=True, **UNCALLED)
def learn_acts(window, patience, row, count, scores, in_episode, state):  # type: ignore[no-untyped-def]
    """Learn the acts of a window, given their `scores`; a `row` of -1 has no room.

    Accounts that are `in_episode` learn nothing of their habits. Of the others, evidence that goes
    on for more than `patience` windows is a habit.
    """
    profiles, times, population = state
    for i in range(row.size):
        if row[i] < 0:
            continue
        profile, time, o = profiles[row[i]], times[row[i]], scores[i]
        highest = 0.0
        for k in range(len(SIZES)):
            highest = max(highest, o[CUSUM_AFTER + k])
        is_over = o[IN_EXCURSION] == 0.0 or highest < PEAK_OVER * profile[PEAK]
        if not in_episode[i]:
            gap = window - time[LAST] - 1
            learn_profile(gap, min(count[i], COUNT_MAX), o, profile, population)
            if is_over:
                learn_peak(profile)
        if is_over:
            reset_evidence(window, row[i], state)
        for k in range(len(SIZES)):
            profile[CUSUM + k] = min(SUM_MAX, o[CUSUM_AFTER + k])
        # The peak never falls within an excursion, so that one is not counted as two.
        profile[PEAK] = max(profile[PEAK], min(SUM_MAX, highest))
        profile[SEEN] += count[i]
        time[LAST] = window
        length = window - time[BEGIN]
        if not in_episode[i] and length >= patience:
            learn_peak(profile)
            adopt_rate(window, row[i], profile[SEEN] / (length + 1.0), state)
