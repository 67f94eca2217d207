"""The sidecar: the shards and the venue stage of its partitions, and what its HTTP port shows."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gc
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from monitor import health
from monitor.config import Config
from monitor.core.accounts.liquidation_outcomes import Outcomes
from monitor.core.decode.codec import UNKNOWN
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.event_time.admission import RecordCounts
from monitor.core.event_time.clock_state import NEVER
from monitor.core.event_time.watermark import PartitionClock
from monitor.core.shard import Shard
from monitor.core.shard_report import ShardReport
from monitor.core.watch_state import short_books, watch_state
from monitor.delivery.session import DeliverySession
from monitor.errors import ConfigError, nearest_name
from monitor.http.recent_alerts import RecentAlerts
from monitor.http.recent_markets import RecentMarkets
from monitor.kafka import topics
from monitor.kafka.clients import Clients, UnreachableError
from monitor.kafka.partitions import PartitionKey
from monitor.kafka.record_batches.raw_fetch import fetch_in_use, untested_version
from monitor.live import intake_session, venue_session
from monitor.live.alerts_follower import AlertsFollower
from monitor.live.desk_answers import DeskAnswers
from monitor.live.intake_session import IntakeSession
from monitor.live.membership import GroupMembership
from monitor.live.owner_session import OwnerSession, Setup
from monitor.live.progress_board import ProgressBoard
from monitor.live.shard_session import ShardSession
from monitor.live.supervisor import BACK_OFF_S, FIRST_S, Session, Supervisor
from monitor.live.venue_session import VenueSession
from monitor.metrics.sidecar import Metrics

STOP_S = 6.0
"""Sessions have this long to end in order before they are cancelled; the process ends by force two
seconds later (`run_sidecar`)."""
STATE_S = 2.0
"""/state waits this long for the step under way, which takes longer only where numba compiles."""
TOPICS_S = 5.0
"""Between two checks that the topics are still there, with as many partitions."""
GC_THRESHOLDS = 100_000, 50, 100
"""Records come by the ten thousand and are freed by reference count: with CPython's own thresholds
a third of the time of reading goes into the search for cycles (`bench_live`)."""
VENUE_PARTITION = 0
"""The member with this partition has the venue stage."""


class Sidecar:
    """Runs until `stop` is called. `ready`, `alive` and `state` are for the HTTP port.

    accept_gaps: topics that may go on where their log was made anew or has lost records.
    """

    def __init__(
        self,
        config: Config,
        factories: list[DetectorFactory],
        accept_gaps: frozenset[str] = frozenset(),
    ) -> None:
        self._config = config
        self._accept_gaps = accept_gaps
        self._factories = factories
        self.metrics = Metrics(config.engine(), config.state.dir)
        self.metrics.ready.set_function(lambda: float(self.ready()[0]))
        self.metrics.delay.set_function(self._delay_s)
        self.metrics.engine_collector.engine = self
        self._answers = DeskAnswers(config)
        self.recent_alerts = RecentAlerts()
        self._delivery = DeliverySession(config, self.metrics.delivery)
        self._log = structlog.get_logger()
        self._fetch = fetch_in_use(config.kafka.fetch)
        self.metrics.show_fetch(self._fetch)
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._assigned: frozenset[int] | None = None
        self._supervisors: dict[str, Supervisor] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._topics_fault = ""
        """What is wrong with the topics, for people; empty where nothing is."""

    def stop(self) -> None:
        """End after the turns under way."""
        self._stop.set()
        self._changed.set()

    async def run(self) -> None:
        """Run the owners of the partitions that the group assigns, until `stop`.

        Raises what only people can mend.
        """
        gc.set_threshold(*GC_THRESHOLDS)
        config = self._config
        self._delivery.prepare()
        if self._fetch != config.kafka.fetch:
            self._log.warning("record by record", why=untested_version())
        clients = Clients(config.kafka)
        if config.sources:
            venue = Clients(config.kafka, of_venue=True)
            await topics.source_partitions(venue, config)
            await topics.create_inputs(clients, config)
        partitions, names = await topics.venue_partitions(clients, config)
        read = [*names, *(source.topic for source in config.sources.values())]
        if unknown := self._accept_gaps - {*read}:
            mend = nearest_name(min(unknown), read)
            raise ConfigError(f"--accept-gap {min(unknown)}: no such topic of the venue; {mend}")
        own_topics = topics.sidecar_topics(config, partitions)
        await self._insist(functools.partial(topics.create, clients, own_topics))
        board, engine, thread = ProgressBoard(), config.engine(), ThreadPoolExecutor(1)
        setup = Setup(
            config, engine, self._factories, clients, self.metrics, board, partitions, thread,
            self._accept_gaps,
        )  # fmt: skip
        members = GroupMembership(self._on_assignment)
        await self._insist(functools.partial(members.join, config, clients))
        beside = [
            asyncio.create_task(board.follow(config, clients, partitions)),
            asyncio.create_task(self._watch_topics(clients, partitions)),
            asyncio.create_task(
                AlertsFollower(config.kafka.alerts_topic, self.recent_alerts).run(clients)
            ),
        ]
        try:
            while not self._stop.is_set():
                await self._wait()
                await self._apply_assignment(setup, UNKNOWN in names)
                has_venue = VENUE_PARTITION in (self._assigned or ()) and not self._stop.is_set()
                await self._delivery.run_while(has_venue, clients)
        finally:
            # The next members must find the last commit of this one: commit, then leave.
            await self._stop_owners()
            await self._delivery.stop()
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            await members.leave()
            thread.shutdown(wait=False)
            self._answers.close()

    async def _insist(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do it again while Kafka fails, which was there a moment ago, for `FIRST_S` at most."""
        end_s = time.monotonic() + FIRST_S
        while not self._stop.is_set():
            try:
                await work()
                self._topics_fault = ""
                return
            except (UnreachableError, KafkaError, OSError) as error:
                if time.monotonic() > end_s:
                    raise
                self._topics_fault = f"Kafka fails: {error}"
                self._log.warning("start delayed", why=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), BACK_OFF_S[2])

    async def _watch_topics(self, clients: Clients, partitions: int) -> None:
        """Watch for topics that are deleted: to a reader they look silent."""
        while True:
            await asyncio.sleep(TOPICS_S)
            try:
                number, _ = await topics.venue_partitions(clients, self._config)
                if self._config.sources:
                    venue = Clients(self._config.kafka, of_venue=True)
                    await topics.source_partitions(venue, self._config)
                self._topics_fault = (
                    f"the topics had {partitions} partitions and have {number} now: end this "
                    "process, delete the snapshots topic and begin anew"
                    if number != partitions
                    else ""
                )
            except ConfigError as error:
                self._topics_fault = str(error)
            except (KafkaError, OSError):
                continue  # the supervisors report a Kafka that does not answer

    def _on_assignment(self, partitions: frozenset[int]) -> None:
        self._assigned = partitions
        self._changed.set()
        self._log.info("partitions", mine=sorted(partitions))

    async def _wait(self) -> None:
        """Until the assignment changes or `stop` is called; raises where a supervisor gives up."""
        wanted = asyncio.create_task(self._changed.wait())
        await asyncio.wait((wanted, *self._tasks.values()), return_when=asyncio.FIRST_COMPLETED)
        wanted.cancel()
        self._changed.clear()
        for task in self._tasks.values():
            if task.done():
                task.result()

    async def _apply_assignment(self, setup: Setup, unknown: bool) -> None:
        """Start the owners of newly assigned partitions; stop those of partitions given away."""
        wanted = {str(p) for p in self._assigned or ()}
        if VENUE_PARTITION in (self._assigned or ()):
            wanted.add(venue_session.OWNER)
            if self._config.sources:
                wanted.add(intake_session.OWNER)
        await self._stop_owners(self._tasks.keys() - wanted)
        if self._stop.is_set():
            return
        for owner in sorted(wanted - self._tasks.keys()):
            make = functools.partial(self._new_session, setup, owner, unknown)
            supervisor = Supervisor(owner, make, self.metrics)
            self._supervisors[owner] = supervisor
            self._tasks[owner] = asyncio.create_task(supervisor.run())

    def _new_session(self, setup: Setup, owner: str, unknown: bool) -> Session:
        if owner == intake_session.OWNER:
            return IntakeSession(setup)
        if owner == venue_session.OWNER:
            return VenueSession(setup, unknown)
        return ShardSession(setup, int(owner), self._deliver_report)

    def _deliver_report(self, report: ShardReport) -> None:
        venue = self.venue_session()
        if venue is not None:
            venue.receive_report(report)

    async def _stop_owners(self, owners: Collection[str] | None = None) -> None:
        """Stop these owners, or all: the venue stage last, so that it gets the shards' reports."""
        last = venue_session.OWNER
        gone = sorted(self._tasks if owners is None else owners, key=lambda o: o == last)
        for owner in gone:
            self._supervisors[owner].stop()
        tasks = [self._tasks[owner] for owner in gone]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=STOP_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1.0)
            self._log.warning("cut off", after_s=STOP_S)
        for owner in gone:
            del self._tasks[owner], self._supervisors[owner]
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                self._log.warning("ended badly", why=str(task.exception()))

    def sessions(self) -> list[Session]:
        """Those that read now."""
        supervisors = list(self._supervisors.values())
        return [s.session for s in supervisors if s.session is not None]

    def venue_session(self) -> VenueSession | None:
        """That of the venue stage, if it reads in this process now."""
        return next((s for s in self.sessions() if isinstance(s, VenueSession)), None)

    def _delay_s(self) -> float:
        return max((session.delay_s for session in self.sessions()), default=0.0)

    @property
    def registry(self) -> CollectorRegistry:
        """What /metrics shows."""
        return self.metrics.registry

    @property
    def recent_markets(self) -> RecentMarkets | None:
        """Of the venue stage, if it runs in this process now."""
        venue = self.venue_session()
        return None if venue is None else venue.markets

    def alive(self) -> tuple[bool, str]:
        """What /livez answers."""
        return health.liveness(list(self._supervisors.values()))

    def ready(self) -> tuple[bool, str]:
        """What /readyz answers."""
        limit_s = self._config.http.lag_limit_s
        return health.readiness(self._assigned, self._supervisors, self._topics_fault, limit_s)

    async def _watched(self) -> dict[str, Any]:
        """What this member's partitions watch, and what still learns, by the stream's label; and
        the books that end before the depth that is watched."""
        spans = []
        for session in self.sessions():
            if not isinstance(session, OwnerSession):
                continue
            try:
                await asyncio.wait_for(session.stage_lock.acquire(), STATE_S)
            except TimeoutError:
                continue
            try:
                spans.append(session.stage.progress)
            finally:
                session.stage_lock.release()
        states = watch_state(self._config.engine(), spans)
        streams = {label: dataclasses.asdict(state) for label, state in states.items()}
        return {"streams": streams, "short_books": short_books(spans)}

    async def ask(self, path: str, parameters: Mapping[str, Sequence[str]]) -> bytes:
        """The answer to a question of the desk, JSON; raises `BrinkwatchError`."""
        return await self._answers.answer(self.venue_session(), path, parameters)

    async def state(self) -> dict[str, Any]:
        """The document at /state, between two steps of the venue stage.

        Where no step ends within `STATE_S`, it has `busy` instead of the stage's counts, and what a
        stage in a long step watches is not in `streams`.
        """
        ready, why = self.ready()
        positions: dict[str, dict[str, int]] = {}
        for session in self.sessions():
            for (topic, partition), offset in sorted(session.positions.items()):
                positions.setdefault(topic, {})[str(partition)] = offset
        document: dict[str, Any] = {
            "ready": ready,
            "why": why,
            "partitions": sorted(self._assigned or ()),
            "fetch": self._fetch,
            "alerts_per_day": self._config.alerts.per_day,
            "closed_ns": None if self.closed_ns == NEVER else self.closed_ns,
            "delay_s": round(self._delay_s(), 3),
            "lag": sum(sum(session.lag.values()) for session in self.sessions()),
            "positions": positions,
            **await self._watched(),
        }
        intake = next((s for s in self.sessions() if isinstance(s, IntakeSession)), None)
        if intake is not None:
            document["intake"] = intake.document()
        venue = self.venue_session()
        if venue is None:
            return document
        try:
            await asyncio.wait_for(venue.stage_lock.acquire(), STATE_S)
        except TimeoutError:
            return document | {
                "busy": "the venue stage is in a long step: ask again for its counts"
            }
        try:
            stage = venue.venue
            tally = stage.tally()
            return document | {
                "digest": stage.digest(),
                "alerts": stage.alert_count,
                "published": venue.transactions.metadata.alerts,
                "windows": stage.windows,
                **tally.reproducible_counts(),
                "duplicates": tally.duplicates,
                "late_in_accounts": dict(stage.venue_state.ledger.late),
                "foreign_reports": venue.foreign_reports,
                "cascade_graph": venue.graph.document(),
            }
        finally:
            venue.stage_lock.release()

    # What the shards and the venue stage of this process have counted together, for /metrics.

    def _shards(self) -> list[Shard]:
        return [s.shard for s in self.sessions() if isinstance(s, ShardSession)]

    @property
    def windows(self) -> int:
        return sum(shard.windows for shard in self._shards())

    def tally(self) -> RecordCounts:
        """Of the records that are read here."""
        total = RecordCounts()
        for shard in self._shards():
            total.add(shard.tally)
        if (venue := self.venue_session()) is not None:
            total.add(venue.venue.own_counts)
        return total

    @property
    def clocks(self) -> dict[PartitionKey, PartitionClock]:
        return {at: clock for s in self.sessions() for at, clock in s.clocks.items()}

    @property
    def outcomes(self) -> Outcomes | None:
        """Forced fills beside what was predicted; None where another process has the stage."""
        venue = self.venue_session()
        return venue.venue.venue_state.outcomes if venue is not None else None

    @property
    def streams_out(self) -> Mapping[str, int]:
        """Streams that were taken out; none where another process has the stage."""
        venue = self.venue_session()
        return venue.venue.streams_out if venue is not None else {}

    @property
    def closed_ns(self) -> int:
        """Event time up to which all windows of the shards here are closed; `NEVER` without one."""
        return min((shard.closed_ns for shard in self._shards()), default=NEVER)
