"""The sidecar: shards and venue stage of its partitions, beside its HTTP port; a clean end."""

from __future__ import annotations

import asyncio
import functools
import gc
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from monitor.config import Config
from monitor.core.accounts.liquidation_outcomes import Outcomes
from monitor.core.decode.codec import UNKNOWN
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.event_time.record_counts import RecordCounts
from monitor.core.event_time.watermark import NEVER, PartitionClock
from monitor.core.shard import Shard
from monitor.core.shard_report import ShardReport
from monitor.errors import ConfigError
from monitor.kafka import topics
from monitor.kafka.clients import Clients
from monitor.live.membership import GroupMembership
from monitor.live.owner_session import OwnerSession, Setup
from monitor.live.progress_board import ProgressBoard
from monitor.live.shard_session import ShardSession
from monitor.live.supervisor import Supervisor
from monitor.live.venue_session import OWNER, VenueSession
from monitor.metrics import Metrics

STOP_S = 8.0
"""A turn that is under way has this long to end before it is cut off."""
STUCK_S = 30.0
"""No turn for so long: not alive."""
NOT_READY_S = 5.0
"""No turn for so long: not ready; a turn takes a second at most where Kafka answers."""
STATE_S = 2.0
"""Who asks where it stands waits this long for the step under way, which takes far less but where
something is compiled."""
TOPICS_S = 5.0
"""Between two looks at whether the topics are what they were."""
GC_THRESHOLDS = 100_000, 50, 100
"""Records come by the ten thousand and go by reference count: with CPython's own thresholds a third
of the time that reading takes goes into walking them in search of cycles (`bench_live`)."""
VENUE_PARTITION = 0
"""Whoever has this partition has the venue stage."""


