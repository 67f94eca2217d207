"""A long day at many times its pace: does memory, the number of series or the lag grow?

    python -m tests.live.soak [--hours 24] [--speed 60] [--symbols 500] [--accounts 1000000]

starts a real Kafka, streams an invented venue to it while `brinkwatch run` reads, looks at the
sidecar every few seconds, and writes what it saw as JSON and as a picture. Exit status 1 where
something grows after the warm-up, or the sidecar falls behind. Kafka keeps the newest records
alone: the day needs no more disk for being long.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from monitor.broker.kafka_server import Broker
from monitor.commands.bus.topics import create_topics
from monitor.config import Config, load
from monitor.console import Console
from monitor.core.contract.alert import parse_alert
from monitor.kafka.clients import Clients
from tests.live.helpers import read_records
from tests.live.sidecars import Process, write_toml
from tests.live.soak import picture
from tests.live.soak.feed import PARTITIONS, START_TS, Feed, FeedSettings
from tests.live.soak.samples import Sampler, Verdict, judge

WARM_UP = 1 / 3
"""Of the day: detectors learn, and the arrays of what is kept come to their size."""
KAFKA = {
    "log.retention.bytes": str(96 << 20),
    "log.segment.bytes": str(32 << 20),
    "log.retention.check.interval.ms": "5000",
}
"""Of a topic partition; minutes of this pace."""
OUT = Path("bench-out")


def measure(settings: FeedSettings, bands_every_s: float, every_s: float) -> dict[str, Any]:
    """Run the day; everything that was seen, ready for JSON."""
    with (
        tempfile.TemporaryDirectory(prefix="brinkwatch-soak-") as at,
        Broker(settings=KAFKA) as broker,
    ):
        folder = Path(at)
        kafka = {"bootstrap_servers": broker.bootstrap, "partitions": PARTITIONS}
        accounts = {"bands_every_s": bands_every_s}
        config = load(None, kafka=kafka, accounts=accounts, state={"dir": folder / "state"})
        create_topics(config, PARTITIONS, Console(True))
        config = write_toml(folder / "run.toml", config)
        feed = Feed(settings, config)
        with Process(folder / "run.toml", folder / "log") as sidecar:
            sidecar.wait_to_read(300.0)
            sampler = Sampler(sidecar, broker.directory, every_s)
            try:
                opened_s, start_s = asyncio.run(_send(config, feed, sidecar, sampler))
            finally:
                sampler.stop()
                log = (folder / "log").read_text()
            alive = sidecar.child.poll() is None
        delays = _alert_delays(config, settings.speed, start_s)
        return {
            "settings": dataclasses.asdict(settings) | {"bands_every_s": bands_every_s},
            "cores": os.cpu_count(),
            "records": feed.sent,
            "opening_s": opened_s,
            "sender_late_s": feed.late_s,
            "alive": alive,
            "faults": sampler.faults,
            "warnings": [line for line in log.splitlines() if '"level": "warning"' in line][-20:],
            "samples": [dataclasses.asdict(sample) for sample in sampler.samples],
            "alert_delays": delays,
        }, judge(sampler.samples, WARM_UP * settings.hours * 3600 / settings.speed)


async def _send(
    config: Config, feed: Feed, sidecar: Process, sampler: Sampler
) -> tuple[float, float]:
    """Send everything; how long the opening took, s, and the wall time of the day's start."""
    producer = await Clients(config.kafka).producer(linger_ms=5, compression_type="lz4")
    began = time.monotonic()
    try:
        await feed.open(producer)
        while await asyncio.to_thread(_waiting, sidecar):
            await asyncio.sleep(1.0)
        opened_s = time.monotonic() - began
        print(f"{opened_s:.0f} s: accounts and positions are there", flush=True)

        def start(wall_s: float) -> None:
            sampler.start_s = wall_s

        progress = asyncio.create_task(_tell(sampler, feed))
        try:
            await feed.run(producer, start)
        finally:
            progress.cancel()
    finally:
        await producer.stop()
    return opened_s, sampler.start_s or 0.0


def _waiting(sidecar: Process) -> bool:
    """Whether records of the opening are still to be read."""
    try:
        document = sidecar.snapshot()
    except OSError:
        return True  # it is too busy to say
    return not document.get("events") or document["lag"] > 0


