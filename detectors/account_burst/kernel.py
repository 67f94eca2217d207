"""The compiled loops of `AccountBurstDetector`: windows scored and learnt, one or many in one call.

A window is scored by what was learnt before it and then learnt. Nearly all windows are ordinary, so
`learn_windows` takes many of them, up to the first that somebody has to look at.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types

from detectors.account_burst.columns import (
    ACTS,
    BEGIN,
    FIRST_WINDOW,
    FLOW_EVENTS_SUM,
    FLOW_WINDOW,
    HOT_COST,
    HOT_EXPECTED,
    HOT_LEVEL,
    HOT_OBSERVED,
    HOT_SINCE,
    IN_EXCURSION,
    LEARNT,
    LEVEL,
    N_ACCOUNTS,
    P_RATE,
    SEEN,
    SLOW,
    WINDOW,
    WindowActivity,
)
from detectors.account_burst.constants import COUNT_MAX, SLOW_WINDOWS
from detectors.account_burst.likelihood import score_accounts
from detectors.account_burst.market_rates import learn_market_counts, read_markets
from detectors.account_burst.profile_learning import learn_acts, reset_evidence
from detectors.account_burst.table import add_rows, find_rows
from detectors.arrays.types import B1, F1, FLOAT, I1, INT, UNCALLED
from detectors.stats.limits import CEILING_EVENTS, CEILING_FACTOR

HOT_MAX = 64
"""Of the accounts that act in a window and have evidence above `HOT_MIN`, those with most."""
HOT_MIN = 3.0
"""Less evidence adds to nothing, and names nobody: see `_combined_evidence`."""
COMBINED_ACCOUNTS_MAX = 3
"""Accounts whose evidence is added. A crowd that acts at once is not a burst by account."""
SAME_START_WINDOWS = 4
"""Bursts that began at most so many windows apart began together."""
COST_SAME_START, COST_OTHER_START = 8.0, 9.0
"""Of a further account's evidence only what exceeds this is added. The choice of one more among a
thousand costs ln 1000 = 6.9, the rest is for accounts that excite each other. An account that began
at another time costs one more. At a cost of 7, pairs of accounts in a market's ordinary flurries
raised the threshold for single accounts."""
EVENTS_MIN = 2.0
"""A further account has at least so many events: one act of each of a crowd is no burst."""
SETTLE_WINDOWS = 300
"""For so long after the first window no rate is learnt well enough, and no evidence is kept."""


@njit(nogil=True, **UNCALLED)
def _comes_before(arrays, i, level, key):  # type: ignore[no-untyped-def]
    """Whether the hot account in place `i` goes before one of this evidence and key."""
    there = arrays.hot[i, HOT_LEVEL]
    return there > level or (there == level and arrays.hot_keys[i] < key)


@njit(nogil=True, **UNCALLED)
def _add_hot(arrays, key, market, level, since, observed, slow, cost, window):  # type: ignore[no-untyped-def]
    """Put an account among the hot ones, the highest evidence first, of equals the lowest key."""
    at = arrays.n_hot[0]
    if at == HOT_MAX:
        if _comes_before(arrays, HOT_MAX - 1, level, key):
            return
        at -= 1
    else:
        arrays.n_hot[0] += 1
    while at > 0 and not _comes_before(arrays, at - 1, level, key):
        arrays.hot_keys[at] = arrays.hot_keys[at - 1]
        arrays.hot_markets[at] = arrays.hot_markets[at - 1]
        for column in range(arrays.hot.shape[1]):
            arrays.hot[at, column] = arrays.hot[at - 1, column]
        at -= 1
    arrays.hot_keys[at], arrays.hot_markets[at] = key, market
    hot = arrays.hot[at]
    hot[HOT_LEVEL], hot[HOT_SINCE], hot[HOT_OBSERVED] = level, since, observed
    hot[HOT_EXPECTED], hot[HOT_COST] = slow * (window - since + 1), cost


@njit(nogil=True, **UNCALLED)
def _combined_evidence(first, arrays):  # type: ignore[no-untyped-def]
    """The evidence of all hot accounts of the market of `first`, which has most of them."""
    hot, market = arrays.hot, arrays.hot_markets[first]
    total, counted = hot[first, HOT_LEVEL], 1
    for i in range(first + 1, arrays.n_hot[0]):
        if arrays.hot_markets[i] != market or hot[i, HOT_OBSERVED] < EVENTS_MIN:
            continue
        apart = abs(hot[i, HOT_SINCE] - hot[first, HOT_SINCE])
        cost = COST_SAME_START if apart <= SAME_START_WINDOWS else COST_OTHER_START
        if hot[i, HOT_LEVEL] > cost and counted < COMBINED_ACCOUNTS_MAX:
            total += hot[i, HOT_LEVEL] - cost
            counted += 1
    return total


@njit(FLOAT(INT, ACTS, LEARNT, WINDOW), cache=True, nogil=True)
def score_window(window, acts, learnt, arrays):  # type: ignore[no-untyped-def]
    """The score of a window; `arrays` are filled in, and nothing else changes."""
    key, market, events = acts
    row, scores, reading = arrays.row[: key.size], arrays.scores, arrays.reading
    profiles, times = learnt.accounts.profiles, learnt.accounts.times
    arrays.n_hot[0] = 0
    highest = 0.0
    if key.size:
        find_rows(key, learnt.table, learnt.keys, row)
        read_markets(window, market, learnt.markets, arrays.place, reading)
        score_accounts(window, row, events, reading, learnt.accounts, scores)
        highest = scores[0, LEVEL] - reading.cost[0]
        for i in range(key.size):
            level, cost = scores[i, LEVEL], reading.cost[i]
            highest = max(highest, level - cost)
            if level > HOT_MIN:
                since, observed = window, events[i]
                if scores[i, IN_EXCURSION] != 0.0:
                    since = times[row[i], BEGIN]
                    observed += profiles[row[i], SEEN]
                elif observed < EVENTS_MIN:
                    continue  # one event is no burst
                slow = scores[i, SLOW]
                _add_hot(arrays, key[i], market[i], level, since, observed, slow, cost, window)
    score = max(0.0, highest)
    for i in range(arrays.n_hot[0]):
        is_first = True
        for j in range(i):
            is_first &= arrays.hot_markets[j] != arrays.hot_markets[i]
        if is_first:
            score = max(score, _combined_evidence(i, arrays) - arrays.hot[i, HOT_COST])
    return score


@njit(nogil=True, **UNCALLED)
def _learn_rate(window, events, learnt):  # type: ignore[no-untyped-def]
    """Learn the events a window and account, which is expected of an account never seen."""
    flow, population = learnt.flow, learnt.accounts.population
    accounts, first = max(1, learnt.counts[N_ACCOUNTS]), learnt.counts[FIRST_WINDOW]
    usual = population[P_RATE] * accounts
    events = min(events, CEILING_FACTOR * usual + CEILING_EVENTS * 10)
    keep = math.exp((flow[FLOW_WINDOW] - window) / SLOW_WINDOWS)
    flow[FLOW_EVENTS_SUM] = flow[FLOW_EVENTS_SUM] * keep + events
    flow[FLOW_WINDOW] = window
    seen = SLOW_WINDOWS * -math.expm1((first - window - 1) / SLOW_WINDOWS)
    population[P_RATE] = flow[FLOW_EVENTS_SUM] / seen / accounts


@njit(types.void(INT, ACTS, I1, B1, INT, INT, LEARNT, WINDOW), cache=True, nogil=True)
def learn_window(window, acts, row, in_episode, warm_up, patience, learnt, arrays):  # type: ignore[no-untyped-def]
    """Learn the window that was scored last.

    `row`: of each act's account, once all that have room are in the table. `in_episode`: accounts
    that learn nothing of their habits.
    """
    counts, accounts, events = learnt.counts, learnt.accounts, acts.events
    if counts[FIRST_WINDOW] < 0:
        counts[FIRST_WINDOW] = window
    if row.size:
        learn_acts(window, patience, row, events, arrays.scores, in_episode, accounts)
        if window - counts[FIRST_WINDOW] < min(SETTLE_WINDOWS, warm_up):
            for i in range(row.size):
                if row[i] >= 0:
                    reset_evidence(window + 1, row[i], accounts)
        total = 0.0
        for i in range(events.size):
            total += min(events[i], COUNT_MAX)
        _learn_rate(window, total, learnt)
        learn_market_counts(window, row, acts.market, events, learnt.markets)


@njit(INT(INT, I1, ACTS, INT, INT, FLOAT, LEARNT, WINDOW, F1), cache=True, nogil=True)
def learn_windows(low, ends, acts, warm_up, patience, rare, learnt, arrays, scores):  # type: ignore[no-untyped-def]
    """Score and learn windows from `low` on; returns how many, up to the first that is left.

    `ends` (windows + 1,): where the acts of each window begin and end. A window is left, as it was,
    whose score is not below `rare`, or whose new accounts have no room. Into `scores` (windows,):
    NaN while the detector is learning.
    """
    counts = learnt.counts
    for w in range(ends.size - 1):
        window, a, b = low + w, ends[w], ends[w + 1]
        here = WindowActivity(acts.key[a:b], acts.market[a:b], acts.events[a:b])
        score = score_window(window, here, learnt, arrays)
        scores[w] = np.nan
        if counts[FIRST_WINDOW] >= 0 and window - counts[FIRST_WINDOW] >= warm_up:
            if not score < rare:
                return w
            scores[w] = score
        row, new = arrays.row[: b - a], 0
        for i in range(row.size):
            new += row[i] < 0
        if new:
            n = counts[N_ACCOUNTS]
            if n + new > learnt.keys.size:
                return w
            table = learnt.keys, learnt.accounts, learnt.table
            counts[N_ACCOUNTS] = add_rows(here.key, row, window, n, *table)
        learn_window(window, here, row, arrays.nobody, warm_up, patience, learnt, arrays)
    return ends.size - 1
