"""The sentences, to the letter; the alert, field by field."""

from __future__ import annotations

import json

import pytest

from monitor.core.explain import Explain, line, number, rarity, severity, who
from monitor.core.findings import Finding
from monitor.core.history import Range
from monitor.core.incidents import Incident, Incidents
from monitor.core.settings import EngineSettings

START = 1_764_000_187  # 2025-11-24 16:03:07 UTC


def finding(**changes: object) -> Finding:
    base = {
        "window": START + 11,
        "since": START,
        "partition": 3,
        "symbol": "SOL-PERP",
        "stream": "cancels",
        "detector": "burst",
        "observed": 984.0,
        "expected": 240.0,
        "p": 1 / (86_400 * 40),
        "accounts": [("a-17", 0.40), ("a-3", 0.21), ("a-9", 0.10)],
        "records": [Range("cancel", 120, 1103)],
        "abstained": [("liquidations", "none seen so far")],
    }
    return Finding(**{**base, **changes})  # type: ignore[arg-type]


def incident(status: str = "firing", **changes: object) -> Incident:
    one = finding(**changes)
    return Incident("f00d", 1, status, one.window, one, last=one.window)


def sentence(status: str = "firing", **changes: object) -> str:
    return Explain(EngineSettings()).sentence(incident(status, **changes))


def test_a_burst_says_what_how_much_how_rare_since_when_and_who() -> None:
    assert sentence() == (
        "Cancels ×4.1 for 12 s on SOL-PERP (82 a second against 20 expected, once in 40 days), "
        "since 16:03:07 UTC; two accounts make 61 % of them (a-17 40 %, a-3 21 %)"
    )


def test_one_account_is_named_alone() -> None:
    assert sentence(accounts=[("a-17", 0.87)]).endswith(
        "since 16:03:07 UTC; one account makes 87 % of them (a-17)"
    )


def test_what_is_not_known_is_said() -> None:
    assert sentence(accounts=[]).endswith("since 16:03:07 UTC; accounts are not known")
    assert sentence(accounts=[("a", 0.02)]).endswith("; spread over many accounts")


def test_something_where_nothing_was_expected_has_no_ratio() -> None:
    assert sentence(expected=0.0, observed=5.0, window=START, stream="liquidations").startswith(
        "Liquidations for 1 s on SOL-PERP (5 a second against 0 expected"
    )


def test_an_end_is_told_as_an_end() -> None:
    over = incident("resolved")
    over.window = over.last + 30
    assert Explain(EngineSettings()).sentence(over) == (
        "Cancels ×4.1 for 12 s on SOL-PERP (82 a second against 20 expected, once in 40 days) "
        "are over: quiet for 30 s"
    )


def test_numbers_and_rarities_read_as_people_say_them() -> None:
    assert [number(v) for v in (0, 0.1234, 4.1, 82, 999.6, 1_345_000)] == [
        "0", "0.123", "4.1", "82", "1000", "1,345,000",
    ]  # fmt: skip
    assert [rarity(d) for d in (0.1, 1.0, 40.2, 12_345.0, 1e9)] == [
        "10 times a day",
        "once a day",
        "once in 40 days",
        "once in 12,000 days",
        "less than once in a million days",
    ]
    assert [severity(r) for r in (1.5, 2.0, 5.0, None)] == [
        "info",
        "warning",
        "critical",
        "critical",
    ]
    five = [(f"a-{i}", 0.08) for i in range(5)]
    assert who(five).startswith("five accounts make 40 % of them (a-0 8 %, ")


def test_the_alert_holds_what_the_contract_names() -> None:
    alert = Explain(EngineSettings()).alert(incident())
    assert alert["id"] == "f00d-1"
    assert alert["ts"] == (START + 12) * 1_000_000_000
    assert alert["since"] == START * 1_000_000_000
    assert alert["layer"] == "execution"
    assert alert["severity"] == "warning"
    assert alert["evidence"] == [
        {
            "stream": "cancels", "detector": "burst", "observed": 984.0, "expected": 240.0,
            "ratio": 4.1, "unit": "cancels", "p": 2.89352e-07, "once_per_days": 40.0, "share": 1.0,
        }
    ]  # fmt: skip
    assert alert["records"] == [
        {"topic": "cancels", "partition": 3, "first_offset": 120, "last_offset": 1103}
    ]
    assert alert["abstained"] == [{"detector": "liquidations", "why": "none seen so far"}]
    assert alert["reproduce"] == (
        "brinkwatch replay DAY --symbol SOL-PERP --from 2025-11-24T16:03:07Z "
        "--to 2025-11-24T16:03:20Z"
    )
    assert alert["accounts"][0] == {"account": "a-17", "share": 0.4}
    text = line(alert)
    assert json.loads(text) == alert
    assert text == line(dict(reversed(alert.items())))


def test_a_symbol_cannot_smuggle_a_command_into_the_reproduction() -> None:
    alert = Explain(EngineSettings()).alert(incident(symbol="X;rm"))
    assert "--symbol 'X;rm' " in alert["reproduce"]


def test_an_incident_fires_once_grows_and_is_resolved() -> None:
    incidents = Incidents(quiet_windows=30)
    first = incidents.advance([finding()], START + 12)
    assert [i.status for i in first] == ["firing"]
    small = finding(since=START + 12, window=START + 13, observed=100.0, expected=40.0)
    assert incidents.advance([small], START + 14) == []
    large = finding(since=START + 14, window=START + 20, observed=1500.0, expected=100.0)
    (grown,) = incidents.advance([large], START + 21)
    assert grown.status == "updated"
    assert grown.finding.since == START
    assert grown.finding.observed == 984 + 100 + 1500
    (over,) = incidents.advance([], START + 60)
    assert (over.status, over.window, over.sequence) == ("resolved", START + 50, 3)
    again = incidents.advance([finding(window=START + 99, since=START + 98)], START + 100)
    assert [(i.status, i.sequence) for i in again] == [("firing", 4)]
    assert again[0].fingerprint == over.fingerprint


@pytest.mark.parametrize("field", ["symbol", "stream", "partition"])
def test_different_evidence_is_a_different_incident(field: str) -> None:
    other = finding(**{field: {"symbol": "X", "stream": "orders", "partition": 1}[field]})
    changes = Incidents(30).advance([finding(), other], START + 12)
    assert len({i.fingerprint for i in changes}) == 2
