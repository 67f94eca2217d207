"""The sentences, to the letter; the alert, field by field."""

from __future__ import annotations

import json

import pytest

from monitor.core.alerts.incidents import Incident, Incidents
from monitor.core.alerts.wording import (
    AlertWriter,
    accounts_phrase,
    alert_json,
    format_number,
    rarity,
    severity,
)
from monitor.core.contract.feature_catalogue import FEATURE_NAMES
from monitor.core.finding import Finding, OffsetRange
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
        "records": [OffsetRange("cancel", 120, 1103)],
        "abstained": [("liquidations", "none seen so far")],
    }
    return Finding(**{**base, **changes})  # type: ignore[arg-type]


def incident(status: str = "firing", **changes: object) -> Incident:
    one = finding(**changes)
    return Incident("f00d", 1, status, one.window, one, last_window=one.window)


def sentence(status: str = "firing", **changes: object) -> str:
    return AlertWriter(EngineSettings()).sentence(incident(status, **changes))


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


def level(stream: str, observed: float, expected: float, **more: object) -> str:
    given = {"detector": "level", "accounts": [], "observed": observed, "expected": expected}
    return sentence(stream=stream, **{**given, **more})


def test_a_fall_of_a_level_is_told_as_a_part_of_the_usual() -> None:
    assert level("depth_25bps_least", 412_000.0, 2_060_000.0) == (
        "Depth within 25 bps (thinner side) at a fifth of usual for 12 s on SOL-PERP (412,000 "
        "against 2,060,000 in quote currency, once in 40 days), since 16:03:07 UTC"
    )
    assert " at 4 % of usual for" in level("depth_25bps_least", 40.0, 1000.0)


def test_a_rise_of_a_level_is_told_in_its_unit() -> None:
    assert level("spread_bps", 12.16, 3.8) == (
        "Spread ×3.2 for 12 s on SOL-PERP (12.2 against 3.8 bps of the mid, once in 40 days), "
        "since 16:03:07 UTC"
    )


def test_a_level_with_a_sign_has_no_ratio() -> None:
    assert level("mark_to_index_bps", -31.0, 2.0) == (
        "Mark over index at -31 for 12 s on SOL-PERP (2 expected, bps of the index, once in 40 "
        "days), since 16:03:07 UTC"
    )


def test_a_share_is_told_in_percent_and_says_of_what_accounts_make_it() -> None:
    shares = {"detector": "ratio", "accounts": [("a-17", 0.87)]}
    assert level("cancels_1s_share", 0.91, 0.34, **shares) == (
        "Cancels within 1 s at 91 % for 12 s on SOL-PERP (34 % expected, once in 40 days), since "
        "16:03:07 UTC; one account makes 87 % of the cancels (a-17)"
    )


def test_an_amount_is_told_as_a_rate_in_quote_currency() -> None:
    assert level("cancels_near_notional", 12e6, 1.2e6, detector="burst").startswith(
        "Notional cancelled near the touch ×10 for 12 s on SOL-PERP (1,000,000 a second in quote "
        "currency against 100,000 expected, once in 40 days)"
    )


def test_a_drift_is_told_as_a_way_and_not_as_a_blow() -> None:
    drift = {"detector": "drift", "window": START + 719}
    assert level("funding_apr", 0.42, 0.1, **drift) == (
        "Funding has drifted up for 12 min on SOL-PERP (0.42 a year against 0.1, once in 40 days), "
        "since 16:03:07 UTC"
    )


def test_a_surge_of_leverage_and_the_data_layer_have_their_own_kinds() -> None:
    surge = AlertWriter(EngineSettings()).alert(incident(stream="leverage_doublings"))
    late = AlertWriter(EngineSettings()).alert(incident(stream="late", accounts=[]))
    thin = AlertWriter(EngineSettings()).alert(incident(stream="depth_25bps_least", observed=40.0))
    assert (surge["kind"], surge["layer"]) == ("leverage_surge", "margin")
    assert (late["kind"], late["layer"]) == ("late_records", "data")
    assert (thin["kind"], thin["severity"]) == ("thin_book", "critical")
    assert late["summary"].startswith("Late records ×4.1 for 12 s on SOL-PERP (82 a second")


@pytest.mark.parametrize("name", FEATURE_NAMES)
def test_every_number_has_a_sentence(name: str) -> None:
    said = sentence(stream=name, detector="level", accounts=[])
    assert said[0].isupper()
    assert "on SOL-PERP (" in said
    assert "since 16:03:07 UTC" in said
    over = incident("resolved", stream=name)
    assert "over: quiet for" in AlertWriter(EngineSettings()).sentence(over)


def test_something_where_nothing_was_expected_has_no_ratio() -> None:
    assert sentence(expected=0.0, observed=5.0, window=START, stream="liquidations").startswith(
        "Liquidations for 1 s on SOL-PERP (5 a second against 0 expected"
    )


def test_an_end_is_told_as_an_end() -> None:
    over = incident("resolved")
    over.window = over.last_window + 30
    assert AlertWriter(EngineSettings()).sentence(over) == (
        "Cancels ×4.1 for 12 s on SOL-PERP (82 a second against 20 expected, once in 40 days) "
        "are over: quiet for 30 s"
    )


def test_numbers_and_rarities_read_as_people_say_them() -> None:
    assert [format_number(v) for v in (0, 0.1234, 4.1, 82, 999.6, 1_345_000)] == [
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
    assert accounts_phrase(five).startswith("five accounts make 40 % of them (a-0 8 %, ")


def test_the_alert_holds_what_the_contract_names() -> None:
    alert = AlertWriter(EngineSettings()).alert(incident())
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
    text = alert_json(alert)
    assert json.loads(text) == alert
    assert text == alert_json(dict(reversed(alert.items())))


def test_a_symbol_cannot_smuggle_a_command_into_the_reproduction() -> None:
    alert = AlertWriter(EngineSettings()).alert(incident(symbol="X;rm"))
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
def test_different_evidence_at_another_time_is_a_different_incident(field: str) -> None:
    other = finding(**{field: {"symbol": "X", "stream": "orders", "partition": 1}[field]})
    other.window += 100
    changes = Incidents(30).advance([finding(), other], START + 112)
    assert len({i.fingerprint for i in changes}) == 2
