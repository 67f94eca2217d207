"""The session of the intake: the venue's topics as they are in, topics of the contract out.

The venue's topics may be few, mix kinds, differ in partitions and have any key. Their records are
translated, put into the order of event time, and written to a topic for each kind, keyed by symbol.
Everything behind reads these. One transaction holds the records, the refused ones, and how far each
source was read: so each record of a source is taken in exactly once, whatever fails.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from monitor.core.contract.events import Control
from monitor.core.contract.keys import partition_of
from monitor.core.contract.units import SECOND_NS
from monitor.core.event_time.clock_state import NEVER
from monitor.errors import ConfigError
from monitor.kafka import topics
from monitor.kafka.clients import Clients
from monitor.kafka.dead_letters import DeadLetter
from monitor.kafka.logs.identity import LogChangedError, LogMark
from monitor.kafka.messages import control_message, send_in_batches
from monitor.kafka.partitions import PartitionKey, PartitionOffsets
from monitor.kafka.reader import POLL_MS, PartitionRecords, PollResult, Reader
from monitor.kafka.transactions import TIMEOUT_MS, transactional_id
from monitor.live import source_positions
from monitor.live.owner_session import PING_AFTER_S, Setup
from monitor.live.recent_refusals import RecentRefusals, refusal_trouble
from monitor.live.source_positions import SourcePositions
from monitor.sources.acceptance import SourceBatch, SourceRecord, judge
from monitor.sources.merge import TimeMerge
from monitor.sources.registry import RegistryUnavailableError, make_registry
from monitor.sources.translators import make_live_translator

OWNER = "intake"
LINGER_S = 0.1
"""Between two transactions, where records come all the time: each of them costs Kafka about as much
as a thousand records."""
STEP_RECORDS = 2_000
"""Translated at a time: a stop is noticed between two of them."""
BATCH_BYTES = 256 << 10
PATIENCE_S = 10.0
"""A partition that has records and does not give them, since its broker is away, holds the others
up for so long."""
ENDED_AFTER = 10
"""Times `kafka.silence_s`: after so long without a record the feed is taken to have ended."""
REGISTRY_S = 1.0
"""Before the schema registry is asked again."""
PARTITIONS_S = 5.0
"""Between two looks at how many partitions the sources have."""
SKIPPED_NAMES_MAX = 100
"""Words of skipped kinds with a count of their own, for each source; the rest share one."""
OTHER = "(other)"


class IntakeSession:
    """Begins, turns and ends as an owner's session does (`supervisor.py`)."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.name = setup, OWNER
        self._sources = {source.topic: name for name, source in setup.config.sources.items()}
        """Names by topic."""
        registry = make_registry(setup.config.schema_registry)
        self._translators = {
            source.topic: make_live_translator(name, source, registry)
            for name, source in setup.config.sources.items()
        }
        self._venue = Clients(setup.config.kafka, of_venue=True)
        self.log = structlog.get_logger().bind(owner=OWNER)
        self.positions: PartitionOffsets = {}
        """Of each partition of a source the offset of the first record that was not taken in."""
        self.lag: PartitionOffsets = {}
        self.delay_s = 0.0
        self.clocks: dict[PartitionKey, Any] = {}
        """None: what is late is judged behind the topics that are written here."""
        self.last_turn_s = self._last_commit_s = self._last_answer_s = time.monotonic()
        self._last_arrival_s = self._last_look_s = self._progress_s = self.last_turn_s
        self._read: PartitionOffsets = {}
        """Of each partition of a source the offset behind what was handed out."""
        self._state = SourcePositions()
        self.refusals = RecentRefusals()
        self._ends: PartitionOffsets = {}
        self._outbox: dict[PartitionKey, list[tuple[bytes, bytes]]] = defaultdict(list)
        self._letters: list[DeadLetter] = []
        self._released = 0
        """Records of sources since the last commit."""
        self._registry_fault = ""
        """Why the schema registry cannot be asked; empty where it can."""
        self._has_more = False
        """Whether records wait that need no others."""
        self._away: set[PartitionKey] = set()
        """Partitions that are not waited for, because they gave nothing for `PATIENCE_S`."""
        self._thread = ThreadPoolExecutor(1)
        self._connections = AsyncExitStack()
        self._producer: AIOKafkaProducer
        self.reader: Reader
        self._merge: TimeMerge
        self._first_ends: PartitionOffsets
        """Of each partition of a source its end when the session began."""

    async def begin(self) -> None:
        """Fence the session before, and go on from the positions that it committed."""
        try:
            await self._begin()
        except BaseException:
            await self.end()
            raise

    async def _begin(self) -> None:
        config, clients = self.setup.config, self.setup.clients
        self._producer = await clients.producer(
            transactional_id=transactional_id(config.kafka, OWNER),
            transaction_timeout_ms=TIMEOUT_MS,
            max_batch_size=BATCH_BYTES,
        )
        self._connections.push_async_callback(self._producer.stop)
        stored = await source_positions.read(config, clients)
        outputs = await self._output_ends()
        counts = await topics.source_partitions(self._venue, config)
        self._partitions = counts
        inputs = [TopicPartition(topic, p) for topic, n in counts.items() for p in range(n)]
        self.reader = await Reader.start(config, self._venue, inputs, ())
        self._connections.push_async_callback(self.reader.stop)
        self._merge = TimeMerge(inputs)
        self._state = stored or SourcePositions()
        self._ends = {(t, p): min(end, outputs.get((t, p), 0)) for t, p, end in self._state.ends}
        if stored is None and any(outputs.values()):
            raise ConfigError(
                f"the topics {', '.join(config.topics.values())} hold records, and how far the "
                f"sources were read is not in {config.kafka.positions_topic}: somebody else has "
                "written to them, or that topic was deleted; delete them too, with "
                f"{config.kafka.snapshots_topic}, to read the sources from their start"
            )
        await self._seek()
        self._first_ends = await self.reader.end_offsets()
        if stored is None:
            # What is latest is decided once.
            await self.commit()

    async def _seek(self) -> None:
        """Go to the positions, and to the start of what has none."""
        gone = self._state.offsets.keys() - {(tp.topic, tp.partition) for tp in self.reader.inputs}
        if gone:
            self.log.info("sources no longer read", topics=sorted({topic for topic, _ in gone}))
        offsets, marks = self._state.offsets, self._state.marks
        inputs = {tp for tp in self.reader.inputs if tp in offsets}
        known = {tp: offsets[tp] for tp in inputs}
        read_to = {tp: max(offset, marks[tp].offset + 1) for tp, offset in known.items()}
        for change in await self.reader.find_changes(self._venue, known, marks, read_to):
            at = change.at
            if at[0] not in self.setup.accept_gaps:
                raise LogChangedError(change.sentence(self.setup.config.kafka.positions_topic))
            self.log.warning(
                "gap accepted", topic=at[0], partition=at[1], read_to=change.position,
                **change.range._asdict(),
            )  # fmt: skip
            known[TopicPartition(*at)], marks[at] = change.range.first, LogMark()
        topics_read = {topic for topic, _ in known}
        for source in self.setup.config.sources.values():
            # A partition that is added later is read from its first record.
            start = "earliest" if source.topic in topics_read else source.start
            fresh = [t for t in self.reader.inputs if t.topic == source.topic and t not in known]
            known |= await self.reader.find_start(fresh, start)
        marks |= {tp: LogMark() for tp in known if tp not in marks}
        self.positions = await self.reader.seek(known, marks)
        self._read = dict(self.positions)

    async def _output_ends(self) -> PartitionOffsets:
        """The ends of all topic partitions that the intake writes."""
        config, number = self.setup.config, self.setup.partitions
        places = [TopicPartition(t, p) for t in config.topics.values() for p in range(number)]
        consumer = await self.setup.clients.consumer()
        try:
            return dict(await consumer.end_offsets(places))
        finally:
            await consumer.stop()

    async def end(self) -> None:
        """Close the connections; what was not committed is read again."""
        self._thread.shutdown(wait=False)
        await self._connections.aclose()

    def work(self) -> str:
        """What is being done, for people."""
        return f"{sum(self._merge.sizes().values()):,} records of the sources are being translated"

    def fault(self) -> str:
        """What is wrong with what the sources bring, for people; empty where nothing is."""
        if self._registry_fault:
            return f"intake: {self._registry_fault}"
        return refusal_trouble([self.refusals.recent()])

    def document(self) -> dict[str, Any]:
        """What /state shows: of each source its records by outcome, and the words that are skipped;
        whether the feed has ended."""
        counts, words = self._state.counts, self._state.skipped
        sources = {
            name: {**counts.get(name, {}), "skipped_words": words.get(name, {})}
            for name in self._sources.values()
        }
        return {"sources": sources, "ended": self._state.is_ended}

    async def turn(self, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Poll once, translate what came, write what is due, and commit if it is time.

        Where `is_stopping` turns true, the rest comes again to the next session.
        """
        polled = await self.reader.poll(0 if self._has_more else POLL_MS)
        for part in polled.parts:
            self.setup.metrics.count_tombstones(part.topic, part.tombstones)
            low = 0
            while low < len(part.offsets):
                if is_stopping():
                    return
                if await self._take_in(part.piece(low, STEP_RECORDS)):
                    low += STEP_RECORDS
            at = part.topic, part.partition
            self._read[at] = part.next_offset
            self._away.discard(at)
        await self._check_lag(polled)
        self._has_more = self._release() == self.setup.config.kafka.poll_records
        now = time.monotonic()
        since_s = now - self._last_commit_s
        if (self._released and since_s >= LINGER_S) or (
            since_s >= self.setup.config.kafka.commit_s and self.positions != self._state.offsets
        ):
            await self.commit()
        await self._end_feed(now)
        if now - self._last_look_s >= PARTITIONS_S:
            await self._check_partitions(now)
        self.last_turn_s = time.monotonic()

    async def _take_in(self, piece: PartitionRecords) -> bool:
        """Translate records, and say whether that was possible: not while the schema registry does
        not answer. They wait for it."""
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        try:
            records = await loop.run_in_executor(self._thread, self._translate, piece)
        except RegistryUnavailableError as error:
            if not self._registry_fault:
                self.log.warning("waiting for the schema registry", why=str(error))
            self._registry_fault = str(error)
            await asyncio.sleep(REGISTRY_S)
            self.last_turn_s = time.monotonic()
            return False
        self._registry_fault = ""
        reasons = [(piece.topic, r.refused.reason) for r in records if r.refused is not None]
        self.refusals.count(len(records), reasons)
        self._merge.add((piece.topic, piece.partition), records)
        self.setup.metrics.count_step(len(piece.offsets), time.perf_counter() - began)
        self.last_turn_s = time.monotonic()
        return True

    def _translate(self, piece: PartitionRecords) -> list[SourceRecord]:
        raws, offsets = list(piece.raws), piece.offsets.tolist()
        batch = SourceBatch(
            piece.topic, piece.partition, offsets, raws, piece.timestamps_ms.tolist()
        )
        translator = self._translators[piece.topic]
        origin = getattr(translator, "origin", None)
        return judge(batch, translator.translate(raws), origin)

    async def _check_lag(self, polled: PollResult) -> None:
        now = time.monotonic()
        if polled.parts:
            self._last_answer_s = self._last_arrival_s = now
        elif now - self._last_answer_s >= PING_AFTER_S:
            await self.reader.ping()
            self._last_answer_s = now
        self.lag = await self.reader.lag()
        full = self.setup.config.kafka.poll_records
        self.reader.pause_only({at for at, n in self._merge.sizes().items() if n >= full})
        self.setup.metrics.count_turn(self.lag, polled)

    def _coming(self) -> set[PartitionKey]:
        """The partitions that have records which were not handed out yet."""
        sizes, full = self._merge.sizes(), self.setup.config.kafka.poll_records
        coming = set()
        for at, size in sizes.items():
            waits = self.lag.get(at, self._first_ends[at] - self.positions[at])
            if waits > 0 and size < full:
                coming.add(at)
        late_s = time.monotonic() - self._progress_s
        if late_s >= PATIENCE_S and (away := {at for at in coming - self._away if not sizes[at]}):
            self.log.warning("not waited for", partitions=sorted(away), after_s=round(late_s))
            self._away |= away
        return coming - self._away

    def _release(self) -> int:
        """Put what is due into the outbox; returns how many records that were."""
        before, record = self._released, None
        most = self.setup.config.kafka.poll_records
        for at, record in self._merge.release(self._coming(), most):  # the last one
            self._put(at[0], record)
        sizes = self._merge.sizes()
        is_empty = not any(sizes.values())
        if record is not None:
            self.delay_s = max(0.0, time.time() - record.timestamp_ms / 1000)
        elif is_empty and not any(self.lag.values()):
            self.delay_s = 0.0
        if record is not None or is_empty:
            self._progress_s = time.monotonic()
        for at in sizes:
            first = self._merge.first_offset(at)
            self.positions[at] = self._read[at] if first is None else first
        return self._released - before

    def _put(self, topic: str, record: SourceRecord) -> None:
        name = self._sources[topic]
        if record.refused is not None:
            outcome = "refused"
            self._letters.append(DeadLetter(record.refused, record.timestamp_ms, record.offset))
        elif record.skipped is not None:
            outcome = "skipped"
            words = self._state.skipped.setdefault(name, {})
            full = len(words) >= SKIPPED_NAMES_MAX and record.skipped not in words
            word = OTHER if full else record.skipped[:SKIPPED_NAMES_MAX]
            words[word] = words.get(word, 0) + 1
        else:
            outcome = "accepted" if record.events else "empty"
        counts = self._state.counts.setdefault(name, {})
        counts[outcome] = counts.get(outcome, 0) + 1
        self.setup.metrics.count_source(name, outcome)
        names, partitions = self.setup.config.topics, self.setup.partitions
        for kind, key, raw in record.events:
            self._outbox[names[kind], partition_of(key, partitions)].append((key.encode(), raw))
        self._released += 1

    async def commit(self, snapshot: bool = True) -> None:
        """Publish what is in the outbox, with the positions behind it, in one transaction.

        Raises `KafkaError` where a source was made anew since reading began. `snapshot`: as for an
        owner's session; the positions are in every transaction.
        """
        if self._released:
            self._state.is_ended = False
        await self._publish([])

    async def _publish(self, controls: list[Control]) -> None:
        began = time.monotonic()
        await self.reader.check_logs()
        kafka, producer = self.setup.config.kafka, self._producer
        outbox, self._outbox = self._outbox, defaultdict(list)
        letters, self._letters = self._letters, []
        self._released = 0
        async with producer.transaction():
            batches = {
                at: [batch async for batch in send_in_batches(producer, at, rows)]
                for at, rows in outbox.items()
            }
            pending = [await x.message().send(producer, kafka.dlq_topic, 0) for x in letters]
            for control in controls:
                message = control_message(control)
                topic = kafka.control_topic
                pending.append(await message.send(producer, topic, control.partition))
            for at, sent in batches.items():
                for future, count in sent:
                    self._ends[at] = (await future).offset + count
            self._update_state()
            positions = self._state.message(kafka.group)
            pending.append(await positions.send(producer, kafka.positions_topic, 0))
            await asyncio.gather(*pending)
        self._last_commit_s = time.monotonic()
        self.setup.metrics.count_intake(letters, controls, self._last_commit_s - began)

    def _update_state(self) -> None:
        marks = self.reader.marks
        self._state.places = [(*at, o, marks[at]) for at, o in sorted(self.positions.items())]
        self._state.ends = [(*at, end) for at, end in sorted(self._ends.items())]
        self._state.high_ns = max(self._state.high_ns, self._merge.high_ns)

    async def _end_feed(self, now: float) -> None:
        """Close the windows of a feed that has ended, with a control record for each topic
        partition that is written; once, until records come again.

        Nothing else could: a topic partition is moved on by those that go on, and none does.
        """
        high_ns, kafka = self._state.high_ns, self.setup.config.kafka
        if self._state.is_ended or high_ns == NEVER or self._released:
            return
        if now - self._last_arrival_s < ENDED_AFTER * kafka.silence_s:
            return
        inputs = self.reader.inputs
        if any(self._merge.sizes().values()) or any(self.lag.get(tp) != 0 for tp in inputs):
            return
        if len(await self.reader.partitions_at_end(inputs)) < len(inputs):
            return
        ts = self._feed_end_ns(high_ns)
        names, partitions = self.setup.config.topics.values(), range(self.setup.partitions)
        self._state.is_ended = True
        await self._publish(
            [
                Control(topic=name, partition=p, offset=self._ends.get((name, p), 0), ts=ts)
                for name in names
                for p in partitions
            ]
        )

    def _feed_end_ns(self, high_ns: int) -> int:
        """The end of the last record's second, window and interval of the bands: where a recorded
        day ends too."""
        end_ns = high_ns + 1
        config = self.setup.config
        for step_ns in (SECOND_NS, config.time.window_ns, config.accounts.bands_interval_ns):
            end_ns = -(-end_ns // step_ns) * step_ns
        return end_ns

    async def _check_partitions(self, now: float) -> None:
        """Raises `KafkaError` where a source has more partitions than before: the next session
        reads them too."""
        self._last_look_s = now
        counts = await topics.source_partitions(self._venue, self.setup.config)
        if counts != self._partitions:
            raise KafkaError(f"the sources had {self._partitions} partitions and have {counts} now")
