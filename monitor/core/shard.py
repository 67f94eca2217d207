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

from monitor.core.accountwatch import AccountWatch
from monitor.core.batch import Batch, Int64
from monitor.core.events import Control
from monitor.core.facts import Facts
from monitor.core.features import Features, Measure
from monitor.core.feeds import Feeds
from monitor.core.findings import Finding
from monitor.core.history import History
from monitor.core.intern import Interner
from monitor.core.jointwatch import JointWatch
from monitor.core.settings import EngineSettings
from monitor.core.tally import Tally
from monitor.core.timeline import Timeline
from monitor.core.venue import KINDS as VENUE_KINDS
from monitor.core.watch import Factory, Watch
from monitor.core.watermark import NEVER, Partition, tell
from monitor.core.windows import OpenWindows
from monitor.core.word import Word

SHARD_KINDS = ("order", "cancel", "fill", "leverage", "book", "mark")


@dataclass(slots=True)
class Closed:
    """What a shard has to say of windows `low` up to `high` (indices)."""

    low: int
    high: int
    names: dict[int, str]
    """The name of every symbol number in `facts` and `features`."""
    facts: Facts
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
        hold: int = 0,
    ) -> None:
        self._hold = hold
        self._settings = settings
        self.partition = partition
        self._window_ns = settings.time.window_ns
        self.symbols = Interner()
        self.accounts = Interner()
        self.tally = Tally()
        self.time = Timeline(SHARD_KINDS, settings.time.lateness_ns, listens=True)
        self._feeds = Feeds(self.time.parts, partition, self._window_ns)
        self._open = OpenWindows(
            self._window_ns, settings.limits, settings.cost_notional, self.symbols, self.accounts
        )
        self._measure = Measure(self._window_ns)
        self._history = History(self.symbols, self.accounts)
        self._watch = Watch(settings, factories, partition, partitions, self._history)
        self._jointly = JointWatch(settings, partition, partitions, self._history)
        self._account_watch = AccountWatch(
            settings, partition, partitions, self.symbols, self.accounts, self._history
        )
        self._known: Int64 = np.empty(0, np.int64)
        self._next: int | None = None
        self._chain = b""
        self.parts: dict[tuple[str, int], Partition] = {
            (settings.topics[kind], partition): part for kind, part in self.time.parts.items()
        }
        """Time in each topic partition, by topic and number."""
        self.windows = 0
        """Windows of a symbol that were closed."""
        self._told = dict.fromkeys(SHARD_KINDS, 0)
        self._told_until = NEVER // self._window_ns
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
        return self.time.watermark if self._next is None else self._next * self._window_ns

    @property
    def latest_ns(self) -> int:
        """Highest event time read; `NEVER` before the first record."""
        return max(part.high for part in self.time.parts.values())

    @property
    def evicted(self) -> dict[str, int]:
        """What the caps have dropped so far."""
        return {
            "symbols": self._open.evicted_symbols,
            "accounts": self._open.evicted_accounts,
            "habits": self._account_watch.evicted,
        }

    def step(self, batch: Batch) -> list[Closed]:
        """Take records in; return the windows that this closes."""
        admitted = self.time.admit(batch, self.tally)
        if len(admitted):
            symbol = self.symbols.intern(admitted.texts["symbol"])
            account = admitted.texts.get("account")
            ids = self.accounts.intern(account) if account is not None else None
            self._open.add(admitted, symbol, ids, self.time.behind)
            if batch.kind in VENUE_KINDS:
                self._batches.append(admitted)
        if len(self.time.late):
            late = batch.take(self.time.late)
            symbol = self.symbols.intern(late.texts["symbol"])
            self._open.add_late(late, symbol, self.time.late_came)
        return self.advance(self._hold)

    def control(self, records: Sequence[Control]) -> list[Closed]:
        """Take in control records, of which those of other topic partitions are left alone."""
        tell(self.parts, records)
        return self.advance()

    def finish(self) -> list[Closed]:
        """All topics were read to their end: every control record takes effect."""
        for part in self.parts.values():
            part.finish()
        return self.advance()

    @property
    def news(self) -> bool:
        """Whether there is more to tell than how many records came."""
        return bool(self._batches) or self.closed_ns // self._window_ns != self._told_until

    def word(self) -> Word:
        """What is new since the word before."""
        closed_ns = self.closed_ns
        until = closed_ns // self._window_ns
        low, self._told = self._told, {k: part.position for k, part in self.time.parts.items()}
        since, self._told_until = self._told_until, until
        findings, self._findings = self._findings, []
        batches, self._batches = self._batches, []
        signs, self._jointly.signs = self._jointly.signs, []
        return Word(
            self.partition,
            low,
            dict(self._told),
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

    def advance(self, hold: int = 0) -> list[Closed]:
        """Close what the watermark has passed, unless that is no more than `hold` windows."""
        watermark = self.time.watermark
        if watermark == NEVER:
            return []
        until = watermark // self._window_ns
        if self._next is None:
            first = self._open.first_window()
            if first is None or first >= until:
                return []
            self._next = first
        if until <= self._next + hold:
            return []
        facts = self._open.close(until)
        closed = list(self._chunks(facts, self._next, until))
        closed[-1].findings += self._feeds.findings(until)
        self._next = until
        for part in closed:
            self.windows += len(part.features.window)
            self._findings += part.findings
        self._forget_accounts()
        return closed

    def _chunks(self, facts: Facts, low: int, until: int) -> list[Closed]:
        """Measure and judge closed windows: a bounded number of cells at a time, and a new part
        wherever a symbol is met for the first time, for it is known from that window on.
        """
        out = []
        while low < until:
            begins = np.searchsorted(facts.window, (low, low + 1))
            self._meet(facts.symbol[slice(*begins)])
            later = facts.window[begins[1] :][~np.isin(facts.symbol[begins[1] :], self._known)]
            cells = max(1, self._settings.limits.cells // max(1, len(self._known)))
            high = min(until, low + cells, int(later[0]) if len(later) else until)
            part = _between(facts, low, high)
            names = dict(zip(self._known.tolist(), self.symbols.names(self._known), strict=True))
            features = self._measure.features(part, low, high, self._known)
            self._history.add(part, low)
            findings = self._watch.judge(features, names)
            findings += self._jointly.judge(features, names)
            findings += self._account_watch.judge(part, low, high, names)
            self._extend_digest(part)
            out.append(Closed(low, high, names, part, features, findings))
            low = high
        return out

    def _meet(self, symbols: Int64) -> None:
        """Know these symbols from now on; all known ones in the order of their names."""
        known = np.unique(np.concatenate((self._known, symbols)))
        if len(known) > len(self._known):
            names = self.symbols.names(known)
            self._known = known[sorted(range(len(names)), key=names.__getitem__)]

    def _extend_digest(self, facts: Facts) -> None:
        """Chain the bytes of each window: names as hashes, then the integers themselves."""
        n = len(facts.window)
        if not n:
            return
        hashes = self.symbols.hashes[facts.symbol]
        columns = facts.window, hashes.view(np.int64), facts.fold.view(np.int64)
        parts = facts.sums, facts.first, facts.last, facts.book, facts.mark, facts.lows, facts.near
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
        wanted[self._account_watch.accounts_in_use()] = True
        remap = self.accounts.keep(wanted)
        self._open.rename_accounts(remap)
        self._history.rename_accounts(remap)
        self._account_watch.rename_accounts(remap)

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain arrays. What there is to tell must have been told (`word`)."""
        assert not self._findings
        assert not self._batches
        assert not self._jointly.signs
        return {
            "windows": self.windows,
            "told": self._told,
            "told_until": self._told_until,
            "symbols": self.symbols.snapshot(),
            "accounts": self.accounts.snapshot(),
            "tally": self.tally.snapshot(),
            "time": self.time.snapshot(),
            "open": self._open.snapshot(),
            "measure": self._measure.snapshot(),
            "history": self._history.snapshot(),
            "watch": self._watch.snapshot(),
            "jointly": self._jointly.snapshot(),
            "account_watch": self._account_watch.snapshot(),
            "known": self._known,
            "next": self._next,
            "chain": self._chain,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self.windows = state["windows"]
        self._told, self._told_until = dict(state["told"]), state["told_until"]
        self.symbols.restore(state["symbols"])
        self.accounts.restore(state["accounts"])
        self.tally.restore(state["tally"])
        self.time.restore(state["time"])
        self._open.restore(state["open"])
        self._measure.restore(state["measure"])
        self._history.restore(state["history"])
        self._watch.restore(state["watch"])
        self._jointly.restore(state["jointly"])
        self._account_watch.restore(state["account_watch"])
        self._known = state["known"]
        self._next = state["next"]
        self._chain = state["chain"]


def _between(facts: Facts, low: int, high: int) -> Facts:
    a, b = np.searchsorted(facts.window, (low, high)).tolist()
    c, d = np.searchsorted(facts.account_row, (a, b)).tolist()
    e, f = np.searchsorted(facts.pulled[:, 0], (a, b)).tolist()
    pulled = facts.pulled[e:f].copy()
    pulled[:, 0] -= a
    return Facts(
        facts.window[a:b],
        facts.symbol[a:b],
        facts.sums[a:b],
        facts.first[a:b],
        facts.last[a:b],
        facts.book[a:b],
        facts.mark[a:b],
        facts.lows[a:b],
        facts.near[a:b],
        pulled,
        facts.account_row[c:d] - a,
        facts.account[c:d],
        facts.counts[c:d],
        facts.spread[a:b],
        facts.fold[a:b],
    )
