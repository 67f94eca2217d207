"""Bursts by account: each account in each market of a shard, against its own ordinary activity.

One detector for each kind of act judges all markets of the shard together, because one market has
few accounts and bursts look alike everywhere. The finding names the market and the accounts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from detectors.account_burst.detector import AccountBurstDetector
from detectors.account_burst.scorer import AccountVerdict, WindowActivity
from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64, UInt64
from detectors.base import DetectorError
from detectors.calibration.calibrator import Calibrator
from detectors.interrupts import reraise_interrupts
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.detection.judge import ClosedSpan
from monitor.core.detection.streams_out import fault_reason, stream_out_finding
from monitor.core.finding import ACCOUNT_BURST, Finding
from monitor.core.settings import EngineSettings
from monitor.core.tables.hash_table import mix_each
from monitor.core.tables.interner import Interner
from monitor.core.windows.closed_windows import ClosedWindows
from monitor.core.windows.columns import ACCOUNT_COUNTS
from monitor.core.windows.contributors import RecentWindows

_ORDER_FLOW = [ACCOUNT_COUNTS.index(name) for name in ("orders", "cancels")]


@dataclass(slots=True)
class _AccountStream(Stateful):
    STATE = "detector", "calibrator", "account", "is_out"

    name: str
    detector: AccountBurstDetector
    calibrator: Calibrator
    account: dict[int, int] = field(default_factory=dict)
    """The account of each key that has evidence."""
    is_out: bool = False
    """Whether it was taken out: it is not judged any more."""


class AccountBursts(Stateful):
    """The account detectors of a shard: score a window, judge it, then learn it.

    Streams begin with the first order or cancel that names its account: a feed without accounts
    costs nothing.
    """

    STATE = ("_streams",)

    def __init__(
        self, settings: EngineSettings, partition: int, partitions: int, symbols: Interner,
        accounts: Interner, history: RecentWindows,
    ) -> None:  # fmt: skip
        self._partition = partition
        self._symbols = symbols
        self._accounts = accounts
        self._history = history
        chosen, time = settings.account_bursts, settings.time
        budget = settings.budget.account_bursts
        self._limit = budget.p_limit(time.window_s, len(chosen.streams), partitions)
        self._streams = []
        per_day, slope = time.windows_per_day, AccountBurstDetector.tail_slope_max
        for name in chosen.streams:
            detector = AccountBurstDetector(most=chosen.most, warm_up=chosen.warm_up)
            calibrator = Calibrator(detector.log_likelihood, per_day, tail_slope_max=slope)
            self._streams.append(_AccountStream(name, detector, calibrator))

    def judge(self, closed: ClosedSpan) -> list[Finding]:
        """Judge windows in order; learn each after it was judged."""
        findings: list[Finding] = []
        named = closed.windows.counts[:, _ORDER_FLOW].any(axis=1)
        flow = closed.windows.window[closed.windows.account_row[named]]
        begin = int(flow[0]) if len(flow) else closed.until
        for stream in self._streams:
            if stream.is_out:
                continue
            low = closed.low if stream.detector.has_started else begin
            rows, acts, account = self._activity(closed.windows, stream.name)
            windows = range(low, closed.until)
            ends = np.searchsorted(rows, [*windows, closed.until]).tolist()
            for window, a, b in zip(windows, ends, ends[1:], strict=False):
                here = WindowActivity(acts.key[a:b], acts.market[a:b], acts.events[a:b])
                try:
                    findings += self._judge_window(stream, window, here, account[a:b], closed.names)
                except Exception as error:
                    reraise_interrupts(error)
                    stream.is_out = True
                    what = "", stream.name, ACCOUNT_BURST, fault_reason(error)
                    findings.append(stream_out_finding(window, self._partition, *what))
                    break
        return findings

    def _activity(self, windows: ClosedWindows, name: str) -> tuple[Int64, WindowActivity, Int64]:
        """Who did what `name` counts, by window and key of market and account; with the window and
        the account of each row.
        """
        count = windows.counts[:, ACCOUNT_COUNTS.index(name)]
        acted = count > 0
        row, account = windows.account_row[acted], windows.account[acted]
        market, window = windows.symbol[row], windows.window[row]
        key = mix_each(self._symbols.hashes[market], self._accounts.hashes[account])
        order = np.lexsort((key, window))
        events = count[acted][order].astype(np.float64)
        return window[order], WindowActivity(key[order], market[order], events), account[order]

    def _judge_window(
        self, stream: _AccountStream, window: int, acts: WindowActivity, account: Int64,
        names: dict[int, str],
    ) -> list[Finding]:  # fmt: skip
        detector = stream.detector
        verdict = detector.judge(window, acts)
        p = 1.0
        if verdict.value is not None:
            if not isfinite(verdict.value):
                raise DetectorError("its score is not finite")
            p = stream.calibrator.p_value(verdict.value)
            stream.calibrator.learn(verdict.value)
        rare = p <= self._limit and bool(verdict.actors)
        (detector.report if rare else detector.learn)(window, acts)
        self._remember_accounts(stream, acts.key, account)
        return [self._finding(stream, window, verdict, p, names)] if rare else []

    @staticmethod
    def _remember_accounts(stream: _AccountStream, key: UInt64, account: Int64) -> None:
        """Keep the account of each key with evidence; a key shows its account only as it acts."""
        hot = stream.detector.hot_keys
        if not hot and not stream.account:
            return
        stream.account = {key: n for key, n in stream.account.items() if key in hot}
        for hot_key in np.sort(np.fromiter(hot, np.uint64)):
            place = int(np.searchsorted(key, hot_key))  # the keys rise
            if place < len(key) and key[place] == hot_key:
                stream.account[int(hot_key)] = int(account[place])

    def _finding(
        self, stream: _AccountStream, window: int, verdict: AccountVerdict, p: float,
        names: dict[int, str],
    ) -> Finding:  # fmt: skip
        actors, market = verdict.actors, verdict.market
        since = min(actor.since for actor in actors)
        observed = sum(actor.observed for actor in actors)
        expected = sum(actor.expected for actor in actors)
        accounts = np.array([stream.account[actor.key] for actor in actors], np.int64)
        named = zip(self._accounts.names(accounts), actors, strict=True)
        shares = [(name, actor.observed / observed) for name, actor in named]
        kinds = FEATURES[stream.name].records
        where = window, since, self._partition, names[market]
        return Finding(
            *where, stream.name, ACCOUNT_BURST, observed, expected, p,
            accounts=sorted(shares, key=lambda pair: (-pair[1], pair[0])),
            records=self._history.record_ranges(market, since, window, kinds),
        )  # fmt: skip

    @property
    def evicted(self) -> int:
        """Pairs of market and account that were dropped because the table was full."""
        return sum(stream.detector.evicted for stream in self._streams)

    def accounts_in_use(self) -> Int64:
        """The accounts with evidence."""
        return np.array([n for s in self._streams for n in s.account.values()], np.int64)

    def rename_accounts(self, remap: Int64) -> None:
        """Follow a new numbering of accounts."""
        for stream in self._streams:
            stream.account = {key: int(remap[n]) for key, n in stream.account.items()}
