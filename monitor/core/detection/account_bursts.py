"""Bursts by account: each account in each market of a shard, against its own ordinary activity.

One detector for each kind of act judges all markets of the shard together, because one market has
few accounts and bursts look alike everywhere. The finding names the market and the accounts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, isnan

import numpy as np

from detectors.account_burst.columns import WindowActivity
from detectors.account_burst.detector import AccountBurstDetector
from detectors.account_burst.verdict import AccountVerdict
from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64
from detectors.base import DetectorError
from detectors.calibration.calibrator import Calibrator
from detectors.calibration.calibrator_bank import find_score_min
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
    STATE = "detector", "calibrator", "is_out"

    name: str
    detector: AccountBurstDetector
    calibrator: Calibrator
    is_out: bool = False
    """Whether it was taken out: it is not judged any more."""
    score_min: float | None = None
    """No score below it is rare; None: to be asked of the calibrator again."""

    def learn_score(self, score: float) -> None:
        """Let the calibrator learn a score; at the end of a block other scores are rare."""
        self.calibrator.learn(score)
        if self.calibrator.windows == 0:
            self.score_min = None


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
            ends = np.searchsorted(rows, np.arange(low, closed.until + 1))
            window = low
            while window < closed.until and not stream.is_out:
                try:
                    scores = self._learn_ordinary(stream, window, ends[window - low :], acts)
                    for score in scores:
                        if not isnan(score):
                            stream.learn_score(score)
                        window += 1
                    if scores:
                        continue
                    a, b = ends[window - low : window - low + 2].tolist()
                    here = WindowActivity(acts.key[a:b], acts.market[a:b], acts.events[a:b])
                    findings += self._judge_window(stream, window, here, account[a:b], closed.names)
                    window += 1
                except Exception as error:
                    reraise_interrupts(error)
                    stream.is_out = True
                    what = "", stream.name, ACCOUNT_BURST, fault_reason(error)
                    findings.append(stream_out_finding(window, self._partition, *what))
        return findings

    def _learn_ordinary(
        self, stream: _AccountStream, low: int, ends: Int64, acts: WindowActivity
    ) -> list[float]:
        """Judge and learn windows from `low` on for as long as nothing in them can be rare; returns
        their scores. `ends`: where the acts of each begin and end.

        What is rare changes with the calibrator's blocks, so none ends before the last of them.
        """
        calibrator = stream.calibrator
        most = calibrator.block_windows - calibrator.windows
        if stream.score_min is None:
            stream.score_min = find_score_min(calibrator, self._limit)
        scores = stream.detector.learn_ordinary(low, ends[: most + 1], acts, stream.score_min)
        ordinary: list[float] = scores.tolist()
        return ordinary

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
            stream.learn_score(verdict.value)
        rare = p <= self._limit and bool(verdict.actors)
        (detector.report if rare else detector.learn)(window, acts)
        if not rare:
            return []
        actors = np.array([actor.key for actor in verdict.actors], np.uint64)
        account = account[np.searchsorted(acts.key, actors)]
        return [self._finding(stream, window, verdict, p, account, names[verdict.market])]

    def _finding(
        self, stream: _AccountStream, window: int, verdict: AccountVerdict, p: float,
        account: Int64, symbol: str,
    ) -> Finding:  # fmt: skip
        """`account`: of each of the actors."""
        actors, market = verdict.actors, verdict.market
        since = min(actor.since for actor in actors)
        observed = sum(actor.observed for actor in actors)
        expected = sum(actor.expected for actor in actors)
        named = zip(self._accounts.names(account), actors, strict=True)
        shares = [(name, actor.observed / observed) for name, actor in named]
        kinds = FEATURES[stream.name].records
        where = window, since, self._partition, symbol
        return Finding(
            *where, stream.name, ACCOUNT_BURST, observed, expected, p,
            accounts=sorted(shares, key=lambda pair: (-pair[1], pair[0])),
            records=self._history.record_ranges(market, since, window, kinds),
            seen=stream.calibrator.windows_seen,
        )  # fmt: skip

    @property
    def evicted(self) -> int:
        """Pairs of market and account that were dropped because the table was full."""
        return sum(stream.detector.evicted for stream in self._streams)
