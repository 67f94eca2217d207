"""Reading the venue's topics: records of each topic partition in order, control records first.

A control record that was committed before a record was sent is read before that record is handed
out: after every fetch the control topic is read to its end.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError, OffsetOutOfRangeError
from pydantic import BaseModel

from detectors.arrays.types import Bool
from monitor.config import Config
from monitor.core.contract.events import Control
from monitor.core.contract.units import MILLISECOND_NS
from monitor.core.decode.batch import ABSENT, Batch, Int64, RefusedRecord
from monitor.core.decode.codec import UNKNOWN, decode, encode, validate_record
from monitor.core.event_time.admission import TIME_JUMP
from monitor.kafka.clients import Clients, stop_consumer
from monitor.kafka.logs.identity import NO_RECORD, LogChange, LogMark, LogRange
from monitor.kafka.logs.topic_ids import topic_ids
from monitor.kafka.messages import parse_controls
from monitor.kafka.partitions import PartitionKey, PartitionOffsets, kinds_by_topic
from monitor.kafka.record_batches.columns import RecordColumns
from monitor.kafka.record_batches.raw_fetch import BATCHES, fetch_in_use, hand_out_batches
from monitor.sources.start import EARLIEST, LATEST, start_time_ms

POLL_MS = 100
GAP_S = 0.02
"""Between two polls: each asks Kafka twice, however little it brings, and a venue may send its
records one by one."""
_CONTROL_MS = 1_000
PING_S_MAX = 5.0
END_TRIES, END_S = 6, 0.5
"""A leader that has just been elected may give an end that lies behind what was read before."""


@dataclass(slots=True)
class PartitionRecords:
    """Records of one topic partition, in the order of their offsets."""

    kind: str
    topic: str
    partition: int
    offsets: Int64
    raws: Sequence[bytes]
    timestamps_ms: Int64
    """Kafka's, not event time."""
    is_append: Bool
    """Of each record whether its timestamp is the time at which the broker appended it, and not
    what its producer says."""
    next_offset: int
    """Behind all records that came, those without a value (tombstones) too: these are no events,
    and not among the rest here."""
    mark: LogMark
    """Of the log, once these records are read."""
    tombstones: int = 0

    def piece(self, low: int, records: int) -> PartitionRecords:
        """The same from row `low` on, with so many records at most."""
        high = low + records
        is_last = high >= len(self.offsets)
        return dataclasses.replace(
            self,
            offsets=self.offsets[low:high],
            raws=self.raws[low:high],
            timestamps_ms=self.timestamps_ms[low:high],
            is_append=self.is_append[low:high],
            next_offset=self.next_offset if is_last else int(self.offsets[high]),
            tombstones=self.tombstones if is_last else 0,
        )

    def decode(self) -> Batch:
        """The records as the engine takes them."""
        if self.kind == UNKNOWN:
            empty = Batch(UNKNOWN, self.topic, self.partition, self.offsets[:0])
            pairs = zip(self.offsets.tolist(), self.raws, strict=True)
            empty.refused = [self._refuse_unknown(at, raw) for at, raw in pairs]
            return empty
        batch = decode(self.kind, self.topic, self.partition, self.offsets, self.raws)
        if self.is_append.any():
            times_ns = np.where(self.is_append, self.timestamps_ms * MILLISECOND_NS, ABSENT)
            batch.append_ts = times_ns[np.searchsorted(self.offsets, batch.offset)]
        return batch

    def time_jump_refusals(self, jumped: Batch) -> list[RefusedRecord]:
        """These records, as refused for their time. One that came in an earlier poll is encoded
        anew: equal in content, in the canonical form.
        """
        raws = dict(zip(self.offsets.tolist(), self.raws, strict=True))
        far = "far ahead of its log, and nothing bears it out"
        return [
            RefusedRecord(self.topic, self.partition, at, TIME_JUMP, far, raws.get(at, again))
            for at, again in zip(jumped.offset.tolist(), encode(jumped), strict=True)
        ]

    def truncate(self, count: int) -> None:
        """Keep the first `count` records."""
        self.offsets, self.raws = self.offsets[:count], self.raws[:count]
        self.timestamps_ms, self.is_append = self.timestamps_ms[:count], self.is_append[:count]

    def _refuse_unknown(self, offset: int, raw: bytes) -> RefusedRecord:
        """A record of the topic of unknown kinds: all of them are refused, with a reason each."""
        verdict = validate_record(raw, None)
        if isinstance(verdict, BaseModel):
            verdict = "wrong_kind", "a record with a kind of the contract belongs to its topic"
        return RefusedRecord(self.topic, self.partition, offset, *verdict, raw)


