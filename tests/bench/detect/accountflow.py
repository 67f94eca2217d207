"""Backgrounds of counts by account: simulated, and a real recording's accounts made long.

A flow is in rows (window, account, count), windows rising, for the detector window by window.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.account_burst.columns import WindowActivity
from detectors.account_burst.detector import AccountBurstDetector
from tests.bench.backgrounds import DAY, Counts, base_rate

ACCOUNTS = 1000
NO_ACTIVITY = WindowActivity(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0))
MAKERS = 10
"""Market makers among them: every second of the twenty most active."""
BRANCHING = 0.6
Int64 = NDArray[np.int64]


class Process(NamedTuple):
    """What made a simulated flow."""

    firsts: Counts
    """(windows,): events a second that nothing brought, or batches of them; all accounts."""
    begins: Counts
    """(accounts,): the share of each in those."""
    activity: Counts
    """(accounts,): the share of each in what others bring."""
    batch: Counts
    """(accounts,): mean size of a batch; 1: no market maker."""
    own: float
    """The share of what an event brings that is by the same account."""


class Flow(NamedTuple):
    """Counts by window and account."""

    begin: Int64
    """(windows + 1): where the entries of each window begin."""
    account: Int64
    """(entries): a number below `accounts`, rising within a window."""
    count: Counts
    accounts: int
    process: Process | None = None
    """Where it is known."""
    market: Int64 | None = None
    """(accounts,): the number of the market of each; None: one market."""

    @property
    def windows(self) -> int:
        return len(self.begin) - 1

    def totals(self, market: int | None = None) -> Counts:
        """Of all accounts, or of those of a market, by window."""
        window = np.repeat(np.arange(self.windows), np.diff(self.begin))
        count = self.count
        if market is not None and self.market is not None:
            count = count * (self.market[self.account] == market)
        return np.bincount(window, weights=count, minlength=self.windows)

    def row(self, window: int) -> Counts:
        """A window's counts of all accounts."""
        a, b = self.begin[window], self.begin[window + 1]
        row = np.zeros(self.accounts)
        row[self.account[a:b]] = self.count[a:b]
        return row

    def acts(self, window: int, key: NDArray[np.uint64]) -> WindowActivity:
        """A window as the detector takes it; `key` of each account."""
        a, b = self.begin[window], self.begin[window + 1]
        if a == b:
            return NO_ACTIVITY
        return acts(self.account[a:b], self.count[a:b], key)


def acts(account: Int64, count: Counts, key: NDArray[np.uint64]) -> WindowActivity:
    keys = key[account]
    order = np.argsort(keys)
    return WindowActivity(keys[order], np.zeros(len(keys), np.int64), count[order])


def keys(accounts: int, seed: int) -> NDArray[np.uint64]:
    """Hashes, as the engine would make them of names."""
    return np.random.default_rng(seed).integers(1, 2**64, accounts, dtype=np.uint64)


