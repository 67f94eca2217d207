"""`kill -9` of members at random moments, and the alerts that are published all the same.

    python -m tests.live.killing [--kills N] [--members M] [--seed S]

starts a real Kafka, publishes a simulated day of four partitions at a pace that lasts, kills
members all the while, restarts the broker half-way, and compares the alerts topic as a reader of
committed data sees it with the alerts of an undisturbed replay. Exit status 1 where they differ.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.broker.kafka_server import Broker
from monitor.config import Config
from replay.day import Day, DayWriter
from tests.live.helpers import (
    configuration,
    create_topics_of,
    read_records,
    replay_to_file,
    send,
    total,
    write_day,
)
from tests.live.sidecars import Process, wait_to_end, write_toml

PARTITIONS, SYMBOLS = 4, 12
ALIVE_S_MAX = 1.5
"""A member lives up to this long after it has begun to read."""
SECONDS_A_KILL = 5.0
"""What a start, a restore and a short life take on two busy cores."""


@dataclass
class Group:
    """Members of one group; each keeps its name when it is started again."""

    folder: Path
    config: Config
    size: int
    members: list[Process] = field(default_factory=list)
    restores_s: list[float] = field(default_factory=list)
    """Of each restart, from the start of the process to its first owner's reading."""
    _count: int = 0

    def start(self, name: int) -> Process:
        """Start member `name`."""
        toml = self.folder / f"member-{name}.toml"
        if not toml.exists():
            own = self.config.kafka.model_copy(update={"member": f"m{name}"})
            write_toml(toml, self.config.model_copy(update={"kafka": own}))
        self._count += 1
        return Process(toml, self.folder / f"log-{self._count}-m{name}")

    def __enter__(self) -> Group:
        self.members = [self.start(name) for name in range(self.size)]
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.kill()

    def kill_one(self, chance: random.Random) -> None:
        """Kill a member some time after it began to read (or before), and start it again."""
        name = chance.randrange(self.size)
        victim = self.members[name]
        if chance.random() < 0.8:
            victim.wait_to_read()
        time.sleep(chance.uniform(0.0, ALIVE_S_MAX))
        victim.kill()
        began = time.monotonic()
        again = self.members[name] = self.start(name)
        if chance.random() < 0.5:
            again.wait_to_read()
            self.restores_s.append(time.monotonic() - began)


@dataclass(frozen=True)
class Outcome:
    """Alerts as committed, with those of aborted transactions, and as they should be."""

    committed: list[bytes]
    raw: list[bytes]
    wanted: list[bytes]
    letters: int
    refused: int
    restores_s: list[float]

    @property
    def good(self) -> bool:
        """Whether no alert is lost or published twice, and all are in order."""
        return self.committed == self.wanted and self.letters == self.refused

    def summary_line(self) -> str:
        again = len(self.raw) - len(self.committed)
        middle = sorted(self.restores_s)[len(self.restores_s) // 2] if self.restores_s else 0.0
        return (
            f"{len(self.committed)} of {len(self.wanted)} alerts committed, "
            f"{'the same' if self.committed == self.wanted else 'NOT the same'}; "
            f"{again} more were cut off before their commit; dead letters {self.letters} of "
            f"{self.refused}; reading again {middle:.1f} s after a start at the median"
        )


def kill_loop(
    address: str,
    folder: Path,
    *,
    kills: int,
    members: int,
    seed: int,
    minutes: int,
    speed: float,
    at_half: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Publish a day to members that are killed meanwhile; see the docstring of this module."""
    quick: dict[str, Any] = {"poll_records": 400, "commit_s": 0.05, "member_timeout_s": 6.0}
    config = configuration(address, **quick)
    config = config.model_copy(update={"state": config.state.model_copy(update={"every_s": 0.3})})
    day = write_day(
        folder, config, seed, partitions=PARTITIONS, symbols=SYMBOLS, minutes=minutes, rate=40.0
    )
    chance = random.Random(seed)
    create_topics_of(day, config)
    sender = threading.Thread(target=send, args=(day, config, speed), daemon=True)
    sender.start()
    with Group(folder, config, members) as group:
        for kill in range(kills):
            if kill == kills // 2:
                at_half()
            group.kill_one(chance)
            say(f"killed {kill + 1} of {kills}")
        sender.join()
        wait_to_end(group.members, total(day))
        restores_s = group.restores_s
    # The topics as they are now, with the control records sent while members were away.
    _, wanted = replay_to_file(record_day(config, folder / "again"), config, folder / "alerts")
    return Outcome(
        values(address, config.kafka.alerts_topic),
        values(address, config.kafka.alerts_topic, "read_uncommitted"),
        wanted,
        len(values(address, config.kafka.dlq_topic)),
        len(day.refused_records()),
        restores_s,
    )


def record_day(config: Config, out: Path) -> Day:
    """`brinkwatch record`."""
    from monitor.commands.bus.record_day import record_day
    from monitor.console import Console

    with DayWriter(out, venue="test") as day:
        record_day(config, Console(True), day)
    return Day(out)


def values(address: str, topic: str, isolation: str = "read_committed") -> list[bytes]:
    """The values in partition 0 of a topic."""
    return [r.value for r in asyncio.run(read_records(address, topic, isolation=isolation))]


def main() -> int:
    """See the docstring of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    minutes = 3
    speed = minutes * 60 / (given.kills * SECONDS_A_KILL)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as at, Broker(brief=True) as broker:

        def restart() -> None:
            print("the broker is started again", flush=True)
            broker.restart()

        outcome = kill_loop(
            broker.bootstrap,
            Path(at),
            kills=given.kills,
            members=given.members,
            seed=given.seed,
            minutes=minutes,
            speed=speed,
            at_half=restart,
            say=lambda line: print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True),
        )
    print(f"{given.kills} kills of {given.members} member(s): {outcome.summary_line()}")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
