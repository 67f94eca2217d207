"""`brinkwatch run` beside Flink, Kafka Streams, Quix Streams and a consumer that does nothing: the
same records, from the same topics of one broker.

    python -m tests.bench.bench_rivals [--events N] [--rounds N] [--only NAMES] [--out FILE]

The records are those of a simulated venue; counted are its orders, cancels and fills. The others
count them by symbol and second, score the counts and send them on, exactly once, with a commit
every 5 s (`others/contenders.py`). `brinkwatch run` does all that it does by default: it checks
every field, reads books, marks, leverage and collateral as well, keeps the books and the accounts,
judges every stream of every market, computes each position's liquidation price and the bands, and
commits alerts, bands and snapshots, exactly once, every half second.

Each is a process of its own. Its processor time is the system's count for that process, with its
compiler and its garbage collector, from the first record to the last (of `run` from where it begins
to read: its kernels are loaded then); events a second are those of the last four fifths, when
compilers have done their work. The broker runs on the same machine and
its time is nobody's. Those who count must have counted right: what they committed is read back and
compared with the truth.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monitor.broker.kafka_server import Broker
from monitor.config import Config
from monitor.errors import BrinkwatchError
from tests.bench.figures import Figure, results
from tests.bench.others.contenders import CONTENDERS, Contender, Sample, Topics
from tests.bench.others.feed import (
    KINDS,
    PARTITIONS,
    PublishedDay,
    create_output,
    create_own_topics,
    publish_simulated,
)
from tests.bench.others.windows import check_windows
from tests.bench.report import Report, print_results
from tests.bench.rounds import ROOT
from tests.live.helpers import configuration, read_records
from tests.live.sidecars import Process, write_toml

RUNS = {"run-batches": "batches", "run-getmany": "getmany"}
"""`brinkwatch run`, by how it takes records from Kafka's client."""
GOALS_US = {"run-batches": 1.5, "run-getmany": 3.0}
NAMES = (*RUNS, *CONTENDERS)
WARM_SHARE = 0.2
"""Of the records: before, compilers are at work."""
WARM_UP = 20_000
"""Events of the run before, that fills the kernels' cache."""
OUT = ROOT / "bench-out" / "rivals.json"
WAIT_S = 600.0
POLL_S = 0.25
CASES = {
    "full": ({"events": 10_000_000, "rounds": 3},),
    "quick": ({"events": 1_000_000, "rounds": 1},),
    "tiny": ({"events": 30_000, "rounds": 1, "only": (*RUNS, "aiokafka")},),
}


@dataclass(frozen=True)
class Cost:
    """What reading took, CPU time in µs an event: of all events, and of those after the warm-up."""

    cpu_us: float
    warm_cpu_us: float
    warm_rate: float
    """Events a second after the warm-up."""

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Cost:
        """Of the samples of one process, the first at its first record."""
        read, wall_s, cpu_s = np.array([(s.read, s.wall_s, s.cpu_s) for s in samples]).T
        warm = read[0] + WARM_SHARE * (read[-1] - read[0])
        warm_s, warm_cpu_s = np.interp(warm, read, wall_s), np.interp(warm, read, cpu_s)
        return cls(
            cpu_us=float((cpu_s[-1] - cpu_s[0]) / (read[-1] - read[0]) * 1e6),
            warm_cpu_us=float((cpu_s[-1] - warm_cpu_s) / (read[-1] - warm) * 1e6),
            warm_rate=float((read[-1] - warm) / (wall_s[-1] - warm_s)),
        )


