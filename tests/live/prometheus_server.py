"""A real Prometheus with the rules of `deploy`, beside a sidecar of a test."""

from __future__ import annotations

import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT, program

DEPLOYED = ROOT / "deploy" / "prometheus"


@contextmanager
def prometheus(folder: Path, target: str, alertmanager: str = "") -> Iterator[str]:
    """A Prometheus with the configuration of `deploy`, but for its target and its haste; its
    address. With an Alertmanager (host:port) a rule fires there a second after it holds."""
    folder.mkdir(exist_ok=True)
    settings = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    settings["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    for name in settings["rule_files"]:
        rules = (DEPLOYED / name).read_text()
        (folder / name).write_text(
            re.sub(r"for: \d+m", "for: 1s", rules) if alertmanager else rules
        )
    if alertmanager:
        settings["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [alertmanager]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [program("prometheus"), f"--config.file={file}", f"--web.listen-address={address}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", "--enable-feature=exemplar-storage"]
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _until_ready(f"http://{address}", started, folder / "log")
        yield f"http://{address}"
    finally:
        started.terminate()
        started.wait(20)


def _until_ready(address: str, started: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(400):
        assert started.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/-/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"Prometheus does not get ready: {log.read_text()}")
