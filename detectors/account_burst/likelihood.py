"""The law of one account's counts: kernels over arrays. What it learns: `profile_learning.py`.

The count of an account in a window is, while nothing is wrong, either of its ordinary flow or a
batch (a market maker replaces all its quotes at once). The flow is negative binomial about a
forecast that mixes three readings of the account's rate: its slow mean, the same times how busy the
market is, and its own last seconds. A batch is geometric. The alternative adds a burst of gamma
distributed rate to the flow. All parameters are the account's own, drawn to those of all accounts
while it is young.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types

(
    RATE, RECENT, OWN, SHARED, EVENTS, SQUARES, FORECASTS, BATCHES, BATCH_EVENTS, ACT_COUNT,
    EXCESS, PEAKS, PEAK, SEEN, MINUTES, CUSUM,
) = range(16)  # fmt: skip
"""Columns of an account's habits; `CUSUM` and the ones after it are the CUSUMs."""
LAST, FIRST, BEGIN = range(3)
"""Columns of its times, in windows: last and first act, and the start of its open excursion."""
(P_OWN, P_SHARED, P_EVENTS, P_SQUARES, P_FORECASTS, P_EXCESS, P_PEAKS, P_RATE) = range(8)
"""Of all accounts together. `P_RATE`: events a window and account."""
(
    FORECAST, SLOW, W_OWN, W_SHARED, DISPERSION, FLOW_SHARE, IDLE, IN_EXCURSION, LEVEL, RECENT_NOW,
    CUSUM_AFTER,
) = range(11)  # fmt: skip
"""Columns of what `score_accounts` finds for one act; `CUSUM_AFTER` and the ones after it are the CUSUMs."""

SIZES = (1 / 3, 1.0, 3.0, 30.0)
"""Burst sizes looked for, in units of the usual rate of the account's market: what an account does
beside its market is what counts, and three who double it do a third each. Factors of three, which
the spread of the burst's own rate bridges, and one for markets that hardly act."""
SIZES_RELATIVE = (0.5, 2.0, 8.0, 32.0)
"""The same, in units of the account's slow rate; the larger of both counts."""
BURST_SHAPE = 1.5
"""Of the gamma law of a burst's rate: a factor of four about its mean is nothing unusual."""
BURST_WINDOWS = 20.0
"""A burst is over in each window with a chance of one in 20: what it costs evidence to go on. Half
an hour in which an account does a little more than usual is a mood and no burst."""
CONTINUATION_COST = -math.log1p(-1.0 / BURST_WINDOWS)
SLOW_WINDOWS = 3600.0 / math.log(2.0)
"""Memory of the slow rate, windows: a half-life of an hour of 1 s windows."""
MINUTES_WINDOWS, MINUTES_EVENTS = 600.0, 20.0
"""Of the last minutes, memory in windows, and how many events the slow rate counts as beside them:
an account with more events in ten minutes tells its hours of the day by itself. Longer than the
bursts that are looked for, ten times."""
RECENT_KEEP = math.exp(-0.5)
"""What the reading of the last seconds keeps a window: an excitation that decays over 2 s."""
WEIGHT_OWN, WEIGHT_SHARED, WEIGHT_EVENTS, POPULATION_EVENTS = 0.4, 0.15, 50.0, 200.0
"""Weights of the last seconds and of the busy market, before anything is learnt: they count as much
as 200 events of all accounts, and those of all as much as 50 events of the account."""
WEIGHTS_MAX = 0.95
"""The slow rate never loses all its say."""
FLOW_DISPERSION, FLOW_EVENTS, DISPERSION_MIN = 1.3, 20.0, 1.05
"""Variance over mean of the flow in a window: where it starts, the events as many as which that
counts, and the floor below which the formula would divide by nothing."""
NEW_EVENTS = 0.7
"""Shape of the gamma law of rates over accounts: below 1, for most accounts are far below the
mean."""
RATE_MIN = 1e-6
"""Events a window: once in twelve days."""
BATCH_SHARE, BATCH_ACTS, BATCH_MEAN, BATCH_WEIGHT = 0.02, 50.0, 10.0, 3.0
"""One act in 50 is a batch, of 10: what that counts before the account's own are known, in acts and
in batches."""
BATCH_MIN, BATCH_MIN_RELATIVE = 8.0, 4.0
"""A batch is on the average at least 8 events plus 4 windows of the slow rate: a lower one would be
flow by another name."""
COUNT_MAX = 1e6
"""Higher counts are judged as this one, for the gamma function's sake."""
PROFILE_PEAKS, POPULATION_PEAKS = 12.0, 100.0
"""Of how steeply an account's peaks thin out: what the peaks of all accounts weigh, in peaks, and
what theory weighs against those."""

