"""One session of an owner (a shard, or the venue stage): restore, read on, publish.

A session lasts until it is stopped or Kafka fails it. Whatever fails ends it, and the next session
begins from what is committed, as after a crash: the one way to recover is in use all the time.
Nothing that rests on a record leaves a session before the transaction with its offset is committed.
"""

from __future__ import annotations

import abc
import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from monitor.config import Config
from monitor.core import snapshot as snapshot_bytes
from monitor.core.contract.events import TS_MIN, Control, Gap
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch, Int64, RefusedRecord
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.event_time.clock_state import NEVER
from monitor.core.event_time.watermark import PartitionClock
from monitor.core.settings import EngineSettings
from monitor.core.shard import Shard
from monitor.core.snapshot import SnapshotError
from monitor.core.venue.stage import VenueStage
from monitor.errors import ConfigError
from monitor.kafka import partitions, snapshots
from monitor.kafka.clients import Clients
from monitor.kafka.dead_letters import DeadLetter
from monitor.kafka.flow_control import FlowControl
from monitor.kafka.logs.identity import LogChange, LogChangedError, LogMark
from monitor.kafka.messages import Message
from monitor.kafka.partitions import PartitionKey, PartitionOffsets, PartitionProgress
from monitor.kafka.reader import PartitionRecords, PollResult, Reader
from monitor.kafka.transactions import CommitMetadata, Outbox, Transactions
from monitor.live.progress_board import ProgressBoard
from monitor.live.recent_refusals import RecentRefusals
from monitor.metrics.sidecar import Metrics

