"""Silences on their topic: the command, the sidecar, and the recorded day."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from monitor.commands.bus import silences as job
from monitor.config import Config
from monitor.console import Console
from monitor.core.contract.alert import parse_alert
from monitor.errors import ConfigError
from monitor.silences.recorded import read_recorded
from monitor.silences.silence import AlertSilence
from monitor.silences.topic import publish_silences, read_silences
from replay.commands import open_days, with_silences
from replay.run import ReplayOptions, replay
from tests.live.helpers import (
    configuration,
    read_records,
    replay_to_file,
    run_sidecar,
    send,
    wait_for_digest,
    write_day,
)
from tests.live.killing import record_day
from tests.theorems.days import FACTORIES

CONSOLE = Console(True)


def add(config: Config, name: str, *match: str, **span: str) -> dict[str, Any]:
    times = span.get("start"), span.get("end"), span.get("length")
    return job.add_silence(config, name, [*match], times, "", CONSOLE)


def states(config: Config) -> dict[str, str]:
    listed = job.list_silences(config, CONSOLE)["silences"]
    return {one["name"]: one["state"] for one in listed}


def test_silences_are_added_listed_and_expired(kafka: str) -> None:
    config = configuration(kafka)
    weekly = AlertSilence(name="weekly", weekly="Sun 02:00-04:00")
    config = config.model_copy(update={"silences": (weekly,)})
    assert set(states(config)) == {"weekly"}
    added = add(config, "now", "kind=late_*", "symbol=A", "symbol=B", length="2h")
    assert (added["kind"], added["symbol"]) == (["late_*"], ["A", "B"])
    add(config, "later", start="2100-01-01T00:00:00Z", end="2100-01-02T00:00:00Z")
    assert states(config) | {"weekly": ""} == {"weekly": "", "now": "to come", "later": "to come"}
    for name, span, says in (
        ("now", {"length": "2h"}, "there is a silence now already"),
        ("weekly", {"length": "2h"}, "there is a silence weekly already"),
        ("a", {}, "say when the silence ends"),
        ("a", {"length": "2 hours"}, "write 30m, 2h or 1d"),
        ("a", {"end": "2020-01-01T00:00:00Z"}, "ends before it begins"),
        ("a", {"start": "2020-01-01T00:00:00Z", "length": "1h"}, "what is published stays"),
        ("a b", {"length": "2h"}, "name: "),
    ):
        with pytest.raises(ConfigError, match=says):
            add(config, name, **span)
    with pytest.raises(ConfigError, match="did you mean late_records"):
        add(config, "a", "kind=late_recods", length="2h")
    with pytest.raises(ConfigError, match="did you mean symbol"):
        add(config, "a", "symbl=X", length="2h")
    with pytest.raises(ConfigError, match="did you mean later"):
        job.expire_silence(config, "late", CONSOLE)
    with pytest.raises(ConfigError, match="take it out there"):
        job.expire_silence(config, "weekly", CONSOLE)
    assert job.expire_silence(config, "later", CONSOLE)["end"] is None
    before = asyncio.run(read_silences(config))["now"]
    # What has begun ends a few seconds from now; what had not is gone.
    begun = AlertSilence(**{**before.model_dump(), "start": "2020-01-01T00:00:00Z"})
    asyncio.run(publish_silences(config, {"now": begun}))
    ended = job.expire_silence(config, "now", CONSOLE)["end"]
    (kept,) = asyncio.run(read_silences(config)).values()
    assert (kept.start, kept.end) == (begun.start, ended)
    assert kept.span_ns[1] < begun.span_ns[1]


def test_what_the_sidecar_published_as_silenced_a_replay_of_the_record_says_too(
    kafka: str, tmp_path: Path
) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config, odd=True)
    digest, plain = replay_to_file(day, config, tmp_path / "plain")
    jumps = AlertSilence(name="jumps", kind=("time_jump",), end="2100-01-01T00:00:00Z")
    asyncio.run(publish_silences(config, {"jumps": jumps}))
    send(day, config)

    async def watch() -> None:
        async with run_sidecar(config) as sidecar:
            await wait_for_digest(sidecar, digest)

    asyncio.run(watch())
    published = [r.value for r in asyncio.run(read_records(kafka, config.kafka.alerts_topic))]
    alerts = [parse_alert(value) for value in published]
    silenced = [alert for alert in alerts if alert.silenced_by == "jumps"]
    assert {alert.kind for alert in silenced} == {"time_jump"}
    assert len(published) == len(plain) > len(silenced) > 0
    again = record_day(config, tmp_path / "again")
    assert read_recorded(again.path) == (jumps,)
    days = open_days([str(again.path)])
    options = with_silences(ReplayOptions(), config, days)
    summary = replay(days, config.engine(), FACTORIES, options, alerts_to=tmp_path / "silenced")
    assert (tmp_path / "silenced").read_bytes().splitlines() == published
    assert summary.silenced == {"jumps": len(silenced)}
    assert summary.digest == digest