F32 = types.float32[:, ::1]
I64 = types.int64[:, ::1]
I = types.int64[::1]  # noqa: E741
F = types.float64[::1]
OUT = types.float64[:, ::1]
f8 = types.float64


@njit(f8(f8, f8), cache=True, nogil=True)
def log_prob_zero(mean, dispersion):  # type: ignore[no-untyped-def]
    """ln of the negative-binomial chance of no event."""
    return -mean / (dispersion - 1.0) * math.log(dispersion)


@njit(f8(f8, f8, f8), cache=True, nogil=True)
def log_prob_count(count, mean, dispersion):  # type: ignore[no-untyped-def]
    """ln of the negative-binomial chance of `count`."""
    r = mean / (dispersion - 1.0)
    ways = math.lgamma(count + r) - math.lgamma(r) - math.lgamma(count + 1.0)
    return ways - r * math.log(dispersion) + count * math.log(1.0 - 1.0 / dispersion)


@njit(f8(f8, f8), cache=True, nogil=True)
def log_sum_exp(a, b):  # type: ignore[no-untyped-def]
    """ln(e^a + e^b)."""
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))


@njit(f8(f8, f8, f8), cache=True, nogil=True)
def dispersion_with_burst(mean, dispersion, size):  # type: ignore[no-untyped-def]
    """The dispersion of a flow of `mean` with a burst of `size` added."""
    varies = mean * dispersion + size * (1.0 + size / BURST_SHAPE)
    return varies / (mean + size)


@njit(f8(f8, f8, f8), cache=True, nogil=True)
def silent_window_increment(slow, dispersion, size):  # type: ignore[no-untyped-def]
    """What a window without an act adds to a CUSUM. A burst's rate may be anything, so silence of
    an account that is never silent would speak for one; but what is looked for is added, and
    silence adds nothing: at most 0."""
    burst = log_prob_zero(slow + size, dispersion_with_burst(slow, dispersion, size))
    return min(0.0, burst - log_prob_zero(slow, dispersion)) - CONTINUATION_COST


@njit(f8(F), cache=True, nogil=True)
def population_tail_slope(common):  # type: ignore[no-untyped-def]
    """1 / mean excess of the peaks of all accounts; 1 is what theory says."""
    return (POPULATION_PEAKS + common[P_PEAKS]) / (POPULATION_PEAKS + common[P_EXCESS])


@njit(types.float64(types.float32[::1], F), cache=True, nogil=True)
def account_tail_slope(habit, common):  # type: ignore[no-untyped-def]
    """The same of one account's peaks, at most 1: its evidence is worth that much."""
    known = PROFILE_PEAKS * population_tail_slope(common) + habit[PEAKS]
    return min(1.0, known / (PROFILE_PEAKS + habit[EXCESS]))


@njit(f8(types.float32[::1], f8, f8, F), cache=True, nogil=True)
def slow_rate(habit, gap, age, common):  # type: ignore[no-untyped-def]
    """The slow rate of an account of `age` windows, `gap` windows after its last act: of the last
    hour, and of the last minutes as far as there is much in them."""
    seen = SLOW_WINDOWS * (1.0 - math.exp(-age / SLOW_WINDOWS))
    hour = habit[RATE] * math.exp(-gap / SLOW_WINDOWS) + NEW_EVENTS
    hour /= seen + NEW_EVENTS / max(common[P_RATE], RATE_MIN)
    hour = max(RATE_MIN, hour)
    seen = MINUTES_WINDOWS * (1.0 - math.exp(-age / MINUTES_WINDOWS))
    lately = habit[MINUTES] * math.exp(-gap / MINUTES_WINDOWS) + MINUTES_EVENTS
    return max(RATE_MIN, lately / (seen + MINUTES_EVENTS / hour))


@njit(f8(types.float32[::1], F), cache=True, nogil=True)
def account_dispersion(habit, common):  # type: ignore[no-untyped-def]
    """Variance over mean of an account's flow about its forecast."""
    all_events = FLOW_EVENTS + common[P_FORECASTS]
    of_all = (FLOW_DISPERSION * FLOW_EVENTS + common[P_SQUARES]) / all_events
    own = (of_all * FLOW_EVENTS + habit[SQUARES]) / (FLOW_EVENTS + habit[FORECASTS])
    return max(DISPERSION_MIN, own)


