"""Sidecars as processes of their own: start one, kill it, ask it for its state."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.config import Config, load

SHARES = ("joint", "account_bursts")
"""Settings of the detectors that share the budget."""
READING = b'"event": "reading"'


def write_toml(path: Path, config: Config, **http: object) -> Config:
    """Write a configuration as a user would; returns it as the sidecar reads it."""
    lines = [f"cost_notional = {config.cost_notional}"]
    if config.streams:
        lines.append("replace_streams = true")
    for name in ("time", "limits", "alerts", "topics", "state", "accounts", *SHARES):
        section = getattr(config, name)
        values = section if isinstance(section, dict) else section.model_dump(mode="json")
        lines += [
            f"[{name}]",
            *(f"{k} = {json.dumps(v)}" for k, v in values.items() if v is not None),
        ]
    kafka = config.kafka.model_dump(exclude={"security"}, exclude_none=True)
    lines += ["[kafka]", *(f"{k} = {_toml(v)}" for k, v in kafka.items())]
    for name, source in config.source.items():
        values = source.model_dump(mode="json", exclude_defaults=True)
        lines += [f"[source.{name}]", *(f"{k} = {_toml(v)}" for k, v in values.items())]
    lines += ["[http]", "port = 0", *(f"{k} = {json.dumps(v)}" for k, v in http.items())]
    for stream in config.streams:
        lines += ["[[streams]]", f'feature = "{stream.feature}"']
        lines += [f'detector = "{stream.detector}"', f"inputs = {_toml(stream.inputs)}"]
        lines += ["[streams.parameters]"]
        lines += [f"{k} = {json.dumps(v)}" for k, v in stream.parameters.items()]
    path.write_text("\n".join(lines) + "\n")
    return load(path)


def _toml(value: Any) -> str:
    """A value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


class Process:
    """`brinkwatch run` with a log of its own; killed at the end of the block if it still runs."""

    def __init__(self, toml: Path, log: Path) -> None:
        self.log = log
        with log.open("wb") as file:
            command = [sys.executable, "-m", "monitor.cli", "run", "--config", str(toml)]
            self.child = subprocess.Popen(command, stderr=file, stdout=file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def reads(self) -> bool:
        """Whether any of its owners has begun to read."""
        assert self.child.poll() is None, self.log.read_text()
        return READING in self.log.read_bytes()

    def wait_to_read(self, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not self.reads():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    @property
    def port(self) -> int:
        """The port of its HTTP server; waits until it is in the log."""
        for _ in range(800):
            if found := re.search(rb"://127\.0\.0\.1:(\d+)", self.log.read_bytes()):
                return int(found[1])
            assert self.child.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"no port in {self.log.read_text()}")

    def get(self, path: str, token: str = "") -> tuple[int, str]:
        """Status and body."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def snapshot(self, token: str = "") -> dict[str, Any]:
        """The document at /state."""
        document: dict[str, Any] = json.loads(self.get("/state", token)[1])
        return document


def wait_for(processes: list[Process], digest: str, token: str = "", seconds: float = 90.0) -> None:
    """Until the member with the venue stage has this digest and all alerts are published."""
    end = time.monotonic() + seconds
    while True:
        states = [process.snapshot(token) for process in processes]
        for state in states:
            if state.get("digest") == digest and state["alerts"] == state["published"]:
                return
        assert time.monotonic() < end, states
        time.sleep(0.1)


def wait_to_end(processes: list[Process], records: int, seconds: float = 90.0) -> None:
    """Until all records are counted, none waits, and all alerts are published and stay the same."""
    end = time.monotonic() + seconds
    before: Any = None
    while True:
        states = [process.snapshot() for process in processes]
        venue = next((state for state in states if "digest" in state), {})
        counted = sum(venue.get("events", {}).values()) + sum(venue.get("refused", {}).values())
        now = counted, venue.get("alerts"), venue.get("digest"), sum(s["lag"] for s in states)
        if now == before and now[0] == records and not now[3] and now[1] == venue["published"]:
            return
        assert time.monotonic() < end, states
        before = now
        time.sleep(1.5)
