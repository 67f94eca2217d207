"""The order of operations: shards, then the venue stage; nothing else happens anywhere.

The engine is a pure function of the set of records. `step` takes records of one topic partition
in offset order; partitions may come interleaved in any way and in slices of any size.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.core import snapshot
from monitor.core.batch import Batch
from monitor.core.decode import UNKNOWN
from monitor.core.events import Control
from monitor.core.explain import line
from monitor.core.findings import Finding
from monitor.core.incidents import Incidents, thaw
from monitor.core.settings import EngineSettings
from monitor.core.shard import SHARD_KINDS, Closed, Shard
from monitor.core.tally import Tally
from monitor.core.timeline import Timeline
from monitor.core.triage import ExplainIncidents, raised
from monitor.core.venue import Venue
from monitor.core.venuebands import VenueBands, bands
from monitor.core.watch import Factory
from monitor.core.watermark import NEVER, Partition

VENUE_KINDS = ("collateral", "reference")


@dataclass(slots=True)
class Output:
    """What a step makes known."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    """In the order of event time, symbol and kind."""
    closed: list[Closed] = field(default_factory=list)
    """Closed windows, each shard's in the order of time."""
    bands: list[VenueBands] = field(default_factory=list)
    """In the order of time."""


class Engine:
    """All shards and the venue stage of one process.

    Parameters
    ----------
    settings
        All numbers.
    factories
        One for each of `settings.streams`.
    partitions
        How many partitions each topic has; all topics have as many.
    hold
        Windows that may wait to be closed together: 0 live; a replay is faster with some, and
        what it puts out is the same.
    """

    def __init__(
        self,
        settings: EngineSettings,
        factories: Sequence[Factory],
        partitions: int = 1,
        hold: int = 0,
    ) -> None:
        self._settings = settings
        self._window_ns = settings.time.window_ns
        self.shards = [Shard(p, partitions, settings, factories, hold) for p in range(partitions)]
        sources = tuple((kind, p) for kind in VENUE_KINDS for p in range(partitions))
        self._time = Timeline(sources, settings.time.lateness_ns)
        # Records that name no kind of the contract: counted once, and they tell nothing of time.
        self._unknown = Timeline((UNKNOWN,), 0)
        self._tally = Tally()
        self._incidents = Incidents(
            settings.windows(settings.alerts.quiet_s), settings.windows(settings.alerts.together_s)
        )
        self.parts: dict[tuple[str, int], Partition] = {}
        """Time in each topic partition, by topic and number."""
        for kind, topic in settings.topics.items():
            for p, shard in enumerate(self.shards):
                held = shard.time.parts[kind] if kind in SHARD_KINDS else self._time.parts[kind, p]
                self.parts[topic, p] = held
        self._explain = ExplainIncidents(settings)
        self.venue = Venue(settings)
        self._stakes: list[tuple[int, dict[str, dict[str, Any]]]] = [(NEVER, {})]
        """What is at stake by market, as of each cell's end; between steps, the last."""
        self._waiting: list[Finding] = []
        # Two chains: how alerts and bands come one after the other is a matter of slicing.
        self._chain = self._bands_chain = b""
        self.windows = 0
        """Windows of a symbol that were closed."""
        self.alerts = 0

    def step(self, batch: Batch) -> Output:
        """Take in records of one topic partition."""
        if batch.kind in SHARD_KINDS:
            shard = self.shards[batch.partition]
            closed = shard.step(batch)
            if shard.admitted is not None:
                self.venue.hold(shard.admitted)
            return self._advance(closed)
        if batch.kind in VENUE_KINDS:
            source = (batch.kind, batch.partition)
            self.venue.hold(self._time.admit(batch, self._tally, source))
            return self._advance([])
        self._unknown.admit(batch, self._tally, UNKNOWN)
        return Output()

    def control(self, records: Sequence[Control]) -> Output:
        """Take in control records; they are read before the records that they speak of."""
        for record in records:
            part = self.parts.get((record.topic, record.partition))
            if part is not None:
                part.control(record.offset, record.ts)
        return self._advance([c for shard in self.shards for c in shard.advance()])

    def finish(self) -> Output:
        """All topics were read to their end: every control record takes effect."""
        for timeline in (self._time, *(shard.time for shard in self.shards)):
            for part in timeline.parts.values():
                part.finish()
        return self._advance([c for shard in self.shards for c in shard.advance()])

    @property
    def passed_ns(self) -> int:
        """All windows that end by this event time are decided; `NEVER` before the first."""
        return min(self._time.watermark, *(shard.closed_ns for shard in self.shards))

    def _advance(self, closed: list[Closed]) -> Output:
        """The venue stage: what all shards have passed is decided, in the order of time."""
        for part in closed:
            self._waiting += part.findings
            self.windows += len(part.features.window)
        watermark = self.passed_ns
        if watermark == NEVER:
            return Output([], closed)
        now_bands = self._bands(watermark)
        until = watermark // self._window_ns
        now = [finding for finding in self._waiting if finding.window < until]
        self._waiting = [finding for finding in self._waiting if finding.window >= until]
        alerts = [self._explain.alert(i) for i in self._incidents.advance(now, until)]
        for alert in alerts:
            self._add_stake(alert)
            self._chain = hashlib.sha256(self._chain + line(alert)).digest()
        self.alerts += len(alerts)
        # Every alert to come is later than all that has passed.
        self._stakes = self._stakes[-1:]
        return Output(alerts, closed, now_bands)

    def _bands(self, passed_ns: int) -> list[VenueBands]:
        """Bands as of every cell of time that has passed and had records in it."""
        made = []
        for end in self.venue.advance(passed_ns):
            self._waiting += self.venue.pricing.findings(end, self._window_ns)
            known = bands(self.venue, end)
            if known is not None:
                made.append(known)
                self._bands_chain = hashlib.sha256(self._bands_chain + known.digest()).digest()
            stakes = {m.symbol: m.at_stake() for m in known.markets} if known else {}
            self._stakes.append((end, stakes))
        return made

    def _add_stake(self, alert: dict[str, Any]) -> None:
        """What is at stake in the alert's market, by the last bands before it."""
        while len(self._stakes) > 1 and self._stakes[1][0] <= alert["ts"]:
            self._stakes.pop(0)
        ts, stakes = self._stakes[0]
        stake = stakes.get("".join(alert["symbols"][:1])) if ts <= alert["ts"] else None
        if stake is not None:
            alert.update(stake)
            if stake["at_stake"]["forced_notional"] >= self._settings.alerts.stake_notional:
                alert["severity"] = raised(alert["severity"])

    def tally(self) -> Tally:
        """What came in, over all shards."""
        total = Tally()
        for part in (self._tally, *(shard.tally for shard in self.shards)):
            total.add(part)
        return total

    def digest(self) -> str:
        """Of everything made known so far and of what came in: equal for equal sets of records."""
        parts = [shard.digest for shard in self.shards] + [self._chain.hex()]
        parts += [self._bands_chain.hex(), self.venue.digest().hex()]
        # Which reason a refused record is given depends on who read it: a venue's adapter names one
        # for the venue's own line, the contract another for the same bytes. That it was refused
        # does not.
        facts = self.tally().facts()
        parts.append(repr({**facts, "refused": sum(facts["refused"].values())}))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def snapshot(self) -> bytes:
        """All state, with the positions that it stands for."""
        state = {
            "shards": [shard.snapshot() for shard in self.shards],
            "time": self._time.snapshot(),
            "unknown": self._unknown.snapshot(),
            "tally": self._tally.snapshot(),
            "venue": self.venue.snapshot(),
            "stakes": self._stakes,
            "bands_chain": self._bands_chain,
            "incidents": self._incidents.snapshot(),
            "waiting": [dataclasses.asdict(finding) for finding in self._waiting],
            "chain": self._chain,
            "windows": self.windows,
            "alerts": self.alerts,
        }
        return snapshot.pack(state, self._settings.fingerprint())

    def restore(self, raw: bytes) -> None:
        """Go on from a snapshot. Raises `SnapshotError` where that cannot be."""
        state = snapshot.unpack(raw, self._settings.fingerprint())
        if len(state["shards"]) != len(self.shards):
            raise snapshot.SnapshotError(
                f"the snapshot has {len(state['shards'])} partitions, the topics have "
                f"{len(self.shards)}: remove it to begin anew"
            )
        for shard, held in zip(self.shards, state["shards"], strict=True):
            shard.restore(held)
        self._time.restore(state["time"])
        self._unknown.restore(state["unknown"])
        self._tally.restore(state["tally"])
        self.venue.restore(state["venue"])
        self._bands_chain = state["bands_chain"]
        self._stakes = [(ts, stakes) for ts, stakes in state["stakes"]]
        self._incidents.restore(state["incidents"])
        self._waiting = [thaw(finding) for finding in state["waiting"]]
        self._chain = state["chain"]
        self.windows = state["windows"]
        self.alerts = state["alerts"]
