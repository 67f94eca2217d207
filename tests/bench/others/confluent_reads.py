"""confluent-kafka reads so many records and does nothing with them.

python confluent_reads.py ADDRESS RECORDS FOLDER TOPIC...
"""

from __future__ import annotations

import json
import sys
import time

from confluent_kafka import Consumer, TopicPartition

PARTITIONS = 4
BATCH = 20_000


def main() -> None:
    """The library's own defaults, from the beginning."""
    address, wanted, _, *topics = sys.argv[1:]
    consumer = Consumer({"bootstrap.servers": address, "group.id": "bench-confluent"})
    consumer.assign([TopicPartition(t, p, 0) for t in topics for p in range(PARTITIONS)])
    began_s, spent_s, read = time.monotonic(), time.process_time(), 0
    while read < int(wanted):
        found = consumer.consume(BATCH, timeout=0.1)
        read += sum(len(message.value()) > 0 for message in found)
    wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - spent_s
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s}))
    consumer.close()


if __name__ == "__main__":
    main()
