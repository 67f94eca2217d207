"""The venue stage decides, in the order of time, what all shards have passed.

It reads the records of accounts that no shard reads (collateral, reference) and the shards'
reports. From them it makes the venue's accounts, bands, incidents and alerts. A pure object: the
same reports and records, in any slices and any order, give the same output.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.arrays.state import Stateful
from monitor.core.alerts.build import AlertBuilder
from monitor.core.alerts.incidents import Incident, Incidents
from monitor.core.alerts.severity import SeverityCondition
from monitor.core.alerts.stakes import StakeHistory
from monitor.core.bands.maker import BandMaker
from monitor.core.bands.market_bands import MarketStakes, VenueBands
from monitor.core.cascade.zone_shocks import pass_zones
from monitor.core.contract.alert import Alert, MarketStake, alert_json
from monitor.core.contract.events import Control
from monitor.core.contract.feature_catalogue import STREAM_OUT
from monitor.core.decode.batch import Batch, Int64
from monitor.core.decode.codec import UNKNOWN
from monitor.core.detection.cross_market_evidence import CrossMarketEvidence
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.detection.feed_times import FeedTimes
from monitor.core.detection.judge import BlockPValues, Judge
from monitor.core.detection.log_changes import LogChanges
from monitor.core.detection.repeated_records import RepeatedRecords
from monitor.core.event_time.admission import Admission, AdmissionControl, RecordCounts
from monitor.core.event_time.clock_state import NEVER
from monitor.core.event_time.repeats import split_records
from monitor.core.event_time.watermark import PartitionClock, apply_controls
from monitor.core.finding import Finding
from monitor.core.settings import EngineSettings
from monitor.core.shard_report import ShardReport
from monitor.core.snapshot import from_state, to_state
from monitor.core.venue.critical_shocks import CriticalShocks
from monitor.core.venue.market_doubts import MarketDoubts
from monitor.core.venue.printed_prices import PrintedPrices
from monitor.core.venue.silent_markets import TOGETHER_S, SilentMarkets
from monitor.core.venue.state import VenueState
from monitor.core.venue.streams import VenueMoment, VenueStreams
from monitor.core.watch_state import ProgressSpan

STAGE_KINDS = ("collateral", "reference")
"""Kinds of records that are read here and in no shard."""


@dataclass(slots=True)
class StageOutput:
    """What a step decides: alerts by event time, symbol and kind, and bands by time."""

    alerts: list[Alert] = field(default_factory=list)
    bands: list[VenueBands] = field(default_factory=list)


class ShardProgress(Stateful):
    """How far the reports of one shard have come."""

    STATE = (
        "closed_ns", "latest_ns", "until", "high", "waiting", "counted", "windows", "chain",
        "tally",
    )  # fmt: skip

    def __init__(self) -> None:
        self.closed_ns = self.latest_ns = NEVER
        self.until: int | None = None
        self.high: dict[str, int] = {}
        """By kind: the offset behind the last record reported."""
        self.waiting: dict[str, list[int]] = {}
        """By kind: offsets below that which were not reported, for nothing bears out their time."""
        self.counted: dict[str, int] = {}
        """The same of the report whose sums (`windows`, `chain`, `tally`) are kept here. It is
        behind `high` while a shard that went on from a snapshot catches up."""
        self.windows = 0
        self.chain = b""
        self.tally = RecordCounts()

    def follows(self, report: ShardReport) -> bool:
        """Whether no report is missing before this one."""
        missed = any(low > self.high.get(kind, 0) for kind, low in report.low.items())
        for kind, offsets in self.waiting.items():
            waited = report.waited.get(kind, [])
            missed |= any(o < report.low[kind] and o not in waited for o in offsets)
        return not missed and (self.until is None or report.since <= self.until)

    def covers(self, until: int, high: Mapping[str, int]) -> bool:
        """Whether a report up to this window and these offsets has nothing new."""
        if self.until is None or until > self.until or any(self.waiting.values()):
            return False
        return all(offset <= self.counted.get(kind, -1) for kind, offset in high.items())

    def accept(self, report: ShardReport) -> tuple[list[Finding], list[Batch], list[BlockPValues]]:
        """What of it is new."""
        until = self.until
        blocks = [b for b in report.block_p_values if until is None or b.window >= until]
        findings = [f for f in report.findings if until is None or f.window >= until]
        batches = [b.select_rows(self._is_new(b)) for b in report.batches]
        newer = until is None or report.until >= until
        if newer and all(high >= self.high.get(kind, 0) for kind, high in report.high.items()):
            self.windows, self.chain, self.counted = report.windows, report.chain, dict(report.high)
            self.tally.restore(report.tally)
        self.until = report.until if until is None else max(until, report.until)
        self.closed_ns = max(self.closed_ns, report.closed_ns)
        self.latest_ns = max(self.latest_ns, report.latest_ns)
        for kind, offsets in report.waiting.items():
            # Still without its record: what is so by either, where the other has not come so far.
            mine, high = self.waiting.get(kind, []), self.high.get(kind, 0)
            kept = [o for o in mine if o >= report.high[kind] or o in offsets]
            self.waiting[kind] = kept + [o for o in offsets if o >= high]
        self.high = {k: max(high, self.high.get(k, 0)) for k, high in report.high.items()}
        return findings, [batch for batch in batches if len(batch)], blocks

    def _is_new(self, batch: Batch) -> NDArray[np.bool_]:
        """Whether each record was not reported before."""
        waiting = self.waiting.get(batch.kind, [])
        return (batch.offset >= self.high.get(batch.kind, 0)) | np.isin(batch.offset, waiting)


class VenueStage(Stateful):
    """Everything that needs more than one shard.

    `partitions`: how many shards there are. `factories`: one for each of `settings.streams`.
    """

    STATE = (
        "_admission", "_unknown", "own_counts", "shard_progress", "venue_state", "printed_prices",
        "_judges",
        "_doubts", "_silent_markets", "_incidents", "_stakes", "_chain", "_bands_chain",
        "alert_count", "cells", "streams_out",
    )  # fmt: skip

    def __init__(
        self, settings: EngineSettings, factories: Sequence[DetectorFactory], partitions: int
    ) -> None:
        self._settings = settings
        self._window_ns = settings.time.window_ns
        sources = tuple((kind, p) for p in range(partitions) for kind in STAGE_KINDS)
        self._admission = AdmissionControl(sources, settings.time.lateness_ns)
        # Records that name no kind of the contract: counted once, and no part of event time.
        self._unknown = AdmissionControl((UNKNOWN,), 0)
        self.own_counts = RecordCounts()
        """Of the records that are read here."""
        self.jumped: tuple[Batch, Int64] = Batch("", "", 0, np.empty(0, np.int64)), np.empty(0, int)
        """Records that were refused for their time in the last step, and the offset at which each
        refusal was decided."""
        self.shard_progress = [ShardProgress() for _ in range(partitions)]
        self.clocks: dict[tuple[str, int], PartitionClock] = {
            (settings.topics[kind], p): clock for (kind, p), clock in self._admission.clocks.items()
        }
        """Time in each topic partition that is read here, by topic and number."""
        self._doubts = MarketDoubts()
        self._silent_markets = SilentMarkets(settings.window_count(TOGETHER_S))
        self._cross_market = CrossMarketEvidence(settings)
        self._alert_builder = AlertBuilder(settings)
        self.venue_state = VenueState(settings)
        self.band_maker = BandMaker(self.venue_state.ledger, pass_zones)
        self.printed_prices = PrintedPrices(
            self.venue_state.ledger, self.band_maker.pools, self.venue_state.own_rules
        )
        self._streams = VenueStreams(settings, factories)
        self._repeated = RepeatedRecords(sources, self._window_ns)
        every = self._admission.clocks
        clocks = [{kind: every[kind, p] for kind in STAGE_KINDS} for p in range(partitions)]
        self._feed_times = [FeedTimes(clocks[p], p, self._window_ns) for p in range(partitions)]
        log_changes = (LogChanges(clocks[p], p, self._window_ns) for p in range(partitions))
        self._judges: tuple[Judge[VenueMoment], ...] = (
            self._cross_market, self._streams, *self._feed_times, self._repeated, *log_changes,
            CriticalShocks(self.band_maker, self._window_ns),
        )  # fmt: skip
        self._has_ended = False
        self._stakes = StakeHistory()
        of, windows = settings.alerts, settings.window_count
        self._incidents = Incidents(
            windows(of.quiet_s), windows(of.together_s), windows(of.reopen_s),
            windows(of.longest_s), self._judge_severity,
        )  # fmt: skip
        self._waiting: list[Finding] = []
        # Two chains: how alerts and bands alternate depends on how records were sliced.
        self._chain = self._bands_chain = b""
        self.alert_count = 0
        """Alerts put out so far."""
        self.streams_out: Counter[str] = Counter()
        """By detector: streams that were taken out."""
        self.cells = 0
        """Intervals whose bands were put out so far."""

    def step(self, batch: Batch) -> StageOutput:
        """Take in records of one topic partition that is read here."""
        if batch.kind == UNKNOWN:
            self._unknown.admit(batch, self.own_counts, UNKNOWN)
            return StageOutput()
        source = batch.kind, batch.partition
        self._take(self._admission.admit(batch, self.own_counts, source))
        return self.advance()

    def _take(self, admission: Admission) -> None:
        self.jumped = admission.jumped, admission.decided_at
        seen = self._repeated.filters[admission.admitted.kind, admission.admitted.partition]
        names = self.venue_state.ledger.symbols, self.venue_state.ledger.names
        admitted, _, late = split_records(seen, names, admission, self.own_counts)
        self.venue_state.add_batch(admitted)
        self.venue_state.add_batch(late)

    def accept_report(self, report: ShardReport) -> bool:
        """Take a report in. False, and nothing done, where reports before it are missing."""
        progress = self.shard_progress[report.partition]
        if not progress.follows(report):
            return False
        findings, batches, blocks = progress.accept(report)
        self._waiting += findings
        self._cross_market.add(blocks)
        for batch in batches:
            self.venue_state.add_batch(batch)
        return True

    def control(self, records: Sequence[Control]) -> None:
        """Take control records in; those of other topic partitions are skipped."""
        apply_controls(self.clocks, records)
        self._settle()

    def finish(self) -> None:
        """All topics were read to their end: every control record takes effect."""
        self._has_ended = True
        self._settle(end=True)
        for times in self._feed_times:
            self._waiting += times.judge_end()

    def _settle(self, end: bool = False) -> None:
        for admission in self._admission.settle(self.own_counts, end):
            self._take(admission)

    @property
    def passed_ns(self) -> int:
        """All windows that end by this event time are decided; `NEVER` before the first."""
        return min(self._admission.watermark, *(shard.closed_ns for shard in self.shard_progress))

    def advance(self) -> StageOutput:
        """Decide what everything has passed, in the order of time."""
        passed_ns = self.passed_ns
        if passed_ns == NEVER:
            return StageOutput()
        every_bands = self._bands(passed_ns)
        until = passed_ns // self._window_ns
        self._judge(VenueMoment(until, self.venue_state))
        # What was refused at the end of a log has no window behind it.
        now = [f for f in self._waiting if f.window < until or self._has_ended]
        self._waiting = [f for f in self._waiting if f.window >= until and not self._has_ended]
        self.streams_out.update(f.detector for f in now if f.stream == STREAM_OUT)
        now.sort(key=lambda finding: finding.window)
        self._doubts.apply(now)
        alerts = []
        for incident in self._incidents.advance(self._silent_markets.group(now), until):
            alerts.append(self._alert_builder.build(incident, self._stake_of(incident)))
            self._chain = hashlib.sha256(self._chain + alert_json(alerts[-1])).digest()
        self.alert_count += len(alerts)
        self.cells += len(every_bands)
        self._stakes.forget()
        return StageOutput(alerts, every_bands)

    def firing_alerts(self) -> list[Alert]:
        """An alert for each incident that fires, as it stands now; no part of the output."""
        every = self._incidents.firing
        return [self._alert_builder.build(incident, self._stake_of(incident)) for incident in every]

    def _stake_of(self, incident: Incident) -> MarketStake | None:
        """What was at stake in its first market when it was decided."""
        return self._stakes.find(incident.symbols[0], self._alert_builder.decision_ns(incident))

    def _judge_severity(self, incident: Incident) -> SeverityCondition:
        return self._alert_builder.judge(incident, self._stake_of(incident))

    def _judge(self, moment: VenueMoment) -> None:
        for judge in self._judges:
            self._waiting += judge.judge(moment)

    def _bands(self, passed_ns: int) -> list[VenueBands]:
        """Bands as of the end of every interval that has passed and had records in it."""
        every = []
        waiting = sorted(self._waiting, key=lambda finding: finding.window)
        for end in self.venue_state.advance(passed_ns):
            self._waiting += self.venue_state.mark_filter.findings(end, self._window_ns)
            # All of a moment is decided by what was decided before it.
            self._doubts.apply(f for f in waiting if f.window < end // self._window_ns)
            inputs = self.venue_state.market_inputs(self._doubts.by_market)
            shown, records = self.venue_state.shown, self.venue_state.rule_records
            if self.printed_prices.calibrate(end, shown, inputs, records):
                inputs = self.venue_state.market_inputs(self._doubts.by_market)
            bands = self.band_maker.compute(end, inputs)
            self._judge(VenueMoment(end // self._window_ns, self.venue_state, bands))
            if bands is not None:
                bands.printed_prices.update(self.printed_prices.verdicts)
                every.append(bands)
                digest = bands.digest(self.band_maker.parallel_map)
                self._bands_chain = hashlib.sha256(self._bands_chain + digest).digest()
            self._stakes.add(end, MarketStakes(bands.markets) if bands else {})
        return every

    @property
    def progress(self) -> ProgressSpan:
        """How far the streams of the venue have come."""
        interval_ns = self._settings.accounts.bands_interval_ns
        return ProgressSpan(self._streams.progress(), self.passed_ns, interval_ns)

    @property
    def windows(self) -> int:
        """Windows of a symbol that the shards have closed."""
        return sum(shard.windows for shard in self.shard_progress)

    def tally(self) -> RecordCounts:
        """What came in, over all shards, as far as they have reported it."""
        total = RecordCounts()
        for counts in (self.own_counts, *(shard.tally for shard in self.shard_progress)):
            total.add(counts)
        return total

    def digest(self) -> str:
        """Of all output so far and of what came in: equal for equal sets of records."""
        parts = [shard.chain.hex() for shard in self.shard_progress] + [self._chain.hex()]
        parts += [self._bands_chain.hex(), self.venue_state.digest().hex()]
        # Refused records enter as one sum, because the reasons depend on who read the record: for
        # the same bytes a venue's adapter gives one reason, and the contract another.
        counts = self.tally().reproducible_counts()
        parts.append(repr({**counts, "refused": sum(counts["refused"].values())}))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"waiting": to_state(self._waiting)}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._waiting = from_state(list[Finding], state["waiting"])
