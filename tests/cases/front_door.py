"""Cases go in as a user's file and come out as what the user sees: the program on its defaults.

Each case is one small file: what kind of trouble it is, who reports such trouble and when that was
read, and the data, which the test makes itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from monitor.cli import run_command

START_NS = 1_764_000_000_000_000_000
"""A day in November 2025, on a full second."""
TIMEOUT_S = 300


@dataclass(slots=True)
class Replayed:
    """What one replay told."""

    exit_code: int
    report: dict[str, Any]
    """The object of `replay --json`; empty where the program ended in words."""
    alerts: list[dict[str, Any]]
    bands: list[dict[str, Any]]
    words: str
    """What it wrote for people."""

    def alerts_of(self, *kinds: str) -> list[dict[str, Any]]:
        """Alerts that fire, of these kinds."""
        return [a for a in self.alerts if a["status"] == "firing" and a["kind"] in kinds]


def brinkwatch(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, whatever it ends in; an exception that it lets out is a failure.

    In this process: a hundred new ones would spend their time on imports.
    """
    words = ["brinkwatch", *map(str, arguments)]
    raw = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(stream, "utf-8", write_through=True) for stream in raw)
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        with (
            mock.patch.object(sys, "argv", words),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            run_command()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        signal.signal(signal.SIGTERM, on_terminate)
    texts = (stream.getvalue().decode() for stream in raw)
    return subprocess.CompletedProcess(words, code, *texts)


def replay_day(day: Path, *options: str) -> Replayed:
    """Replay a recorded day with alerts and bands."""
    alerts, bands = day.parent / f"{day.name}.alerts", day.parent / f"{day.name}.bands"
    outputs = "--alerts", alerts, "--bands", bands
    done = brinkwatch("replay", day, "--json", *outputs, *options)
    report = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
    outcome = (_lines(path) for path in (alerts, bands))
    return Replayed(done.returncode, report, *outcome, done.stderr)


def replay_records(tmp_path: Path, records: Iterable[Mapping[str, Any]], *options: str) -> Replayed:
    """Import canonical records as `brinkwatch import canonical` does, and replay the day."""
    source, day = tmp_path / "in.jsonl", tmp_path / "day"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    done = brinkwatch("import", "canonical", source, day)
    assert done.returncode == 0, done.stderr
    return replay_day(day, *options)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