async def _tell(sampler: Sampler, feed: Feed) -> None:
    while True:
        await asyncio.sleep(15.0)
        if sampler.samples:
            last = sampler.samples[-1]
            hours = last.at_s * feed.settings.speed / 3600
            print(
                f"{last.at_s:6.0f} s, {hours:5.2f} h: {last.memory_mb:6.0f} MB, {last.series:6d} "
                f"series, lag {last.lag_s:.1f} s, bands {last.bands_behind_s:.0f} s behind, "
                f"snapshot {last.snapshot_mb:.0f} MB {last.snapshot_age_s:.0f} s old, "
                f"{last.processor_s / max(last.at_s, 1):.2f} cores, Kafka {last.kafka_mb:.0f} MB, "
                f"sender {feed.late_s:.1f} s late",
                flush=True,
            )


def _alert_delays(config: Config, speed: float, start_s: float) -> list[tuple[float, float]]:
    """Of each alert the hour of its decision, and the wall time from there to its publication."""
    delays = []
    topic = config.kafka.alerts_topic
    for record in asyncio.run(read_records(config.kafka.bootstrap_servers, topic)):
        event_s = (parse_alert(record.value).ts - START_TS) / 1e9
        if event_s > 0:
            delays.append((event_s / 3600, record.timestamp / 1000 - start_s - event_s / speed))
    return delays


def picture_of(result: dict[str, Any]) -> str:
    """The curves."""
    settings, samples = result["settings"], result["samples"]
    hours = [one["at_s"] * settings["speed"] / 3600 for one in samples]

    def curve(name: str) -> picture.Points:
        return [(h, one[name]) for h, one in zip(hours, samples, strict=True)]

    used = [one["processor_s"] for one in samples]
    at = [one["at_s"] for one in samples]
    cores = [
        (h, (u1 - u0) / (t1 - t0))
        for h, u0, u1, t0, t1 in zip(hours[1:], used, used[1:], at, at[1:], strict=False)
    ]
    behind = [
        (h, max(0.0, one["event_s"] - one["bands_s"]))
        for h, one in zip(hours, samples, strict=True)
    ]
    title = (
        f"{settings['hours']:g} h at ×{settings['speed']:g}: {settings['symbols']:,} markets, "
        f"{settings['accounts']:,} accounts, {result['records'] / 1e6:.1f} M records"
    )
    return picture.draw(
        title,
        {
            "memory, MB": curve("memory_mb"),
            "series at /metrics": curve("series"),
            "lag, s of wall time": curve("lag_s"),
            "alerts: from the decision's time to publication, s of wall time": result[
                "alert_delays"
            ],
            "bands behind the newest record, s of event time": behind,
            "processor, cores": cores,
        },
        WARM_UP * settings["hours"],
        settings["hours"],
    )


def main() -> int:
    """See the docstring of this module."""
    parser = argparse.ArgumentParser(prog="python -m tests.live.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--speed", type=float, default=60.0, help="its seconds a second")
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=100.0, help="events a second of event time")
    parser.add_argument("--quote", type=int, default=20, help="s between two books of a market")
    parser.add_argument("--bands-every", type=float, default=10.0, help="accounts.bands_every_s")
    parser.add_argument("--every", type=float, default=5.0, help="s of wall time between samples")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of soak.json and soak.svg")
    given = parser.parse_args()
    settings = FeedSettings(
        given.hours, given.speed, given.symbols, given.accounts, given.rate, given.quote
    )
    result, verdict = measure(settings, given.bands_every, given.every)
    _write(given.out, result, verdict)
    return 1 if verdict.faults or not result["alive"] else 0


def _write(out: Path, result: dict[str, Any], verdict: Verdict) -> None:
    out.mkdir(parents=True, exist_ok=True)
    document = result | {"verdict": dataclasses.asdict(verdict)}
    (out / "soak.json").write_text(json.dumps(document, indent=1))
    (out / "soak.svg").write_text(picture_of(result))
    for name, slope in verdict.slopes.items():
        print(f"{name}: mean {slope.mean:.4g}, growth {slope.growth:.3g} ± {slope.error:.2g}")
    delays = [delay for _, delay in result["alert_delays"]]
    if delays:
        p50, p99 = np.percentile(delays, (50, 99))
        print(f"{len(delays)} alerts, {p50:.2f} s after their time at the median, p99 {p99:.2f} s")
    print(f"{result['records']:,} records; the sender was {result['sender_late_s']:.1f} s late")
    for fault in [*verdict.faults, *result["faults"][:5]]:
        print(f"fault: {fault}")
    print(f"{out / 'soak.json'}, {out / 'soak.svg'}")


if __name__ == "__main__":
    sys.exit(main())
