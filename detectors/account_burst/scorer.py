"""What a window's acts come to beside what was learnt before it: who has evidence, and where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.account_burst import columns as col
from detectors.account_burst.activity import WindowActivity
from detectors.account_burst.combine import EVENTS_MIN, Actor, combine_actors
from detectors.account_burst.likelihood import decay_evidence, score_accounts
from detectors.account_burst.market_rates import MarketRates
from detectors.account_burst.table import AccountTable, Keys, Rows
from detectors.arrays.types import Float64

HOT_MAX = 64
"""Accounts with evidence above `HOT_MIN` that are kept in mind while they do not act: at most so
many, those with most."""
HOT_MIN = 3.0
"""Less evidence adds to nothing, and names nobody: see `combine_actors`."""


class AccountVerdict(NamedTuple):
    """What a window comes to.

    Parameters
    ----------
    value
        The score; None: the detector abstains, for the reason `why`.
    market
        The market with the highest score; -1 where no account has evidence to speak of.
    actors
        The accounts behind the score, by evidence: see `combine_actors`.
    """

    value: float | None
    why: str | None = None
    market: int = -1
    actors: tuple[Actor, ...] = ()


class HotAccount(NamedTuple):
    """An account with evidence above `HOT_MIN`."""

    market: int
    actor: Actor


class ScoredWindow(NamedTuple):
    """A window's acts with their scores by what was learnt before it."""

    window: int
    acts: WindowActivity
    row: Rows
    """The row of each act's account; -1: it was never seen."""
    scores: Float64
    """(acts, `SCORE_COLUMNS`)."""
    hot: list[HotAccount]
    """By evidence, the highest first."""
    highest: float
    """The highest evidence of one account that acts, less what its market costs."""


class AccountScorer:
    """Scores acts beside the profiles of accounts and the rates of markets, and changes neither."""

    def __init__(self, table: AccountTable, markets: MarketRates) -> None:
        self._table = table
        self._markets = markets

    def score_window(
        self, window: int, acts: WindowActivity, hot_before: list[tuple[int, int]]
    ) -> ScoredWindow:
        """Score a window; `hot_before`: key and market of the accounts to keep in mind."""
        key, market, count = acts
        row, scores = self._table.rows(key), np.empty((len(key), col.SCORE_COLUMNS))
        hot, highest = [], 0.0
        if len(key):
            reading = self._markets.read(window, market)
            score_accounts(window, row, count, reading, self._table.state, scores)
            level = scores[:, col.LEVEL]
            highest = float((level - np.log(reading.acting)).max())
            for i in np.flatnonzero(level > HOT_MIN).tolist():
                if count[i] < EVENTS_MIN and not scores[i, col.IN_EXCURSION]:
                    continue  # one event is no burst
                actor = self._active_actor(
                    window, int(key[i]), int(row[i]), float(count[i]), scores[i]
                )
                hot.append(HotAccount(int(market[i]), actor))
        if hot_before:
            hot += self._silent_accounts(window, key, hot_before)
        hot.sort(key=lambda account: (-account.actor.level, account.actor.key, account.market))
        return ScoredWindow(window, acts, row, scores, hot[:HOT_MAX], highest)

    def _active_actor(self, window: int, key: int, row: int, count: float, score: Float64) -> Actor:
        since, observed = window, count
        if row >= 0 and score[col.IN_EXCURSION]:
            since = int(self._table.times[row, col.BEGIN])
            observed += float(self._table.profiles[row, col.SEEN])
        expected = float(score[col.SLOW]) * (window - since + 1)
        return Actor(key, float(score[col.LEVEL]), since, observed, expected)

    def _silent_accounts(
        self, window: int, acting: Keys, hot_before: list[tuple[int, int]]
    ) -> list[HotAccount]:
        """Those of the hot accounts that do not act in this window, and are still in the table."""
        now = set(acting.tolist())
        silent = [(key, market) for key, market in hot_before if key not in now]
        if not silent:
            return []
        table = self._table
        row = table.rows(np.array([key for key, _ in silent], np.uint64))
        silent = [pair for pair, r in zip(silent, row.tolist(), strict=True) if r >= 0]
        row = row[row >= 0]
        level, slow = np.empty(len(row)), np.empty(len(row))
        reading = self._markets.read(window, np.array([m for _, m in silent], np.int64))
        decay_evidence(window, row, reading.usual_rate, table.state, level, slow)
        still_hot = []
        for i in np.flatnonzero(level > HOT_MIN).tolist():
            key, market = silent[i]
            since = int(table.times[row[i], col.BEGIN])
            observed = float(table.profiles[row[i], col.SEEN])
            expected = float(slow[i]) * (window - since + 1)
            actor = Actor(key, float(level[i]), since, observed, expected)
            still_hot.append(HotAccount(market, actor))
        return still_hot

    def verdict(self, scored: ScoredWindow) -> AccountVerdict:
        """The market in which the highest accounts come to most."""
        by_market: dict[int, list[Actor]] = {}
        for market, actor in scored.hot:
            by_market.setdefault(market, []).append(actor)
        if not by_market:
            return AccountVerdict(max(0.0, scored.highest))
        markets = sorted(by_market, key=lambda m: by_market[m][0].key)
        acting = self._markets.read(scored.window, np.array(markets, np.int64)).acting
        best, score = -1, -1.0
        actors: tuple[Actor, ...] = ()
        for market, cost in zip(markets, np.log(acting).tolist(), strict=True):
            value, named = combine_actors(by_market[market])
            if value - cost > score:
                best, score, actors = market, value - cost, named
        return AccountVerdict(max(0.0, score, scored.highest), None, best, actors)
