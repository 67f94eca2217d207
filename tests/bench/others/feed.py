"""The records that all read: a simulated venue's, published once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.commands.bus.publish_day import Feed, publish_day
from monitor.commands.bus.topics import create_topics
from monitor.config import Config
from monitor.console import Console
from monitor.core.contract.events import Control
from monitor.core.contract.units import SECOND_NS
from monitor.kafka import topics
from monitor.kafka.clients import Clients, run_async
from monitor.kafka.messages import control_message
from replay.day import Day
from replay.day.messages import chunks
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import SimulatedDay, simulate

KINDS = ("order", "cancel", "fill")
"""What is counted."""
PARTITIONS = 4
MARKETS, ACCOUNTS = 32, 5_000
RATE_MAX = 20_000.0
"""Orders, cancels and fills in a second of event time, at most."""
SMALL = 0.05
"""The rate of the small day, as a share."""


@dataclass(frozen=True)
class PublishedDay:
    """What lies in the topics.

    events: orders, cancels and fills; others: books, marks, and so on; counts: events by kind,
    symbol and the end of their second (ms).
    """

    events: int
    others: int
    counts: Counter[tuple[str, str, int]]
    controls: Sequence[Control]


def publish_simulated(config: Config, events: int, folder: Path) -> PublishedDay:
    """Publish about so many events to the topics of `config`, which are created."""
    minutes = max(1, math.ceil(events / RATE_MAX / 60))
    rate = events / minutes / 60
    # Activity has its ups and downs, the same at every rate: a small day says how many come.
    small = _simulate(folder / f"small-{events}", minutes, rate * SMALL)
    rate *= events * SMALL / sum(small.events[kind] for kind in KINDS)
    day = Day(_simulate(folder / f"day-{events}", minutes, rate).out)
    names = day.topic_names(config.topics)
    parts = [(names[part.topic], part.partition) for part in day.meta.partitions]
    controls = day.controls(config.accounts.bands_interval_ns, config.topics)
    runs = chunks(day, topics=config.topics)
    publish_day(config, Console(True), Feed(parts, controls, runs, day.record_count, None))
    counts = _counts(day)
    counted = counts.total()
    return PublishedDay(counted, day.record_count - counted, counts, controls)


def _simulate(out: Path, minutes: int, rate: float) -> SimulatedDay:
    settings = SimulationSettings(1, minutes, MARKETS, ACCOUNTS, rate, "none", PARTITIONS)
    return simulate(out, settings)


def _counts(day: Day) -> Counter[tuple[str, str, int]]:
    counts: Counter[tuple[str, str, int]] = Counter()
    for batch in day.batches():
        if batch.kind in KINDS:
            ends = (batch.numbers["ts"] // SECOND_NS + 1) * 1_000
            symbols = batch.texts["symbol"].to_strings()
            counts.update(
                (batch.kind, s, end) for s, end in zip(symbols, ends.tolist(), strict=True)
            )
    return counts


def create_own_topics(config: Config, controls: Sequence[Control]) -> None:
    """Create the sidecar's own topics of `config`, with the day's control records."""
    create_topics(config, PARTITIONS, Console(True))
    run_async(_send_controls(config, controls))


def create_output(config: Config, topic: str) -> None:
    """Create the topic for the windows that another program sends on."""
    run_async(
        topics.create(Clients(config.kafka), topics.venue_topics(config, [topic], PARTITIONS))
    )


async def _send_controls(config: Config, controls: Sequence[Control]) -> None:
    producer = await Clients(config.kafka).producer()
    try:
        for control in controls:
            message = control_message(control)
            await message.send(producer, config.kafka.control_topic, control.partition)
    finally:
        await producer.stop()
