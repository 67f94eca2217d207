"""Those who read the same records as the sidecar, each started as a process that tells in one line
of JSON what it took.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = Path(sys.prefix) / "others" / "bin" / "python"
"""Made by `make bench-live`: the bounds of these libraries are not those of the project."""
WAIT_S = 900


@dataclass(frozen=True)
class Contender:
    """`command` is None where `why` it cannot run here."""

    name: str
    command: list[str] | None
    why: str = ""

    def run(self, address: str, events: int, folder: Path, topics: list[str]) -> dict[str, float]:
        """Wall and CPU seconds, from the first record to the last."""
        assert self.command is not None
        given = [address, str(events), str(folder), *topics]
        told = subprocess.run(
            [*self.command, *given], check=True, stdout=subprocess.PIPE, text=True, timeout=WAIT_S
        )
        held: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
        return held


def contenders(folder: Path) -> Iterator[Contender]:
    """In the order of the table; `folder` is for what has to be built."""
    missing = "" if PYTHON.exists() else "make bench-live makes its environment"
    for name, script in (
        ("confluent-kafka consume, nothing done", "confluent_reads.py"),
        ("Quix Streams: counts, HalfSpaceTrees", "quix_counts.py"),
    ):
        yield Contender(name, None if missing else [str(PYTHON), str(HERE / script)], missing)
    yield _kafka_streams(folder)


def _kafka_streams(folder: Path) -> Contender:
    name = "Kafka Streams: counts"
    if not (shutil.which("java") and shutil.which("mvn")):
        return Contender(name, None, "no java or no mvn on the path")
    shutil.copytree(HERE / "kafka-streams", folder / "kafka-streams")
    built = subprocess.run(
        ["mvn", "-q", "-B", "package", "dependency:copy-dependencies", "-DincludeScope=runtime"],
        cwd=folder / "kafka-streams",
        capture_output=True,
        text=True,
    )
    if built.returncode:
        last = (built.stdout + built.stderr).strip().splitlines()[-1:]
        return Contender(name, None, f"mvn package fails: {' '.join(last)}")
    target = folder / "kafka-streams" / "target"
    path = f"{target / 'counts-1.jar'}:{target / 'dependency'}/*"
    return Contender(name, ["java", "-cp", path, "bench.Counts"])
