"""`brinkwatch alerts` and `show`: incidents that came back, and those that a silence covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.commands.show_alerts import list_alerts, show_incident
from monitor.config import Config
from monitor.console import Console
from monitor.core.contract.alert import alert_json
from monitor.silences.silence import AlertSilence, Silences
from tests.core.alerts.findings import START, alerts_of, finding


def test_silenced_incidents_are_listed_as_such_and_pauses_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pulses = [finding(symbol="SOL", window=START + n, since=START + n) for n in (0, 100, 250)]
    other = finding(symbol="ETH", window=START + 270, since=START + 270)
    sol = AlertSilence(name="sol-moves", symbol=("SOL",), end="2100-01-01T00:00:00Z")
    alerts = map(Silences([sol]).mark, alerts_of(*pulses, other, until=START + 271))
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(b"".join(alert_json(alert) + b"\n" for alert in alerts))
    listed = list_alerts(Config(), str(file), every=False, console=Console(False))
    assert (listed["firing"], listed["silenced"]) == (2, 1)
    said = capsys.readouterr().out
    assert "2 of 2 incidents are firing, 1 of them silenced" in said
    rows = [line.split("\t")[1:4] for line in said.splitlines() if "\tburst\t" in line]
    assert sorted(row[0] for row in rows) == ["firing", "silenced"]
    first = listed["incidents"][0]
    show_incident(Config(), first["incident"], str(file), Console(False))
    assert ", came back 2 times, silenced by sol-moves" in capsys.readouterr().out