@dataclass(slots=True)
class PollResult:
    """What one poll brought; the control records apply before the rest.

    parts: records of the venue, by topic partition. report_records: those of the windows topic, in
    the order of each partition. bad_controls: how many of the control topic are no control records.
    """

    controls: list[Control]
    parts: list[PartitionRecords]
    report_records: list[Any] = field(default_factory=list)
    bad_controls: int = 0


class Reader:
    """Reads given topic partitions from given offsets; no consumer group moves them.

    All offsets here are the engine's: those of a log made anew are Kafka's and its `lift`.
    """

    def __init__(
        self,
        config: Config,
        inputs: list[TopicPartition],
        controls: Sequence[int],
        consumer: AIOKafkaConsumer,
        probe: AIOKafkaConsumer,
    ) -> None:
        self._config = config
        self._consumer = consumer
        # Of its own: a fetch that waits for records holds up all else on its connection.
        self._probe = probe
        self._kinds = kinds_by_topic(config)
        self._control_partitions = [TopicPartition(config.kafka.control_topic, p) for p in controls]
        self._last_poll_s = 0.0
        self.inputs = inputs
        self.marks: dict[PartitionKey, LogMark] = {}
        """Which log each topic partition is, as far as it was handed out."""
        self.is_handing_out = False
        """Whether a poll under way has taken records from the consumer, whose position lies behind
        them then."""

    @classmethod
    async def start(
        cls, config: Config, clients: Clients, inputs: list[TopicPartition], controls: Sequence[int]
    ) -> Reader:
        """Connect; `seek` says where reading begins. `controls`: of the control topic."""
        consumer = await clients.consumer(client_id="brinkwatch")
        try:
            probe = await clients.consumer(client_id="brinkwatch-probe")
        except BaseException:
            await consumer.stop()
            raise
        reader = cls(config, inputs, controls, consumer, probe)
        if fetch_in_use(config.kafka.fetch) == BATCHES:
            hand_out_batches(consumer, reader._kinds)
        consumer.assign([*reader.inputs, *reader._control_partitions])
        return reader

    async def stop(self) -> None:
        """Close the connections."""
        await stop_consumer(self._consumer)
        await stop_consumer(self._probe)

    async def seek(
        self, positions: PartitionOffsets, marks: Mapping[PartitionKey, LogMark]
    ) -> PartitionOffsets:
        """Go to `positions`, to the beginning where there is none; returns the offsets chosen.

        marks: of the logs that the positions are in, from `find_changes`.
        """
        first = await self._probe.beginning_offsets([*self.inputs, *self._control_partitions])
        for tp in self.inputs:
            at = positions[tp] - marks[tp].lift if tp in positions else first[tp]
            self._consumer.seek(tp, at)
        self._seek_controls(first)
        lifts = _lifts(await self.remaining_controls())
        self._seek_controls(first)
        ids = await self._topic_ids()
        for tp in self.inputs:
            mark = marks[tp] if tp in positions else LogMark(lifts.get(tp, 0))
            self.marks[tp] = msgspec.structs.replace(mark, topic_id=ids.get(tp.topic, ""))
        return {tp: positions.get(tp, first[tp] + self.marks[tp].lift) for tp in self.inputs}

    async def find_start(self, places: list[TopicPartition], start: str) -> PartitionOffsets:
        """The offsets at which reading begins: `earliest`, `latest`, or of the first record that
        came to Kafka at an ISO time or later."""
        if not places:
            return {}
        if start == EARLIEST:
            return dict(await self._probe.beginning_offsets(places))
        ends: PartitionOffsets = dict(await self._probe.end_offsets(places))
        if start == LATEST:
            return ends
        times = dict.fromkeys(places, start_time_ms(start))
        first = await self._probe.offsets_for_times(times)
        return ends | {tp: at.offset for tp, at in first.items() if at is not None}

    def _seek_controls(self, first: Mapping[TopicPartition, int]) -> None:
        for tp in self._control_partitions:
            self._consumer.seek(tp, first[tp])

    async def _topic_ids(self) -> dict[str, str]:
        return await topic_ids(self._probe._client, {tp.topic for tp in self.inputs})

    async def find_changes(
        self,
        clients: Clients,
        positions: PartitionOffsets,
        marks: Mapping[PartitionKey, LogMark],
        read_to: PartitionOffsets,
    ) -> list[LogChange]:
        """The topic partitions that do not go on where a snapshot ended: records behind `positions`
        are gone, or the log is another one than that of `marks`. `read_to`: up to where records
        were read and committed, perhaps after the snapshot.

        The last record read decides: where it is there, the log is the same, even if it was
        copied to a new topic. Where it is not (compaction takes records away), the topic's id does.
        """
        read = [tp for tp in self.inputs if tp in positions]
        first, ids = await self._probe.beginning_offsets(read), await self._topic_ids()
        last_read = {tp: read_to[tp] - marks[tp].lift for tp in read}
        for _ in range(END_TRIES):
            ends = await self._probe.end_offsets(read)
            if all(last_read[tp] <= ends[tp] for tp in read):
                break
            await asyncio.sleep(END_S)
        there = [tp for tp in read if first[tp] <= marks[tp].offset < ends[tp]]
        records = await _read_records(clients, {tp: marks[tp].offset for tp in there}, ends)
        changes = []
        for tp in read:
            mark, record = marks[tp], records.get(tp)
            at, last = positions[tp] - mark.lift, last_read[tp]
            if record is not None and record.offset == mark.offset:
                is_new_log = not mark.matches(record)
            else:
                has_read = mark.topic_id and (mark.offset != NO_RECORD or last > at)
                is_new_log = bool(has_read) and ids.get(tp.topic, mark.topic_id) != mark.topic_id
            is_new_log |= last > ends[tp]
            if is_new_log or at < first[tp]:
                changes.append(LogChange(tp, last, LogRange(first[tp], ends[tp]), is_new_log))
        return changes

    async def check_logs(self) -> None:
        """See that all that was handed out comes from the logs that reading began in.

        Raises `KafkaError` where a topic was made anew: the next session finds out what is missing.
        """
        ids = await self._topic_ids()
        for (topic, _), mark in self.marks.items():
            if mark.topic_id and ids.get(topic, mark.topic_id) != mark.topic_id:
                raise KafkaError(f"the topic {topic} was made anew")

    async def poll(self, timeout_ms: int = POLL_MS) -> PollResult:
        """What there is, or nothing after a short while."""
        await asyncio.sleep(max(0.0, self._last_poll_s + GAP_S - time.monotonic()))
        self._last_poll_s = time.monotonic()
        try:
            records = await self._consumer.getmany(
                timeout_ms=timeout_ms, max_records=self._config.kafka.poll_records
            )
        except OffsetOutOfRangeError as error:
            await self._handle_out_of_range(error.args[0])
            return PollResult([], [])
        control_records = [r for tp in self._control_partitions for r in records.pop(tp, ())]
        if records:
            self.is_handing_out = True
            try:
                control_records += await self._read_remaining_controls()
            finally:
                self.is_handing_out = False
        controls = parse_controls(control_records)
        polled = PollResult(controls, [], bad_controls=len(control_records) - len(controls))
        for tp, fetched in records.items():
            if tp.topic == self._config.kafka.windows_topic:
                polled.report_records += fetched
            elif (part := self._part(tp, RecordColumns.from_fetched(fetched))) is not None:
                polled.parts.append(part)
        return polled

    def _part(self, tp: TopicPartition, columns: RecordColumns) -> PartitionRecords | None:
        """Records of the venue, as they were fetched; None where there are none, since compaction
        took them away."""
        offsets, raws, timestamps_ms, is_append, tombstones, last = columns
        if last is None:
            return None
        mark = self.marks[tp] = self.marks[tp].after(last)
        lift = mark.lift
        return PartitionRecords(
            self._kinds.get(tp.topic, UNKNOWN),
            tp.topic,
            tp.partition,
            offsets + lift if lift else offsets,
            raws,
            timestamps_ms,
            is_append,
            next_offset=last.offset + lift + 1,
            mark=mark,
            tombstones=tombstones,
        )

    async def _handle_out_of_range(self, positions: Mapping[TopicPartition, int]) -> None:
        """Records behind these positions are gone. Our own topics are read from their start: what
        comes twice counts once, and a missing report is noticed.

        Raises `KafkaError` for those of the venue: the next session finds out what is missing.
        """
        for tp, offset in positions.items():
            if tp in self.inputs and tp.topic != self._config.kafka.windows_topic:
                raise KafkaError(f"{tp.topic}/{tp.partition} does not have offset {offset:,}")
            self._consumer.seek(tp, (await self._probe.beginning_offsets([tp]))[tp])

    async def partitions_at_end(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """Those of `keys` whose records, up to now, were all handed out."""
        ends = await self._probe.end_offsets([TopicPartition(*key) for key in keys])
        return {tp for tp, end in ends.items() if await self._consumer.position(tp) >= end}

    async def ping(self) -> None:
        """See that Kafka answers; raises `KafkaTimeoutError` where it does not."""
        try:
            async with asyncio.timeout(PING_S_MAX):
                await self._probe.end_offsets(self._control_partitions or self.inputs[:1])
        except TimeoutError:
            raise KafkaTimeoutError(f"no answer within {PING_S_MAX:g} s") from None

    async def _read_remaining_controls(self) -> list[Any]:
        """All of the control topic that is committed by now and was not read yet."""
        records: list[Any] = []
        for tp, end in (await self._probe.end_offsets(self._control_partitions)).items():
            while await self._consumer.position(tp) < end:
                polled = await self._consumer.getmany(tp, timeout_ms=_CONTROL_MS)
                records += polled.get(tp, ())
        return records

    async def remaining_controls(self) -> list[Control]:
        """The control records that are committed by now and were not handed out."""
        return parse_controls(await self._read_remaining_controls())

    async def end_offsets(self) -> PartitionOffsets:
        """Of each topic partition the offset behind its last committed record."""
        ends = await self._probe.end_offsets(self.inputs)
        return {tp: end + self.marks[tp].lift for tp, end in ends.items()}

    async def positions(self) -> PartitionOffsets:
        """Of each topic partition the offset of the next record to hand out."""
        return {tp: await self._consumer.position(tp) + self.marks[tp].lift for tp in self.inputs}

    async def lag(self) -> PartitionOffsets:
        """Records that wait in each topic partition; one that was never fetched is left out."""
        waiting: PartitionOffsets = {}
        for tp in self.inputs:
            end = self._consumer.last_stable_offset(tp)
            if end is not None and end >= 0:
                waiting[tp] = max(0, end - await self._consumer.position(tp))
        return waiting

    def pause_only(self, keys: set[PartitionKey]) -> None:
        """Pause these topic partitions and read on from all others."""
        paused = self._consumer.paused()
        self._consumer.pause(*(tp for tp in self.inputs if tp in keys and tp not in paused))
        self._consumer.resume(*(paused - keys))


async def _read_records(
    clients: Clients, offsets: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Any]:
    """Of each topic partition the first record from an offset on that is still there; none where
    there is none before `ends`.
    """
    records: dict[TopicPartition, Any] = {}
    if not offsets:
        return records
    consumer = await clients.consumer()
    try:
        consumer.assign(list(offsets))
        for tp, offset in offsets.items():
            consumer.seek(tp, offset)
        for tp in offsets:
            while tp not in records and await consumer.position(tp) < ends[tp]:
                polled = await consumer.getmany(tp, timeout_ms=POLL_MS, max_records=1)
                records |= {at: first[0] for at, first in polled.items() if first}
        return records
    finally:
        await stop_consumer(consumer)


def _lifts(controls: Iterable[Control]) -> PartitionOffsets:
    """Of each topic partition with a gap, the engine's offsets less Kafka's behind it."""
    newest: dict[PartitionKey, Control] = {}
    for control in controls:
        if control.gap is not None:
            at = control.topic, control.partition
            if at not in newest or newest[at].offset <= control.offset:
                newest[at] = control
    return {at: c.offset - c.gap.log_offset for at, c in newest.items() if c.gap is not None}
