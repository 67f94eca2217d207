"""Bursts by account: every account of every market is judged by its own habits.

A count of all accounts hides who makes it: on a stream whose events bring events, a burst of one
account is soon within what the market does by itself. Beside the account's own past it stands out,
and market makers, who cancel in bursts by nature, are measured by how they do it every day.

Each account has CUSUMs of log-likelihood ratios "a burst is added to its flow" against "nothing
is", one for each of four sizes of burst; the highest is its evidence. That is multiplied by how
steeply the peaks of its evidence have thinned out (at most 1): what an account does every hour is
no evidence, whatever the model says. The score of a window is the evidence of the highest account
of one market, plus what two more add to it (`combine_actors`), less the logarithm of how many of
the market's accounts act in a window. Each act may begin an excursion by chance, so without that
quiet hours and quiet markets would be judged by the noise of busy ones. So one account is detected,
and so are three that act together where none of them would be alone.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

import numpy as np

from detectors.account_burst.columns import P_RATE
from detectors.account_burst.constants import COUNT_MAX, SLOW_WINDOWS
from detectors.account_burst.episodes import AccountEpisodes
from detectors.account_burst.market_rates import MarketRates
from detectors.account_burst.profile_learning import learn_acts, reset_rows
from detectors.account_burst.scorer import (
    AccountScorer,
    AccountVerdict,
    ScoredWindow,
    WindowActivity,
)
from detectors.account_burst.table import AccountTable
from detectors.arrays.state import Stateful
from detectors.base import learning_reason
from detectors.stats.limits import CEILING_EVENTS, CEILING_FACTOR

SETTLE_WINDOWS = 300
"""For so long after the first window no rate is learnt well enough, and no evidence is kept."""


class AccountBurstDetector(Stateful):
    """CUSUMs by account, and the highest of them together.

    Windows are judged, then learnt or reported, in rising order; a window in which nobody acted may
    be left out. After a report the accounts it names are *in an episode*: they learn nothing and
    their evidence starts anew, until their CUSUMs are back at zero. An episode longer than
    `patience` is the account's new habit, and so is evidence that goes on as long unreported.

    Parameters
    ----------
    most
        Accounts times markets that have room, ≥ 1; when more act, those that acted last stay.
    warm_up
        Windows to learn before the first judgement, ≥ 1. After five minutes the rates of accounts
        are learnt, but not what they do now and then: scored, the peaks of the first half hour
        would hold the threshold up for the two days that the calibrator remembers. An account that
        comes later is judged from its first act, by the habits of all.
    patience
        Windows after which a reported episode is the new habit, ≥ 1.

    References
    ----------
    Page, "Continuous inspection schemes", Biometrika 41 (1954); Hawkes, "Spectra of some
    self-exciting and mutually exciting point processes", Biometrika 58 (1971); Mei, "Efficient
    scalable schemes for monitoring a large number of data streams", Biometrika 97 (2010), for the
    sum of CUSUMs above a level.
    """

    log_likelihood: ClassVar[bool] = True
    tail_slope_max: ClassVar[float] = 1.0
    """For the calibrator. Of many accounts, those whose tails are steep are seen for days before
    one whose tail is as in theory, so a steeper tail is not believed."""
    STATE: ClassVar = (
        "_table", "_markets", "_episodes", "_first_window", "_events", "_events_at",
        "_hot_accounts",
    )  # fmt: skip

    def __init__(self, most: int = 1_000_000, warm_up: int = 1800, patience: int = 300) -> None:
        if most < 1 or warm_up < 1 or patience < 1:
            raise ValueError("most, warm_up and patience are numbers: give at least 1")
        self.warm_up = warm_up
        self.patience = patience
        self._table = AccountTable(most)
        self._markets = MarketRates()
        self._scorer = AccountScorer(self._table, self._markets)
        self._episodes = AccountEpisodes(patience)
        self._first_window: int | None = None
        self._events, self._events_at = 0.0, 0  # the decayed sum of all, and its last window
        self._hot_accounts: list[tuple[int, int]] = []  # key and market
        self._memo: ScoredWindow | None = None  # the last one: learning needs it once more

    def judge(self, window: int, acts: WindowActivity) -> AccountVerdict:
        """Judge a window, in whichever market it stands out. Never changes what was learnt."""
        seen = 0 if self._first_window is None else window - self._first_window
        if seen < self.warm_up:
            return AccountVerdict(None, learning_reason(seen, self.warm_up))
        return self._scorer.verdict(self._score_window(window, acts))

    def learn(self, window: int, acts: WindowActivity) -> None:
        """Learn a window that was judged and not reported."""
        self._learn_window(window, acts, ())

    def report(self, window: int, acts: WindowActivity) -> None:
        """Learn from a window that was reported: all but the accounts behind it."""
        actors = self._scorer.verdict(self._score_window(window, acts)).actors
        self._learn_window(window, acts, [actor.key for actor in actors])

    def _score_window(self, window: int, acts: WindowActivity) -> ScoredWindow:
        memo = self._memo
        if memo is None or memo.window != window or memo.acts is not acts:
            memo = self._memo = self._scorer.score_window(window, acts, self._hot_accounts)
        return memo

    def _learn_window(self, window: int, acts: WindowActivity, reported: Collection[int]) -> None:
        scored = self._score_window(window, acts)
        self._memo = None
        if self._first_window is None:
            self._first_window = window
        self._episodes.begin(window, reported)
        if len(acts.key):
            self._learn_acts(window, self._first_window, acts, scored)
        self._episodes.advance(window, acts, reported, self._table)
        self._hot_accounts = [(actor.key, actor.market) for actor in scored.hot]

    def _learn_acts(
        self, window: int, first: int, acts: WindowActivity, scored: ScoredWindow
    ) -> None:
        key, market, events = acts
        row, scores = self._table.grow(key, scored.row, window), scored.scores
        fits = row >= 0
        if not fits.all():  # more accounts act than there is room for
            key, market, events = key[fits], market[fits], events[fits]
            row, scores = row[fits], scores[fits]
        in_episode, state = self._episodes.contain(key), self._table.state
        learn_acts(window, self.patience, row, events, scores, in_episode, state)
        if window - first < min(SETTLE_WINDOWS, self.warm_up):
            reset_rows(window + 1, row, state)
        self._learn_rate(window, first, float(np.minimum(acts.events, COUNT_MAX).sum()))
        self._markets.learn(window, market, events)

    def _learn_rate(self, window: int, first: int, events: float) -> None:
        """Learn the events a window and account, which is expected of an account never seen."""
        population, accounts = self._table.population, max(1, self._table.n)
        usual = population[P_RATE] * accounts
        events = min(events, CEILING_FACTOR * usual + CEILING_EVENTS * 10)
        keep = np.exp((self._events_at - window) / SLOW_WINDOWS)
        self._events = float(self._events * keep + events)
        self._events_at = window
        seen = SLOW_WINDOWS * -np.expm1((first - window - 1) / SLOW_WINDOWS)
        population[P_RATE] = self._events / seen / accounts

    @property
    def has_started(self) -> bool:
        """Whether anybody has acted yet."""
        return self._first_window is not None

    @property
    def hot_keys(self) -> frozenset[int]:
        """The keys with evidence as of the last window learnt."""
        return frozenset(key for key, _ in self._hot_accounts)

    @property
    def evicted(self) -> int:
        """How many accounts had to leave so far, for want of room."""
        return self._table.evicted

    def restore(self, state: dict[str, Any]) -> None:
        self._memo = None
        super().restore(state)
