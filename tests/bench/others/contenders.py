"""Those who read the same records as `brinkwatch run`, each a process of its own that prints how
far it is (`progress.py`).

What counts does the same work in each: decode the JSON, count a symbol's orders, cancels and fills
in windows of a second of event time, score each window, send it on; exactly once, with a commit
every five seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monitor.errors import BrinkwatchError
from tests.bench.others.java_programs import compile_program

HERE = Path(__file__).parent
PYTHON = Path(sys.prefix) / "others" / "bin" / "python"
"""Made by `make bench-rivals`: the bounds of these libraries are not those of the project."""
WAIT_S = 600.0
ERROR_CHARS = 2_000
"""Of what a program has said on stderr, the end."""


@dataclass(frozen=True)
class Sample:
    """How many records a process had read, and its wall and processor time then, s."""

    read: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Topics:
    """What is read, from where, and the topic for the windows that are sent on."""

    address: str
    inputs: tuple[str, ...]
    partitions: int
    output: str


@dataclass(frozen=True)
class Contender:
    """A program that reads and counts.

    build: makes what is needed in a folder, and returns the command; arguments: what the command
    takes beside address, records and topics; counts: whether it sends windows on; events_max: how
    many it reads at most, where it is too slow for all.
    """

    name: str
    build: Callable[[Path], list[str]]
    arguments: Callable[[Path, Topics], list[str]]
    counts: bool = True
    events_max: int | None = None

    def run(self, command: list[str], topics: Topics, events: int, state: Path) -> list[Sample]:
        """Its samples, from the first record to the last; returns when it has ended by itself.

        Raises `BrinkwatchError` where it fails.
        """
        given = [topics.address, str(events), *self.arguments(state, topics), *topics.inputs]
        try:
            done = subprocess.run(
                [*command, *given], capture_output=True, text=True, timeout=WAIT_S
            )
        except subprocess.TimeoutExpired:
            raise BrinkwatchError(f"{self.name} has not read all within {WAIT_S:.0f} s") from None
        if done.returncode:
            raise BrinkwatchError(f"{self.name} ended with an error: {done.stderr[-ERROR_CHARS:]}")
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return [Sample(**json.loads(line)) for line in lines]


def _program(name: str) -> Callable[[Path], list[str]]:
    def build(folder: Path) -> list[str]:
        classes = folder / name
        return compile_program(name, classes)

    return build


def _threads(count: int) -> Callable[[Path, Topics], list[str]]:
    return lambda state, topics: [str(state), topics.output, str(count)]


AIOKAFKA = Contender(
    "aiokafka alone, nothing done",
    lambda folder: [sys.executable, "-m", "tests.bench.others.aiokafka_reads"],
    lambda state, topics: [str(topics.partitions)],
    counts=False,
)
QUIX = Contender(
    "Quix Streams, exactly once",
    lambda folder: [str(PYTHON), str(HERE / "quix_counts.py")],
    lambda state, topics: [str(state), topics.output],
    events_max=200_000,
)
FLINK = Contender("Flink, exactly once", _program("flink"), _threads(1))
STREAMS = Contender("Kafka Streams, exactly once", _program("kafka-streams"), _threads(1))
CONTENDERS = {"aiokafka": AIOKAFKA, "flink": FLINK, "streams": STREAMS, "quix": QUIX}
