"""One Kafka partition's share of the symbols: from records to closed windows and findings.

A pure object: the same records, in whatever slices, give the same closed windows in the same
order, the same findings and the same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitor.core.contract.events import Control
from monitor.core.decode.batch import Batch, Int64
from monitor.core.detection.account_bursts import AccountBursts
from monitor.core.detection.feed_silence import FeedSilences
from monitor.core.detection.joint_evidence import JointEvidence
from monitor.core.detection.single_streams import Factory, SingleStreams
from monitor.core.event_time.admission import AdmissionControl
from monitor.core.event_time.record_counts import RecordCounts
from monitor.core.event_time.watermark import NEVER, PartitionClock, apply_controls
from monitor.core.features.compute import FeatureCalculator, Features
from monitor.core.finding import Finding
from monitor.core.settings import EngineSettings
from monitor.core.shard_report import ShardReport
from monitor.core.tables.interner import Interner
from monitor.core.venue.state import KINDS as VENUE_KINDS
from monitor.core.windows.closed_windows import ClosedWindows
from monitor.core.windows.open_windows import OpenWindows
from monitor.core.windows.recent_windows import RecentWindows

SHARD_KINDS = ("order", "cancel", "fill", "leverage", "book", "mark")


@dataclass(slots=True)
class ShardOutput:
    """What a shard has to say of windows `low` up to `high` (indices)."""

    low: int
    high: int
    names: dict[int, str]
    """The name of every symbol number in `facts` and `features`."""
    facts: ClosedWindows
    features: Features
    findings: list[Finding]


class Shard:
    """Everything keyed by symbol, for one partition of the co-partitioned topics."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        settings: EngineSettings,
        factories: Sequence[Factory],
        backlog_windows: int = 0,
    ) -> None:
        self._backlog_windows = backlog_windows
        self._settings = settings
        self.partition = partition
        self._window_ns = settings.time.window_ns
        self.symbols = Interner()
        self.accounts = Interner()
        self.tally = RecordCounts()
        self.admission = AdmissionControl(SHARD_KINDS, settings.time.lateness_ns, listens=True)
        self._feed_silences = FeedSilences(self.admission.clocks, partition, self._window_ns)
        self._open = OpenWindows(
            self._window_ns, settings.limits, settings.cost_notional, self.symbols, self.accounts
        )
        self._measure = FeatureCalculator(self._window_ns)
        self._history = RecentWindows(self.symbols, self.accounts)
        self._single_streams = SingleStreams(
            settings, factories, partition, partitions, self._history
        )
        self._joint_evidence = JointEvidence(settings, partition, partitions, self._history)
        self._account_bursts = AccountBursts(
            settings, partition, partitions, self.symbols, self.accounts, self._history
        )
        self._seen_symbols: Int64 = np.empty(0, np.int64)
        self._next: int | None = None
        self._chain = b""
        self.clocks: dict[tuple[str, int], PartitionClock] = {
            (settings.topics[kind], partition): part for kind, part in self.admission.clocks.items()
        }
        """Time in each topic partition, by topic and number."""
        self.windows = 0
        """Windows of a symbol that were closed."""
        self._reported_offsets = dict.fromkeys(SHARD_KINDS, 0)
        self._reported_until = NEVER // self._window_ns
        # What the next word is to tell.
        self._findings: list[Finding] = []
        self._batches: list[Batch] = []

    @property
    def digest(self) -> str:
        """Of every window closed so far."""
        return self._chain.hex()

    @property
    def closed_ns(self) -> int:
        """All windows that end by this event time are closed; `NEVER` before the first."""
        return self.admission.watermark if self._next is None else self._next * self._window_ns

    @property
    def latest_ns(self) -> int:
        """Highest event time read; `NEVER` before the first record."""
        return max(part.high for part in self.admission.clocks.values())

    @property
    def evicted(self) -> dict[str, int]:
        """What the caps have dropped so far."""
        return {
            "symbols": self._open.evicted_symbols,
            "accounts": self._open.evicted_accounts,
            "habits": self._account_bursts.evicted,
        }

    def step(self, batch: Batch) -> list[ShardOutput]:
        """Take records in; return the windows that this closes."""
        admitted = self.admission.admit(batch, self.tally)
        if len(admitted):
            symbol = self.symbols.intern(admitted.texts["symbol"])
            account = admitted.texts.get("account")
            ids = self.accounts.intern(account) if account is not None else None
            self._open.add(admitted, symbol, ids, self.admission.behind_ns)
            if batch.kind in VENUE_KINDS:
                self._batches.append(admitted)
        if len(self.admission.late_rows):
            late = batch.select_rows(self.admission.late_rows)
            symbol = self.symbols.intern(late.texts["symbol"])
            self._open.add_late(late, symbol, self.admission.late_watermark_ns)
        return self.advance(self._backlog_windows)

    def control(self, records: Sequence[Control]) -> list[ShardOutput]:
        """Take in control records, of which those of other topic partitions are left alone."""
        apply_controls(self.clocks, records)
        return self.advance()

    def finish(self) -> list[ShardOutput]:
        """All topics were read to their end: every control record takes effect."""
        for part in self.clocks.values():
            part.finish()
        return self.advance()

    @property
    def has_unreported(self) -> bool:
        """Whether there is more to tell than how many records came."""
        return bool(self._batches) or self.closed_ns // self._window_ns != self._reported_until

    def drain_report(self) -> ShardReport:
        """What is new since the word before."""
        closed_ns = self.closed_ns
        until = closed_ns // self._window_ns
        low, self._reported_offsets = (
            self._reported_offsets,
            {k: part.position for k, part in self.admission.clocks.items()},
        )
        since, self._reported_until = self._reported_until, until
        findings, self._findings = self._findings, []
        batches, self._batches = self._batches, []
        signs, self._joint_evidence.block_p_values = self._joint_evidence.block_p_values, []
        return ShardReport(
            self.partition,
            low,
            dict(self._reported_offsets),
            since,
            until,
            closed_ns,
            self.latest_ns,
            self.windows,
            self._chain,
            self.tally.snapshot(),
            findings,
            batches,
            signs,
        )

    def advance(self, backlog_windows: int = 0) -> list[ShardOutput]:
        """Close what the watermark has passed, unless that is no more than `backlog_windows` windows."""
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
        closed = list(self._chunks(facts, self._next, until))
        closed[-1].findings += self._feed_silences.findings(until)
        self._next = until
        for part in closed:
            self.windows += len(part.features.window)
            self._findings += part.findings
        self._forget_accounts()
        return closed

    def _chunks(self, facts: ClosedWindows, low: int, until: int) -> list[ShardOutput]:
        """Measure and judge closed windows: a bounded number of cells at a time, and a new part
        wherever a symbol is met for the first time, for it is known from that window on.
        """
        out = []
        while low < until:
            begins = np.searchsorted(facts.window, (low, low + 1))
            self._add_symbols(facts.symbol[slice(*begins)])
            later = facts.window[begins[1] :][
                ~np.isin(facts.symbol[begins[1] :], self._seen_symbols)
            ]
            cells = max(1, self._settings.limits.cells // max(1, len(self._seen_symbols)))
            high = min(until, low + cells, int(later[0]) if len(later) else until)
            part = facts.slice(low, high)
            names = dict(
                zip(
                    self._seen_symbols.tolist(), self.symbols.names(self._seen_symbols), strict=True
                )
            )
            features = self._measure.compute(part, low, high, self._seen_symbols)
            self._history.add(part, low)
            findings = self._single_streams.judge(features, names)
            findings += self._joint_evidence.judge(features, names)
            findings += self._account_bursts.judge(part, low, high, names)
            self._extend_digest(part)
            out.append(ShardOutput(low, high, names, part, features, findings))
            low = high
        return out

    def _add_symbols(self, symbols: Int64) -> None:
        """Know these symbols from now on; all known ones in the order of their names."""
        known = np.unique(np.concatenate((self._seen_symbols, symbols)))
        if len(known) > len(self._seen_symbols):
            names = self.symbols.names(known)
            self._seen_symbols = known[sorted(range(len(names)), key=names.__getitem__)]

    def _extend_digest(self, facts: ClosedWindows) -> None:
        """Chain the bytes of each window: names as hashes, then the integers themselves."""
        n = len(facts.window)
        if not n:
            return
        hashes = self.symbols.hashes[facts.symbol]
        columns = facts.window, hashes.view(np.int64), facts.accounts_hash.view(np.int64)
        parts = (
            facts.sums,
            facts.first_offset,
            facts.last_offset,
            facts.book,
            facts.mark,
            facts.minima,
            facts.near_touch,
        )
        rows = np.concatenate([np.stack(columns, axis=1), *parts], axis=1)
        begin = np.flatnonzero(np.concatenate(([True], facts.window[1:] != facts.window[:-1])))
        end = np.concatenate((begin[1:], [n]))
        for a, b in zip(begin.tolist(), end.tolist(), strict=True):
            self._chain = hashlib.sha256(self._chain + rows[a:b].tobytes()).digest()

    def _forget_accounts(self) -> None:
        """Hold the names in use only, once there are more than the limit."""
        if len(self.accounts) <= self._settings.limits.names:
            return
        wanted = np.zeros(len(self.accounts), np.bool_)
        wanted[self._open.accounts_in_use()] = True
        wanted[self._history.accounts_in_use()] = True
        wanted[self._account_bursts.accounts_in_use()] = True
        remap = self.accounts.keep(wanted)
        self._open.rename_accounts(remap)
        self._history.rename_accounts(remap)
        self._account_bursts.rename_accounts(remap)

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain arrays. What there is to tell must have been told (`drain_report`)."""
        assert not self._findings
        assert not self._batches
        assert not self._joint_evidence.block_p_values
        return {
            "windows": self.windows,
            "told": self._reported_offsets,
            "told_until": self._reported_until,
            "symbols": self.symbols.snapshot(),
            "accounts": self.accounts.snapshot(),
            "tally": self.tally.snapshot(),
            "time": self.admission.snapshot(),
            "open": self._open.snapshot(),
            "measure": self._measure.snapshot(),
            "history": self._history.snapshot(),
            "watch": self._single_streams.snapshot(),
            "jointly": self._joint_evidence.snapshot(),
            "account_watch": self._account_bursts.snapshot(),
            "known": self._seen_symbols,
            "next": self._next,
            "chain": self._chain,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self.windows = state["windows"]
        self._reported_offsets, self._reported_until = dict(state["told"]), state["told_until"]
        self.symbols.restore(state["symbols"])
        self.accounts.restore(state["accounts"])
        self.tally.restore(state["tally"])
        self.admission.restore(state["time"])
        self._open.restore(state["open"])
        self._measure.restore(state["measure"])
        self._history.restore(state["history"])
        self._single_streams.restore(state["watch"])
        self._joint_evidence.restore(state["jointly"])
        self._account_bursts.restore(state["account_watch"])
        self._seen_symbols = state["known"]
        self._next = state["next"]
        self._chain = state["chain"]
