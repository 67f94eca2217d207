"""Sidecars as processes of their own: started, killed, asked."""

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
    """The test's configuration as a user would write it, and as the sidecar reads it."""
    lines = [f"cost_notional = {config.cost_notional}"]
    for name in ("time", "limits", "alerts", "topics", "state", "accounts", *SHARES):
        held_ = getattr(config, name)
        values = held_ if isinstance(held_, dict) else held_.model_dump(mode="json")
        lines += [
            f"[{name}]",
            *(f"{k} = {json.dumps(v)}" for k, v in values.items() if v is not None),
        ]
    kafka = config.kafka.model_dump(exclude={"security"})
    lines += ["[kafka]", *(f"{k} = {json.dumps(v)}" for k, v in kafka.items())]
    lines += ["[http]", "port = 0", *(f"{k} = {json.dumps(v)}" for k, v in http.items())]
    for stream in config.streams:
        lines += ["[[streams]]", f'feature = "{stream.feature}"']
        lines += [f'detector = "{stream.detector}"', "[streams.parameters]"]
        lines += [f"{k} = {json.dumps(v)}" for k, v in stream.parameters.items()]
    path.write_text("\n".join(lines) + "\n")
    return load(path)


class Process:
    """`brinkwatch run`, with a log of its own; killed if the test leaves it running."""

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
        """At once, and for good."""
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
        """Of its HTTP server; waits for it."""
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
        told: dict[str, Any] = json.loads(self.get("/state", token)[1])
        return told


def wait_for(processes: list[Process], digest: str, token: str = "", seconds: float = 90.0) -> None:
    """Until whoever has the venue stage has made this digest known and published all alerts."""
    end = time.monotonic() + seconds
    while True:
        states = [process.snapshot(token) for process in processes]
        for state in states:
            if state.get("digest") == digest and state["alerts"] == state["published"]:
                return
        assert time.monotonic() < end, states
        time.sleep(0.1)


def wait_to_end(processes: list[Process], records: int, seconds: float = 90.0) -> None:
    """Until all records are counted, nothing waits, and what was found is published and stays."""
    end = time.monotonic() + seconds
    before: Any = None
    while True:
        states = [process.snapshot() for process in processes]
        told = next((state for state in states if "digest" in state), {})
        counted = sum(told.get("events", {}).values()) + sum(told.get("refused", {}).values())
        now = counted, told.get("alerts"), told.get("digest"), sum(s["lag"] for s in states)
        if now == before and now[0] == records and not now[3] and now[1] == told["published"]:
            return
        assert time.monotonic() < end, states
        before = now
        time.sleep(1.5)
