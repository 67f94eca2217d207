"""A process that prints of each alert when it was written and when it could be read, until ended.

python -m tests.bench.live_readers ADDRESS TOPIC
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from aiokafka import TopicPartition

from monitor.config import KafkaSettings
from monitor.kafka.clients import Clients


async def alerts(address: str, topic: str) -> None:
    """A line for each alert."""
    consumer = await Clients(KafkaSettings(bootstrap_servers=address)).consumer()
    at = TopicPartition(topic, 0)
    consumer.assign([at])
    consumer.seek(at, 0)
    while True:
        record = await consumer.getone()
        alert = json.loads(record.value)
        line = {"ts": alert["ts"], "status": alert["status"], "written_ms": record.timestamp}
        print(json.dumps(line | {"readable_ms": time.time_ns() / 1e6}), flush=True)


if __name__ == "__main__":
    asyncio.run(alerts(*sys.argv[1:]))
