"""Six bursts of one market on one day are six incidents, to the desk, to `diff` and to `feedback`,
where more than a quarter of an hour lies between them.

Whoever groups alerts by what they are about sees one that never ends, and a verdict on one burst
becomes a verdict on all. Asked for by users of alert managers. Read in 2026-11.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cases.front_door import START_NS, Replayed, brinkwatch, replay_day, replay_records

SECOND_NS = 10**9
QUIET_S, APART_S, BURSTS = 720, 960, 6


def orders() -> list[dict[str, Any]]:
    """An order a second, and from the twelfth minute on a burst every 16 minutes."""
    rows: list[dict[str, Any]] = []
    for second in range(QUIET_S + APART_S * BURSTS):
        bursting = second >= QUIET_S and (second - QUIET_S) % APART_S < 4
        for number in range(40 if bursting else 1):
            ts = START_NS + second * SECOND_NS + number
            rows.append({
                "kind": "order", "ts": ts, "symbol": "ABC-PERP", "account": f"a{number % 7}",
                "order_id": f"{second}-{number}", "side": "buy", "price": "10", "quantity": "1",
                "action": "new",
            })  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Replayed]:
    folder = tmp_path_factory.mktemp("bursts")
    return folder / "day", replay_records(folder, orders())


def test_each_burst_has_an_id_that_stays_from_its_first_alert_to_its_last(
    day: tuple[Path, Replayed],
) -> None:
    folder, replayed = day
    ids = list(dict.fromkeys(alert["incident"] for alert in replayed.alerts))
    assert len(ids) == BURSTS
    for one in ids:
        statuses = [a["status"] for a in replayed.alerts if a["incident"] == one]
        assert (statuses[0], statuses[-1], statuses.count("resolved")) == ("firing", "resolved", 1)
    assert len({alert["fingerprint"] for alert in replayed.alerts}) < BURSTS
    assert replay_day(folder, "--batch", "97").alerts == replayed.alerts
    strict = replay_day(folder, "--alerts-per-day", "2")
    assert {alert["incident"] for alert in strict.alerts} <= set(ids)
    assert strict.alerts


def test_a_day_without_a_burst_differs_by_one_incident_and_a_verdict_is_on_one(
    day: tuple[Path, Replayed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, replayed = day
    fourth = range(QUIET_S + 3 * APART_S, QUIET_S + 4 * APART_S)
    calm = [
        row
        for row in orders()
        if row["ts"] % SECOND_NS == 0 or (row["ts"] - START_NS) // SECOND_NS not in fourth
    ]
    other = replay_records(tmp_path, calm)
    ids = list(dict.fromkeys(alert["incident"] for alert in replayed.alerts))
    before, after = folder.with_name("before.jsonl"), tmp_path / "day.alerts"
    before.write_text("".join(json.dumps(alert) + "\n" for alert in replayed.alerts))
    done = brinkwatch("diff", before, after, "--json")
    assert done.returncode == 1
    incidents = json.loads(done.stdout)["incidents"]
    assert [row["incident"] for row in incidents["gone"]] == [[ids[3], None]]
    assert incidents["new"] == []
    assert {alert["incident"] for alert in other.alerts} == {*ids[:3], *ids[4:]}

    monkeypatch.setenv("BRINKWATCH_STATE__DIR", str(tmp_path / "state"))
    verdicts = zip(replayed.alerts[:3], ("true", "false", "true"), strict=True)
    for alert, verdict in [*verdicts, (replayed.alerts[-1], "false")]:
        said = brinkwatch("feedback", alert["id"], verdict, "--alerts", before)
        assert said.returncode == 0, said.stderr
    judged = len({alert["incident"] for alert in replayed.alerts[:3]} | {ids[-1]})
    assert json.loads(brinkwatch("feedback", "--summary", "--json").stdout)["judged"] == judged
    unknown = brinkwatch("feedback", ids[0][::-1] + "0", "true", "--alerts", before)
    assert (unknown.returncode, "has no alert or incident" in unknown.stderr) == (2, True)
