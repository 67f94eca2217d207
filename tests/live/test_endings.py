"""A process that has no time or no descriptors left: it ends in time, and its log stays small."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monitor.commands.bus.topics import create_topics
from monitor.config import Config
from monitor.console import Console
from monitor.http.port import CONNECTIONS_MAX
from tests.live.helpers import configuration
from tests.live.sidecars import Process, write_toml
from tests.live.test_log_changes import fills, send

END_S = 10.0
LONG_STEP = """
import time
from monitor.core.shard import Shard
def step(self, batch):
    print("in a long step", flush=True)
    while True:
        {work}
Shard.step = step
"""
RUN = """
import sys, pathlib
from monitor.config import load
from monitor.commands.run_sidecar import run_sidecar
sys.exit(run_sidecar(load(pathlib.Path(sys.argv[1]))))
"""


@pytest.fixture
def config(kafka: str) -> Config:
    own = configuration(kafka)
    create_topics(own, 1, Console(True))
    return own


def wait_for_text(path: Path, text: bytes, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while text not in path.read_bytes():
        assert time.monotonic() < end, path.read_text()
        time.sleep(0.05)


@pytest.mark.parametrize("work", ["time.sleep(0.1)", "pass"])
@pytest.mark.parametrize("again", [False, True])
def test_sigterm_ends_it_in_time_also_in_a_long_step(
    kafka: str, config: Config, tmp_path: Path, work: str, again: bool
) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    write_toml(toml, config)
    asyncio.run(send(kafka, config.topics["fill"], fills(5, 0, "a")))
    program = LONG_STEP.format(work=work) + RUN
    with log.open("wb") as file:
        command = [sys.executable, "-c", program, str(toml)]
        child = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        wait_for_text(log, b"in a long step")
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        if again:
            time.sleep(0.2)
            child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 1
        assert time.monotonic() - began < END_S
    finally:
        child.kill()
        child.wait()
    assert b"Traceback" not in log.read_bytes()


def test_what_a_long_step_does_is_said_by_readyz(
    kafka: str, config: Config, tmp_path: Path
) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    write_toml(toml, config)
    asyncio.run(send(kafka, config.topics["fill"], fills(5, 0, "a")))
    sidecar = Process.__new__(Process)
    sidecar.log = log
    with log.open("wb") as file:
        program = LONG_STEP.format(work="time.sleep(0.1)") + RUN
        command = [sys.executable, "-c", program, str(toml)]
        sidecar.child = subprocess.Popen(command, stdout=file, stderr=file)
    with sidecar:
        wait_for_text(log, b"in a long step")
        time.sleep(6)
        status, why = sidecar.get("/readyz")
    assert status == 503
    assert "working through a backlog of 0 windows and 5 records since" in why


def test_many_connections_leave_it_working_and_its_log_small_and_no_stream_holds_it_up(
    kafka: str, config: Config, tmp_path: Path
) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    write_toml(toml, config)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        sidecar = Process(toml, log)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with sidecar:
        port = sidecar.port
        sidecar.wait_to_read()
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(400)]
        time.sleep(3)
        descriptors = len(os.listdir(f"/proc/{sidecar.child.pid}/fd"))
        for client in clients:
            client.close()
        time.sleep(0.5)
        assert sidecar.get("/livez")[0] == 200
        with socket.create_connection(("127.0.0.1", port)) as stream:
            stream.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stream.recv(100).startswith(b"HTTP/1.1 200 OK")
            sidecar.child.send_signal(signal.SIGTERM)
            assert sidecar.child.wait(END_S) == 0
    assert descriptors < 256 - CONNECTIONS_MAX
    written = log.read_bytes()
    assert b"Traceback" not in written
    assert len(written) < 20_000
    assert b"connections refused" in written
