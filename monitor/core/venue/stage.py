"""The venue stage: what all shards have passed is decided here, in the order of time.

It reads the records of accounts that are in no shard (collateral, reference) and the words of the
shards, and makes of them the venue's accounts, bands, incidents and alerts. A pure object: the same
words and records, cut and ordered in any way, give the same output.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.core.alerts.incidents import Incidents
from monitor.core.alerts.triage import IncidentAlertWriter, escalate
from monitor.core.alerts.wording import alert_json
from monitor.core.bands.maker import BandMaker
from monitor.core.bands.market_bands import VenueBands
from monitor.core.contract.events import Control
from monitor.core.decode.batch import Batch, Int64
from monitor.core.decode.codec import UNKNOWN
from monitor.core.detection.cross_market_evidence import BlockPValues, CrossMarketEvidence
from monitor.core.detection.detector_group import Factory
from monitor.core.event_time.admission import AdmissionControl
from monitor.core.event_time.record_counts import RecordCounts
from monitor.core.event_time.watermark import NEVER, PartitionClock, apply_controls
from monitor.core.finding import Finding, finding_from_state
from monitor.core.settings import EngineSettings
from monitor.core.shard_report import ShardReport
from monitor.core.venue.state import VenueState
from monitor.core.venue.streams import VenueStreams

STAGE_KINDS = ("collateral", "reference")
"""What is read here and in no shard."""


@dataclass(slots=True)
class StageOutput:
    """What becomes known."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    """In the order of event time, symbol and kind."""
    bands: list[VenueBands] = field(default_factory=list)
    """In the order of time."""


class ShardProgress:
    """How far one shard has told its story."""

    def __init__(self) -> None:
        self.closed_ns = self.latest_ns = NEVER
        self.until: int | None = None
        self.high: dict[str, int] = {}
        self.counted: dict[str, int] = {}
        """How far the word had come whose sums (below) are held: behind `high` while a shard that
        began again from a snapshot has not yet come to where it was."""
        self.windows = 0
        self.chain = b""
        self.tally = RecordCounts()

    def follows(self, report: ShardReport) -> bool:
        """Whether nothing lies between what is known and this word."""
        missed = any(low > self.high.get(kind, 0) for kind, low in report.low.items())
        return not missed and (self.until is None or report.since <= self.until)

    def covers(self, until: int, high: Mapping[str, int]) -> bool:
        """Whether a word that reaches so far has nothing new."""
        if self.until is None or until > self.until:
            return False
        return all(offset <= self.counted.get(kind, -1) for kind, offset in high.items())

    def accept(self, report: ShardReport) -> tuple[list[Finding], list[Batch], list[BlockPValues]]:
        """What of it is new."""
        until = self.until
        signs = [s for s in report.signs if until is None or s.window >= until]
        new = [f for f in report.findings if until is None or f.window >= until]
        batches = [b.select_rows(b.offset >= self.high.get(b.kind, 0)) for b in report.batches]
        newer = until is None or report.until >= until
        if newer and all(high >= self.high.get(kind, 0) for kind, high in report.high.items()):
            self.windows, self.chain, self.counted = report.windows, report.chain, dict(report.high)
            self.tally.restore(report.tally)
        self.until = report.until if until is None else max(until, report.until)
        self.closed_ns = max(self.closed_ns, report.closed_ns)
        self.latest_ns = max(self.latest_ns, report.latest_ns)
        self.high = {k: max(high, self.high.get(k, 0)) for k, high in report.high.items()}
        return new, [batch for batch in batches if len(batch)], signs

    def snapshot(self) -> list[Any]:
        tally = self.tally.snapshot()
        told = [self.closed_ns, self.latest_ns, self.until, self.high, self.counted]
        return [*told, self.windows, self.chain, tally]

    def restore(self, state: list[Any]) -> None:
        *told, self.windows, self.chain, tally = state
        self.closed_ns, self.latest_ns, self.until, self.high, self.counted = told
        self.tally.restore(tally)


class VenueStage:
    """Everything that needs more than one shard.

    `partitions`: how many shards there are. `factories`: one for each of `settings.streams`.
    """

    def __init__(
        self, settings: EngineSettings, factories: Sequence[Factory], partitions: int
    ) -> None:
        self._settings = settings
        self._window_ns = settings.time.window_ns
        sources = tuple((kind, p) for p in range(partitions) for kind in STAGE_KINDS)
        self._admission = AdmissionControl(sources, settings.time.lateness_ns)
        # Records that name no kind of the contract: counted once, and they tell nothing of time.
        self._unknown = AdmissionControl((UNKNOWN,), 0)
        self.own_counts = RecordCounts()
        """Of the records that are read here."""
        self.shard_progress = [ShardProgress() for _ in range(partitions)]
        self.clocks: dict[tuple[str, int], PartitionClock] = {
            (settings.topics[kind], p): part for (kind, p), part in self._admission.clocks.items()
        }
        """Time in each topic partition that is read here, by topic and number."""
        self._incidents = Incidents(
            settings.window_count(settings.alerts.quiet_s),
            settings.window_count(settings.alerts.together_s),
        )
        self._cross_market = CrossMarketEvidence(settings)
        self._alert_writer = IncidentAlertWriter(settings)
        self.venue_state = VenueState(settings)
        self.band_maker = BandMaker(self.venue_state.ledger)
        self._venue_streams = VenueStreams(settings, factories)
        self._stakes: list[tuple[int, dict[str, dict[str, Any]]]] = [(NEVER, {})]
        """What is at stake by market, as of each cell's end; between steps, the last."""
        self._waiting: list[Finding] = []
        # Two chains: how alerts and bands come one after the other is a matter of slicing.
        self._chain = self._bands_chain = b""
        self.alert_count = 0
        """Alerts made known so far."""
        self.cells = 0
        """Moments whose bands were made known so far."""

    def step(self, batch: Batch) -> StageOutput:
        """Take in records of one topic partition that is read here."""
        if batch.kind == UNKNOWN:
            self._unknown.admit(batch, self.own_counts, UNKNOWN)
            return StageOutput()
        self.venue_state.add_batch(
            self._admission.admit(batch, self.own_counts, (batch.kind, batch.partition))
        )
        return self.advance()

    @property
    def jumped_offsets(self) -> Int64:
        """Offsets of the records of the last batch that were refused for their time."""
        return self._admission.jump_offsets

    def accept_report(self, report: ShardReport) -> bool:
        """Hear a shard. False, and nothing done, where words before this one are missing."""
        heard = self.shard_progress[report.partition]
        if not heard.follows(report):
            return False
        findings, batches, signs = heard.accept(report)
        self._waiting += findings
        self._cross_market.add(signs)
        for batch in batches:
            self.venue_state.add_batch(batch)
        return True

    def control(self, records: Sequence[Control]) -> None:
        """Take in control records, of which those of other topic partitions are left alone."""
        apply_controls(self.clocks, records)

    def finish(self) -> None:
        """All topics were read to their end: every control record takes effect."""
        for part in self.clocks.values():
            part.finish()

    @property
    def passed_ns(self) -> int:
        """All windows that end by this event time are decided; `NEVER` before the first."""
        return min(self._admission.watermark, *(heard.closed_ns for heard in self.shard_progress))

    def advance(self) -> StageOutput:
        """Decide what everything has passed, in the order of time."""
        passed_ns = self.passed_ns
        if passed_ns == NEVER:
            return StageOutput()
        now_bands = self._bands(passed_ns)
        until = passed_ns // self._window_ns
        self._waiting += self._cross_market.judge(until)
        now = [finding for finding in self._waiting if finding.window < until]
        self._waiting = [finding for finding in self._waiting if finding.window >= until]
        alerts = [self._alert_writer.alert(i) for i in self._incidents.advance(now, until)]
        for alert in alerts:
            self._add_stake(alert)
            self._chain = hashlib.sha256(self._chain + alert_json(alert)).digest()
        self.alert_count += len(alerts)
        self.cells += len(now_bands)
        # Every alert to come is later than all that has passed.
        self._stakes = self._stakes[-1:]
        return StageOutput(alerts, now_bands)

    def _bands(self, passed_ns: int) -> list[VenueBands]:
        """Bands as of every cell of time that has passed and had records in it."""
        made = []
        for end in self.venue_state.advance(passed_ns):
            self._waiting += self.venue_state.mark_filter.findings(end, self._window_ns)
            known = self.band_maker.compute(end, self.venue_state.market_inputs())
            if known is not None:
                made.append(known)
                self._waiting += self._venue_streams.judge(self.venue_state, known)
                digest = known.digest(self.band_maker.parallel_map)
                self._bands_chain = hashlib.sha256(self._bands_chain + digest).digest()
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
                alert["severity"] = escalate(alert["severity"])

    @property
    def windows(self) -> int:
        """Windows of a symbol that the shards have closed."""
        return sum(heard.windows for heard in self.shard_progress)

    def tally(self) -> RecordCounts:
        """What came in, over all shards, as far as they have told."""
        total = RecordCounts()
        for part in (self.own_counts, *(heard.tally for heard in self.shard_progress)):
            total.add(part)
        return total

    def digest(self) -> str:
        """Of everything made known so far and of what came in: equal for equal sets of records."""
        parts = [heard.chain.hex() for heard in self.shard_progress] + [self._chain.hex()]
        parts += [self._bands_chain.hex(), self.venue_state.digest().hex()]
        # Which reason a refused record is given depends on who read it: a venue's adapter names one
        # for the venue's own line, the contract another for the same bytes. That it was refused
        # does not.
        facts = self.tally().reproducible_counts()
        parts.append(repr({**facts, "refused": sum(facts["refused"].values())}))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain arrays."""
        return {
            "time": self._admission.snapshot(),
            "unknown": self._unknown.snapshot(),
            "tally": self.own_counts.snapshot(),
            "heard": [heard.snapshot() for heard in self.shard_progress],
            "scope": self.venue_state.snapshot(),
            "watch": self._venue_streams.snapshot(),
            "stakes": self._stakes,
            "bands_chain": self._bands_chain,
            "across": self._cross_market.snapshot(),
            "incidents": self._incidents.snapshot(),
            "waiting": [dataclasses.asdict(finding) for finding in self._waiting],
            "chain": self._chain,
            "alerts": self.alert_count,
            "cells": self.cells,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self._admission.restore(state["time"])
        self._unknown.restore(state["unknown"])
        self.own_counts.restore(state["tally"])
        for heard, held in zip(self.shard_progress, state["heard"], strict=True):
            heard.restore(held)
        self.venue_state.restore(state["scope"])
        self._venue_streams.restore(state["watch"])
        self._bands_chain = state["bands_chain"]
        self._stakes = [(ts, stakes) for ts, stakes in state["stakes"]]
        self._cross_market.restore(state["across"])
        self._incidents.restore(state["incidents"])
        self._waiting = [finding_from_state(finding) for finding in state["waiting"]]
        self._chain = state["chain"]
        self.alert_count, self.cells = state["alerts"], state["cells"]
