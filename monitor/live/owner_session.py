"""One life of an owner (a shard, or the venue stage): restore, read on, publish; until it is
stopped or Kafka fails it.

Whatever fails ends the life; the next one begins from what is committed, as after a crash. So there
is one way to recover, and it is used all the time. Nothing that rests on a record leaves a life
before the transaction that holds it is committed.
"""

from __future__ import annotations

import abc
import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec
from aiokafka import TopicPartition

from monitor.config import Config
from monitor.core import snapshot as snapshot_bytes
from monitor.core.contract.events import Control
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.event_time.watermark import PartitionClock
from monitor.core.settings import EngineSettings
from monitor.core.snapshot import SnapshotError
from monitor.errors import ConfigError
from monitor.kafka import snapshots
from monitor.kafka.chunking import Message
from monitor.kafka.clients import Clients
from monitor.kafka.flow_control import FlowControl, PartitionKey, PartitionProgress
from monitor.kafka.reader import (
    PartitionOffsets,
    PartitionRecords,
    PollResult,
    Reader,
    committed_offsets,
)
from monitor.kafka.transactions import CommitMetadata, DeadLetter, Outbox, Transactions
from monitor.live.progress_board import ProgressBoard
from monitor.metrics import Metrics

PING_AFTER_S = 1.0
"""With nothing read for so long, Kafka is asked whether it is there."""
DEAD_LETTERS_MAX = 1_000
"""Dead letters that wait for a commit, at most."""
BEHIND_S = 2.0
"""Who is this far behind commits now and then; who is not, whenever there is something to tell."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """What all lives of a process share."""

    config: Config
    settings: EngineSettings
    factories: list[DetectorFactory]
    clients: Clients
    metrics: Metrics
    progress_board: ProgressBoard
    partitions: int
    shards_thread: ThreadPoolExecutor
    """One for all shards: what holds the interpreter's lock would wait anyway, and what does not
    runs beside the loop that talks to Kafka. Four threads took a third more CPU time for the same
    (`bench_live`, four partitions on two cores)."""


class Stage(Protocol):
    """The pure object that a life keeps."""

    @property
    def clocks(self) -> dict[tuple[str, int], PartitionClock]: ...
    def snapshot(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


class OwnerSession(abc.ABC):
    """`begin`, `turn` after `turn`, `commit_final`, `end`.

    Parameters
    ----------
    owner
        "0" and so on for the shard of a partition, "venue" for the venue stage.
    partition
        Where the owner's words and snapshots are.
    carrier
        The topic partition whose committed offset carries the owner's note. Its records are never
        read.
    thread
        Where the stage is at work.
    """

    def __init__(
        self,
        setup: Setup,
        owner: str,
        partition: int,
        carrier: tuple[str, int],
        stage: Stage,
        thread: ThreadPoolExecutor,
    ) -> None:
        self.setup = setup
        self.owner = owner
        self.stage = stage
        self.stage_lock = asyncio.Lock()
        """Held while the stage is at work, in a thread of its own."""
        self.positions: PartitionOffsets = {}
        self.lag: PartitionOffsets = {}
        self.delay_s = 0.0
        """How long ago the oldest record that is being read came to Kafka; 0 with none waiting."""
        self.last_turn_s = time.monotonic()
        self.outbox = Outbox()
        self._partition = partition
        self._metadata_partition = carrier
        self._thread = thread
        config = setup.config
        self.flow_control = FlowControl(
            config.kafka.silence_s,
            config.time.window_ns,
            round(config.kafka.ahead_s * 1e9),
            time.monotonic(),
        )
        self.committed_before: PartitionOffsets = {}
        """What transactions before this life have committed: refused records below these offsets
        are in the dead letters already."""
        self._last_commit_s = self._last_snapshot_s = self._last_answer_s = time.monotonic()
        self.transactions: Transactions
        self.reader: Reader

    @abc.abstractmethod
    def inputs(self) -> list[TopicPartition]:
        """What is read, control records aside."""

    @abc.abstractmethod
    def controls(self) -> Sequence[int]:
        """The partitions of the control topic that are read."""

    @abc.abstractmethod
    def process(self, polled: PollResult) -> None:
        """In a worker thread: records into the stage, and what is new into `outbox`."""

    @abc.abstractmethod
    def partition_progress(self) -> dict[PartitionKey, PartitionProgress]:
        """How far everything has come that this stage waits for."""

    @abc.abstractmethod
    def time_elsewhere_ns(self) -> int:
        """Where all that is read here is silent: the time that passed elsewhere."""

    @abc.abstractmethod
    def partitions_to_pause(self) -> set[tuple[str, int]]:
        """What runs so far ahead that it is not read on for now."""

    @abc.abstractmethod
    def is_urgent(self) -> bool:
        """Whether somebody waits for what is in `outbox`."""

    @abc.abstractmethod
    def after_commit(self, work: Outbox) -> None:
        """`outbox` is committed."""

    async def begin(self) -> None:
        """Fence the owner before, restore what it left, and stand where it stood."""
        setup = self.setup
        kafka = setup.config.kafka
        self.transactions = await Transactions.start(
            kafka, setup.clients, self.owner, self._partition
        )
        try:
            self.reader = await Reader.start(
                setup.config, setup.clients, self.inputs(), self.controls()
            )
        except BaseException:
            await self.transactions.stop()
            raise
        try:
            await self._restore()
        except BaseException:
            await self.end()
            raise

    async def _restore(self) -> None:
        kafka, clients = self.setup.config.kafka, self.setup.clients
        found = await committed_offsets(clients, kafka.group)
        held = None
        if self._metadata_partition in found:
            note = msgspec.json.decode(found[self._metadata_partition][1], type=CommitMetadata)
            at = TopicPartition(kafka.snapshots_topic, self._partition)
            held = await snapshots.read(clients, at, self._key, note.snapshot)
        if held is None:
            self.positions = await self.reader.seek({})
            # The first thing ever committed, before anything was read: from now on there is a
            # snapshot, or somebody has removed it to begin anew.
            await self._commit(snapshot=True)
            return
        try:
            await self._run_in_thread(self._restore_stage, held.state)
        except SnapshotError as error:
            raise ConfigError(str(error)) from error
        self.positions = await self.reader.seek(held.positions)
        self.transactions.metadata = note
        self.committed_before = {at: offset for at, (offset, _) in found.items()}

    @property
    def _key(self) -> str:
        return f"{self.setup.config.kafka.group}/{self.owner}"

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
        return snapshots.messages(self._key, raw, self.positions)

    async def _run_in_thread(self, work: Callable[..., T], *given: Any) -> T:
        """Off the loop that talks to Kafka."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    async def end(self) -> None:
        """Close the connections; what was not committed is forgotten."""
        await self.reader.stop()
        await self.transactions.stop()

    async def turn(self) -> None:
        """Take in what there is, and publish what it shows."""
        polled = await self.poll()
        now = time.monotonic()
        for part in polled.parts:
            self.flow_control.note_arrival((part.topic, part.partition), now)
            self.outbox.offsets[part.topic, part.partition] = part.offsets[-1] + 1
        for record in polled.report_records:
            self.outbox.offsets[record.topic, record.partition] = record.offset + 1
        if polled.parts or polled.controls or polled.report_records or self.has_local_input():
            await self._process(polled)
        await self._check_lag(polled)
        silent = await self._silence_controls(now)
        if silent:
            self.outbox.controls = silent
            await self._process(PollResult(silent, []))
        if silent or self._commit_is_due():
            every_s = self.setup.config.state.every_s
            await self._commit(time.monotonic() - self._last_snapshot_s >= every_s)
        self.last_turn_s = time.monotonic()

    async def poll(self) -> PollResult:
        """What there is, or nothing after a short while."""
        return await self.reader.poll()

    def has_local_input(self) -> bool:
        """Whether there is something to take that Kafka did not bring."""
        return False

    async def _process(self, polled: PollResult) -> None:
        async with self.stage_lock:
            await self._run_in_thread(self._process_and_time, polled)
            self.positions.update(self.outbox.offsets)

    def _process_and_time(self, polled: PollResult) -> None:
        began = time.perf_counter()
        self.process(polled)
        records = sum(len(part.offsets) for part in polled.parts)
        self.setup.metrics.count_step(records, time.perf_counter() - began)

    def _commit_is_due(self) -> bool:
        urgent = self.is_urgent()
        if len(self.outbox.dead_letters) >= DEAD_LETTERS_MAX or (
            urgent and self.delay_s < BEHIND_S
        ):
            return True
        since_s = time.monotonic() - self._last_commit_s
        return since_s >= self.setup.config.kafka.commit_s and (urgent or bool(self.outbox.offsets))

    async def _silence_controls(self, now: float) -> list[Control]:
        """Control records for what is silent, now that Kafka has been asked once more: whatever
        comes later came after the others were seen to have passed.
        """
        # Only of what is read here it can be said that it is at its end.
        lag = {at: waiting for at, waiting in self.lag.items() if at in self.stage.clocks}
        told = self.flow_control.silence_controls(
            self.partition_progress(), lag, now, self.time_elsewhere_ns()
        )
        if not told or not await self.is_fetch_drained():
            return []
        ended = await self.reader.partitions_at_end([(c.topic, c.partition) for c in told])
        return [c for c in told if (c.topic, c.partition) in ended]

    async def is_fetch_drained(self) -> bool:
        """Whether all that the consumer has handed out was taken."""
        return True

    async def _check_lag(self, polled: PollResult) -> None:
        """See what waits, and read on from what is not too far ahead."""
        now = time.monotonic()
        if polled.parts or polled.report_records:
            self._last_answer_s = now
        elif now - self._last_answer_s >= PING_AFTER_S:
            # A fetch that brings nothing looks alike with Kafka there and with Kafka away.
            await self.reader.ping()
            self._last_answer_s = now
        self.lag = await self.reader.lag()
        oldest = min((part.timestamps_ms[-1] for part in polled.parts), default=None)
        if oldest is not None:
            self.delay_s = max(0.0, time.time() - oldest / 1000)
        elif not any(self.lag.values()):
            self.delay_s = 0.0
        self.reader.pause_only(self.partitions_to_pause())
        self.setup.metrics.count_turn(self.lag, polled)

    def refuse(self, part: PartitionRecords, refused: list[Any]) -> None:
        """Refused records on their way to the dead letters."""
        sent_to = self.committed_before.get((part.topic, part.partition), 0)
        when = dict(zip(part.offsets, part.timestamps_ms, strict=True))
        for record in refused:
            if record.offset >= sent_to:
                self.outbox.dead_letters.append(DeadLetter(record, when[record.offset]))

    async def _commit(self, snapshot: bool) -> None:
        """One transaction of all that waits."""
        began = time.monotonic()
        async with self.stage_lock:
            await self._run_in_thread(self.before_commit)
        work, self.outbox = self.outbox, Outbox()
        if snapshot:
            work.offsets = dict(self.positions)
            work.snapshot = await self._run_in_thread(self._snapshot_messages)
            self._last_snapshot_s = began
        # While it catches up with the life before, it does not take back what that had committed.
        work.offsets = {
            at: max(o, self.committed_before.get(at, 0)) for at, o in work.offsets.items()
        }
        await self.transactions.commit(work, self._metadata_partition)
        self._last_commit_s = time.monotonic()
        self.setup.metrics.count_commit(work, self._last_commit_s - began)
        self.after_commit(work)

    @abc.abstractmethod
    def before_commit(self) -> None:
        """In a worker thread: the last moment to put something into `outbox`."""

    async def commit_final(self) -> None:
        """The last transaction, with a snapshot to go on from."""
        await self._commit(snapshot=True)
