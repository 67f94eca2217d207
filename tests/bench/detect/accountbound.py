"""How much of planted bursts by account can be known: the process is known, who bursts is not.

CUSUMs of each account that know what made the flow: the true slow rate of that very second, the
share of the excitation by the same account, its decay, the market makers' batches. They forecast
from the history they see, the burst included (to keep out of it what is explained as burst gained
nothing: .825 and .829 of single bursts, seed 21). They know the sizes that are planted, beside the
true rate of the market. The highest account counts, and of two more that began together what lies
above `PRICE`. The threshold is the one that gives the budget on the untouched path.
"""

from __future__ import annotations

from math import exp, expm1, lgamma, log, log1p

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tests.bench.backgrounds import DAY, Counts
from tests.bench.detect.accountflow import ACCOUNTS, BRANCHING, Flow, Process

SIZES = np.array([1 / 3, 2 / 3, 1.0, 4 / 3, 2.0, 4.0])
"""Bursts, events a window, in units of the true rate of the whole market: ×2, ×3, ×5, by one
account or by each of three."""
TOGETHER_WINDOWS = 4
"""Bursts that began no further apart than that began together."""
PRICE = log(ACCOUNTS**2 / 6) / 2 + log(TOGETHER_WINDOWS + 1)
"""Of a further account: three can be chosen in about N²/6 times as many ways as one, and each may
begin in as many windows."""
DECAY = 0.5
"""Of the excitation, a second."""
KEEP = exp(-DECAY)
SPILLS = 1 / 3
"""Of the batches a third begins in the last third of a second, and reaches into the next."""
SETTLE = 300
"""Windows after which a walk from nothing stands where one from the beginning does."""


def cluster(branching: float) -> float:
    """Events in the rest of a window, on the average, of one that came at any time in it, itself
    included."""
    left = (1 - branching) * DECAY
    return 1 + branching / (1 - branching) * (1 + expm1(-left) / left)


def events_per_excitation(branching: float) -> float:
    """Events in a window for each unit of excitation at its beginning, theirs included."""
    left = (1 - branching) * DECAY
    return -expm1(-left) / left


@njit
def _log_chance(x, mean, dispersion):  # type: ignore[no-untyped-def]
    """Negative binomial."""
    r = mean / (dispersion - 1.0)
    ways = lgamma(x + r) - lgamma(r) - lgamma(x + 1.0)
    return ways - r * log(dispersion) + x * log1p(-1.0 / dispersion)


@njit
def _law(x, flow, dispersion, batches, size):  # type: ignore[no-untyped-def]
    """ln of the chance of `x` events, how many of them bring others (a batch counts once), and the
    chance that there is a batch. `batches`: the chance of one before anything is seen."""
    if size <= 1.0:
        return _log_chance(x, flow, dispersion), x, 0.0
    none = (1.0 - batches) * exp(_log_chance(x, flow, dispersion))
    total, parents = none, none * x
    for j in range(1, int(x) + 1):
        in_batch = -log(size) + (j - 1) * log1p(-1.0 / size)
        part = batches * exp(in_batch + _log_chance(x - j, flow, dispersion))
        total += part
        parents += part * (x - j + 1)
    total = max(total, 1e-300)
    return log(total), parents / total, 1.0 - none / total


