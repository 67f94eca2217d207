"""The markets as one system, every ten seconds of event time, beside the stage that goes on.

No part of the output: a replay does not make it. The stage's thread only copies the positions, some
tens of ms for a million of them; the rest runs in a thread of its own. What is not made in time is
skipped and counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import structlog
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from monitor.core.contract.units import SECOND_NS
from monitor.core.event_time.clock_state import NEVER
from monitor.core.venue.answers.frozen_venue import FrozenMaker, FrozenVenue
from monitor.core.venue.answers.stress_test import Edge, StressTest, SystemGraph
from monitor.core.venue.stage import VenueStage
from monitor.metrics.catalogue import counter_family, gauge_family, one_gauge

EVERY_NS = 10 * SECOND_NS
"""Event time between two graphs."""
POSITIONS_MAX = 5_000_000
"""With more, copying them would hold the stage up for over a tenth of a second."""
REST = 4.0
"""After a graph comes a rest of so many times as long: it takes a fifth of a core at most."""
SURVIVES = 1.0
"""The share of the books that the graph is for."""
EDGES_SHOWN = 10
SKIPPED = ("running", "resting", "too_large", "failed")
"""Why a graph is not made."""


class TimedGraph(NamedTuple):
    """The system as of `ts` (event time, ns), and how long it took, s."""

    ts: int
    system: SystemGraph
    seconds: float


class CascadeGraph:
    """Makes the graph of one venue stage. `last`: the newest one."""

    def __init__(self) -> None:
        self.last: TimedGraph | None = None
        self.skipped: Counter[str] = Counter()
        """By `SKIPPED`."""
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[TimedGraph] | None = None
        self._asked_ns = NEVER
        self._rests_until_s = 0.0
        self._log = structlog.get_logger().bind(part="cascade graph")

    def refresh(self, stage: VenueStage, ts: int) -> None:
        """Begin a graph as of now (`ts`, ns) if it is time; between two steps of the stage."""
        if ts < self._asked_ns + EVERY_NS:
            return
        self._asked_ns = ts
        if self._running is not None:
            self.skipped["running"] += 1
        elif time.monotonic() < self._rests_until_s:
            self.skipped["resting"] += 1
        elif len(stage.band_maker.pools.update().quantity) > POSITIONS_MAX:
            self.skipped["too_large"] += 1
        else:
            venue, maker = FrozenVenue(stage.venue_state), FrozenMaker(stage.band_maker)
            self._running = self._thread.submit(_make, ts, venue, maker)
            self._running.add_done_callback(self._finish)

    def _finish(self, run: Future[TimedGraph]) -> None:
        self._running = None
        if run.cancelled():
            return
        error = run.exception()
        if error is not None:
            self.skipped["failed"] += 1
            self._log.warning("no graph of the markets", why=repr(error))
            return
        self.last = run.result()
        self._rests_until_s = time.monotonic() + REST * self.last.seconds

    def stop(self) -> None:
        """Begin no other."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def document(self) -> dict[str, Any]:
        """For /state: the newest graph, and how many were skipped."""
        document: dict[str, Any] = {"skipped": {why: self.skipped[why] for why in SKIPPED}}
        if self.last is None:
            return document
        ts, system, seconds = self.last
        return document | {
            "ts": ts,
            "seconds": seconds,
            "r": system.r,
            "critical_factor_shock": {
                side: None if shock is None else {"shock": shock.shock, "jump": shock.length}
                for side, shock in zip(("down", "up"), system.critical, strict=True)
            },
            "edges": [*map(_without_holders, system.edges[:EDGES_SHOWN])],
        }


class GraphCollector(Collector):
    """The newest graph, as a scrape reads it. `graph`: of the venue stage, where it runs here."""

    def __init__(self) -> None:
        self.graph: CascadeGraph | None = None

    def collect(self) -> Iterator[Metric]:
        """Nothing where the stage does not run; no system before the first graph."""
        if self.graph is None:
            return
        skipped = counter_family("system_skipped_total")
        for why in SKIPPED:
            skipped.add_metric([why], self.graph.skipped[why])
        yield skipped
        if self.graph.last is None:
            return
        ts, system, seconds = self.graph.last
        yield one_gauge("system_reproduction_ratio", system.r)
        yield one_gauge("system_timestamp_seconds", ts / SECOND_NS)
        yield one_gauge("system_seconds", seconds)
        critical = gauge_family("critical_factor_shock")
        for side, shock in zip(("fall", "rise"), system.critical, strict=True):
            if shock is not None:
                critical.add_metric([side], shock.shock)
        yield critical


def _without_holders(edge: Edge) -> dict[str, Any]:
    """An edge as plain values; accounts are for those who ask `/stress`."""
    values = edge._asdict()
    del values["holders"]
    return values


def _make(ts: int, venue: FrozenVenue, maker: FrozenMaker) -> TimedGraph:
    begin = time.perf_counter()
    system = StressTest(venue, maker).graph(SURVIVES)
    return TimedGraph(ts, system, time.perf_counter() - begin)
