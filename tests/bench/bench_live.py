"""How long an alert takes through a real Kafka at a live pace: `brinkwatch run` in a process of its
own, and bursts planted in what is sent.

    python -m tests.bench.bench_live [--quick] [--paces 1000,10000,50000]

The broker runs on the same machine. `bench_rivals` measures what reading costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from monitor.broker.kafka_server import Broker
from monitor.commands.bus.topics import create_topics
from monitor.config import Config
from monitor.console import Console
from monitor.kafka.clients import Clients
from tests.bench.live_feed import PARTITIONS, at_a_pace
from tests.live.helpers import configuration
from tests.live.sidecars import Process, write_toml

PACE_S = 20.0
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


def settings(address: str, **over: Any) -> Config:
    """The default streams, topics of their own."""
    small = configuration(address)
    held = Config(kafka=small.kafka, topics=small.topics, http=small.http)
    return Config(**{**held.model_dump(), **over})


async def paced(config: Config, rate: float) -> tuple[set[int], int, float]:
    """See `at_a_pace`."""
    producer = await Clients(config.kafka).producer(linger_ms=0)
    try:
        return await at_a_pace(producer, config, rate, PACE_S, BURST_EVERY, LEARN_S)
    finally:
        await producer.stop()


def latency(address: str, folder: Path, rate: float) -> None:
    """Print how long after the end of its window an alert was written, and could be read."""
    config = settings(address, **LIVE)
    create_topics(config, PARTITIONS, Console(True))
    write_toml(folder / "live.toml", config)
    command = [sys.executable, "-m", "tests.bench.live_readers"]
    command += [address, config.kafka.alerts_topic]
    with Process(folder / "live.toml", folder / "live.log") as run:
        run.wait_to_read()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
            try:
                ends, sent, late_s = asyncio.run(paced(config, rate))
                time.sleep(2.0)
            finally:
                listener.terminate()
            lines = listener.stdout.read().splitlines() if listener.stdout else []
    heard = [json.loads(line) for line in lines]
    alerts = [a for a in heard if a["ts"] in ends and a["status"] != "resolved"]
    print(f"{sent / PACE_S:9,.0f}/s: {len(ends)} bursts, {len(alerts)} alerts of their windows")
    if alerts:
        for name in ("written", "readable"):
            ms = np.array([a[f"{name}_ms"] - a["ts"] / 1e6 for a in alerts])
            p50, p99 = np.percentile(ms, (50, 99))
            print(f"{'':12s}{name:9s} p50 {p50:5.0f} ms  p99 {p99:5.0f} ms after the window's end")
    print(
        f"{'':12s}load {os.getloadavg()[0]:.1f}; the sender was at most {late_s * 1e3:.0f} ms late"
    )


def main() -> None:
    """See the module's words."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two paces")
    parser.add_argument("--paces", default="")
    given = parser.parse_args()
    paces = given.paces or ("1000,10000" if given.quick else "1000,10000,50000")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the first run", flush=True)
    with tempfile.TemporaryDirectory() as at, Broker() as broker:
        print(f"alerts at a live pace, {PACE_S:.0f} s each; {LATENESS_MS} ms of lateness included")
        for pace in paces.split(","):
            latency(broker.bootstrap, Path(at), float(pace))


if __name__ == "__main__":
    main()
