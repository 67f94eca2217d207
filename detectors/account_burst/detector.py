"""Bursts by account: every account of every market is judged by its own habits.

A count of all accounts hides who makes it: on a stream whose events bring events, a burst of one
account is soon within what the market does by itself. Beside the account's own past it stands out,
and market makers, who cancel in bursts by nature, are measured by how they do it every day.

Each account has CUSUMs of log-likelihood ratios "a burst is added to its flow" against "nothing
is", one for each of three sizes of burst; the highest is its evidence. That is multiplied by how
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

from detectors.account_burst import columns as col
from detectors.account_burst.columns import WindowActivity
from detectors.account_burst.episodes import AccountEpisodes
from detectors.account_burst.kernel import HOT_MAX, learn_window, learn_windows, score_window
from detectors.account_burst.market_rates import MarketRates
from detectors.account_burst.table import AccountTable
from detectors.account_burst.verdict import AccountVerdict, Actor, judge_actors
from detectors.arrays.state import Stateful
from detectors.arrays.types import Float64, Int64
from detectors.base import learning_reason


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
    STATE: ClassVar = ("_table", "_markets", "_episodes")

    def __init__(self, most: int = 1_000_000, warm_up: int = 1800, patience: int = 300) -> None:
        if most < 1 or warm_up < 1 or patience < 1:
            raise ValueError("most, warm_up and patience are numbers: give at least 1")
        self.warm_up = warm_up
        self.patience = patience
        self._table = AccountTable(most)
        self._markets = MarketRates()
        self._episodes = AccountEpisodes(patience)
        self._counts: Int64 = np.array([0, -1])
        self._flow: Float64 = np.zeros(col.FLOW_COLUMNS)
        self._arrays = _window_arrays(0, 0)

    def judge(self, window: int, acts: WindowActivity) -> AccountVerdict:
        """Judge a window, in whichever market it stands out. Never changes what was learnt."""
        seen = window - self._first_window if self.has_started else 0
        if seen < self.warm_up:
            return AccountVerdict(None, learning_reason(seen, self.warm_up))
        return self._verdict(self._score(window, acts))

    def learn(self, window: int, acts: WindowActivity) -> None:
        """Learn a window that was judged and not reported."""
        self._score(window, acts)
        self._learn(window, acts, ())

    def report(self, window: int, acts: WindowActivity) -> None:
        """Learn from a window that was reported: all but the accounts behind it."""
        actors = self._verdict(self._score(window, acts)).actors
        self._learn(window, acts, [actor.key for actor in actors])

    def learn_ordinary(self, low: int, ends: Int64, acts: WindowActivity, rare: float) -> Float64:
        """Judge and learn windows from `low` on, up to the first that may have to be reported or
        needs other care, which is left as it was; returns the scores, as of `judge` (NaN: it
        abstains), of those that were learnt.

        `ends` (windows + 1,): where the acts of each window begin and end. `rare`: a score below
        it is ordinary.
        """
        scores = np.empty(len(ends) - 1)
        if self._episodes.is_any_open or not len(scores):
            return scores[:0]
        self._make_room(int(np.diff(ends).max()), acts.market)
        learning = self.warm_up, self.patience, rare
        done = learn_windows(low, ends, acts, *learning, self._learnt(), self._arrays, scores)
        self._table.n = int(self._counts[col.N_ACCOUNTS])
        return scores[:done]

    def _make_room(self, acts: int, market: Int64) -> None:
        """Have room for so many acts in a window, in markets of these numbers."""
        self._markets.grow(int(market.max(initial=-1)) + 1)
        have, markets = self._arrays, len(self._markets.rows)
        if acts > len(have.row) or markets > len(have.place):
            acts = max(acts, len(have.row) and 2 * len(have.row))
            self._arrays = _window_arrays(acts, max(markets, 2 * len(have.place)))

    def _learnt(self) -> col.LearntArrays:
        table = self._table
        self._counts[col.N_ACCOUNTS] = table.n
        places = table.keys, table.slots, self._markets.rows
        return col.LearntArrays(table.state, *places, self._counts, self._flow)

    def _score(self, window: int, acts: WindowActivity) -> float:
        self._make_room(len(acts.key), acts.market)
        return float(score_window(window, acts, self._learnt(), self._arrays))

    def _verdict(self, score: float) -> AccountVerdict:
        """Of the window that was scored last."""
        here = self._arrays
        n = int(here.n_hot[0])
        named = zip(here.hot_keys[:n].tolist(), here.hot_markets[:n].tolist(), strict=True)
        numbers = here.hot[:n].tolist()
        hot = [
            Actor(*who, level, int(since), observed, expected)
            for who, (level, since, observed, expected, _) in zip(named, numbers, strict=True)
        ]
        return judge_actors(score, hot, [row[col.HOT_COST] for row in numbers])

    def _learn(self, window: int, acts: WindowActivity, reported: Collection[int]) -> None:
        """Learn the window that was scored last."""
        self._episodes.begin(window, reported)
        key = acts.key
        row = self._table.grow(key, self._arrays.row[: len(key)].copy(), window)
        learning = self._episodes.contain(key), self.warm_up, self.patience
        learn_window(window, acts, row, *learning, self._learnt(), self._arrays)
        self._episodes.advance(window, acts, reported, self._table)

    @property
    def _first_window(self) -> int:
        return int(self._counts[col.FIRST_WINDOW])

    @property
    def has_started(self) -> bool:
        """Whether anybody has acted yet."""
        return self._first_window >= 0

    @property
    def evicted(self) -> int:
        """How many accounts had to leave so far, for want of room."""
        return self._table.evicted

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {
            "first_window": self._first_window if self.has_started else None,
            "events": float(self._flow[col.FLOW_EVENTS_SUM]),
            "events_at": int(self._flow[col.FLOW_WINDOW]),
        }

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        first = state["first_window"]
        self._counts[:] = self._table.n, -1 if first is None else first
        self._flow[:] = state["events"], state["events_at"]


def _window_arrays(acts: int, markets: int) -> col.WindowArrays:
    """Arrays for windows of at most so many acts, in so many markets."""

    def reading(n: int) -> col.MarketReading:
        return col.MarketReading(*np.empty((2, n)))

    def integers(n: int) -> Int64:
        return np.zeros(n, np.int64)

    return col.WindowArrays(
        row=integers(acts),
        scores=np.empty((acts, col.SCORE_COLUMNS)),
        reading=reading(acts),
        nobody=np.zeros(acts, np.bool_),
        place=integers(markets),
        hot_keys=np.zeros(HOT_MAX, np.uint64),
        hot_markets=integers(HOT_MAX),
        hot=np.zeros((HOT_MAX, col.HOT_COLUMNS)),
        n_hot=integers(1),
    )
