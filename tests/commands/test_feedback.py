"""A verdict is one on an incident, and is never lost, whatever a killed process or a full disk has
left of the one before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.commands import feedback
from monitor.config import Config, StateSettings
from monitor.console import Console
from monitor.core.alerts.build import AlertBuilder
from monitor.core.alerts.incidents import Incidents
from monitor.core.contract.alert import Alert, alert_json
from monitor.core.settings import AlertSettings, EngineSettings
from monitor.desk.verdicts import FILE
from monitor.errors import ConfigError
from tests.core.alerts.findings import START, alerts_of, finding


def grown_alerts(symbol: str = "SOL") -> list[Alert]:
    """An incident with three messages."""
    more = finding(symbol=symbol, window=START + 20, observed=5000.0)
    alerts = alerts_of(finding(symbol=symbol), more, until=START + 99)
    assert [alert.status for alert in alerts] == ["firing", "updated", "resolved"]
    return alerts


@pytest.fixture
def alerts(tmp_path: Path) -> Path:
    """A file of two incidents, of three messages each."""
    file = tmp_path / "a.jsonl"
    every = [*grown_alerts("SOL"), *grown_alerts("ETH")]
    file.write_bytes(b"".join(alert_json(alert) + b"\n" for alert in every))
    return file


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(state=StateSettings(dir=tmp_path / "state"))


def judge(
    config: Config, reference: str, verdict: str, alerts: Path | None = None, note: str = ""
) -> dict[str, Any]:
    place = None if alerts is None else str(alerts)
    return feedback.record(config, reference, verdict, note, place, Console(True))


def summary(config: Config) -> dict[str, Any]:
    return feedback.summary(config, Console(True))


def test_three_verdicts_on_three_messages_of_an_incident_are_one_and_the_last_counts(
    config: Config, alerts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = grown_alerts("SOL")
    for alert, verdict in ((first, "true"), (second, "false"), (third, "false")):
        judge(config, alert.id, verdict, alerts)
    assert judge(config, first.incident, "true")["added"]
    assert "it was judged false: the last verdict counts" in capsys.readouterr().err
    outcome = summary(config)
    row = {"alerts_per_day": 10.0, "true": 1, "false": 0, "precision": 1.0}
    assert outcome["judged"] == 1
    assert outcome["kinds"] == [{**row, "kind": "burst"}, {**row, "kind": "all"}]
    assert outcome["contradicted"] == [first.incident]
    assert f"called true and false, of which the last verdict counts: {first.incident}" in (
        capsys.readouterr().err
    )


def test_the_same_verdict_again_writes_nothing_and_a_note_does(
    config: Config, alerts: Path
) -> None:
    one = grown_alerts("ETH")[0]
    assert judge(config, one.id, "true", alerts)["added"]
    before = (config.state.dir / FILE).read_bytes()
    assert not judge(config, one.id, "true", alerts)["added"]
    assert not judge(config, one.incident, "true")["added"]
    assert (config.state.dir / FILE).read_bytes() == before
    assert judge(config, one.incident, "true", note="a maker's restart")["added"]
    assert (config.state.dir / FILE).read_bytes().startswith(before)
    (verdict,) = feedback.list_verdicts(config, Console(True))["verdicts"]
    assert (verdict["note"], verdict["symbols"]) == ("a maker's restart", ("ETH",))


def test_precision_is_by_kind_under_each_budget_and_an_incident_is_true_under_all(
    config: Config, tmp_path: Path
) -> None:
    streams = {"A": "leverage_doublings", "B": "late", "C": "late"}
    for budget in (3.0, 30.0):
        builder = AlertBuilder(EngineSettings(alerts=AlertSettings(per_day=budget)))
        alerts = []
        for number, (symbol, stream) in enumerate(streams.items()):
            window = START + 1000 * number
            burst = finding(symbol=symbol, stream=stream, window=window, since=window)
            alerts += map(builder.build, Incidents(30).advance([burst], window + 1))
        file = tmp_path / f"{budget}.jsonl"
        file.write_bytes(b"".join(alert_json(alert) + b"\n" for alert in alerts))
        for alert in alerts:
            judge(config, alert.incident, str(alert.symbols != ("C",)).lower(), file)
    judge(config, alerts[0].incident, "false")  # wherever it was reported
    rows = {(r["alerts_per_day"], r["kind"]): r["precision"] for r in summary(config)["kinds"]}
    assert rows == {
        (budget, kind): share
        for budget in (3.0, 30.0)
        for kind, share in (("leverage_surge", 0), ("late_records", 0.5), ("all", 1 / 3))
    }
    assert summary(config)["judged"] == 3


def test_an_unknown_id_is_refused_with_the_nearest(config: Config, alerts: Path) -> None:
    one = grown_alerts("SOL")[0]
    with pytest.raises(ConfigError, match=f"did you mean {one.incident}"):
        judge(config, one.incident[:-1] + "?", "true", alerts)
    with pytest.raises(ConfigError, match=f"is a fingerprint.*: name one of {one.incident}"):
        judge(config, one.fingerprint, "true", alerts)
    with pytest.raises(ConfigError, match="true or false, not 'maybe'"):
        judge(config, one.id, "maybe", alerts)
    other = alerts.with_name("bands.jsonl")
    other.write_text('{"kind": "bands"}\n')
    with pytest.raises(ConfigError, match="holds no alerts of this version"):
        judge(config, one.id, "true", other)
    assert not (config.state.dir / FILE).exists()


@pytest.mark.parametrize("left", [1, 20, 60, -1])
def test_a_half_line_costs_at_most_its_own_verdict(config: Config, alerts: Path, left: int) -> None:
    sol, eth = grown_alerts("SOL")[0], grown_alerts("ETH")[0]
    judge(config, sol.id, "true", alerts)
    judge(config, eth.id, "true", alerts)
    file = config.state.dir / FILE
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second[:left])
    judge(config, sol.id, "false", alerts)
    whole = left == -1  # only its newline is missing
    assert summary(config)["judged"] == 1 + whole


@pytest.mark.parametrize("line", [b"\xff\x00", b"[]", b"{}", b"[" * 100_000, b'"' + b"x" * 9])
def test_lines_that_are_no_verdicts_are_left_out(
    config: Config, alerts: Path, line: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    config.state.dir.mkdir()
    (config.state.dir / FILE).write_bytes(line + b"\n")
    judge(config, grown_alerts()[0].id, "true", alerts)
    assert summary(config)["judged"] == 1
    assert "no verdicts, left out: 1" in capsys.readouterr().err


def test_verdicts_that_a_page_saved_are_kept_once(
    config: Config, alerts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for alert, verdict in ((grown_alerts("SOL")[0], "true"), (grown_alerts("ETH")[0], "false")):
        judge(config, alert.id, verdict, alerts)
    saved = config.state.dir / FILE
    other = Config(state=StateSettings(dir=tmp_path / "other"))
    page = tmp_path / "verdicts.jsonl"
    page.write_bytes(saved.read_bytes() + b"{}\n")
    counts = feedback.import_verdicts(other, page, Console(True))
    assert counts == {"verdicts": 2, "added": 2, "broken": 1}
    assert summary(other) == summary(config)
    assert feedback.import_verdicts(other, page, Console(True))["added"] == 0
    assert "no verdicts, left out: 1" in capsys.readouterr().err


def test_a_file_without_verdicts_is_refused(config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*missing"):
        feedback.import_verdicts(config, tmp_path / "missing.jsonl", Console(True))
    empty = tmp_path / "empty.jsonl"
    empty.write_text("[]\n\xff\n")
    with pytest.raises(ConfigError, match=r"has no verdicts: give the file"):
        feedback.import_verdicts(config, empty, Console(True))
