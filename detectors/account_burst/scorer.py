"""What a window's acts come to beside what was learnt before it: who has evidence, and where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.account_burst import likelihood as law
from detectors.account_burst.activity import WindowActivity
from detectors.account_burst.combine import EVENTS_MIN, Actor, combine_actors
from detectors.account_burst.market_rates import MarketRates
from detectors.account_burst.table import AccountTable, Keys, Rows

HOT_MAX = 64
"""Accounts with evidence above `HOT_MIN` that are kept in mind while they do not act, at most:
those with most."""
HOT_MIN = 3.0
"""Less evidence adds to nothing, and names nobody: `together`."""


class Verdict(NamedTuple):
    """What a window comes to.

    Parameters
    ----------
    value
        None: the detector abstains, and `why` tells.
    market
        The market with the highest score; -1 where no account has evidence to speak of.
    actors
        The accounts behind the score, by evidence: see `together`.
    """

    value: float | None
    why: str | None = None
    market: int = -1
    actors: tuple[Actor, ...] = ()


class ScoredWindow(NamedTuple):
    """A window's acts, weighed by what was learnt before it."""

    window: int
    acts: WindowActivity
    row: Rows
    scores: NDArray[np.float64]
    hot: list[tuple[float, int, int, Actor]]
    """(-level, key, market, actor), by level."""
    highest: float
    """Of one account that acts, as a score."""


class AccountScorer:
    """Weighs acts beside the habits of accounts and markets, and changes none of them."""

    def __init__(
        self, table: AccountTable, markets: MarketRates, common: NDArray[np.float64]
    ) -> None:
        self._table = table
        self._markets = markets
        self._population = common
        self._empty_profile = np.zeros(law.PROFILE_COLUMNS, np.float32)

    def score_window(
        self, window: int, acts: WindowActivity, hot_before: list[tuple[int, int]]
    ) -> ScoredWindow:
        """Weigh a window; `hot_before`: key and market of those to keep in mind."""
        key, market, count = acts
        table, common = self._table, self._population
        hot: list[tuple[float, int, int, Actor]] = []
        if len(key):
            row = table.rows(key)
            found = np.empty((len(key), law.SCORE_COLUMNS))
            busy, usual, acting = self._markets.read(window, market)
            state = table.habits, table.times, common, self._empty_profile
            law.score_accounts(window, row, count, busy, usual, *state, found)
            level = found[:, law.LEVEL]
            highest = float((level - np.log(acting)).max())
            for i in np.flatnonzero(level > HOT_MIN).tolist():
                if count[i] < EVENTS_MIN and not found[i, law.IN_EXCURSION]:
                    continue  # one event is no burst
                actor = self._active_actor(
                    window, int(key[i]), int(row[i]), float(count[i]), found[i]
                )
                hot.append((-actor.level, actor.key, int(market[i]), actor))
        else:
            row, found = np.empty(0, np.int64), np.empty((0, law.SCORE_COLUMNS))
            highest = 0.0
        if hot_before:
            hot += self._silent_actors(window, key, hot_before)
        hot.sort()
        del hot[HOT_MAX:]
        return ScoredWindow(window, acts, row, found, hot, highest)

    def _active_actor(
        self, window: int, key: int, row: int, count: float, found: NDArray[np.float64]
    ) -> Actor:
        since, seen = window, count
        if row >= 0 and found[law.IN_EXCURSION]:
            since = int(self._table.times[row, law.BEGIN])
            seen += float(self._table.habits[row, law.SEEN])
        expected = float(found[law.SLOW]) * (window - since + 1)
        return Actor(key, float(found[law.LEVEL]), since, seen, expected)

    def _silent_actors(
        self, window: int, acting: Keys, hot: list[tuple[int, int]]
    ) -> list[tuple[float, int, int, Actor]]:
        """Those of the hot accounts that do not act in this window."""
        now = set(acting.tolist())
        wanted = [pair for pair in hot if pair[0] not in now]
        if not wanted:
            return []
        table = self._table
        row = table.rows(np.array([key for key, _ in wanted], np.uint64))
        wanted = [pair for pair, r in zip(wanted, row.tolist(), strict=True) if r >= 0]
        row = row[row >= 0]
        out = np.empty((len(row), 2))
        of = np.array([m for _, m in wanted], np.int64)
        _, usual, _ = self._markets.read(window, of)
        law.decay_evidence(window, row, usual, table.habits, table.times, self._population, out)
        rest = []
        for (key, market), r, (level, slow) in zip(wanted, row.tolist(), out.tolist(), strict=True):
            if level > HOT_MIN:
                since = int(table.times[r, law.BEGIN])
                seen = float(table.habits[r, law.SEEN])
                actor = Actor(key, level, since, seen, slow * (window - since + 1))
                rest.append((-level, key, market, actor))
        return rest

    def verdict(self, weighed: ScoredWindow) -> Verdict:
        """The market in which the highest accounts come to most."""
        by_market: dict[int, list[Actor]] = {}
        for _, _, market, actor in weighed.hot:
            by_market.setdefault(market, []).append(actor)
        if not by_market:
            return Verdict(max(0.0, weighed.highest))
        markets = sorted(by_market, key=lambda m: by_market[m][0].key)
        _, _, acting = self._markets.read(weighed.window, np.array(markets, np.int64))
        best, score = -1, -1.0
        actors: tuple[Actor, ...] = ()
        for market, usual in zip(markets, np.log(acting).tolist(), strict=True):
            value, who = combine_actors(by_market[market])
            if value - usual > score:
                best, score, actors = market, value - usual, who
        return Verdict(max(0.0, score, weighed.highest), None, best, actors)