@njit
def _walk(begin, account, count, firsts, rate, begins, activity, batch, own, dispersion, factors,
          sizes, price, scores):  # type: ignore[no-untyped-def]  # fmt: skip
    """Scores of a flow from rest."""
    arrival, stays, market_stays, market_more, taken = factors
    n, ks = len(begins), len(sizes)
    excited = np.zeros(n)  # by the account's own events, as of `at`
    at = np.zeros(n, np.int64)
    batched = np.zeros(n)  # the chance of a batch in the window before
    sums, since = np.zeros((n, ks)), np.zeros((n, ks), np.int64)
    whole = 0.0
    active = np.zeros(0, np.int64)
    now = np.zeros(n)
    for t in range(len(begin) - 1):
        a, b = begin[t], begin[t + 1]
        now[account[a:b]] = count[a:b]
        touched = account[a:b].copy()
        quiet = active[now[active] == 0.0]
        touched = np.concatenate((touched, quiet))
        parents_of_all = 0.0
        others = (1.0 - own) * (market_stays * whole + market_more * firsts[t])
        for i in touched:
            excited[i] *= KEEP ** (t - at[i])
            x = now[i]
            single = firsts[t] * begins[i] if batch[i] <= 1.0 else 0.0
            batches = 0.0
            if batch[i] > 1.0:
                rest = SPILLS * batched[i] if at[i] == t else 0.0
                batches = 1.0 - (1.0 - rest) * exp(-firsts[t] * begins[i])
            flow = arrival * (single + others * activity[i]) + stays * excited[i]
            usual, parents, batched[i] = _law(x, flow, dispersion, batches, batch[i])
            parents_of_all += parents
            for k in range(ks):
                size = sizes[k] * rate[t]
                both = max(1.0001, (flow * dispersion + size) / (flow + size))
                lifted, _, _ = _law(x, flow + size, both, batches, batch[i])
                if sums[i, k] <= 0.0:
                    since[i, k] = t
                sums[i, k] = max(0.0, sums[i, k] + lifted - usual)
            excited[i] = KEEP * excited[i] + own * taken * parents
            at[i] = t + 1
            now[i] = 0.0
        whole = KEEP * whole + taken * parents_of_all
        best = 0.0
        for k in range(ks):
            first, level = -1, 0.0
            for i in touched:
                if sums[i, k] > level:
                    first, level = i, sums[i, k]
            if first < 0:
                continue
            second, third = 0.0, 0.0
            for i in touched:
                if i != first and abs(since[i, k] - since[first, k]) <= TOGETHER_WINDOWS:
                    s = max(0.0, sums[i, k] - price)
                    if s > second:
                        second, third = s, second
                    elif s > third:
                        third = s
            best = max(best, level + second + third)
        scores[t] = best
        alive = np.zeros(len(touched), np.bool_)
        for j in range(len(touched)):
            alive[j] = sums[touched[j]].max() > 0.0
        active = touched[alive]


class AccountBound:
    """The bound on a simulated flow, whose process is known."""

    def __init__(self, flow: Flow, process: Process) -> None:
        self._flow, self._process = flow, process
        mine = BRANCHING * process.own
        brings = 1 / (1 - BRANCHING) + (process.begins * (process.batch - 1)).sum()
        self._rate = process.firsts * brings
        self._factors = (
            cluster(mine),
            events_per_excitation(mine),
            events_per_excitation(BRANCHING),
            cluster(BRANCHING) - 1,
            # What an event leaves behind at the end of its window, having come at any time in it.
            BRANCHING * -expm1(-DECAY),
        )
        self._dispersion = 1 + 2 * (cluster(mine) - 1)
        self._scores = self._run(flow.begin, flow.account, flow.count, 0)

    def _run(self, begin: NDArray[np.int64], account: NDArray[np.int64], count: Counts,
             at: int) -> Counts:  # fmt: skip
        p = self._process
        windows = len(begin) - 1
        scores = np.empty(windows)
        part = slice(at, at + windows)
        _walk(begin, account, count, p.firsts[part], self._rate[part], p.begins, p.activity,
              p.batch, p.own, self._dispersion, self._factors, SIZES, PRICE, scores)  # fmt: skip
        return scores

    def threshold(self, a_day: float) -> float:
        """That gives so many alarms a day on the untouched path."""
        scores = self._scores.copy()
        highest = np.inf
        for _ in range(max(1, round(len(scores) / DAY * a_day)) + 1):
            i = int(scores.argmax())
            highest = float(scores[i])
            scores[max(0, i - 60) : i + 61] = -np.inf
        return highest

    def scores(self, spot: int, accounts: tuple[int, ...], added: NDArray[np.int64]) -> Counts:
        """Of the windows of a planted burst."""
        at = spot - SETTLE
        before = slice(self._flow.begin[at], self._flow.begin[spot])
        begins = [self._flow.begin[at : spot + 1] - self._flow.begin[at]]
        whose, counts = [self._flow.account[before]], [self._flow.count[before]]
        end = int(begins[0][-1])
        for i in range(len(added)):
            row = self._flow.row(spot + i)
            np.add.at(row, list(accounts), added[i])
            acting = np.flatnonzero(row)
            whose.append(acting)
            counts.append(row[acting])
            end += len(acting)
            begins.append(np.array([end]))
        made = [np.concatenate(parts) for parts in (begins, whose, counts)]
        return self._run(made[0], made[1], made[2], at)[SETTLE:]
