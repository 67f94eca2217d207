"""Bursts by account: every account of every market is judged by its own habits.

A count of all accounts hides who makes it: on a self-exciting stream a burst of one account is soon
within what the market does by itself. Beside the account's own past it stands out, and market
makers, who cancel in bursts by nature, are measured by how they do it every day.

Each account has CUSUMs of log-likelihood ratios "a burst is added to its flow" against "nothing
is", for four sizes of burst; the highest counts. It is multiplied by how steeply the account's own
peaks have thinned out (at most 1): what an account does every hour is no evidence, whatever the law
says. The score of a window is the evidence of the highest account of one market, and what two more
add to it (`accounttogether`), less the logarithm of how many of the market's accounts act a window:
each act may begin an excursion by chance, and so quiet hours and markets are not weighed by the
noise of busy ones. So one account is found, and three who act together are found when none of them
would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from detectors.account_burst import likelihood as law
from detectors.account_burst import profile_learning as learning
from detectors.account_burst.activity import WindowActivity, activity_from_counts
from detectors.account_burst.market_rates import MarketRates
from detectors.account_burst.scorer import AccountScorer, ScoredWindow, Verdict
from detectors.account_burst.table import AccountTable
from detectors.base import Detector, Evidence, Score

SETTLE_WINDOWS = 300
"""So long after the first window no rate is known, and evidence comes to nothing."""


class AccountBurstDetector(Detector):
    """CUSUMs by account, and the highest of them together.

    Windows are judged, then learnt or reported, in rising order; a window in which nobody acted may
    be left out. After a report the accounts it names are *in an episode*: they learn nothing and
    their evidence starts anew, until their CUSUMs are back at zero. An episode longer than
    `patience` is the account's new habit, and so is evidence that goes on as long unreported.

    Parameters
    ----------
    most
        Accounts held, ≥ 1, times markets; of all that lies beyond, who acted last stays.
    warm_up
        Windows to learn before the first judgement, ≥ 1. After five minutes the rates of accounts
        are known, but not yet what they do now and then: their peaks of the first half hour would
        hold the threshold up for the two days that the calibrator remembers. An account that is
        met later is judged from its first act, by the habits of all.
    patience
        Windows after which a reported episode is the new habit, ≥ 1.

    Examples
    --------
    As a river estimator it takes the counts of one market's accounts:

    >>> from detectors.account_burst.detector import AccountBurstDetector
    >>> detector = AccountBurstDetector()
    >>> for i in range(2700):
    ...     detector.learn_one({"maker": 20 if i % 9 == 0 else 0, "taker": i % 2})
    >>> round(detector.judge_one({"maker": 20}).value)
    1
    >>> round(detector.judge_one({"maker": 20, "taker": 20}).value)
    7

    References
    ----------
    Page, "Continuous inspection schemes", Biometrika 41 (1954); Hawkes, "Spectra of some
    self-exciting and mutually exciting point processes", Biometrika 58 (1971); Mei, "Efficient
    scalable schemes for monitoring a large number of data streams", Biometrika 97 (2010), for the
    sum of CUSUMs above a level.
    """

    log_likelihood: ClassVar[bool] = True
    tail_slope_max: ClassVar[float] = 1.0
    """Of many accounts those whose tails are steep are seen for days before one that is as theory
    has it, so a steeper tail is not believed."""

    def __init__(self, most: int = 1_000_000, warm_up: int = 1800, patience: int = 300) -> None:
        if most < 1 or warm_up < 1 or patience < 1:
            raise ValueError("most, warm_up and patience are numbers: give at least 1")
        self.most = most
        self.warm_up = warm_up
        self.patience = patience
        self._table = AccountTable(most)
        self._markets = MarketRates()
        self._population = np.zeros(8)
        self._population[law.P_RATE] = 1.0
        self._scorer = AccountScorer(self._table, self._markets, self._population)
        self._first_window: int | None = None  # the first window
        self._next = 0
        self._events, self._events_at = 0.0, 0  # decayed sum over the windows up to that one
        self._hot_accounts: list[tuple[int, int]] = []  # key and market
        self._episodes: dict[int, list[float]] = {}  # by key: first window, events in it
        self._memo: ScoredWindow | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """None by name: every key is an account, its number what it did in the window."""
        return ()

    def judge(self, window: int, acts: WindowActivity) -> Verdict:
        """Judge a window, in whichever market it stands out. Never changes what was learnt."""
        seen = 0 if self._first_window is None else window - self._first_window
        if seen < self.warm_up:
            return Verdict(None, f"learning: {seen} of {self.warm_up} windows seen")
        return self._scorer.verdict(self._score_window(window, acts))

    def learn(self, window: int, acts: WindowActivity) -> None:
        """Learn a window that was judged and not reported."""
        self._learn_window(window, acts, ())

    def report(self, window: int, acts: WindowActivity) -> None:
        """Learn of a window that was reported: all but the accounts behind it."""
        actors = self._scorer.verdict(self._score_window(window, acts)).actors
        self._learn_window(window, acts, [actor.key for actor in actors])

    def _score_window(self, window: int, acts: WindowActivity) -> ScoredWindow:
        memo = self._memo
        if memo is None or memo.window != window or memo.acts is not acts:
            memo = self._memo = self._scorer.score_window(window, acts, self._hot_accounts)
        return memo

    def _learn_window(self, window: int, acts: WindowActivity, reported: Iterable[int]) -> None:
        weighed = self._score_window(window, acts)
        self._memo = None
        if self._first_window is None:
            self._first_window = window
        key, market, count = acts
        row, table = weighed.row, self._table
        self._next = window + 1
        if len(key):
            row = table.grow(key, row, window)
            found, events = weighed.scores, count
            if (row < 0).any():  # more accounts than there may be
                fits = row >= 0
                key, market, events = key[fits], market[fits], count[fits]
                row, found = row[fits], np.ascontiguousarray(found[fits])
            for name in reported:
                self._episodes.setdefault(name, [float(window), 0.0])
            held = np.zeros(len(key), np.bool_)
            if self._episodes:
                held = np.isin(key, np.array(list(self._episodes), np.uint64))
            state = table.habits, table.times, self._population
            learning.learn(window, self.patience, row, events, found, held, *state)
            if window - self._first_window < min(SETTLE_WINDOWS, self.warm_up):
                for r in row.tolist():
                    learning.reset_evidence(window + 1, table.habits[r], table.times[r])
            self._learn_rate(window, float(np.minimum(count, law.COUNT_MAX).sum()))
            self._markets.learn(window, market, events)
        else:
            for name in reported:
                self._episodes.setdefault(name, [float(window), 0.0])
        if self._episodes:
            self._advance_episodes(window, acts, reported)
        self._hot_accounts = [(key, market) for _, key, market, _ in weighed.hot]

    def _learn_rate(self, window: int, events: float) -> None:
        """Events a window and account: what is expected of an account never seen."""
        assert self._first_window is not None
        usual = self._population[law.P_RATE] * max(1, self._table.n)
        events = min(events, learning.CEILING_FACTOR * usual + learning.CEILING_EVENTS * 10)
        keep = np.exp((self._events_at - window) / law.SLOW_WINDOWS)
        self._events = self._events * keep + events
        self._events_at = window
        seen = law.SLOW_WINDOWS * -np.expm1((self._first_window - window - 1) / law.SLOW_WINDOWS)
        self._population[law.P_RATE] = self._events / seen / max(1, self._table.n)

    def _advance_episodes(self, window: int, acts: WindowActivity, reported: Iterable[int]) -> None:
        """One more window of the accounts in an episode."""
        names = sorted(self._episodes)
        row = self._table.rows(np.array(names, np.uint64)).tolist()
        place = dict(zip(acts.key.tolist(), acts.events.tolist(), strict=True))
        new = set(reported)
        for name, r in zip(names, row, strict=True):
            episode = self._episodes[name]
            episode[1] += min(place.get(name, 0.0), law.COUNT_MAX)
            windows = window - episode[0] + 1
            if r < 0:
                del self._episodes[name]
                continue
            habit, times = self._table.habits[r], self._table.times[r]
            if windows > self.patience:
                learning.adopt_rate(window, episode[1] / windows, habit, times, self._population)
                del self._episodes[name]
            elif name in new:
                learning.reset_evidence(window + 1, habit, times)
            elif name in place and not habit[law.CUSUM :].any():
                del self._episodes[name]

    @property
    def has_started(self) -> bool:
        """Whether anybody has acted yet."""
        return self._first_window is not None

    @property
    def hot_keys(self) -> frozenset[int]:
        """The keys with evidence as of the last window learnt."""
        return frozenset(key for key, _ in self._hot_accounts)

    @property
    def accounts(self) -> int:
        """How many are held."""
        return self._table.n

    @property
    def evicted(self) -> int:
        """How many had to leave so far."""
        return self._table.evicted

    @property
    def bytes_per_account(self) -> float:
        """Of the arrays, for each account there is room for."""
        return self._table.bytes_per_account

    # As a river estimator: one market, windows one after the other.

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        acts = activity_from_counts(x)
        if isinstance(acts, str):
            return Score(None, acts)
        verdict = self.judge(self._next, acts)
        if verdict.value is None or not verdict.actors:
            return Score(verdict.value, verdict.why)
        since = min(actor.since for actor in verdict.actors)
        observed = sum(actor.observed for actor in verdict.actors)
        expected = sum(actor.expected for actor in verdict.actors)
        evidence = Evidence(observed, expected, "events", self._next - since + 1)
        return Score(verdict.value, None, evidence)

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        acts = activity_from_counts(x)
        if not isinstance(acts, str):
            self.learn(self._next, acts)

    def report_one(self, x: Mapping[Any, Any]) -> None:
        acts = activity_from_counts(x)
        if not isinstance(acts, str):
            self.report(self._next, acts)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_memo": None}

    def snapshot(self) -> dict[str, Any]:
        return {
            "table": self._table.snapshot(),
            "markets": self._markets.snapshot(),
            "common": self._population.tobytes(),
            "begun": self._first_window,
            "next": self._next,
            "events": [self._events, self._events_at],
            "hot": [list(pair) for pair in self._hot_accounts],
            "episodes": [[key, *held] for key, held in sorted(self._episodes.items())],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._memo = None
        self._table.restore(state["table"])
        self._markets.restore(state["markets"])
        self._population[:] = np.frombuffer(state["common"])
        self._first_window, self._next = state["begun"], state["next"]
        self._events, self._events_at = state["events"]
        self._hot_accounts = [(key, market) for key, market in state["hot"]]
        self._episodes = {key: [since, events] for key, since, events in state["episodes"]}
