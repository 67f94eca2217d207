"""`brinkwatch run` as a process: its port, its end, and what it says when it cannot begin."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from pathlib import Path

import pytest

from monitor.config import Config
from monitor.core.contract.units import SECOND_NS
from monitor.kafka.clients import Clients
from tests.live.helpers import configuration, replay_to_file, send, total, write_day
from tests.live.sidecars import Process, wait_for, write_toml


def test_the_port_shows_state_and_metrics_and_sigterm_ends_it_within_ten_seconds(
    kafka: str, tmp_path: Path
) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    config = write_toml(toml, configuration(kafka), token="let-me-in")
    day = write_day(tmp_path, config)
    digest, alerts = replay_to_file(day, config, tmp_path / "alerts")
    send(day, config)
    with Process(toml, log) as sidecar:
        wait_for([sidecar], digest, "let-me-in")
        assert sidecar.get("/livez")[0] == 200
        assert sidecar.get("/readyz") == (200, "ready\n")
        assert sidecar.get("/metrics")[0] == 401
        assert sidecar.get("/metrics", "let-me-out")[0] == 401
        status, text = sidecar.get("/metrics", "let-me-in")
        assert status == 200
        assert "brinkwatch_ready 1.0" in text
        assert f"brinkwatch_records_total {float(total(day))}" in text
        watermark = re.search(r"\nbrinkwatch_watermark_seconds (\S+)", text)
        assert watermark is not None
        assert day.meta.span is not None
        assert float(watermark[1]) == pytest.approx(day.meta.span[1] / SECOND_NS, abs=1.0)
        assert sum(
            float(n) for n in re.findall(r"\nbrinkwatch_alerts_total\{.*\} (\S+)", text)
        ) == (len(alerts))
        assert re.search(r'brinkwatch_refused_total\{reason="not_json"\} [1-9]', text)
        assert sidecar.get("/else", "let-me-in")[0] == 404
        asyncio.run(send_garbage(config, total(day) + 10))
        end = time.monotonic() + 30
        while sidecar.get("/readyz")[0] == 200:
            assert time.monotonic() < end
            time.sleep(0.2)
        status, why = sidecar.get("/readyz")
        assert status == 503
        assert "were refused, most often as not_json in " in why
        began = time.monotonic()
        sidecar.child.send_signal(signal.SIGTERM)
        assert sidecar.child.wait(15) == 0
        assert time.monotonic() - began < 10
    assert b"let-me-in" not in log.read_bytes()


def test_the_port_says_that_the_first_start_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "empty"))
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    write_toml(toml, configuration("127.0.0.1:1"))
    with Process(toml, log) as sidecar:
        status, why = sidecar.get("/readyz")
        assert (status, "compiling, on the first start" in why) == (503, True)
        assert sidecar.get("/livez")[0] == 200
        end = time.monotonic() + 60
        while b"compiling, on the first start only: about " not in log.read_bytes():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        sidecar.child.send_signal(signal.SIGTERM)
        assert sidecar.child.wait(15) == 0


async def send_garbage(config: Config, records: int) -> None:
    """Records that are no JSON, to the topic of cancels."""
    producer = await Clients(config.kafka).producer()
    try:
        for _ in range(records):
            await producer.send(config.topics["cancel"], b"{")
        await producer.flush()
    finally:
        await producer.stop()


def test_a_missing_topic_is_one_sentence_and_exit_status_2(kafka: str, tmp_path: Path) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    write_toml(toml, configuration(kafka))
    with Process(toml, log) as sidecar:
        assert sidecar.child.wait(30) == 2
    assert b"brinkwatch topics create --partitions N makes them" in log.read_bytes()
    assert b"Traceback" not in log.read_bytes()


def test_without_kafka_it_says_so_and_ends_with_status_2(tmp_path: Path) -> None:
    toml, log = tmp_path / "run.toml", tmp_path / "log"
    write_toml(toml, configuration("127.0.0.1:1"))
    with Process(toml, log) as sidecar:
        assert sidecar.child.wait(30) == 2
    assert b"nobody listens at 127.0.0.1:1: is Kafka running there?" in log.read_bytes()
    assert b"Traceback" not in log.read_bytes()
