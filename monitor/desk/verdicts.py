"""The desk's verdicts on incidents: a file of JSON lines that only grows, and what follows from it.

An incident is judged once, whichever of its alerts the verdict names; the last verdict counts.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from monitor.core.alerts.history import IncidentHistory
from monitor.errors import BrinkwatchError, ConfigError

FILE = "feedback.jsonl"


class Verdict(msgspec.Struct, frozen=True):
    """What a person said of an incident.

    `alert`: the id of the alert that was judged. `at`: when, ISO 8601. `opened`: event time, ns.
    `alerts_per_day`, `settings`, `engine`: under what the alert was made.
    """

    incident: str
    alert: str
    is_true: bool = msgspec.field(name="true")
    note: str
    at: str
    kind: str
    severity: str
    symbols: tuple[str, ...]
    opened: int
    detector: str
    stream: str
    alerts_per_day: float
    settings: str
    engine: str


@dataclass(slots=True)
class Precision:
    """How many incidents were true, and how many false."""

    true: int = 0
    false: int = 0

    @property
    def share(self) -> float:
        """Of true ones, 0 to 1."""
        return self.true / (self.true + self.false)


class VerdictFile:
    """The verdicts in the folder of the state."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._verdicts, self.broken = read_verdicts(self.path) if self.path.exists() else ([], 0)
        """`broken`: lines that are no verdicts, left out."""

    @property
    def by_incident(self) -> dict[str, list[Verdict]]:
        """All verdicts on each incident, in the order in which they were given."""
        grouped: dict[str, list[Verdict]] = defaultdict(list)
        for verdict in self._verdicts:
            grouped[verdict.incident].append(verdict)
        return dict(grouped)

    @property
    def latest(self) -> list[Verdict]:
        """The verdict that counts on each incident."""
        return [verdicts[-1] for verdicts in self.by_incident.values()]

    @property
    def by_budget(self) -> list[Verdict]:
        """The verdict that counts on each incident, once for each budget under which it was judged:
        the same incident may be reported under several."""
        return [
            msgspec.structs.replace(one, is_true=given[-1].is_true)
            for given in self.by_incident.values()
            for one in {verdict.alerts_per_day: verdict for verdict in given}.values()
        ]

    @property
    def contradicted(self) -> list[str]:
        """Incidents that were called true and false."""
        groups = self.by_incident.items()
        return [name for name, given in groups if len({one.is_true for one in given}) > 1]

    def find(self, reference: str) -> Verdict | None:
        """The last verdict on an incident, by its id or by that of an alert that was judged."""
        named = (v.incident for v in self._verdicts if reference in (v.incident, v.alert))
        incident = next(named, None)
        return None if incident is None else self.by_incident[incident][-1]

    def add(self, verdict: Verdict) -> bool:
        """Append it; False, and nothing written, where nothing in it is new.

        Raises `BrinkwatchError` where the file cannot be written.
        """
        before = self.by_incident.get(verdict.incident, [])
        budgets = [one.alerts_per_day for one in before]
        same = verdict.alerts_per_day in budgets and before[-1].is_true == verdict.is_true
        if same and verdict.note in ("", before[-1].note):
            return False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                half = _ends_in_half_a_line(file)
                line = json.dumps(msgspec.to_builtins(verdict), sort_keys=True) + "\n"
                file.write(("\n" if half else "").encode() + line.encode())
        except OSError as error:
            raise BrinkwatchError(f"{self.path} cannot be written: {error.strerror}") from error
        self._verdicts.append(verdict)
        return True


def read_verdicts(file: Path) -> tuple[list[Verdict], int]:
    """The verdicts of a file of JSON lines, and how many lines are none. Raises `ConfigError` where
    it cannot be read."""
    try:
        lines = [line for line in file.read_bytes().splitlines() if line]
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    verdicts = []
    for line in lines:
        try:
            verdicts.append(msgspec.json.decode(line, type=Verdict))
        except (ValueError, RecursionError):
            continue
    return verdicts, len(lines) - len(verdicts)


def _ends_in_half_a_line(file: BinaryIO) -> bool:
    """Whether writing was cut short before (a full disk, a kill): what follows needs a new line."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def judge_incident(incident: IncidentHistory, alert_id: str, is_true: bool, note: str) -> Verdict:
    """A verdict of now on an incident."""
    latest = incident.latest
    first, versions = latest.evidence[0], latest.versions
    return Verdict(
        incident.incident, alert_id, is_true, note, now_iso(), latest.kind, incident.severity,
        latest.symbols, incident.opened_ns, first.detector, first.stream, versions.alerts_per_day,
        versions.config, versions.engine,
    )  # fmt: skip


def now_iso() -> str:
    """The present moment by the wall clock, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Group = TypeVar("Group")


def count_verdicts(
    verdicts: Iterable[Verdict], group: Callable[[Verdict], Group]
) -> dict[Group, Precision]:
    """The precision of each group of incidents, given one verdict on each."""
    counts: dict[Group, Precision] = defaultdict(Precision)
    for verdict in verdicts:
        precision = counts[group(verdict)]
        if verdict.is_true:
            precision.true += 1
        else:
            precision.false += 1
    return dict(counts)
