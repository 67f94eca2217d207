"""`brinkwatch record`: the topics as they are, control records included, into a recorded day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aiokafka import TopicPartition

from monitor.config import Config
from monitor.console import Console
from monitor.core.contract.events import Control
from monitor.core.decode.batch import Batch
from monitor.core.decode.codec import UNKNOWN
from monitor.kafka import topics
from monitor.kafka.clients import Clients, run_async
from monitor.kafka.partitions import PartitionOffsets, kinds_by_topic
from monitor.kafka.reader import Reader
from monitor.silences.recorded import FILE, silences_json
from monitor.silences.silence import Silences
from monitor.silences.topic import read_silences


class DaySink(Protocol):
    """Takes a recorded day (`replay.day.reader.DayWriter`)."""

    def declare(self, kind: str, topic: str, partition: int, next_offset: int = 0) -> None: ...
    def write(self, batch: Batch) -> None: ...
    def control(self, topic: str, partition: int, offset: int, ts: int) -> None: ...
    def set_end(self, ts: int) -> None: ...
    def attach(self, name: str, content: bytes) -> None: ...


def record_day(config: Config, console: Console, day: DaySink) -> dict[str, int]:
    """Write everything that was committed when the command began; returns how much that was."""
    with console.progress("recording, records", None) as progress:
        result = run_async(_record(config, day, progress))
    console.say(f"{result['records']:,} records and {result['controls']:,} control records")
    return result


async def _record(config: Config, day: DaySink, progress: Callable[[int], None]) -> dict[str, int]:
    clients = Clients(config.kafka)
    partitions, names = await topics.venue_partitions(clients, config)
    await topics.create(clients, topics.sidecar_topics(config, partitions))
    counts = {name: 1 if name == UNKNOWN else partitions for name in names}
    inputs = [TopicPartition(name, p) for name, number in counts.items() for p in range(number)]
    reader = await Reader.start(config, clients, inputs, range(partitions))
    kinds = kinds_by_topic(config)
    after: PartitionOffsets = dict.fromkeys(inputs, 0)
    for topic, partition in after:
        day.declare(kinds[topic], topic, partition)
    controls: list[Control] = []
    count = 0
    try:
        await reader.seek({}, {})
        ends, read_to = await reader.end_offsets(), dict.fromkeys(after, 0)
        while any(read_to[at] < end for at, end in ends.items()):
            polled = await reader.poll()
            controls += polled.controls
            for part in polled.parts:
                at = part.topic, part.partition
                wanted = int((part.offsets < ends[at]).sum())
                if wanted:
                    part.truncate(wanted)
                    day.write(part.decode())
                    after[at] = int(part.offsets[-1]) + 1
                    count += wanted
            read_to = await reader.positions()
            progress(count)
        controls += await reader.remaining_controls()
    finally:
        await reader.stop()
    for control in controls:
        if (control.topic, control.partition) in after:
            day.control(control.topic, control.partition, control.offset, control.ts)
    silences = Silences(config.silences).joined_with((await read_silences(config)).values())
    if silences.every:
        day.attach(FILE, silences_json(silences.every))
    end = _feed_end(controls, {at: o for at, o in after.items() if at[0] != UNKNOWN})
    if end is not None:
        day.set_end(end)
    return {"records": count, "controls": len(controls), "silences": len(silences.every)}


def _feed_end(controls: list[Control], after: PartitionOffsets) -> int | None:
    """When the feed ended, ns, if it said so: each topic partition has a control record behind its
    last record. None: the feed goes on, and the writer decides where the recorded day ends.

    after: of each topic partition the offset behind its last record.
    """
    ends: PartitionOffsets = {}
    for control in controls:
        at = control.topic, control.partition
        if at in after and control.offset == after[at]:
            ends[at] = max(ends.get(at, 0), control.ts)
    return min(ends.values()) if ends and ends.keys() == after.keys() else None
