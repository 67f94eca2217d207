"""`brinkwatch run` as a process: its port, its end, and its death at any moment."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from monitor.config import Config, load
from tests.live.helpers import configuration, held, replayed, send, total, write_day

KILLS = 6


def write_toml(path: Path, config: Config, **http: object) -> Config:
    """The test's configuration as a user would write it, and as the sidecar reads it."""
    lines = [f"cost_notional = {config.cost_notional}"]
    for name in ("time", "alerts", "topics", "state"):
        held_ = getattr(config, name)
        values = held_ if isinstance(held_, dict) else held_.model_dump()
        lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in values.items())]
    kafka = config.kafka.model_dump(exclude={"security"})
    lines += ["[kafka]", *(f"{k} = {json.dumps(v)}" for k, v in kafka.items())]
    lines += ["[http]", "port = 0", *(f"{k} = {json.dumps(v)}" for k, v in http.items())]
    for stream in config.streams:
        lines += ["[[streams]]", f'feature = "{stream.feature}"', "[streams.parameters]"]
        lines += [f"{k} = {json.dumps(v)}" for k, v in stream.parameters.items()]
    path.write_text("\n".join(lines) + "\n")
    return load(path)


@contextmanager
def process(toml: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A sidecar; killed if the test leaves it running."""
    with log.open("ab") as file:
        command = [sys.executable, "-m", "monitor.cli", "run", "--config", str(toml)]
        started = subprocess.Popen(command, stderr=file, stdout=file)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait()


def port(log: Path) -> int:
    """The last one logged; waits for it."""
    for _ in range(400):
        if found := re.findall(rb"://127\.0\.0\.1:(\d+)", log.read_bytes()):
            return int(found[-1])
        time.sleep(0.05)
    raise AssertionError(f"no port in {log.read_text()}")


def get(number: int, path: str, token: str = "") -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"http://127.0.0.1:{number}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(number: int, digest: str, token: str = "", seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while True:
        state = json.loads(get(number, "/state", token)[1])
        if state.get("digest") == digest and state["alerts"] == state["published"]:
            return
        assert time.monotonic() < end, state
        time.sleep(0.1)


def test_the_port_tells_how_it_stands_and_sigterm_ends_it_within_ten_seconds(
    kafka: str, tmp_path: Path
) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    config = write_toml(toml, configuration(kafka), token="let-me-in")
    day = write_day(tmp_path, config)
    digest, alerts = replayed(day, config, tmp_path / "alerts")
    send(day, config)
    with process(toml, log) as sidecar:
        at = port(log)
        wait_for(at, digest, "let-me-in")
        assert get(at, "/livez")[0] == 200
        assert get(at, "/readyz") == (200, "ready\n")
        assert get(at, "/metrics")[0] == 401
        assert get(at, "/metrics", "let-me-out")[0] == 401
        status, text = get(at, "/metrics", "let-me-in")
        assert status == 200
        assert "brinkwatch_ready 1.0" in text
        assert f"brinkwatch_records_total {float(total(day))}" in text
        assert sum(
            float(n) for n in re.findall(r"\nbrinkwatch_alerts_total\{.*\} (\S+)", text)
        ) == (len(alerts))
        assert re.search(r'brinkwatch_refused_total\{reason="not_json"\} [1-9]', text)
        assert get(at, "/else", "let-me-in")[0] == 404
        began = time.monotonic()
        sidecar.send_signal(signal.SIGTERM)
        assert sidecar.wait(15) == 0
        assert time.monotonic() - began < 10
    assert b"let-me-in" not in log.read_bytes()


def test_killed_at_any_moment_it_loses_no_alert_and_publishes_none_twice(
    kafka: str, tmp_path: Path
) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    quick = configuration(kafka, poll_records=40, commit_s=0.05)
    often = quick.state.model_copy(update={"every_s": 0.2})
    config = write_toml(toml, quick.model_copy(update={"state": often}))
    day = write_day(tmp_path, config)
    digest, alerts = replayed(day, config, tmp_path / "alerts")
    send(day, config)
    chance = random.Random(1)
    for kill in range(KILLS):
        with process(toml, log) as sidecar:
            while log.read_bytes().count(b'"event": "reading"') <= kill:
                assert sidecar.poll() is None, log.read_text()
                time.sleep(0.01)
            with suppress(subprocess.TimeoutExpired):
                sidecar.wait(chance.uniform(0.0, 0.5))
            sidecar.kill()
    with process(toml, log):
        while log.read_bytes().count(b'"event": "reading"') <= KILLS:
            time.sleep(0.01)
        wait_for(port(log), digest)
    published = [r.value for r in asyncio.run(held(kafka, config.kafka.alerts_topic))]
    assert published == alerts
    letters = asyncio.run(held(kafka, config.kafka.dlq_topic))
    assert len(letters) == len(day.refused())


def test_a_missing_topic_is_one_sentence_and_exit_status_2(kafka: str, tmp_path: Path) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    write_toml(toml, configuration(kafka))
    with process(toml, log) as sidecar:
        assert sidecar.wait(30) == 2
    assert b"brinkwatch topics create --partitions N makes them" in log.read_bytes()
    assert b"Traceback" not in log.read_bytes()


def test_without_kafka_it_says_so_and_ends_with_status_2(tmp_path: Path) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    write_toml(toml, configuration("127.0.0.1:1"))
    with process(toml, log) as sidecar:
        assert sidecar.wait(30) == 2
    assert b"nobody listens at 127.0.0.1:1: is Kafka running there?" in log.read_bytes()
    assert b"Traceback" not in log.read_bytes()