def _flow(window: Int64, account: Int64, windows: int, accounts: int) -> Flow:
    cell, count = np.unique(window * accounts + account, return_counts=True)
    begin = np.searchsorted(cell // accounts, np.arange(windows + 1))
    return Flow(begin, cell % accounts, count.astype(np.float64), accounts)


def hawkes_accounts(
    days: float, mean: float, seed: int, own: float, batch: float = 12.0,
    accounts: int = ACCOUNTS, branching: float = BRANCHING, tail: float = 1.0,
) -> Flow:  # fmt: skip
    """Accounts whose activity falls as 1/rank^`tail`. Each event brings `branching` others
    after 2 s on the average, the part `own` of them by the same account, the others by accounts
    drawn by activity; on it the daily cycle and drift of `base_rate`. A maker acts in batches
    within a third of a second, geometric with a mean that differs from maker to maker (log-normal
    about `batch`); a batch is one decision, and brings others as one event does.

    `mean`: events a second, all accounts together.
    """
    rng = np.random.default_rng(seed)
    windows = int(days * DAY)
    activity = np.arange(1.0, accounts + 1) ** -tail
    activity /= activity.sum()
    size = np.ones(accounts)
    size[np.arange(MAKERS) * 2] = np.exp(rng.normal(np.log(batch), 0.5, MAKERS))
    begins = activity / size
    begins /= begins.sum()
    brings = 1 / (1 - branching) + (begins * (size - 1)).sum()
    firsts = base_rate(windows, mean, rng) / brings
    first = rng.poisson(firsts)
    time = np.repeat(np.arange(windows), first) + rng.random(first.sum())
    account = rng.choice(accounts, len(time), p=begins)
    more = np.where(size[account] > 1, rng.geometric(1 / size[account]), 1) - 1
    times = [time, np.repeat(time, more) + rng.random(more.sum()) / 3]
    whose = [account, np.repeat(account, more)]
    while len(time):
        born = rng.poisson(branching, len(time))
        time = np.repeat(time, born) + rng.exponential(2.0, born.sum())
        account = np.repeat(account, born)
        time, account = time[time < windows], account[time < windows]
        drawn = rng.choice(accounts, len(account), p=activity)
        account = np.where(rng.random(len(account)) < own, account, drawn)
        times.append(time)
        whose.append(account)
    time, account = np.concatenate(times), np.concatenate(whose)
    inside = time < windows
    flow = _flow(time[inside].astype(np.int64), account[inside], windows, accounts)
    return flow._replace(process=Process(firsts, begins, activity, size, own))


def dydx_cancels(path: Path) -> NDArray[np.int64]:
    """(accounts, seconds): cancels by sub-account and whole second of the recording."""
    counts: Counter[tuple[str, int]] = Counter()
    with gzip.open(path, "rt") as lines:
        for line in lines:
            record = json.loads(line)
            if record["kind"] == "remove":
                name = f"{record['owner']}/{record['sub']}"
                counts[name, record["ts_ms"] // 1000] += 1
    seconds = sorted({second for _, second in counts})[1:-1]  # the first and the last are parts
    names = sorted({name for name, _ in counts})
    return np.array([[counts[name, second] for second in seconds] for name in names])


def long_recording(real: NDArray[np.int64], days: float, seed: int, block: int = 4) -> Flow:
    """The accounts of a short recording made long: blocks of `block` seconds of it are drawn one
    after the other. Half of them all accounts draw together (so what they have in common stays),
    in the others each draws its own. Then every count is thinned by a common factor with the daily
    cycle and drift of `base_rate`, whose highest value leaves all. What lies beyond the seconds
    recorded (rare batches, changes of habit) is not in it.
    """
    rng = np.random.default_rng(seed)
    accounts, seconds = real.shape
    windows = int(days * DAY)
    blocks = windows // block
    together = rng.random(blocks) < 0.5
    place = rng.integers(0, seconds - block + 1, blocks)
    share = base_rate(windows, 1.0, rng)
    share = share / share.max()
    parts = []
    for i in range(accounts):
        own = np.where(together, place, rng.integers(0, seconds - block + 1, blocks))
        drawn = real[i][(own[:, None] + np.arange(block)).ravel()]
        thinned = rng.binomial(drawn, share[: len(drawn)])
        window = np.flatnonzero(thinned)
        parts.append((window, np.full(len(window), i), thinned[window]))
    window, account, count = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((account, window))
    begin = np.searchsorted(window[order], np.arange(blocks * block + 1))
    return Flow(begin, account[order], count[order].astype(np.float64), accounts)


def bytes_per_account(detector: AccountBurstDetector) -> float:
    """Of the detector's arrays, for each account that there is room for."""
    table = detector._table
    arrays = table.keys, table.profiles, table.times, table.slots
    return sum(array.nbytes for array in arrays) / len(table.keys)
