"""`brinkwatch demo --live` shows the alerts, ends by itself or by a signal, and leaves nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.broker.kafka_server import Broker
from monitor.commands.live_demo import SidecarProcess
from tests.support import ROOT, processes_gone, processes_marked


@contextmanager
def demo(out: Path, mark: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process with nothing on its path; its children carry the mark too."""
    started = subprocess.Popen(
        [sys.executable, "-u", "-m", "monitor.cli", "demo", "--live", "--out", str(out), *options],
        cwd=ROOT,
        env={**os.environ, "PATH": "", "JAVA_HOME": "", "MARK": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait()


def test_it_shows_the_alerts_and_ends_with_nothing_running(broker: Broker, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    with demo(tmp_path, mark, "--minutes", "10", "--speed", "100", "--json") as process:
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    result = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    assert result["found"] >= 1
    shown = re.findall(r"^\d\d:\d\d:\d\d  \w+ +firing", said, re.M)
    alerts = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert len(alerts) == result["alerts"]
    assert len(shown) == sum(alert["status"] == "firing" for alert in alerts) >= 1
    assert "/metrics" in said
    assert f"of {result['planted']} planted incidents were found" in said
    assert processes_gone(mark)


def test_a_sidecar_that_hangs_up_has_nothing_to_say_yet(tmp_path: Path) -> None:
    sidecar = SidecarProcess("127.0.0.1:1", tmp_path / "run.log")
    with socket.create_server(("127.0.0.1", 0)) as server:
        sidecar.address = f"http://127.0.0.1:{server.getsockname()[1]}"
        with subprocess.Popen(["/bin/sleep", "60"]) as sidecar._process:
            hangs_up = threading.Thread(target=lambda: server.accept()[0].close())
            hangs_up.start()
            try:
                assert sidecar.state() is None
            finally:
                hangs_up.join()
                sidecar._process.kill()


def test_interrupted_it_stops_what_it_started(broker: Broker, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    with demo(tmp_path, mark, "--minutes", "1", "--speed", "1") as process:
        assert process.stdout is not None
        address = ""
        for line in process.stdout:
            if found := re.search(r"http://\S+/metrics", line):
                address = found[0]
                break
        with urllib.request.urlopen(address, timeout=10) as reply:
            assert b"brinkwatch_ready" in reply.read()
        assert len(processes_marked(mark)) == 3  # itself, Kafka and the sidecar
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 130
        rest = process.stdout.read()
    assert "Traceback" not in rest
    assert processes_gone(mark, 1.0)
