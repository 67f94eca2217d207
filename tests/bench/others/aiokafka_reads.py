"""aiokafka reads so many records and does nothing with them, with the options of `brinkwatch run`.

python -m tests.bench.others.aiokafka_reads ADDRESS RECORDS PARTITIONS TOPIC...
"""

from __future__ import annotations

import asyncio
import sys

from aiokafka import TopicPartition

from monitor.config import KafkaSettings
from monitor.kafka.clients import Clients
from tests.bench.others.progress import Progress


async def read(settings: KafkaSettings, records: int, places: list[TopicPartition]) -> None:
    """Read from the beginning of the topic partitions."""
    consumer = await Clients(settings).consumer()
    try:
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        progress = Progress(records)
        while not progress.is_complete:
            polled = await consumer.getmany(timeout_ms=100, max_records=settings.poll_records)
            progress.add(sum(map(len, polled.values())))
    finally:
        await consumer.stop()


def main() -> None:
    address, records, partitions, *topics = sys.argv[1:]
    places = [TopicPartition(topic, p) for topic in topics for p in range(int(partitions))]
    asyncio.run(read(KafkaSettings(bootstrap_servers=address), int(records), places))


if __name__ == "__main__":
    main()
