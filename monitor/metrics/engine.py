"""What the engine has counted, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from monitor.core.accounts.liquidation_outcomes import FORCED_CAUSES, VERDICTS, Outcomes
from monitor.core.contract.units import SECOND_NS
from monitor.core.event_time.admission import RecordCounts
from monitor.core.event_time.clock_state import NEVER
from monitor.metrics.catalogue import counter_family, gauge_family, one_gauge


class TopicClock(Protocol):
    """Event time in a topic partition."""

    @property
    def high(self) -> int: ...


class EngineCounts(Protocol):
    """What an engine has counted, or the shards and the venue stage of a process together."""

    @property
    def windows(self) -> int: ...
    @property
    def closed_ns(self) -> int: ...
    def tally(self) -> RecordCounts: ...
    @property
    def clocks(self) -> Mapping[tuple[str, int], TopicClock]: ...
    @property
    def outcomes(self) -> Outcomes | None: ...
    @property
    def streams_out(self) -> Mapping[str, int]: ...


class EngineCollector(Collector):
    """What the engine has counted; the snapshots hold it, so a restart does not reset it."""

    def __init__(self) -> None:
        self.engine: EngineCounts | None = None

    def collect(self) -> Iterator[Metric]:
        """Read by a scrape; numbers of one engine, perhaps in the middle of a step."""
        if self.engine is not None:
            yield from self._counters(self.engine)
            yield self._event_times(self.engine)
            closed_ns = self.engine.closed_ns
            if closed_ns != NEVER:
                yield one_gauge("watermark_seconds", closed_ns / SECOND_NS)
            if self.engine.outcomes is not None:
                yield self._forced_fills(self.engine.outcomes)

    def _event_times(self, engine: EngineCounts) -> Metric:
        """The highest event time of each topic; one far behind the others is late or dead."""
        family = gauge_family("event_timestamp_seconds")
        high: dict[str, int] = {}
        for (topic, _), clock in list(engine.clocks.items()):
            if clock.high != NEVER:
                high[topic] = max(high.get(topic, NEVER), clock.high)
        for topic, ts in sorted(high.items()):
            family.add_metric([topic], ts / SECOND_NS)
        return family

    def _forced_fills(self, outcomes: Outcomes) -> Metric:
        """Every cause with every verdict, zeros too: else `rate` would not see the first fill."""
        family = counter_family("forced_fills_total")
        for cause, counts in zip(FORCED_CAUSES, outcomes.counts.sum(axis=1).tolist(), strict=True):
            for verdict, number in zip(VERDICTS, counts, strict=True):
                family.add_metric([cause, verdict], number)
        return family

    def _counters(self, engine: EngineCounts) -> Iterator[Metric]:
        tally = engine.tally()
        for name, values in (
            ("events_total", tally.events),
            ("late_total", tally.late),
            ("repeated_total", tally.repeated),
            ("refused_total", tally.refused),
            ("streams_out_total", engine.streams_out),
        ):
            family = counter_family(name)
            for value, number in sorted(values.items()):
                family.add_metric([value], number)
            yield family
        for name, number in (
            ("windows_total", engine.windows),
            ("duplicates_total", tally.duplicates),
        ):
            family = counter_family(name)
            family.add_metric([], number)
            yield family
