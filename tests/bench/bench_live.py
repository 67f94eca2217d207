"""Everything through a real Kafka, side by side on the same topics: `brinkwatch run`, and consumers
that only read; then how long an alert takes at a live pace.

    python -m tests.bench.bench_live [--events N] [--quick] [--paces 1000,10000,50000]

Each contender is a process of its own; its CPU time is the kernel's count of that process, from
where it has begun to read to where it has read the last record. The broker runs on the same machine
and its time is nobody's: on few cores the wall times are those of both together.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitor.broker.kafka_server import Broker
from monitor.commands.bus.topics import create_topics
from monitor.config import Config
from monitor.console import Console
from monitor.kafka.clients import Clients
from tests.bench.live_feed import PARTITIONS, RECORD_BYTES, all_at_once, at_a_pace
from tests.bench.others.contenders import contenders
from tests.live.helpers import configuration
from tests.live.sidecars import Process, write_toml

EVENT_RATE = 20_000.0
"""Records in a second of event time of what is read all at once."""
WARM_UP = 20_000
"""Records of the run before, that fills the kernels' cache."""
WAIT_S = 600.0
POLL_S = 0.5
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
DEFAULT_TIME = {"time": {"window_ms": 1_000, "lateness_ms": 50}}


@dataclass(frozen=True)
class Cost:
    """What reading took."""

    wall_s: float
    cpu_s: float

    def row(self, name: str, events: int, base: Cost | None) -> str:
        ratio = f"{self.cpu_s / base.cpu_s:6.1f}" if base else "   1.0"
        return (
            f"{name:44s} {events / self.wall_s:10,.0f} {self.cpu_s / events * 1e6:8.2f} {ratio} "
            f"{os.getloadavg()[0]:6.1f}"
        )


def settings(address: str, **over: Any) -> Config:
    """The default streams, topics of their own."""
    small = configuration(address)
    held = Config(kafka=small.kafka, topics=small.topics, http=small.http)
    return Config(**{**held.model_dump(), **over})


def read_topics(config: Config) -> list[str]:
    """The topics that have records."""
    return [config.topics[kind] for kind in ("order", "cancel")]


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def fill(config: Config, events: int) -> int:
    """Publish the records; returns how many there are."""
    producer = await Clients(config.kafka).producer(max_batch_size=256 << 10)
    try:
        return await all_at_once(producer, config, events, EVENT_RATE)
    finally:
        await producer.stop()


def sidecar(config: Config, folder: Path, events: int) -> Cost:
    """`brinkwatch run` until the positions that it tells are the ends."""
    write_toml(folder / "run.toml", config)
    with Process(folder / "run.toml", folder / "run.log") as run:
        run.wait_to_read()
        began, spent_s = time.monotonic(), cpu_s(run.child.pid)
        while True:
            positions = run.snapshot()["positions"]
            read = sum(sum(positions.get(topic, {}).values()) for topic in read_topics(config))
            if read >= events:
                return Cost(time.monotonic() - began, cpu_s(run.child.pid) - spent_s)
            if time.monotonic() - began > WAIT_S:
                raise SystemExit(f"not read within {WAIT_S:.0f} s: {positions}")
            time.sleep(POLL_S)


def alone(reader: str, config: Config, events: int) -> Cost:
    """A consumer that does nothing with what it reads."""
    given = [reader, config.kafka.bootstrap_servers, str(events), *read_topics(config)]
    command = [sys.executable, "-m", "tests.bench.live_readers", *given]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    return Cost(**json.loads(told.stdout))


def throughput(address: str, folder: Path, wanted: int) -> None:
    """Print the table of those who read the same records."""
    small = settings(address, **DEFAULT_TIME)
    create_topics(small, PARTITIONS, Console(True))
    sidecar(small, folder, asyncio.run(fill(small, WARM_UP)))
    config = settings(address, **DEFAULT_TIME)
    create_topics(config, PARTITIONS, Console(True))
    began = time.monotonic()
    events = asyncio.run(fill(config, wanted))
    took_s = time.monotonic() - began
    print(
        f"{events:,} records of {RECORD_BYTES} bytes, {PARTITIONS} partitions of 2 topics; "
        f"published in {took_s:.0f} s"
    )
    print(f"{'':44s} {'events/s':>10s} {'CPU µs':>8s} {'ratio':>6s} {'load':>6s}", flush=True)
    base = alone("aiokafka", config, events)
    print(base.row("aiokafka getmany, nothing done", events, None), flush=True)
    whole = sidecar(config, folder, events)
    print(whole.row("brinkwatch run (all of it, exactly once)", events, base), flush=True)
    again = alone("aiokafka", config, events)
    print(again.row("aiokafka getmany, once more", events, base), flush=True)
    for other in contenders(folder):
        if other.command is None:
            print(f"{other.name}: not measured, {other.why}", flush=True)
            continue
        address = config.kafka.bootstrap_servers
        state = folder / other.command[-1].replace("/", "-")
        taken = other.run(address, events, state, read_topics(config))
        print(Cost(**taken).row(other.name, events, base), flush=True)


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
    command = [sys.executable, "-m", "tests.bench.live_readers", "alerts"]
    command += [address, "0", config.kafka.alerts_topic]
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
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--quick", action="store_true", help="300,000 records, two paces")
    parser.add_argument("--paces", default="")
    given = parser.parse_args()
    events = 300_000 if given.quick else given.events
    paces = given.paces or ("1000,10000" if given.quick else "1000,10000,50000")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the first run", flush=True)
    with tempfile.TemporaryDirectory() as at, Broker() as broker:
        throughput(broker.bootstrap, Path(at), events)
        print(f"alerts at a live pace, {PACE_S:.0f} s each; {LATENESS_MS} ms of lateness included")
        for pace in paces.split(","):
            latency(broker.bootstrap, Path(at), float(pace))


if __name__ == "__main__":
    main()
