"""How long after its window's end an alert can be read, through a real Kafka at a live pace:
`brinkwatch run` in a process of its own, and bursts planted in what is sent.

    python -m tests.bench live [--quick]

The broker, the sender and the reader run on the same machine. `bench_rivals` measures what reading
costs.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from monitor.broker.kafka_server import Broker
from monitor.commands.bus.topics import create_topics
from monitor.config import Config
from monitor.console import Console
from monitor.errors import BrinkwatchError
from monitor.kafka.clients import Clients
from tests.bench.figures import Figure
from tests.bench.live_feed import PARTITIONS, LoadFeed, at_a_pace
from tests.live.helpers import configuration
from tests.live.sidecars import Process, write_toml

LEARN_S = 6.0
"""At a live pace: the detectors' warm-up, before bursts are planted."""
BURST_EVERY = 4
LATENESS_MS = 10
"""Nothing comes out of order here; what a venue allows for that comes on top."""
LIVE = {
    "time": {"window_ms": 250, "lateness_ms": LATENESS_MS},
    "alerts": {"per_day": 20_000.0, "quiet_s": 0.5, "together_s": 0.25},
    "streams": [{"feature": "cancels", "parameters": {"warm_up": 12}}],
}
"""Short windows and a short warm-up, for more alerts; still so few that p99 is near the highest."""
GOALS_MS = {50: 100.0, 99: 250.0}
ARRIVAL_S = 2.0
"""After the last record: the last alerts are on their way."""
CASES: dict[str, tuple[dict[str, Any], ...]] = {
    "full": (
        {"rate": 1_000, "markets": 8, "seconds": 20.0},
        {"rate": 10_000, "markets": 8, "seconds": 20.0},
        {"rate": 50_000, "markets": 8, "seconds": 20.0},
        {"rate": 10_000, "markets": 500, "seconds": 20.0},
    ),
    "quick": (
        {"rate": 1_000, "markets": 8, "seconds": 20.0},
        {"rate": 10_000, "markets": 8, "seconds": 20.0},
        {"rate": 10_000, "markets": 500, "seconds": 20.0},
    ),
    "tiny": ({"rate": 500, "markets": 8, "seconds": 8.0},),
}


def measure(
    scratch: Path, rate: float, markets: int, seconds: float, address: str = ""
) -> Iterator[Figure]:
    """One pace; `address`: of a broker that runs already."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    if address:
        yield from _latency(address, folder, rate, markets, seconds)
        return
    with Broker() as broker:
        yield from _latency(broker.bootstrap, folder, rate, markets, seconds)


def _latency(
    address: str, folder: Path, rate: float, markets: int, seconds: float
) -> Iterator[Figure]:
    own = configuration(address)
    config = Config(**{**Config(kafka=own.kafka, topics=own.topics).model_dump(), **LIVE})
    create_topics(config, PARTITIONS, Console(True))
    write_toml(folder / "live.toml", config)
    feed = LoadFeed(config, markets)
    command = [sys.executable, "-m", "tests.bench.live_readers"]
    command += [address, config.kafka.alerts_topic]
    with Process(folder / "live.toml", folder / "live.log") as run:
        run.wait_to_read()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
            try:
                ends, sent, late_s = asyncio.run(_send(config, feed, rate, seconds))
                time.sleep(ARRIVAL_S)
            finally:
                reader.terminate()
            lines = reader.stdout.read().splitlines() if reader.stdout else []
    read = [json.loads(line) for line in lines]
    alerts = [a for a in read if a["ts"] in ends and a["status"] != "resolved"]
    print(
        f"{sent / seconds:,.0f} records/s, {markets} markets: {len(ends)} bursts, {len(alerts)} "
        f"alerts of their windows; load {os.getloadavg()[0]:.1f}; the sender was at most "
        f"{late_s * 1e3:.0f} ms late",
        flush=True,
    )
    if not alerts:
        raise BrinkwatchError(
            f"none of {len(ends)} planted bursts gave an alert within {ARRIVAL_S:g} s of the end"
        )
    ms = np.array([a["readable_ms"] - a["ts"] / 1e6 for a in alerts])
    for percent, goal in GOALS_MS.items():
        name = f"{rate:,.0f}/s, {markets} markets: p{percent}"
        value = float(np.percentile(ms, percent))
        yield Figure(name, value, "ms after the window", len(alerts), goal=goal)


async def _send(
    config: Config, feed: LoadFeed, rate: float, seconds: float
) -> tuple[set[int], int, float]:
    """See `at_a_pace`."""
    producer = await Clients(config.kafka).producer(linger_ms=0)
    try:
        return await at_a_pace(
            producer, feed, config.time.window_ns, rate, seconds, BURST_EVERY, LEARN_S
        )
    finally:
        await producer.stop()