class Sidecar:
    """Runs until `stop` is called. `ready`, `alive` and `state` are for the HTTP port."""

    def __init__(self, config: Config, factories: list[DetectorFactory]) -> None:
        self._config = config
        self._factories = factories
        self.metrics = Metrics()
        self.metrics.ready.set_function(lambda: float(self.ready()[0]))
        self.metrics.delay.set_function(self._delay_s)
        self.metrics.engine_collector.engine = MemberCounts(self)
        self._log = structlog.get_logger()
        self._stop = asyncio.Event()
        self._share_changed = asyncio.Event()
        self._assigned: frozenset[int] | None = None
        self._supervisors: dict[str, Supervisor] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._topics_fault = ""
        """What is wrong with the topics, in words."""

    def stop(self) -> None:
        """End after the turns under way."""
        self._stop.set()
        self._share_changed.set()

    async def run(self) -> None:
        """Take up what the group gives, let go of what it takes; raises what only people can
        mend.
        """
        gc.set_threshold(*GC_THRESHOLDS)
        config = self._config
        clients = Clients(config.kafka)
        partitions, names = await topics.venue_partitions(clients, config)
        await topics.create(clients, topics.sidecar_topics(config, partitions))
        setup = Setup(
            config,
            config.engine(),
            self._factories,
            clients,
            self.metrics,
            ProgressBoard(),
            partitions,
            ThreadPoolExecutor(1),
        )
        members = GroupMembership(self._on_assignment)
        await members.join(config, clients)
        beside = [
            asyncio.create_task(setup.progress_board.follow(config, clients, partitions)),
            asyncio.create_task(self._watch_topics(clients, partitions)),
        ]
        try:
            while not self._stop.is_set():
                await self._wait()
                await self._apply_assignment(setup, UNKNOWN in names)
        finally:
            # Those after this member find its last word only if it is told before it leaves.
            await self._stop_owners()
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            await members.leave()
            setup.shards_thread.shutdown(wait=False)

    async def _watch_topics(self, clients: Clients, began: int) -> None:
        """A topic that is gone looks like one that is silent to those who read it."""
        while True:
            await asyncio.sleep(TOPICS_S)
            try:
                number, _ = await topics.venue_partitions(clients, self._config)
                self._topics_fault = (
                    f"the topics had {began} partitions and have {number} now: end this process, "
                    "delete the snapshots topic and begin anew"
                    if number != began
                    else ""
                )
            except ConfigError as error:
                self._topics_fault = str(error)
            except (KafkaError, OSError):
                continue  # the keepers tell of a Kafka that does not answer

    def _on_assignment(self, mine: frozenset[int]) -> None:
        self._assigned = mine
        self._share_changed.set()
        self._log.info("partitions", mine=sorted(mine))

    async def _wait(self) -> None:
        """Until the share changes, or a keeper gives up."""
        wanted = asyncio.create_task(self._share_changed.wait())
        await asyncio.wait((wanted, *self._tasks.values()), return_when=asyncio.FIRST_COMPLETED)
        wanted.cancel()
        self._share_changed.clear()
        for task in self._tasks.values():
            if task.done():
                task.result()

    async def _apply_assignment(self, setup: Setup, unknown: bool) -> None:
        """Begin what is this member's and not there yet; end what is another's now."""
        wanted = {str(p) for p in self._assigned or ()}
        if VENUE_PARTITION in (self._assigned or ()):
            wanted.add(OWNER)
        await self._stop_owners(self._tasks.keys() - wanted)
        if self._stop.is_set():
            return
        for owner in sorted(wanted - self._tasks.keys()):
            make = functools.partial(self._new_session, setup, owner, unknown)
            keeper = Supervisor(owner, make, self.metrics)
            self._supervisors[owner] = keeper
            self._tasks[owner] = asyncio.create_task(keeper.run())

    def _new_session(self, setup: Setup, owner: str, unknown: bool) -> OwnerSession:
        if owner == OWNER:
            return VenueSession(setup, unknown)
        return ShardSession(setup, int(owner), self._deliver_report)

    def _deliver_report(self, word: ShardReport) -> None:
        venue = self._venue_session()
        if venue is not None:
            venue.receive_report(word)

    async def _stop_owners(self, owners: Any = None) -> None:
        """Stop these keepers, or all: shards first, so that the venue stage hears them out."""
        gone = sorted(self._tasks if owners is None else owners, key=lambda o: o == OWNER)
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

    def sessions(self) -> list[OwnerSession]:
        """Those that read now."""
        return [k.session for k in list(self._supervisors.values()) if k.session is not None]

    def _venue_session(self) -> VenueSession | None:
        keeper = self._supervisors.get(OWNER)
        life = keeper.session if keeper is not None else None
        return life if isinstance(life, VenueSession) else None

    def _delay_s(self) -> float:
        return max((life.delay_s for life in self.sessions()), default=0.0)

    def alive(self) -> tuple[bool, str]:
        """Whether turns are made, or attempts to get there."""
        turned = [keeper.last_turn_s for keeper in self._supervisors.values()]
        still = time.monotonic() - min(turned, default=time.monotonic())
        return still < STUCK_S, f"last turn {still:.1f} s ago"

    def ready(self) -> tuple[bool, str]:
        """Whether records are read, restored and in time; with the reason where not."""
        if self._assigned is None:
            return False, "waiting for the group to share out the partitions"
        for owner, keeper in sorted(self._supervisors.items()):
            if keeper.session is None or keeper.why:
                return False, f"{owner}: {keeper.why}"
        if len(self._supervisors) < len(self._assigned):
            return False, "starting"
        if self._topics_fault:
            return False, self._topics_fault
        limit = self._config.http.lag_limit_s
        for life in self.sessions():
            lost_s = time.monotonic() - life.last_turn_s
            if lost_s > NOT_READY_S:
                why = "Kafka does not answer, or this machine is too slow"
                return False, f"{life.owner}: nothing read or told for {lost_s:.0f} s: {why}"
            if any(life.lag.values()) and life.delay_s > limit:
                return False, f"{life.owner}: behind by {life.delay_s:.0f} s (limit {limit:.0f} s)"
        return True, "ready"

    async def state(self) -> dict[str, Any]:
        """Where it stands, between two steps; "busy" instead of what the venue stage knows where
        no step ends in time.
        """
        ready, why = self.ready()
        told: dict[str, Any] = {
            "ready": ready,
            "why": why,
            "partitions": sorted(self._assigned or ()),
        }
        positions: dict[str, dict[str, int]] = {}
        for life in self.sessions():
            for (topic, partition), offset in sorted(life.positions.items()):
                positions.setdefault(topic, {})[str(partition)] = offset
        lag = sum(sum(life.lag.values()) for life in self.sessions())
        told |= {"lag": lag, "positions": positions}
        venue = self._venue_session()
        if venue is None:
            return told
        try:
            await asyncio.wait_for(venue.stage_lock.acquire(), STATE_S)
        except TimeoutError:
            return told | {"busy": "the venue stage is in a long step: ask again for its counts"}
        try:
            stage = venue.venue
            tally = stage.tally()
            return told | {
                "digest": stage.digest(),
                "alerts": stage.alert_count,
                "published": venue.alerts_published,
                "windows": stage.windows,
                **tally.reproducible_counts(),
                "duplicates": tally.duplicates,
            }
        finally:
            venue.stage_lock.release()


class MemberCounts:
    """What the shards and the stage of this process have counted, as one."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar

    def _shards(self) -> list[Shard]:
        return [life.shard for life in self._sidecar.sessions() if isinstance(life, ShardSession)]

    @property
    def windows(self) -> int:
        return sum(shard.windows for shard in self._shards())

    def tally(self) -> RecordCounts:
        """Of the records that are read here."""
        total = RecordCounts()
        for life in self._sidecar.sessions():
            if isinstance(life, VenueSession):
                total.add(life.venue.own_counts)
            elif isinstance(life, ShardSession):
                total.add(life.shard.tally)
        return total

    @property
    def clocks(self) -> dict[tuple[str, int], PartitionClock]:
        every: dict[tuple[str, int], PartitionClock] = {}
        for life in self._sidecar.sessions():
            every |= life.stage.clocks
        return every

    @property
    def outcomes(self) -> Outcomes | None:
        """Forced fills beside what was predicted; None where another process has the stage."""
        for life in self._sidecar.sessions():
            if isinstance(life, VenueSession):
                return life.venue.venue_state.outcomes
        return None

    @property
    def passed_ns(self) -> int:
        """Event time up to which all that is here is closed."""
        return min((shard.closed_ns for shard in self._shards()), default=NEVER)
