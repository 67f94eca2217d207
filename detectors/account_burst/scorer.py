"""What a window's acts come to beside what was learnt before it: who has evidence, and where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.account_burst import columns as col
from detectors.account_burst.likelihood import decay_evidence, score_accounts
from detectors.account_burst.market_rates import MarketRates
from detectors.account_burst.table import AccountTable, Keys, Rows
from detectors.arrays.types import Float64, Int64, UInt64

HOT_MAX = 64
"""Accounts with evidence above `HOT_MIN` that are kept in mind while they do not act: at most so
many, those with most."""
HOT_MIN = 3.0
"""Less evidence adds to nothing, and names nobody: see `combine_actors`."""
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
NAMED_EVIDENCE_SHARE, NAMED_EVENTS_SHARE = 0.3, 0.4
"""A further account that began together with the highest is named when it has at least this share
of its evidence, and of its events. An account with a habit of such bursts has less evidence for as
many events, and one that is only excited by others has fewer events."""


class WindowActivity(NamedTuple):
    """Who acted in a window: one entry for each account and market.

    `key`: hash of market and account, distinct, rising. `market`: its number, ≥ 0, small. `events`:
    how many, > 0.
    """

    key: UInt64
    market: Int64
    events: Float64


class Actor(NamedTuple):
    """An account that carries a burst: the key and the number of the market, the evidence as a
    log-likelihood ratio (`level`), the window in which the burst began (`since`), the account's
    events since then, and those that its slow rate makes of the same windows (`expected`)."""

    key: int
    market: int
    level: float
    since: int
    observed: float
    expected: float


class AccountVerdict(NamedTuple):
    """What a window comes to.

    The score is None where the detector abstains, for the reason `why`. `market` has the highest
    score; -1 where no account has evidence to speak of. `actors` are the accounts behind the score,
    by evidence: see `combine_actors`.
    """

    value: float | None
    why: str | None = None
    market: int = -1
    actors: tuple[Actor, ...] = ()


class ScoredWindow(NamedTuple):
    """A window's acts with their scores, (acts, `SCORE_COLUMNS`), by what was learnt before it.

    `row`: the row of each act's account; -1: it was never seen. `hot`: those with evidence above
    `HOT_MIN`, the highest first. `highest`: the highest evidence of one account that acts, less
    what its market costs.
    """

    window: int
    acts: WindowActivity
    row: Rows
    scores: Float64
    hot: list[Actor]
    highest: float


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
        table, row = self._table, self._table.rows(key)
        scores = np.empty((len(key), col.SCORE_COLUMNS))
        hot, highest = [], 0.0
        if len(key):
            reading = self._markets.read(window, market)
            score_accounts(window, row, count, reading, table.state, scores)
            level = scores[:, col.LEVEL]
            highest = float((level - np.log(reading.acting)).max())
            for i in np.flatnonzero(level > HOT_MIN).tolist():
                since, observed = window, float(count[i])
                if scores[i, col.IN_EXCURSION]:
                    since = int(table.times[row[i], col.BEGIN])
                    observed += float(table.profiles[row[i], col.SEEN])
                elif observed < EVENTS_MIN:
                    continue  # one event is no burst
                expected = float(scores[i, col.SLOW]) * (window - since + 1)
                account = int(key[i]), int(market[i]), float(level[i])
                hot.append(Actor(*account, since, observed, expected))
        if hot_before:
            hot += self._silent_accounts(window, key, hot_before)
        hot.sort(key=lambda actor: (-actor.level, actor.key, actor.market))
        return ScoredWindow(window, acts, row, scores, hot[:HOT_MAX], highest)

    def _silent_accounts(
        self, window: int, acting: Keys, hot_before: list[tuple[int, int]]
    ) -> list[Actor]:
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
            since = int(table.times[row[i], col.BEGIN])
            observed = float(table.profiles[row[i], col.SEEN])
            expected = float(slow[i]) * (window - since + 1)
            still_hot.append(Actor(*silent[i], float(level[i]), since, observed, expected))
        return still_hot

    def verdict(self, scored: ScoredWindow) -> AccountVerdict:
        """The market in which the highest accounts come to most."""
        by_market: dict[int, list[Actor]] = {}
        for actor in scored.hot:
            by_market.setdefault(actor.market, []).append(actor)
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


def combine_actors(actors: list[Actor]) -> tuple[float, tuple[Actor, ...]]:
    """The evidence of a market's accounts (highest first, at least one) and those to name."""
    first = actors[0]
    value, named, counted = first.level, [first], 1
    for actor in actors[1:]:
        begun_together = abs(actor.since - first.since) <= SAME_START_WINDOWS
        cost = COST_SAME_START if begun_together else COST_OTHER_START
        if actor.observed < EVENTS_MIN or counted == COMBINED_ACCOUNTS_MAX:
            continue
        if actor.level > cost:
            value += actor.level - cost
            counted += 1
        alike = actor.observed >= NAMED_EVENTS_SHARE * first.observed
        if begun_together and alike and actor.level >= NAMED_EVIDENCE_SHARE * first.level:
            named.append(actor)
    return value, tuple(named)
