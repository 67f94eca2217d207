"""`make stack`: an alert of the simulated venue is in Alertmanager, and Ctrl-C leaves nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from deploy.stack import PROGRAMS, find_program
from monitor.broker.kafka_server import Broker
from monitor.errors import ConfigError
from tests.support import ROOT, processes_gone, processes_marked, skip_or_fail


def read_json(address: str, **parameters: str) -> Any:
    question = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{address}?{question}", timeout=10) as reply:
        return json.load(reply)


def test_an_alert_reaches_alertmanager_and_an_interrupt_ends_all(
    broker: Broker, tmp_path: Path
) -> None:
    try:
        for name in PROGRAMS:
            find_program(name)
    except ConfigError as missing:
        skip_or_fail(str(missing).partition(" is not")[0])
    mark = uuid.uuid4().hex
    command = [sys.executable, "-u", "-m", "deploy.stack", "--out", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--minutes", "20", "--speed", "40"],
        cwd=ROOT,
        env={**os.environ, "MARK": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            shown = []
            # Not faster: Alertmanager shows no alert that is resolved, and it is asked each second.
            for line in process.stdout:
                shown.append(line)
                # Rules of Prometheus come there too; theirs are called Brinkwatch...
                if re.match(r"after \d+ s: \w+ (?!Brinkwatch)", line):
                    break
            text = "".join(shown)
            places = dict(re.findall(r"^(Alertmanager|Prometheus) +(http://[\d.:]+)", text, re.M))
            alerts = read_json(f"{places['Alertmanager']}/api/v2/alerts")
            assert "brinkwatch" in {alert["labels"].get("source") for alert in alerts}
            (scraped,) = read_json(f"{places['Prometheus']}/api/v1/targets")["data"][
                "activeTargets"
            ]
            assert scraped["labels"]["job"] == "brinkwatch"
            # Itself, Kafka, Alertmanager, Prometheus, the sidecar, and the venue unless it is over.
            assert len(processes_marked(mark)) in (5, 6)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            rest = process.stdout.read()
        finally:
            process.kill()
    assert "everything is stopped" in rest
    assert "Traceback" not in text + rest
    assert processes_gone(mark, 1.0)
