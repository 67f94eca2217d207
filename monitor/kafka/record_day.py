"""`brinkwatch record`: the topics as they are, control records included, into a recorded day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aiokafka import TopicPartition

from monitor.config import Config
from monitor.core.contract.events import Control
from monitor.core.decode.batch import Batch
from monitor.core.decode.codec import UNKNOWN
from monitor.kafka import topics
from monitor.kafka.clients import Clients
from monitor.kafka.reader import Reader


class DaySink(Protocol):
    """What is written to (`replay.day.reader.DayWriter`)."""

    def declare(self, kind: str, topic: str, partition: int, next_offset: int = 0) -> None: ...
    def write(self, batch: Batch) -> None: ...
    def control(self, topic: str, partition: int, offset: int, ts: int) -> None: ...
    def set_end(self, ts: int) -> None: ...


async def record(config: Config, day: DaySink, progress: Callable[[int], None]) -> dict[str, int]:
    """Write everything that was committed when the command began."""
    clients = Clients(config.kafka)
    partitions, names = await topics.venue_partitions(clients, config)
    await topics.create(clients, topics.sidecar_topics(config, partitions))
    counts = {name: 1 if name == UNKNOWN else partitions for name in names}
    inputs = [TopicPartition(name, p) for name, number in counts.items() for p in range(number)]
    reader = await Reader.start(config, clients, inputs, range(partitions))
    kinds = {topic: kind for kind, topic in config.topics.items()} | {UNKNOWN: UNKNOWN}
    after = {(tp.topic, tp.partition): 0 for tp in reader.inputs}
    for topic, partition in after:
        day.declare(kinds[topic], topic, partition)
    controls: list[Control] = []
    count = 0
    try:
        await reader.seek({})
        ends, read_to = await reader.end_offsets(), dict.fromkeys(after, 0)
        while any(read_to[at] < end for at, end in ends.items()):
            polled = await reader.poll()
            controls += polled.controls
            for part in polled.parts:
                at = part.topic, part.partition
                wanted = sum(offset < ends[at] for offset in part.offsets)
                if wanted:
                    part.truncate(wanted)
                    day.write(part.decode())
                    after[at] = part.offsets[-1] + 1
                    count += wanted
            read_to = await reader.positions()
            progress(count)
        controls += await reader.remaining_controls()
    finally:
        await reader.stop()
    for control in controls:
        if (control.topic, control.partition) in after:
            day.control(control.topic, control.partition, control.offset, control.ts)
    end = _feed_end(controls, {at: o for at, o in after.items() if at[0] != UNKNOWN})
    if end is not None:
        day.set_end(end)
    return {"records": count, "controls": len(controls)}


def _feed_end(controls: list[Control], after: dict[tuple[str, int], int]) -> int | None:
    """When the feed ended, where it said so: every topic partition has a control record behind its
    last record. Otherwise it goes on, and where the recorded day ends is for the writer to say.
    """
    told: dict[tuple[str, int], int] = {}
    for control in controls:
        at = control.topic, control.partition
        if at in after and control.offset == after[at]:
            told[at] = max(told.get(at, 0), control.ts)
    return min(told.values()) if told and told.keys() == after.keys() else None
