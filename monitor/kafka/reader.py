"""Reading the venue's topics: records of each topic partition in order, control records first.

A control record that was committed before a record was sent is read before that record is handed
out: after every fetch the control topic is read to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError, OffsetOutOfRangeError
from pydantic import BaseModel

from monitor.config import Config
from monitor.core.contract.events import Control
from monitor.core.contract.units import MILLISECOND_NS
from monitor.core.decode.batch import ABSENT, Batch, RefusedRecord
from monitor.core.decode.codec import UNKNOWN, decode, encode, validate_record
from monitor.core.event_time.admission import TIME_JUMP
from monitor.errors import BrinkwatchError
from monitor.kafka.clients import Clients, stop_consumer
from monitor.kafka.messages import parse_controls
from monitor.kafka.partitions import PartitionKey, PartitionOffsets, kinds_by_topic

POLL_MS = 100
_CONTROL_MS = 1_000
PING_S_MAX = 5.0
_LOG_APPEND_TIME = 1
"""The type of a timestamp that the broker sets."""


@dataclass(slots=True)
class PartitionRecords:
    """Records of one topic partition, in the order of their offsets."""

    kind: str
    topic: str
    partition: int
    offsets: list[int]
    raws: list[bytes]
    timestamps_ms: list[int]
    """Kafka's, not event time."""
    appended: list[bool] | None = None
    """Of each record whether its timestamp is the time at which the broker appended it, and not
    what its producer says; None: of no record."""

    def decode(self) -> Batch:
        """The records as the engine takes them."""
        offset = np.array(self.offsets, np.int64)
        if self.kind == UNKNOWN:
            empty = Batch(UNKNOWN, self.topic, self.partition, offset[:0])
            pairs = zip(self.offsets, self.raws, strict=True)
            empty.refused = [self._refuse_unknown(at, raw) for at, raw in pairs]
            return empty
        batch = decode(self.kind, self.topic, self.partition, offset, self.raws)
        if self.appended is not None:
            times_ns = np.array(self.timestamps_ms, np.int64) * MILLISECOND_NS
            times_ns[~np.array(self.appended, bool)] = ABSENT
            batch.append_ts = times_ns[np.searchsorted(offset, batch.offset)]
        return batch

    def time_jump_refusals(self, jumped: Batch) -> list[RefusedRecord]:
        """These records, as refused for their time. One that came in an earlier poll is encoded
        anew: equal in content, in the canonical form.
        """
        raws = dict(zip(self.offsets, self.raws, strict=True))
        far = "far ahead of its log, and nothing bears it out"
        return [
            RefusedRecord(self.topic, self.partition, at, TIME_JUMP, far, raws.get(at, again))
            for at, again in zip(jumped.offset.tolist(), encode(jumped), strict=True)
        ]

    def truncate(self, count: int) -> None:
        """Keep the first `count` records."""
        del self.offsets[count:], self.raws[count:], self.timestamps_ms[count:]
        if self.appended is not None:
            del self.appended[count:]

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
    """Reads given topic partitions from given offsets; no consumer group moves them."""

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
        self.inputs = inputs

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
        consumer.assign([*reader.inputs, *reader._control_partitions])
        return reader

    async def stop(self) -> None:
        """Close the connections."""
        await stop_consumer(self._consumer)
        await stop_consumer(self._probe)

    async def seek(self, positions: PartitionOffsets) -> PartitionOffsets:
        """Go to `positions`, to the beginning where there is none; returns the offsets chosen.

        Raises `BrinkwatchError` where a position is outside what the topic partition has.
        """
        first = await self._probe.beginning_offsets([*self.inputs, *self._control_partitions])
        ends = await self._probe.end_offsets(self.inputs)
        chosen: PartitionOffsets = {}
        for tp in self.inputs:
            at = positions.get(tp, first[tp])
            if not first[tp] <= at <= ends[tp]:
                raise BrinkwatchError(
                    f"the snapshot ends at offset {at:,} of {tp.topic}/{tp.partition}, which holds "
                    f"{first[tp]:,} to {ends[tp]:,}: records were deleted or the topic was made "
                    f"anew; to begin anew delete the topic {self._config.kafka.snapshots_topic}"
                )
            self._consumer.seek(tp, at)
            chosen[tp] = at
        for tp in self._control_partitions:
            self._consumer.seek(tp, first[tp])
        return chosen

    async def poll(self, timeout_ms: int = POLL_MS) -> PollResult:
        """What there is, or nothing after a short while."""
        try:
            records = await self._consumer.getmany(
                timeout_ms=timeout_ms, max_records=self._config.kafka.poll_records
            )
        except OffsetOutOfRangeError as error:
            raise BrinkwatchError(
                f"records that were not yet read have been deleted ({error}): raise the topics' "
                "retention; to begin anew delete the snapshots topic"
            ) from None
        control_records = [r for tp in self._control_partitions for r in records.pop(tp, ())]
        if records:
            control_records += await self._read_remaining_controls()
        controls = parse_controls(control_records)
        polled = PollResult(controls, [], bad_controls=len(control_records) - len(controls))
        for tp, batch in records.items():
            if tp.topic == self._config.kafka.windows_topic:
                polled.report_records += batch
            else:
                offsets, times = [r.offset for r in batch], [r.timestamp for r in batch]
                raws = [r.value or b"" for r in batch]
                kind = self._kinds[tp.topic]
                by_broker = [r.timestamp_type == _LOG_APPEND_TIME for r in batch]
                appended = by_broker if any(by_broker) else None
                part = PartitionRecords(
                    kind, tp.topic, tp.partition, offsets, raws, times, appended
                )
                polled.parts.append(part)
        return polled

    async def partitions_at_end(self, keys: Collection[PartitionKey]) -> set[PartitionKey]:
        """Those of `keys` whose records, up to now, were all handed out."""
        ends = await self._probe.end_offsets([TopicPartition(*key) for key in keys])
        return {tp for tp, end in ends.items() if await self._consumer.position(tp) >= end}

    async def ping(self) -> None:
        """See that Kafka answers; raises `KafkaTimeoutError` where it does not."""
        try:
            async with asyncio.timeout(PING_S_MAX):
                await self._probe.end_offsets(self._control_partitions)
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
        return dict(await self._probe.end_offsets(self.inputs))

    async def positions(self) -> PartitionOffsets:
        """Of each topic partition the offset of the next record to hand out."""
        return {tp: await self._consumer.position(tp) for tp in self.inputs}

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