class Match:
    """Lets each read the same records, on one broker; makes the commands of `names` first."""

    def __init__(self, address: str, folder: Path, names: Sequence[str]) -> None:
        self._address, self._folder = address, folder
        self._inputs = configuration(address)
        self._commands = {n: CONTENDERS[n].build(folder) for n in names if n in CONTENDERS}

    def warm_up(self) -> None:
        """Read a few other records, so that the kernels are compiled."""
        small = configuration(self._address)
        day = publish_simulated(small, WARM_UP, self._folder)
        for fetch in RUNS.values():
            self._run_sidecar(small, day, fetch)

    def publish(self, events: int) -> PublishedDay:
        """Publish the records that all read."""
        return publish_simulated(self._inputs, events, self._folder)

    def run(self, name: str, day: PublishedDay) -> tuple[list[Sample], str]:
        """One process from the first record to the last; its samples, and what it has sent."""
        if name in RUNS:
            return self._run_sidecar(self._inputs, day, RUNS[name])
        return self._run_contender(CONTENDERS[name], self._commands[name], day)

    def _run_sidecar(
        self, inputs: Config, day: PublishedDay, fetch: str
    ) -> tuple[list[Sample], str]:
        """`brinkwatch run`, with everything as it is by default, in topics of its own."""
        config = _plain(inputs, configuration(self._address), fetch)
        create_own_topics(config, day.controls)
        toml = self._folder / f"{config.kafka.group}.toml"
        write_toml(toml, config)
        samples: list[Sample] = []
        with Process(toml, toml.with_suffix(".log")) as process:
            process.wait_to_read()
            end_s = time.monotonic() + WAIT_S
            while not samples or samples[-1].read < day.events:
                state = process.snapshot()
                # As the venue stage counts, to which the shards report: the last of all steps.
                read = sum(state.get("events", {}).get(kind, 0) for kind in KINDS)
                samples.append(Sample(read, time.monotonic(), _cpu_s(process.child.pid)))
                if samples[-1].wall_s > end_s:
                    raise BrinkwatchError(f"not read within {WAIT_S:.0f} s: {state}")
                time.sleep(POLL_S)
        return samples, f"{state.get('alerts', 0)} alerts"

    def _run_contender(
        self, contender: Contender, command: list[str], day: PublishedDay
    ) -> tuple[list[Sample], str]:
        """Another program, with an output topic of its own, whose windows are checked."""
        inputs = tuple(self._inputs.topics[kind] for kind in KINDS)
        topics = Topics(self._address, inputs, PARTITIONS, f"windows-{uuid.uuid4().hex[:8]}")
        create_output(self._inputs, topics.output)
        events = min(day.events, contender.events_max or day.events)
        samples = contender.run(command, topics, events, self._folder / topics.output)
        if not contender.counts:
            return samples, ""
        return samples, str(check_windows(asyncio.run(self._committed(topics)), day.counts))

    async def _committed(self, topics: Topics) -> list[bytes]:
        """The windows that a contender has sent and committed."""
        parts = [
            await read_records(self._address, topics.output, partition)
            for partition in range(PARTITIONS)
        ]
        return [record.value for part in parts for record in part]


def _plain(inputs: Config, own: Config, fetch: str) -> Config:
    """The default configuration, with the input topics of one and the own topics of another."""
    kafka = own.kafka.model_copy(update={"fetch": fetch})
    return Config(kafka=kafka, topics=inputs.topics, http=own.http)


def _cpu_s(pid: int) -> float:
    """User and system time of a process so far, from /proc, with that of children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def measure(
    scratch: Path, events: int, rounds: int, only: Sequence[str] = NAMES, address: str = ""
) -> Iterator[Figure]:
    """All figures; `address`: of a broker that runs already, and compiled kernels with it."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    if address:
        yield from _play(Match(address, folder, only), events, rounds, only)
        return
    with Broker() as broker:
        match = Match(broker.bootstrap, folder, only)
        match.warm_up()
        yield from _play(match, events, rounds, only)


def _play(match: Match, events: int, rounds: int, names: Sequence[str]) -> Iterator[Figure]:
    """Publish, and let each read in turn, every second round in the other order."""
    began_s = time.monotonic()
    day = match.publish(events)
    print(
        f"{day.events:,} orders, cancels and fills, and {day.others:,} other records, in "
        f"{PARTITIONS} partitions of each topic; published in {time.monotonic() - began_s:.0f} s"
    )
    columns = f"{'events/s':>9s} {'CPU µs an event':>16s} {'warm':>6s} {'load':>5s}"
    print(f"{'':30s} {columns}", flush=True)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            samples, sent = match.run(name, day)
            cost, work = Cost.of(samples), samples[-1].read
            shown = CONTENDERS[name].name if name in CONTENDERS else f"brinkwatch {name}"
            print(
                f"{shown:30s} {cost.warm_rate:9,.0f} {cost.cpu_us:16.2f} {cost.warm_cpu_us:6.2f} "
                f"{os.getloadavg()[0]:5.1f}  {work:,} read; {sent}",
                flush=True,
            )
            yield Figure(f"{name}: CPU", cost.cpu_us, "µs an event", work, goal=GOALS_US.get(name))
            yield Figure(f"{name}: CPU, warm", cost.warm_cpu_us, "µs an event", work)
            yield Figure(f"{name}: pace, warm", cost.warm_rate, "events/s", work, "more")


def main() -> None:
    """See the module's words."""
    parser = argparse.ArgumentParser(description=__doc__)
    full = CASES["full"][0]
    parser.add_argument("--events", type=int, default=full["events"])
    parser.add_argument("--rounds", type=int, default=full["rounds"])
    parser.add_argument("--only", default=",".join(NAMES), help="some of these")
    parser.add_argument("--out", type=Path, default=OUT, help="figures as JSON")
    asked = parser.parse_args()
    names = asked.only.split(",")
    if unknown := set(names) - set(NAMES):
        parser.error(f"there is no {min(unknown)!r}: take some of {', '.join(NAMES)}")
    report = Report.of_this_machine(ROOT, f"{asked.events:,} events")
    print(report.heading(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        figures = list(measure(Path(scratch), asked.events, asked.rounds, names))
    report.figures = results("rivals", figures)
    print_results(report.figures)
    report.write(asked.out)


if __name__ == "__main__":
    main()
