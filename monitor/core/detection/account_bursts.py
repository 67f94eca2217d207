"""Bursts by account: every account of every market of a shard beside its own habits.

One detector for all markets of a shard and each kind of act, for a market's accounts are few and
their bursts alike; the finding names the market and the accounts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.account_burst.activity import NO_ACTIVITY, WindowActivity
from detectors.account_burst.combine import Actor
from detectors.account_burst.detector import AccountBurstDetector
from detectors.account_burst.scorer import Verdict
from detectors.calibration.calibrator import AlertBudget, Calibrator
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.decode.batch import Int64
from monitor.core.finding import ACCOUNT_BURST, Finding
from monitor.core.settings import EngineSettings
from monitor.core.tables.hash_table import mix_each
from monitor.core.tables.interner import Interner
from monitor.core.windows.closed_windows import ClosedWindows
from monitor.core.windows.columns import ACCOUNT_COUNTS
from monitor.core.windows.recent_windows import RecentWindows


@dataclass(slots=True)
class _AccountStream:
    name: str
    detector: AccountBurstDetector
    calibrator: Calibrator
    account: dict[int, int] = field(default_factory=dict)
    """The account behind each key that has evidence."""


@dataclass(slots=True)
class _AccountActivity:
    """Who acted in some windows, by window and key."""

    window: Int64
    key: NDArray[np.uint64]
    market: Int64
    count: NDArray[np.float64]
    account: Int64

    def select(self, a: int, b: int) -> WindowActivity:
        return WindowActivity(self.key[a:b], self.market[a:b], self.count[a:b])


class AccountBursts:
    """The account detectors of a shard: score, judge, then learn.

    A stream begins with the first window in which an account is known to have acted: a feed
    without accounts costs nothing.
    """

    def __init__(
        self,
        settings: EngineSettings,
        partition: int,
        partitions: int,
        symbols: Interner,
        accounts: Interner,
        history: RecentWindows,
    ) -> None:
        self._partition = partition
        self._symbols = symbols
        self._accounts = accounts
        self._history = history
        chosen = settings.account_bursts
        self._limit = 0.0
        if chosen.streams:
            per_day, window_s = settings.account_bursts_per_day, settings.time.window_ms / 1000
            self._limit = AlertBudget(per_day, window_s, len(chosen.streams) * partitions).p_limit
        self._streams = [
            _AccountStream(
                name,
                AccountBurstDetector(most=chosen.most, warm_up=chosen.warm_up),
                Calibrator(
                    AccountBurstDetector.log_likelihood,
                    settings.time.windows_per_day,
                    tail_slope_max=AccountBurstDetector.tail_slope_max,
                ),
            )
            for name in chosen.streams
        ]

    def judge(
        self, facts: ClosedWindows, low: int, high: int, names: dict[int, str]
    ) -> list[Finding]:
        """Judge windows `low` up to `high` in order; learn each after it was judged."""
        findings: list[Finding] = []
        for stream in self._streams:
            acts = self._activity(facts, stream.name)
            if not len(acts.window) and not stream.detector.has_started:
                continue
            ends = np.searchsorted(acts.window, np.arange(low, high + 1)).tolist()
            for window in range(low, high):
                a, b = ends[window - low], ends[window - low + 1]
                findings += self._judge_window(stream, window, acts, a, b, names)
        return findings

    def _activity(self, facts: ClosedWindows, name: str) -> _AccountActivity:
        count = facts.counts[:, ACCOUNT_COUNTS.index(name)]
        acted = count > 0
        row, account = facts.account_row[acted], facts.account[acted]
        market = facts.symbol[row]
        key = mix_each(self._symbols.hashes[market], self._accounts.hashes[account])
        window = facts.window[row]
        order = np.lexsort((key, window))
        return _AccountActivity(
            window[order],
            key[order],
            market[order],
            count[acted][order].astype(np.float64),
            account[order],
        )

    def _judge_window(
        self,
        stream: _AccountStream,
        window: int,
        every: _AccountActivity,
        a: int,
        b: int,
        names: dict[int, str],
    ) -> list[Finding]:
        detector = stream.detector
        acts = every.select(a, b) if b > a else NO_ACTIVITY
        if b == a and not detector.has_started:
            return []
        verdict = detector.judge(window, acts)
        p = 1.0
        if verdict.value is not None:
            p = stream.calibrator.p_value(verdict.value)
            stream.calibrator.learn(verdict.value)
        rare = p <= self._limit and bool(verdict.actors)
        (detector.report if rare else detector.learn)(window, acts)
        self._remember_accounts(stream, every, a, b)
        return [self._finding(stream, window, verdict, p, names)] if rare else []

    @staticmethod
    def _remember_accounts(stream: _AccountStream, every: _AccountActivity, a: int, b: int) -> None:
        """Keep in mind who is behind the keys with evidence; a key is named while it acts."""
        hot = stream.detector.hot_keys
        if not hot and not stream.account:
            return
        stream.account = {key: n for key, n in stream.account.items() if key in hot}
        if b > a:
            acting = every.key[a:b]
            wanted = np.isin(acting, np.fromiter(hot, np.uint64))
            pairs = zip(acting[wanted].tolist(), every.account[a:b][wanted].tolist(), strict=True)
            stream.account.update(pairs)

    def _finding(
        self, stream: _AccountStream, window: int, verdict: Verdict, p: float, names: dict[int, str]
    ) -> Finding:
        actors = verdict.actors
        since = min(actor.since for actor in actors)
        observed = sum(actor.observed for actor in actors)
        return Finding(
            window=window,
            since=since,
            partition=self._partition,
            symbol=names[verdict.market],
            stream=stream.name,
            detector=ACCOUNT_BURST,
            observed=observed,
            expected=sum(actor.expected for actor in actors),
            p=p,
            accounts=self._shares(stream, actors, observed),
            records=self._history.record_ranges(
                verdict.market, since, window, FEATURES[stream.name].records
            ),
        )

    def _shares(
        self, stream: _AccountStream, actors: tuple[Actor, ...], total: float
    ) -> list[tuple[str, float]]:
        numbers = np.array([stream.account[actor.key] for actor in actors], np.int64)
        names = self._accounts.names(numbers)
        shares = [(name, a.observed / total) for name, a in zip(names, actors, strict=True)]
        return sorted(shares, key=lambda pair: (-pair[1], pair[0]))

    @property
    def evicted(self) -> int:
        """Accounts that had to leave for want of room."""
        return sum(stream.detector.evicted for stream in self._streams)

    def accounts_in_use(self) -> Int64:
        """The accounts that are behind any evidence."""
        return np.array([n for s in self._streams for n in s.account.values()], np.int64)

    def rename_accounts(self, remap: Int64) -> None:
        """Follow a new numbering of accounts."""
        for stream in self._streams:
            stream.account = {key: int(remap[n]) for key, n in stream.account.items()}

    def snapshot(self) -> list[Any]:
        return [
            [s.detector.snapshot(), s.calibrator.snapshot(), sorted(s.account.items())]
            for s in self._streams
        ]

    def restore(self, state: list[Any]) -> None:
        for stream, (detector, calibrator, account) in zip(self._streams, state, strict=True):
            stream.detector.restore(detector)
            stream.calibrator.restore(calibrator)
            stream.account = dict(account)
