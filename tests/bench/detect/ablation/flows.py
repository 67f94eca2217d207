"""Flows by account that nobody chose the detector by, each where some mechanism can matter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.bench.backgrounds import DAY
from tests.bench.detect.accountflow import Flow, dydx_cancels, hawkes_accounts, long_recording
from tests.bench.detect.marks import FEED

HOUR = 3600
LIFE_S = 2 * HOUR
"""How long a passing account acts."""
WARM_UP_S = 1800
"""Before that the detector abstains."""


def _sum_cells(
    window: NDArray[np.int64], account: NDArray[np.int64], count: NDArray[np.float64],
    windows: int, accounts: int,
) -> Flow:  # fmt: skip
    """A flow of entries in any order, of which several may be of one account and window."""
    cell, place = np.unique(window * accounts + account, return_inverse=True)
    begin = np.searchsorted(cell // accounts, np.arange(windows + 1))
    return Flow(begin, cell % accounts, np.bincount(place, weights=count), accounts)


def _entry_windows(flow: Flow) -> NDArray[np.int64]:
    return np.repeat(np.arange(flow.windows), np.diff(flow.begin))


def with_passing_accounts(flow: Flow, seed: int) -> Flow:
    """The same where each account acts for `LIFE_S` and another one takes its place."""
    lives = flow.windows // LIFE_S + 2
    began = np.random.default_rng(seed).integers(0, LIFE_S, flow.accounts)
    window = _entry_windows(flow)
    account = flow.account * lives + (window + began[flow.account]) // LIFE_S
    return _sum_cells(window, account, flow.count, flow.windows, flow.accounts * lives)


def with_habits(flow: Flow, seed: int) -> Flow:
    """The same where five accounts add, about once an hour, three times what all others do, for ten
    seconds: each by itself is a burst, and together they are how these accounts act."""
    rng = np.random.default_rng(seed)
    windows, accounts = [_entry_windows(flow)], [flow.account]
    counts, mean = [flow.count], flow.totals().mean()
    for account in rng.choice(flow.accounts, 5, replace=False):
        for at in rng.integers(0, flow.windows - 10, rng.poisson(flow.windows / HOUR)):
            windows.append(np.arange(at, at + 10))
            accounts.append(np.full(10, account))
            counts.append(rng.poisson(3.0 * mean, 10).astype(np.float64))
    cells = np.concatenate(windows), np.concatenate(accounts), np.concatenate(counts)
    acted = cells[2] > 0
    return _sum_cells(*(column[acted] for column in cells), flow.windows, flow.accounts)


def with_steady_bots(flow: Flow, seed: int) -> Flow:
    """The same and five more accounts that act 20 times a second, give or take one, and about once
    an hour only eight times for ten seconds: less than usual is no burst."""
    rng = np.random.default_rng(seed)
    count = np.rint(rng.normal(20.0, 1.0, (5, flow.windows)))
    for bot in count:
        for at in rng.integers(0, flow.windows - 10, rng.poisson(flow.windows / HOUR)):
            bot[at : at + 10] = 8.0
    window = np.concatenate([_entry_windows(flow), np.tile(np.arange(flow.windows), 5)])
    bots = flow.accounts + np.repeat(np.arange(5), flow.windows)
    account, counts = np.concatenate([flow.account, bots]), np.concatenate([flow.count, *count])
    return _sum_cells(window, account, counts, flow.windows, flow.accounts + 5)


def in_markets(flows: list[Flow]) -> Flow:
    """Each flow a market of its own, with its own accounts."""
    first = np.cumsum([0, *(flow.accounts for flow in flows)])
    window = np.concatenate([_entry_windows(flow) for flow in flows])
    account = np.concatenate([a + flow.account for a, flow in zip(first, flows, strict=False)])
    count = np.concatenate([flow.count for flow in flows])
    together = _sum_cells(window, account, count, flows[0].windows, int(first[-1]))
    market = np.repeat(np.arange(len(flows)), np.diff(first))
    return together._replace(market=market)


class Background(NamedTuple):
    """`start`: the window from which on bursts are planted and alarms counted. `share`: how much of
    the bursts of `marks` is planted: as much as leaves some of them to be missed."""

    name: str
    flow: Flow
    start: int
    share: float


def backgrounds(days: float, seed: int) -> Iterator[Background]:
    """All of them, half of each to learn from; four starts of three hours stand under one name."""
    start = int(days * DAY) // 2
    own = hawkes_accounts(days, 10, seed, 0.5, branching=0.8)
    yield Background("branching .8, 10/s", own, start, 0.5)
    few = hawkes_accounts(days, 4, seed + 1, 0.6, accounts=40)
    yield Background("40 accounts, 4/s", few, start, 1.0)
    steep = hawkes_accounts(days, 10, seed + 2, 0.7, batch=30.0, tail=1.4)
    yield Background("batches of 30, steep tail, 10/s", steep, start, 1.0)
    flat = hawkes_accounts(days, 20, seed + 3, 0.2, branching=0.3, tail=0.6)
    yield Background("branching .3, flat tail, 20/s", flat, start, 0.2)
    stay = hawkes_accounts(days, 6, seed + 4, 0.5, accounts=300)
    yield Background("accounts that pass, 6/s", with_passing_accounts(stay, seed + 4), start, 0.5)
    calm = hawkes_accounts(days, 5, seed + 5, 0.4)
    yield Background("bursts as a habit, 5/s", with_habits(calm, seed + 5), start, 1.0)
    markets = [
        hawkes_accounts(days, mean, seed + 6 + i, 0.6, accounts=300)
        for i, mean in enumerate((1, 4, 16))
    ]
    yield Background("markets of 1, 4 and 16/s", in_markets(markets), start, 1.0)
    one = hawkes_accounts(days, 2, seed + 14, 0.4, accounts=20, tail=2.0)
    yield Background("one account makes most, 2/s", one, start, 1.0)
    crowd = hawkes_accounts(days, 10, seed + 15, 0.4, accounts=30_000, tail=0.5)
    yield Background("30,000 accounts, 10/s", crowd, start, 0.2)
    bots = with_steady_bots(hawkes_accounts(days, 4, seed + 16, 0.4, accounts=300), seed + 16)
    yield Background("steady bots, 104/s", bots, start, 0.1)
    for i in range(4):
        early = hawkes_accounts(3 * HOUR / DAY, 8, seed + 10 + i, 0.5, batch=20.0)
        yield Background("first three hours, 8/s", early, WARM_UP_S, 0.3)
    if FEED.exists():
        recording = long_recording(dydx_cancels(FEED), days, seed + 9)
        yield Background("dYdX accounts, made long", recording, start, 0.07)
