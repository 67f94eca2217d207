"""A replay marks what a silence covers, and decides the same."""

from __future__ import annotations

from pathlib import Path

from monitor.console import Console
from monitor.core.contract.alert import parse_alert
from monitor.silences.recorded import FILE, silences_json
from monitor.silences.silence import AlertSilence
from replay.commands import open_days, replay_days
from tests.live.helpers import configuration, write_day

EVER = "2100-01-01T00:00:00Z"


def test_silences_of_the_configuration_and_of_the_day_mark_alerts_and_change_no_digest(
    tmp_path: Path,
) -> None:
    config = configuration("127.0.0.1:1")
    day, file = write_day(tmp_path, config, odd=True).path, tmp_path / "alerts.jsonl"
    plain = replay_days(open_days([str(day)]), config, Console(True), alerts_to=file)
    before = file.read_bytes().splitlines()
    (day / FILE).write_bytes(
        silences_json([AlertSilence(name="jumps", kind=("time_jump",), end=EVER)])
    )
    config = config.model_copy(
        update={"silences": (AlertSilence(name="late", kind=("late_*",), end=EVER),)}
    )
    marked = replay_days(open_days([str(day)]), config, Console(True), alerts_to=file)
    alerts = [parse_alert(line) for line in file.read_bytes().splitlines()]
    assert marked["digest"] == plain["digest"]
    assert plain["silenced"] == {}
    jumps = [alert for alert in alerts if alert.silenced_by == "jumps"]
    assert {alert.kind for alert in jumps} == {"time_jump"}
    assert marked["silenced"] == {"late": 0, "jumps": len(jumps)}
    assert jumps
    assert plain["incidents"] - marked["incidents"] == len({alert.incident for alert in jumps})
    assert len(alerts) == len(before) == marked["alerts"]
    unmarked = [line for line in file.read_bytes().splitlines() if b"silenced_by" not in line]
    assert unmarked == [line for line in before if line in unmarked]
