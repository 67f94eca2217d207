"""A venue's bus as it is, live: each record counts once, and replay makes the same of it."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

from tests.live.bus import bus_configuration, bus_records, create_bus, rekeyed, write_bus
from tests.live.helpers import replay_to_file, simulated_day
from tests.live.killing import Group, record_day, values
from tests.live.sidecars import Process, wait_for

KILLS = int(os.environ.get("BRINKWATCH_TEST_SOURCE_KILLS", "4"))
"""`make soak` kills ten times."""
SECONDS_A_KILL = 4.0


def test_killed_at_any_moment_it_takes_each_record_of_a_bus_once_and_in_order(
    kafka: str, tmp_path: Path
) -> None:
    own, config = bus_configuration(
        kafka, partitions=2, poll_records=400, commit_s=0.05, member_timeout_s=6.0
    )
    config = config.model_copy(update={"state": config.state.model_copy(update={"every_s": 0.3})})
    records = bus_records(simulated_day(minutes=1, symbols=12, rate=40.0))
    asyncio.run(create_bus(kafka, own))
    speed = 60 / (KILLS * SECONDS_A_KILL)
    sender = threading.Thread(
        target=lambda: asyncio.run(write_bus(kafka, own, records, speed)), daemon=True
    )
    sender.start()
    chance = random.Random(7)
    with Group(tmp_path, config, 1) as group:
        for _ in range(KILLS):
            group.kill_one(chance)
        sender.join()
        wait_for_end(group.members[0], len(records))
        day = record_day(config, tmp_path / "again")
        digest, alerts = replay_to_file(day, config, tmp_path / "alerts")
        wait_for(group.members, digest)
    taken = asyncio.run(rekeyed(kafka, config))
    assert taken == Counter((record.kind, record.canonical) for record in records)
    assert alerts
    assert values(kafka, config.kafka.alerts_topic) == alerts


def wait_for_end(process: Process, records: int, seconds: float = 90.0) -> None:
    """Until so many records of the bus were taken in, and the feed is seen to have ended."""
    end = time.monotonic() + seconds
    while True:
        intake = process.snapshot().get("intake", {"sources": {}, "ended": False})
        counts = [source.get("accepted", 0) for source in intake["sources"].values()]
        if intake["ended"] and sum(counts) == records:
            return
        assert time.monotonic() < end, intake
        time.sleep(0.2)
