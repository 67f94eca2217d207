"""One partition's share of the symbols: from records to closed windows and findings.

A pure object: the same records, in any slices, give the same closed windows in the same order, the
same findings and the same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from detectors.arrays.runs import equal_runs
from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64
from monitor.core.contract.events import Control
from monitor.core.contract.feature_catalogue import NEAR_DEPTH_BPS
from monitor.core.decode.batch import Batch
from monitor.core.detection.account_bursts import AccountBursts
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.detection.drift.market_drift import MarketDrift
from monitor.core.detection.feed_times import FeedTimes
from monitor.core.detection.joint_evidence import JointEvidence
from monitor.core.detection.judge import ClosedSpan, Judge, PassedTime, add_reach
from monitor.core.detection.log_changes import LogChanges
from monitor.core.detection.market_quality import MarketQuality
from monitor.core.detection.market_silences import MarketSilences
from monitor.core.detection.repeated_records import RepeatedRecords
from monitor.core.detection.single_streams import SingleStreams
from monitor.core.event_time.admission import Admission, AdmissionControl, RecordCounts
from monitor.core.event_time.clock_state import NEVER
from monitor.core.event_time.repeats import ONCE_KINDS, split_records
from monitor.core.event_time.watermark import apply_controls
from monitor.core.features.compute import FeatureCalculator
from monitor.core.finding import Finding
from monitor.core.settings import EngineSettings
from monitor.core.shard_report import ShardReport
from monitor.core.tables.interner import Interner
from monitor.core.venue.state import KINDS as VENUE_KINDS
from monitor.core.watch_state import ProgressSpan
from monitor.core.windows.closed_windows import ClosedWindows, name_rank
from monitor.core.windows.contributors import RecentWindows
from monitor.core.windows.open_windows import OpenWindows
from monitor.core.windows.rests import REST_AFTER_S, Rests

SHARD_KINDS = ("order", "cancel", "fill", "leverage", "book", "mark")
"""Kinds of records that shards read."""

_EMPTY = np.empty(0, np.int64)


class Shard(Stateful):
    """Everything that needs the records of one symbol only, for the symbols of one partition.

    `partition`: that of the co-partitioned topics, of which each has `partitions`. `factories`: one
    for each of `settings.streams`. `backlog_windows`: see `Engine`.
    """

    STATE = (
        "windows", "_reported_offsets", "_reported_waiting", "_reported_until", "symbols",
        "accounts", "tally", "admission", "_open", "_rests", "_measure", "_history", "_judges",
        "_log_judges", "_seen_symbols", "_next", "_chain",
    )  # fmt: skip

    def __init__(
        self, partition: int, partitions: int, settings: EngineSettings,
        factories: Sequence[DetectorFactory], backlog_windows: int = 0,
    ) -> None:  # fmt: skip
        self._backlog_windows = backlog_windows
        self._settings = settings
        self.partition = partition
        self._window_ns = settings.time.window_ns
        self.symbols = Interner()
        self.accounts = Interner()
        self.tally = RecordCounts()
        self.admission = AdmissionControl(SHARD_KINDS, settings.time.lateness_ns, listens=True)
        self._open = OpenWindows(
            self._window_ns, settings.limits, settings.cost_notional, self.symbols, self.accounts
        )
        self._rests = Rests(settings.window_count(REST_AFTER_S), settings.joint_block)
        self._measure = FeatureCalculator(self._window_ns)
        self._history = RecentWindows(self.symbols, self.accounts)
        place = partition, partitions, self._history, self._rests
        self._joint_evidence = JointEvidence(settings, *place)
        names = self.symbols, self.accounts
        self._account_bursts = AccountBursts(settings, partition, partitions, *names, self._history)
        once = [(kind, partition) for kind in SHARD_KINDS if kind in ONCE_KINDS]
        self._repeated = RepeatedRecords(once, self._window_ns)
        self._feed_times = FeedTimes(self.admission.clocks, partition, self._window_ns)
        self.jumped: tuple[Batch, Int64] = Batch("", "", partition, _EMPTY), _EMPTY
        """Records of the last batch, or from before it, that were refused for their time, and the
        offset at which each refusal was decided."""
        self._single_streams = SingleStreams(settings, factories, *place)
        self._drift = MarketDrift(settings, partition, partitions, self._history)
        self._judges: tuple[Judge[ClosedSpan], ...] = (
            self._single_streams,
            self._joint_evidence,
            self._account_bursts,
            MarketQuality(partition, self._window_ns, self._history),
            MarketSilences(settings, partition),
            self._drift,
        )
        # They judge logs and no windows: they go on while the shard rests.
        self._log_judges: tuple[Judge[PassedTime], ...] = (
            self._feed_times,
            self._repeated,
            LogChanges(self.admission.clocks, partition, self._window_ns),
        )
        self._seen_symbols: Int64 = np.empty(0, np.int64)
        self._next: int | None = None
        self._chain = b""
        clocks = self.admission.clocks.items()
        self.clocks = {(settings.topics[kind], partition): clock for kind, clock in clocks}
        """Time in each topic partition, by topic and number."""
        self.windows = 0
        """Windows of a symbol that were closed."""
        self._reported_offsets = dict.fromkeys(SHARD_KINDS, 0)
        self._reported_waiting: dict[str, list[int]] = {kind: [] for kind in SHARD_KINDS}
        self._reported_until = NEVER // self._window_ns
        # For the next report.
        self._findings: list[Finding] = []
        self._batches: list[Batch] = []

    @property
    def closed_ns(self) -> int:
        """All windows that end by this event time are closed; `NEVER` before the first."""
        return self.admission.watermark if self._next is None else self._next * self._window_ns

    @property
    def latest_ns(self) -> int:
        """Highest event time read; `NEVER` before the first record."""
        return max(clock.high for clock in self.admission.clocks.values())

    @property
    def evicted(self) -> dict[str, int]:
        """What was dropped because a table was full, by table."""
        return {
            "symbols": self._open.evicted_symbols,
            "accounts": self._open.evicted_accounts,
            "habits": self._account_bursts.evicted,
        }

    @property
    def progress(self) -> ProgressSpan:
        """How far its streams have come."""
        reach_bps = self._measure.reach_bps
        short = np.flatnonzero(reach_bps < NEAR_DEPTH_BPS)
        books = dict(zip(self.symbols.names(short), reach_bps[short].tolist(), strict=True))
        every = self._single_streams.progress() + self._drift.progress()
        return ProgressSpan(every, self.closed_ns, self._window_ns, books)

    def step(self, batch: Batch) -> list[ClosedSpan]:
        """Take records of one topic partition in; returns the windows that this closes."""
        self._take(self.admission.admit(batch, self.tally))
        return self.advance(self._backlog_windows)

    def _take(self, admission: Admission) -> None:
        """Add records that were judged to the windows, and keep what others have to read."""
        if len(admission.late):
            symbol = self.symbols.intern(admission.late.texts["symbol"])
            self._open.add_late(admission.late, symbol, admission.late_watermark_ns)
        self.jumped = admission.jumped, admission.decided_at
        kind, admitted, behind_ns = admission.admitted.kind, admission.admitted, admission.behind_ns
        if kind in ONCE_KINDS:
            seen = self._repeated.filters[kind, self.partition]
            names = self.symbols, self.accounts
            admitted, behind_ns, late = split_records(seen, names, admission, self.tally)
            if len(late):
                self._batches.append(late)
        if len(admitted):
            symbol = self.symbols.intern(admitted.texts["symbol"])
            account = admitted.texts.get("account")
            ids = self.accounts.intern(account) if account is not None else None
            self._open.add(admitted, symbol, ids, behind_ns)
            if kind in VENUE_KINDS:
                self._batches.append(admitted)

    def control(self, records: Sequence[Control]) -> list[ClosedSpan]:
        """Take control records in; those of other topic partitions are skipped."""
        apply_controls(self.clocks, records)
        return self._settle()

    def finish(self) -> list[ClosedSpan]:
        """All topics were read to their end: every control record takes effect."""
        spans = self._settle(end=True)
        # What was refused at the end has no window after it in which it could be told.
        self._findings += self._feed_times.judge_end()
        return spans

    def _settle(self, end: bool = False) -> list[ClosedSpan]:
        for admission in self.admission.settle(self.tally, end):
            self._take(admission)
        return self.advance()

    @property
    def has_unreported(self) -> bool:
        """Whether there is more to report than how many records came."""
        new = self._batches or self._findings
        return bool(new) or self.closed_ns // self._window_ns != self._reported_until

    def drain_report(self) -> ShardReport:
        """What is new since the last report."""
        until = self.closed_ns // self._window_ns
        high = {kind: clock.position for kind, clock in self.admission.clocks.items()}
        waiting = {kind: clock.waiting_offsets for kind, clock in self.admission.clocks.items()}
        places = self._reported_offsets, high, self._reported_waiting, waiting
        times = self._reported_until, until, self.closed_ns, self.latest_ns
        new = self._findings, self._batches, self._joint_evidence.block_p_values
        progress = self.windows, self._chain, self.tally.snapshot()
        report = ShardReport(self.partition, *places, *times, *progress, *new)
        self._reported_offsets, self._reported_until = dict(high), until
        self._reported_waiting = waiting
        self._findings, self._batches, self._joint_evidence.block_p_values = [], [], []
        return report

    def advance(self, backlog_windows: int = 0) -> list[ClosedSpan]:
        """Close all windows that the watermark has passed, once they are more than
        `backlog_windows`.
        """
        watermark = self.admission.watermark
        if watermark == NEVER:
            return []
        until = watermark // self._window_ns
        if self._next is None:
            first = self._open.first_window()
            if first is None or first >= until:
                return []
            self._next = first
        if until <= self._next + backlog_windows:
            return []
        facts = self._open.close(until)
        spans = list(self._judge_spans(facts, self._next, until))
        self._next = until
        for span in spans:
            self.windows += len(span.features.window)
            self._findings += span.findings
        for judge in self._log_judges:
            self._findings += judge.judge(PassedTime(until))
        self._forget_accounts()
        return spans

    def _judge_spans(self, facts: ClosedWindows, low: int, until: int) -> Iterator[ClosedSpan]:
        """Measure and judge the windows in which the shard is awake, span by span."""
        for awake_low, awake_until in self._rests.awake_spans(facts.window, low, until):
            yield from self._judge_awake(facts, awake_low, awake_until)

    def _judge_awake(self, facts: ClosedWindows, low: int, until: int) -> Iterator[ClosedSpan]:
        """Measure and judge closed windows, span by span.

        A span has a bounded number of windows times symbols, and ends before a window in which a
        symbol is new: a symbol has features from its first window on.
        """
        while low < until:
            a, b, c = np.searchsorted(facts.window, (low, low + 1, until))
            self._add_symbols(facts.symbol[a:b])
            symbols = self._seen_symbols
            new = facts.window[b:c][~np.isin(facts.symbol[b:c], symbols)]
            most = max(1, self._settings.limits.cells // max(1, len(symbols)))
            high = min(until, low + most, int(new[0]) if len(new) else until)
            part = facts.slice(low, high)
            names = dict(zip(symbols.tolist(), self.symbols.names(symbols), strict=True))
            features = self._measure.compute(part, low, high, symbols)
            span = ClosedSpan(high, low, names, part, features)
            self._history.add(part, low)
            for judge in self._judges:
                span.findings += judge.judge(span)
            if span.findings:
                add_reach(span, span.findings)
            self._extend_digest(part)
            yield span
            low = high

    def _add_symbols(self, symbols: Int64) -> None:
        """Count these symbols among those seen, which stay in the order of their names."""
        seen = np.unique(np.concatenate((self._seen_symbols, symbols)))
        if len(seen) > len(self._seen_symbols):
            self._seen_symbols = seen[np.argsort(name_rank(self.symbols, seen))]

    def _extend_digest(self, windows: ClosedWindows) -> None:
        """Chain the bytes of each window: hashes of the names, then the integers themselves."""
        hashes = self.symbols.hashes[windows.symbol]
        columns = windows.window, hashes.view(np.int64), windows.accounts_hash.view(np.int64)
        offsets = windows.first_offset, windows.last_offset
        last = windows.book, windows.mark, windows.minima, windows.near_touch
        rows = np.concatenate((np.stack(columns, axis=1), windows.sums, *offsets, *last), axis=1)
        for a, b in equal_runs(windows.window):
            self._chain = hashlib.sha256(self._chain + rows[a:b].tobytes()).digest()

    def _forget_accounts(self) -> None:
        """Keep only the names in use, once there are more than the limit."""
        if len(self.accounts) <= self._settings.limits.names:
            return
        wanted = np.zeros(len(self.accounts), np.bool_)
        wanted[self._open.accounts_in_use()] = True
        wanted[self._history.accounts_in_use()] = True
        remap = self.accounts.keep(wanted)
        self._open.rename_accounts(remap)
        self._history.rename_accounts(remap)

    def snapshot(self) -> dict[str, Any]:
        """All state. Call `drain_report` first: what is not reported is no part of it."""
        assert not [*self._findings, *self._batches, *self._joint_evidence.block_p_values]
        return super().snapshot()