@njit(
    types.void(types.int64, I, F, F, F, F32, I64, F, types.float32[::1], OUT),
    cache=True,
    nogil=True,
)
def score_accounts(window, row, count, busy, rate, habits, times, common, fresh, out):  # type: ignore[no-untyped-def]
    """What each act (a row of the tables, or -1 for an account never seen) says: `out`.

    `rate`: the usual rate of its market; `busy`: the present one over it. `fresh`: the habits of
    an account never seen.
    """
    events = POPULATION_EVENTS + common[P_EVENTS]
    own_of_all = (WEIGHT_OWN * POPULATION_EVENTS + common[P_OWN]) / events
    shared_of_all = (WEIGHT_SHARED * POPULATION_EVENTS + common[P_SHARED]) / events
    for i in range(row.size):
        known = row[i] >= 0
        habit = habits[row[i]] if known else fresh
        gap = window - times[row[i], LAST] - 1 if known else np.int64(0)
        age = window - times[row[i], FIRST] if known else np.int64(0)
        x = min(count[i], COUNT_MAX)
        slow, dispersion = slow_rate(habit, gap + 1, age, common), account_dispersion(habit, common)
        recent = habit[RECENT] * RECENT_KEEP**gap
        own = (WEIGHT_EVENTS * own_of_all + habit[OWN]) / (WEIGHT_EVENTS + habit[EVENTS])
        shared = (WEIGHT_EVENTS * shared_of_all + habit[SHARED]) / (WEIGHT_EVENTS + habit[EVENTS])
        own = min(own, WEIGHTS_MAX)
        shared = min(shared, WEIGHTS_MAX - own)
        forecast = (1.0 - own - shared) * slow + shared * slow * busy[i] + own * recent
        batch = (BATCH_SHARE * BATCH_ACTS + habit[BATCHES]) / (BATCH_ACTS + habit[ACT_COUNT])
        size = (BATCH_MEAN * BATCH_WEIGHT + habit[BATCH_EVENTS]) / (BATCH_WEIGHT + habit[BATCHES])
        size = max(size, BATCH_MIN + BATCH_MIN_RELATIVE * slow)
        as_batch = math.log(batch * min(1.0, forecast) / size) + (x - 1) * math.log1p(-1.0 / size)
        as_flow = log_prob_count(x, forecast, dispersion)
        usual = log_sum_exp(as_flow, as_batch)
        o = out[i]
        o[FORECAST], o[SLOW], o[W_OWN], o[W_SHARED] = forecast, slow, own, shared
        o[DISPERSION], o[FLOW_SHARE], o[RECENT_NOW] = dispersion, math.exp(as_flow - usual), recent
        o[IN_EXCURSION] = 0.0
        highest = 0.0
        for k in range(len(SIZES)):
            burst = max(SIZES[k] * rate[i], SIZES_RELATIVE[k] * slow)
            total = habit[CUSUM + k] + gap * silent_window_increment(slow, dispersion, burst)
            if total > 0.0:
                o[IN_EXCURSION] = 1.0
            lifted = log_prob_count(
                x, forecast + burst, dispersion_with_burst(forecast, dispersion, burst)
            )
            ratio = log_sum_exp(lifted, as_batch) - usual
            if x <= forecast:
                ratio = min(
                    0.0, ratio
                )  # nor does less than usual, as silence (`silent_window_increment`)
            if total > 0.0:
                ratio += total - CONTINUATION_COST
            total = max(0.0, ratio)
            o[CUSUM_AFTER + k] = total
            highest = max(highest, total)
        o[LEVEL] = highest * account_tail_slope(habit, common)
        # Squares and sums of the forecasts of the windows without an act before this one.
        base, start = (1.0 - own) * slow, own * habit[RECENT]
        decays = (1.0 - RECENT_KEEP**gap) / (1.0 - RECENT_KEEP)
        o[IDLE] = gap * base + start * decays


@njit(types.void(types.int64, I, F, F32, I64, F, OUT), cache=True, nogil=True)
def decay_evidence(window, row, rate, habits, times, common, out):  # type: ignore[no-untyped-def]
    """The evidence of accounts that do not act in `window`: (level, slow rate) of each. `rate`: the
    usual one of its market."""
    for i in range(row.size):
        habit, time = habits[row[i]], times[row[i]]
        slow = slow_rate(habit, 0.0, time[LAST] - time[FIRST], common)
        dispersion = account_dispersion(habit, common)
        gap = window - time[LAST]
        highest = 0.0
        for k in range(len(SIZES)):
            burst = max(SIZES[k] * rate[i], SIZES_RELATIVE[k] * slow)
            highest = max(
                highest, habit[CUSUM + k] + gap * silent_window_increment(slow, dispersion, burst)
            )
        out[i, 0] = highest * account_tail_slope(habit, common)
        out[i, 1] = slow


PROFILE_COLUMNS = CUSUM + len(SIZES)
SCORE_COLUMNS = CUSUM_AFTER + len(SIZES)