PING_AFTER_S = 1.0
"""With nothing read for so long, Kafka is asked whether it is there."""
DEAD_LETTERS_MAX = 1_000
"""Dead letters that wait for a commit, at most."""
STEP_S = 0.5
"""A step of the stage that takes longer is followed by smaller ones: a stop is noticed between two
of them. The output does not depend on how records are sliced."""
STEP_RECORDS_MIN = 16
REPORTS_PER_STEP = 20
"""Each is about a second of one shard."""
FOREIGN_HINT = "somebody else writes to this topic: let only brinkwatch do so"
PROGRESS_S = 10.0
"""How often it is counted which streams judge."""
BEHIND_S = 2.0
"""A session further behind commits every `commit_s`; one that is not, as soon as it has news."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """What all sessions of a process share."""

    config: Config
    settings: EngineSettings
    factories: list[DetectorFactory]
    clients: Clients
    metrics: Metrics
    progress_board: ProgressBoard
    partitions: int
    """Of each topic of the venue."""
    shards_thread: ThreadPoolExecutor
    """One thread for all shards. Code that holds the interpreter's lock would wait anyway, and code
    that does not runs beside the loop that talks to Kafka. Four threads took a third more CPU time
    for the same work (`bench_live`, four partitions on two cores)."""
    accept_gaps: frozenset[str] = frozenset()
    """Topics that may go on although records are missing in them, or they were made anew."""


class OwnerSession(abc.ABC):
    """Call `begin`, `turn` again and again, `commit` with a snapshot, and `end` in any case.

    name: of the owner: "0" and so on for the shard of a partition, "venue" for the venue stage.
    metadata_partition: the topic partition whose committed offset carries the owner's metadata; its
        records are never read under this group. The owner writes reports and snapshots to the
        partition of the same number.
    stage: the pure object at the heart of the session; it works in `thread`.
    inputs: the topic partitions that are read; controls: the partitions of the control topic.
    """

    def __init__(
        self,
        setup: Setup,
        name: str,
        metadata_partition: PartitionKey,
        stage: Shard | VenueStage,
        thread: ThreadPoolExecutor,
        inputs: list[TopicPartition],
        controls: Sequence[int],
    ) -> None:
        self.setup, self.name, self.stage = setup, name, stage
        self._metadata_partition, self.partition = metadata_partition, metadata_partition[1]
        self._inputs, self._controls = inputs, controls
        self.stage_lock = asyncio.Lock()
        """Locked while the stage works in its thread."""
        self.positions: PartitionOffsets = {}
        """Of each topic partition the offset of the next record for the stage."""
        self._marks: dict[PartitionKey, LogMark] = {}
        """Which log each of `positions` is in."""
        self.step_start_s: float | None = None
        """When (monotonic) the step under way began; None between two."""
        self._next_progress_s = 0.0
        self.step_records = 0
        """How many records it takes in."""
        self._records_per_step = setup.config.kafka.poll_records
        self.log = structlog.get_logger().bind(owner=name)
        self.lag: PartitionOffsets = {}
        self.delay_s = 0.0
        """How long ago the oldest record that is being read came to Kafka; 0 with none waiting."""
        self.last_turn_s = time.monotonic()
        self.outbox = Outbox()
        self.refusals = RecentRefusals()
        self._thread = thread
        kafka, window_ns = setup.config.kafka, setup.config.time.window_ns
        self._key = f"{kafka.group}/{name}"
        """Names the owner's snapshots."""
        ahead_ns = round(kafka.ahead_s * SECOND_NS)
        self.flow_control = FlowControl(kafka.silence_s, window_ns, ahead_ns, time.monotonic())
        self.committed_before: PartitionOffsets = {}
        """What transactions of earlier sessions have committed: refused records below these offsets
        are in the dead letters already."""
        self._last_commit_s = self._last_snapshot_s = self._last_answer_s = time.monotonic()
        self._connections = AsyncExitStack()
        self.transactions: Transactions
        self.reader: Reader

    @abc.abstractmethod
    def process(self, polled: PollResult) -> None:
        """In a worker thread: give records to the stage, and put what is new into `outbox`."""

    def partition_progress(self) -> dict[PartitionKey, PartitionProgress]:
        """How far each topic partition has come that this stage waits for."""
        return dict(self.stage.clocks)

    def time_elsewhere_ns(self) -> int:
        """Event time that passed elsewhere, in case all that is read here is silent."""
        return NEVER

    def slowest_elsewhere_ns(self) -> int | None:
        """Event time of the slowest that this session has to wait for without reading it."""
        return None

    @property
    def clocks(self) -> dict[PartitionKey, PartitionClock]:
        """The time of each topic partition that is read."""
        return self.stage.clocks

    def fault(self) -> str:
        """What is wrong with what is read, for people; empty where nothing is."""
        return ""

    @abc.abstractmethod
    def is_urgent(self) -> bool:
        """Whether somebody waits for what is in `outbox`."""

    def before_commit(self) -> None:  # noqa: B027  # a session may have nothing to add
        """In a worker thread: the last moment to put something into `outbox`."""

    async def begin(self) -> None:
        """Fence the session before, restore the state it committed, and seek to its positions."""
        config, clients = self.setup.config, self.setup.clients
        try:
            self.transactions = await Transactions.start(
                config.kafka, clients, self.name, self.partition
            )
            self._connections.push_async_callback(self.transactions.stop)
            self.reader = await Reader.start(config, clients, self._inputs, self._controls)
            self._connections.push_async_callback(self.reader.stop)
            await self._restore()
        except BaseException:
            await self.end()
            raise

    async def _restore(self) -> None:
        kafka, clients = self.setup.config.kafka, self.setup.clients
        committed = await partitions.committed_offsets(clients, kafka.group)
        metadata = _read_metadata(committed.get(self._metadata_partition))
        newest = None if metadata is None else metadata.snapshot
        try:
            at = TopicPartition(kafka.snapshots_topic, self.partition)
            stored = await snapshots.read(clients, at, self._key, newest)
            if stored is None:
                self.positions = await self.reader.seek({}, {})
                self._marks = dict(self.reader.marks)
                # The first commit ever, before anything is read: from now on a missing snapshot
                # means that somebody has removed it, to begin anew.
                await self.commit(snapshot=True)
                return
            await self._run_in_thread(self._restore_stage, stored.state)
        except SnapshotError as error:
            raise ConfigError(str(error)) from error
        if metadata is None:
            metadata = self.replace_metadata()
            committed = {}
        self.transactions.metadata = metadata
        positions, marks = stored.positions, stored.marks
        self.committed_before = {
            key: own.offset + marks[key].lift for key, own in committed.items() if key in marks
        }
        for at, offset in positions.items():
            reported = metadata.read.get(at[0], 0), self.committed_before.get(at, 0)
            self.committed_before[at] = max(offset, *reported)
        changes = await self.reader.find_changes(clients, positions, marks, self.committed_before)
        gaps = [self._accept_gap(change, positions, marks) for change in changes]
        self.positions = await self.reader.seek(positions, marks)
        self._marks = dict(self.reader.marks)
        for change in changes:
            self.committed_before.pop(change.at, None)
        if gaps:
            self.outbox.controls = [control for control in gaps if control is not None]
            await self._process(PollResult(self.outbox.controls, []))
            await self.commit(snapshot=True)

    @abc.abstractmethod
    def replace_metadata(self) -> CommitMetadata:
        """What to go by where there is a snapshot and the metadata committed with it are lost:
        somebody has set or deleted the group's offsets, or they have expired. Raises `ConfigError`
        where nothing can replace them.
        """

    def _accept_gap(
        self, change: LogChange, positions: PartitionOffsets, marks: dict[PartitionKey, LogMark]
    ) -> Control | None:
        """Go on behind a gap: corrects `positions` and `marks`, and returns the control record that
        says so to all who read the topic partition. Raises `LogChangedError` where nobody has
        accepted it.

        Our own reports need no such record: those that come twice count once, and a missing one is
        noticed.
        """
        at, first = change.at, change.range.first
        if at[0] == self.setup.config.kafka.windows_topic:
            positions[at], marks[at] = first, LogMark()
            return None
        if at[0] not in self.setup.accept_gaps:
            raise LogChangedError(change.sentence(self.setup.config.kafka.snapshots_topic))
        where = {"topic": at[0], "partition": at[1], "read_to": change.position}
        self.log.warning("gap accepted", **where, **change.range._asdict())
        clock = self.stage.clocks.get(at)
        # What was committed since the snapshot has been reported, and its offsets are taken.
        lift = self.committed_before[at] - first if change.is_new_log else marks[at].lift
        positions[at], marks[at] = first + lift, LogMark(lift)
        if clock is None:
            return None
        window_ns = self.setup.config.time.window_ns
        ts = max(TS_MIN, clock.watermark // window_ns * window_ns)
        gap = Gap(missing_from=clock.position, log_offset=first, is_new_log=change.is_new_log)
        return Control(topic=at[0], partition=at[1], offset=positions[at], ts=ts, gap=gap)

    def _restore_stage(self, raw: bytes) -> None:
        state = snapshot_bytes.unpack(raw, self.setup.settings.fingerprint())
        if state["partitions"] != self.setup.partitions:
            raise SnapshotError(
                f"the snapshot was made with {state['partitions']} partitions, the topics have "
                f"{self.setup.partitions}: delete the snapshots topic to begin anew"
            )
        self.stage.restore(state["stage"])

    def _snapshot_messages(self) -> list[Message]:
        state = {"stage": self.stage.snapshot(), "partitions": self.setup.partitions}
        raw = snapshot_bytes.pack(state, self.setup.settings.fingerprint())
        return snapshots.messages(self._key, raw, self.positions, self._marks)

    async def _run_in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Off the loop that talks to Kafka."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def end(self) -> None:
        """Close the connections; what was not committed is made again from its records."""
        self.setup.metrics.streams.spans.pop(self.name, None)
        await self._connections.aclose()

    async def turn(self, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Poll once, process what came, and commit if it is time.

        Where `is_stopping` turns true, what is left of the poll is not processed, and comes again
        to the next session.
        """
        polled = await self.poll()
        now = time.monotonic()
        for part in polled.parts:
            if len(part.offsets):
                self.flow_control.note_arrival((part.topic, part.partition), now)
        if polled.bad_controls:
            self.log.warning("no control records", topic=self.setup.config.kafka.control_topic,
                             records=polled.bad_controls, hint=FOREIGN_HINT)  # fmt: skip
        for step in self._steps(polled):
            if is_stopping():
                return
            await self._process(step)
            self.last_turn_s = time.monotonic()
        await self._check_lag(polled)
        silent = await self._silence_controls(now)
        if silent:
            self.outbox.controls = silent
            await self._process(PollResult(silent, []))
        if silent or self._commit_is_due():
            every_s = self.setup.config.state.every_s
            await self.commit(time.monotonic() - self._last_snapshot_s >= every_s)
        self.last_turn_s = time.monotonic()

    def _steps(self, polled: PollResult) -> Iterator[PollResult]:
        """What came, in steps that are short enough to stop between two of them, and no more steps
        than that: each is handed to a thread and back, which costs more than a few records do.
        """
        step = PollResult(polled.controls, [])
        room = self._records_per_step
        for part in polled.parts:
            low = 0
            while low < max(1, len(part.offsets)):  # one of tombstones alone moves the position
                step.parts.append(piece := part.piece(low, room))
                low += max(1, len(piece.offsets))
                room -= len(piece.offsets)
                if room <= 0:
                    yield step
                    step, room = PollResult([], []), self._records_per_step
        if step.controls or step.parts:
            yield step
        while self.has_local_input():
            yield PollResult([], [])
        for at in range(0, len(polled.report_records), REPORTS_PER_STEP):
            yield PollResult([], [], polled.report_records[at : at + REPORTS_PER_STEP])

    async def poll(self) -> PollResult:
        """New records, or none after a short wait."""
        return await self.reader.poll()

    def has_local_input(self) -> bool:
        """Whether there is input that does not come through Kafka."""
        return False

    def work(self) -> str:
        """What the step under way has to do, for people; empty between two steps."""
        began_s = self.step_start_s
        if began_s is None:
            return ""
        windows = self.waiting_windows()
        return (
            f"working through a backlog of {windows:,} windows and {self.step_records:,} records "
            f"since {time.monotonic() - began_s:.0f} s"
        )

    @abc.abstractmethod
    def waiting_windows(self) -> int:
        """Windows that records have passed and the stage has not decided; while it works, about."""

    async def _process(self, polled: PollResult) -> None:
        async with self.stage_lock:
            self.step_records = records = sum(len(part.offsets) for part in polled.parts)
            self.step_start_s = time.monotonic()
            try:
                took_s = await self._run_in_thread(self._process_and_time, polled)
            finally:
                self.step_start_s = None
        self.setup.metrics.count_step(records, took_s)
        if took_s > STEP_S:
            self._records_per_step = max(
                STEP_RECORDS_MIN, min(self._records_per_step, records) // 2
            )
        elif took_s < STEP_S / 4:
            most = self.setup.config.kafka.poll_records
            self._records_per_step = min(most, 2 * self._records_per_step)
        for part in polled.parts:
            at = part.topic, part.partition
            self.outbox.offsets[at], self._marks[at] = part.next_offset, part.mark
        for at, record in {(r.topic, r.partition): r for r in polled.report_records}.items():
            self.outbox.offsets[at] = record.offset + 1
            self._marks[at] = self._marks[at].after(record)
        self.positions.update(self.outbox.offsets)

    def _process_and_time(self, polled: PollResult) -> float:
        """Seconds that the step took, without waiting for the thread."""
        began = time.perf_counter()
        self.process(polled)
        now_s = time.monotonic()
        if now_s >= self._next_progress_s:
            self._next_progress_s = now_s + PROGRESS_S
            self.setup.metrics.streams.spans[self.name] = self.stage.progress
        return time.perf_counter() - began

    def _commit_is_due(self) -> bool:
        urgent, letters = self.is_urgent(), len(self.outbox.dead_letters)
        if letters >= DEAD_LETTERS_MAX or (urgent and self.delay_s < BEHIND_S):
            return True
        since_s = time.monotonic() - self._last_commit_s
        return since_s >= self.setup.config.kafka.commit_s and (urgent or bool(self.outbox.offsets))

    async def _silence_controls(self, now: float) -> list[Control]:
        """Control records for the topic partitions that are silent.

        Kafka is asked once more for their ends: a record that comes later came after all others
        had passed this time, so to call it late is right.
        """
        # Lag is known only for what this session reads.
        lag = {at: waiting for at, waiting in self.lag.items() if at in self.stage.clocks}
        controls = self.flow_control.silence_controls(
            self.partition_progress(), lag, now, self.time_elsewhere_ns()
        )
        if not controls:
            return []
        ended = await self.reader.partitions_at_end([(c.topic, c.partition) for c in controls])
        if not self.is_fetch_drained():
            return []
        return [c for c in controls if (c.topic, c.partition) in ended]

    def is_fetch_drained(self) -> bool:
        """Whether all records that the consumer has handed out were processed."""
        return True

    async def _check_lag(self, polled: PollResult) -> None:
        """Update lag and delay, and pause what is too far ahead."""
        now = time.monotonic()
        if polled.parts or polled.report_records:
            self._last_answer_s = now
        elif now - self._last_answer_s >= PING_AFTER_S:
            # A fetch that brings nothing looks the same whether Kafka is there or not.
            await self.reader.ping()
            self._last_answer_s = now
        self.lag = await self.reader.lag()
        times_ms = (int(part.timestamps_ms[-1]) for part in polled.parts if len(part.offsets))
        oldest = min(times_ms, default=None)
        if oldest is not None:
            self.delay_s = max(0.0, time.time() - oldest / 1000)
        elif not any(self.lag.values()):
            self.delay_s = 0.0
        ahead = self.flow_control.partitions_ahead(
            self.partition_progress(), self.lag, self.slowest_elsewhere_ns()
        )
        self.reader.pause_only(ahead)
        self.setup.metrics.count_turn(self.lag, polled)

    def refuse(
        self, part: PartitionRecords, refused: list[RefusedRecord], jumped: tuple[Batch, Int64]
    ) -> None:
        """Put `refused`, and the records that were `jumped`, which are refused for their time, into
        the outbox, unless an earlier session has sent them. Call it for all that is read.
        """
        late_refusals, decided_at = jumped
        every = [(record, record.offset) for record in refused]
        if len(late_refusals):
            decided = decided_at.tolist()
            every += zip(part.time_jump_refusals(late_refusals), decided, strict=True)
        reasons = [(part.topic, record.reason) for record, _ in every]
        self.refusals.count(len(part.offsets), reasons)
        sent_to = self.committed_before.get((part.topic, part.partition), 0)
        when: dict[int, int] = {}
        if every:
            when = dict(zip(part.offsets.tolist(), part.timestamps_ms.tolist(), strict=True))
        for record, decided_offset in every:
            if decided_offset >= sent_to:
                # Of a record of an earlier poll: the time of the one that decided.
                at_ms = when.get(record.offset, when[decided_offset])
                log_offset = record.offset - part.mark.lift
                self.outbox.dead_letters.append(DeadLetter(record, at_ms, log_offset))

    async def commit(self, snapshot: bool) -> None:
        """Publish the outbox in one transaction; `snapshot`: and the state, to go on from.

        Raises `LogChangedError` where a topic was made anew since reading began: records of the new
        log may be among those that the outbox rests on.
        """
        began = time.monotonic()
        async with self.stage_lock:
            await self._run_in_thread(self.before_commit)
        outbox, self.outbox = self.outbox, Outbox()
        if snapshot:
            outbox.offsets = dict(self.positions)
            outbox.snapshot = await self._run_in_thread(self._snapshot_messages)
            self._last_snapshot_s = began
        # While it reads again what an earlier session had committed, the offsets must not go back.
        outbox.offsets = {
            key: max(offset, self.committed_before.get(key, 0)) - self._marks[key].lift
            for key, offset in outbox.offsets.items()
        }
        await self.transactions.commit(outbox, self._metadata_partition, self.reader.check_logs)
        self._last_commit_s = time.monotonic()
        self.setup.metrics.count_commit(outbox, self._last_commit_s - began)


def _read_metadata(committed: OffsetAndMetadata | None) -> CommitMetadata | None:
    """The metadata that an earlier session has committed; None where there are none."""
    try:
        text = "" if committed is None else committed.metadata or ""
        return msgspec.json.decode(text, type=CommitMetadata)
    except (ValueError, RecursionError):
        return None
