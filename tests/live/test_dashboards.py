"""Every panel's query, asked of a real Prometheus that watched a real run on a real Kafka."""

from __future__ import annotations

import asyncio
import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from deploy.dashboards.__main__ import PAGES
from monitor.core.alerts.history import IncidentHistory
from monitor.core.contract.alert import parse_alert
from monitor.desk.verdicts import VerdictFile, judge_incident
from monitor.metrics.alerts import SEVERAL
from tests.live.helpers import (
    configuration,
    create_topics_of,
    read_records,
    replay_to_file,
    send,
    write_day,
)
from tests.live.prometheus_server import prometheus
from tests.live.sidecars import Process, wait_for, write_toml
from tests.support import program

PANEL_STEPS_S = 3.0
"""Panels over time are asked for every second: some of their steps come after the last alert."""
VARIABLES = {
    "$__rate_interval": "10s", "$__interval": "1m", "$__range": "5m", "$job": ".+", "$symbol": ".+",
}  # fmt: skip
"""Grafana's variables, as they are for a short look."""


NOT_YET = {
    "venue: Critical shocks, in moves of an hour A": "the volatility of an hour",
    "venue: Depth shown A": "the depth that a market has shown",
    "symbol: Levels beside their bands of a day A": "they are recorded once a minute",
    "symbol: Levels beside their bands of a day B": "an hour of levels",
    "symbol: Levels beside their bands of a day C": "an hour of levels",
    "pipeline: How late alerts are A": "those of a day that is published again are not counted",
    "pipeline: How late alerts are B": "the same",
    "pipeline: Alerts later than 10 s A": "the same",
}
"""What is not known after the minute that these tests watch, by panel."""


@dataclass
class Prometheus:
    """A server that has watched a run; what it saw from when to when."""

    address: str
    alerts: list[dict[str, Any]]
    began_s: float = 0.0
    ended_s: float = 0.0

    def ask(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """The results; fails with Prometheus' own words where it refuses the question."""
        question = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(
                f"{self.address}/api/v1/{path}?{question}", timeout=10
            ) as r:
                answer = json.load(r)
        except urllib.error.HTTPError as error:
            pytest.fail(f"{parameters}: {error.read().decode()}")
        data = answer["data"]
        results: list[dict[str, Any]] = data["result"] if isinstance(data, dict) else data
        return results


@pytest.fixture(scope="module")
def watched(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A minute of a market, sent in six seconds, and every scrape of it."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("watched")
    toml, log = folder / "run.toml", folder / "log-of-run"
    config = configuration(kafka)
    state = config.state.model_copy(update={"dir": folder / "state"})
    config = write_toml(toml, config.model_copy(update={"state": state}))
    day = write_day(folder, config)
    create_topics_of(day, config)
    digest, lines = replay_to_file(day, config, folder / "alerts")
    with toml.open("a") as file:
        file.write(f'[[receivers]]\nname = "lines"\nkind = "file"\npath = "{folder}/received"\n')
    verdicts = VerdictFile(config.state.dir)
    openings = [alert for alert in map(parse_alert, lines) if alert.is_opening]
    for alert, is_true in zip(openings, (True, False), strict=False):
        incident = IncidentHistory((alert,))
        verdicts.add(judge_incident(incident, incident.latest.id, is_true, ""))
    with Process(toml, log) as sidecar:
        at = sidecar.port
        with prometheus(folder, f"127.0.0.1:{at}") as address:
            began = time.time()
            send(day, config, 10.0)
            wait_for([sidecar], digest)
            records = asyncio.run(read_records(kafka, config.kafka.alerts_topic))
            alerts = [json.loads(record.value) for record in records]
            server = Prometheus(address, alerts, began)
            _until_seen(server)
            time.sleep(PANEL_STEPS_S)
            server.ended_s = time.time()
            yield server


def _until_seen(server: Prometheus) -> None:
    """The last numbers are scraped."""
    for _ in range(100):
        (found,) = server.ask("query", query="sum(brinkwatch_alerts_total)") or [None]
        if found and float(found["value"][1]) == len(server.alerts):
            return
        time.sleep(0.1)
    pytest.fail("Prometheus did not see all alerts")


def queries() -> list[Any]:
    parameters = []
    for name, build in sorted(PAGES.items()):
        for panel in json.loads(build())["panels"]:
            for target in panel.get("targets", ()):
                mark = f"{name.removesuffix('.json')}: {panel['title']} {target['refId']}"
                parameters.append(pytest.param(target["expr"], target["instant"], id=mark))
    return parameters


def concrete(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


@pytest.mark.parametrize(("expression", "instant"), queries())
def test_every_panel_has_data(
    watched: Prometheus, expression: str, instant: bool, request: pytest.FixtureRequest
) -> None:
    if instant:
        results = watched.ask("query", query=concrete(expression), time=watched.ended_s)
        values = [result["value"][1] for result in results]
    else:
        span = {"start": watched.began_s, "end": watched.ended_s, "step": "1s"}
        results = watched.ask("query_range", query=concrete(expression), **span)
        values = [value for result in results for _, value in result["values"]]
    is_known = any(math.isfinite(float(value)) for value in values)
    assert is_known == (request.node.callspec.id not in NOT_YET), results


def test_an_alert_in_a_series_that_was_not_there_before_counts(watched: Prometheus) -> None:
    """`increase` alone would not see it."""
    (panel,) = [
        panel
        for panel in json.loads(PAGES["detectors.json"]())["panels"]
        if panel["title"] == "Symbols, with kind and severity"
    ]
    query = concrete(panel["targets"][0]["expr"])
    fired = [a for a in watched.alerts if a["status"] == "firing" and not a.get("returns")]
    wanted = {
        (a["symbols"][0] if len(a["symbols"]) == 1 else SEVERAL, a["kind"], a["severity"])
        for a in fired
    }
    found = {
        (r["metric"]["symbol"], r["metric"]["kind"], r["metric"]["severity"]): r["value"][1]
        for r in watched.ask("query", query=query, time=watched.ended_s)
    }
    assert wanted
    assert set(found) == wanted
    assert sum(map(float, found.values())) == len(fired)


def test_the_exemplars_are_ids_of_alerts(watched: Prometheus) -> None:
    span = {"start": watched.began_s, "end": watched.ended_s}
    found = watched.ask("query_exemplars", query="brinkwatch_alerts_total", **span)
    ids = {e["labels"]["alert_id"] for series in found for e in series["exemplars"]}
    assert ids
    assert ids <= {alert["id"] for alert in watched.alerts}


def test_the_rules_run_and_none_fires_beside_a_healthy_sidecar(watched: Prometheus) -> None:
    with urllib.request.urlopen(f"{watched.address}/api/v1/rules", timeout=10) as reply:
        groups = json.load(reply)["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    asked = [rule for rule in rules if rule["lastEvaluation"] > "0001-01-02"]
    assert {rule["health"] for rule in asked} == {"ok"}
    assert [rule["name"] for rule in rules if rule.get("state", "inactive") != "inactive"] == []
