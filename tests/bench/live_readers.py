"""Consumers as processes of their own: `aiokafka` reads so many records and does nothing with
them; `alerts` tells of each alert when it was written and when it could be read.

python -m tests.bench.live_readers READER ADDRESS RECORDS TOPIC...
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from aiokafka import TopicPartition

from monitor.config import KafkaSettings
from monitor.kafka.clients import Clients
from tests.bench.live_feed import PARTITIONS

MAX_RECORDS = 20_000
"""As `brinkwatch run` takes in at a time."""


def _print_result(began_s: float, spent_s: float) -> None:
    taken = {"wall_s": time.monotonic() - began_s, "cpu_s": time.process_time() - spent_s}
    print(json.dumps(taken))


async def with_aiokafka(address: str, records: int, topics: list[str]) -> None:
    """The options are those of `brinkwatch run`."""
    consumer = await Clients(KafkaSettings(bootstrap_servers=address)).consumer()
    try:
        places = [TopicPartition(t, p) for t in topics for p in range(PARTITIONS)]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        began_s, spent_s, read = time.monotonic(), time.process_time(), 0
        while read < records:
            found = await consumer.getmany(timeout_ms=100, max_records=MAX_RECORDS)
            read += sum(map(len, found.values()))
        _print_result(began_s, spent_s)
    finally:
        await consumer.stop()


async def alerts(address: str, topic: str) -> None:
    """A line for each alert, until ended."""
    consumer = await Clients(KafkaSettings(bootstrap_servers=address)).consumer()
    at = TopicPartition(topic, 0)
    consumer.assign([at])
    consumer.seek(at, 0)
    while True:
        record = await consumer.getone()
        alert = json.loads(record.value)
        told = {"ts": alert["ts"], "status": alert["status"], "written_ms": record.timestamp}
        print(json.dumps(told | {"readable_ms": time.time_ns() / 1e6}), flush=True)


def main() -> None:
    """See the module's words."""
    reader, address, records, *topics = sys.argv[1:]
    if reader == "aiokafka":
        asyncio.run(with_aiokafka(address, int(records), topics))
    else:
        asyncio.run(alerts(address, topics[0]))


if __name__ == "__main__":
    main()
