"""One incident for what belongs together, in one sentence; the walk through the layers."""

from __future__ import annotations

import dataclasses
from typing import Any

from monitor.core.alerts.incidents import Incident, Incidents
from monitor.core.alerts.triage import IncidentAlertWriter, escalate, join_list
from monitor.core.finding import (
    ACCOUNT_BURST,
    JOINT,
    Finding,
    FindingPart,
    OffsetRange,
    finding_from_state,
)
from monitor.core.settings import EngineSettings, StreamSettings
from tests.core.alerts.test_wording import START, finding


def part(
    stream: str, observed: float, expected: float, share: float, symbol: str = "SOL"
) -> FindingPart:
    p = 1 / (86_400 * 40)
    return FindingPart(symbol, stream, JOINT, START, observed, expected, p, share)


def joint(**changes: Any) -> Finding:
    """Cancels, leverage and a thin book in SOL, over twelve windows."""
    parts = [
        part("cancels", 984.0, 240.0, 0.5),
        part("leverage_raises", 18.0, 1.2, 0.3),
        part("depth_25bps_least", 20_000.0, 100_000.0, 0.2),
    ]
    base: dict[str, Any] = {
        "symbol": "SOL",
        "detector": JOINT,
        "accounts": [("a-17", 0.40), ("a-3", 0.21), ("a-9", 0.10)],
        "records": [
            OffsetRange("book", 7, 19),
            OffsetRange("cancel", 120, 1103),
            OffsetRange("leverage", 3, 5),
        ],
        "abstained": [("mark_gap_bps", "none seen so far")],
        "parts": parts,
    }
    return finding(**{**base, **changes})


def told(*findings: Finding, until: int = START + 12) -> list[dict[str, Any]]:
    explain = IncidentAlertWriter(EngineSettings())
    return [explain.alert(i) for i in Incidents(30).advance(list(findings), until)]


def test_the_sentence_of_an_incident() -> None:
    (alert,) = told(joint())
    assert alert["summary"] == (
        "Cancels ×4.1 for 12 s (82 a second against 20, once in 40 days), leverage raises ×15, "
        "and depth within 25 bps (thinner side) at a fifth of usual, together on SOL since "
        "16:03:07 UTC; two accounts make 61 % of the cancels (a-17 40 %, a-3 21 %)"
    )


def test_the_alert_of_an_incident_holds_each_streams_part() -> None:
    (alert,) = told(joint())
    assert (alert["kind"], alert["status"], alert["severity"]) == ("incident", "firing", "critical")
    assert alert["symbols"] == ["SOL"]
    assert [(e["stream"], e["share"], e["ratio"]) for e in alert["evidence"]] == [
        ("cancels", 0.5, 4.1),
        ("leverage_raises", 0.3, 15.0),
        ("depth_25bps_least", 0.2, 0.2),
    ]
    assert [r["topic"] for r in alert["records"]] == ["books", "cancels", "leverage"]
    assert alert["abstained"] == [{"detector": "mark_gap_bps", "why": "none seen so far"}]
    assert alert["reproduce"].startswith("brinkwatch replay DAY --symbol SOL --from 2025-11-24T")


def test_an_incident_is_walked_through_the_layers_in_order() -> None:
    streams = [StreamSettings(feature=name) for name in ("cancels", "leverage_raises")]
    (incident,) = Incidents(30).advance([joint()], START + 12)
    explain = IncidentAlertWriter(EngineSettings(streams=tuple(streams)))
    assert explain.alert(incident)["triage"] == [
        {"layer": "data", "says": "not watched"},
        {
            "layer": "pricing",
            "says": "cannot tell; abstained: mark_gap_bps (none seen so far)",
        },
        {"layer": "margin", "says": "leverage raises ×15"},
        {
            "layer": "execution",
            "says": "cancels ×4.1 and depth within 25 bps (thinner side) at a fifth of usual",
        },
        {"layer": "post_trade", "says": "nothing out of the ordinary"},
    ]


def test_what_a_single_stream_tells_joins_the_open_incident_and_is_not_published_twice() -> None:
    incidents = Incidents(30)
    burst = finding(symbol="SOL", observed=984.0)
    assert [i.status for i in incidents.advance([burst], START + 12)] == ["firing"]
    later = joint(window=START + 13)
    (grown,) = incidents.advance([later, finding(symbol="SOL", window=START + 13)], START + 14)
    assert grown.status == "updated"
    assert [p.stream for p in grown.finding.parts].count("cancels") == 1
    assert len(grown.finding.parts) == 3
    (over,) = incidents.advance([], START + 60)
    names = {i.fingerprint for i in (grown, over)}
    assert (over.status, over.sequence, len(names)) == ("resolved", 3, 1)
    assert (
        IncidentAlertWriter(EngineSettings())
        .sentence(over)
        .endswith("together on SOL, are over: quiet for 30 s")
    )


def test_findings_of_one_window_are_one_alert() -> None:
    alerts = told(finding(symbol="SOL"), joint(), finding(symbol="SOL", stream="orders"))
    assert [a["status"] for a in alerts] == ["firing"]
    assert {e["stream"] for e in alerts[0]["evidence"]} == {
        "cancels", "orders", "leverage_raises", "depth_25bps_least",
    }  # fmt: skip
    assert abs(sum(e["share"] for e in alerts[0]["evidence"]) - 1) < 1e-5


def account_burst(**changes: Any) -> Finding:
    base: dict[str, Any] = {
        "symbol": "SOL",
        "detector": ACCOUNT_BURST,
        "observed": 120.0,
        "expected": 6.0,
        "accounts": [("a-5", 0.75), ("a-8", 0.25)],
    }
    return finding(**{**base, **changes})


def test_bursts_of_accounts_stay_beside_those_of_the_market_and_their_accounts_are_told() -> None:
    burst = finding(symbol="SOL", observed=984.0, accounts=[("a-1", 0.06), ("a-5", 0.05)])
    for first, second in ((burst, account_burst()), (account_burst(), burst)):
        (alert,) = told(first, second)
        told_of = {(e["detector"], e["observed"], e["expected"]) for e in alert["evidence"]}
        assert told_of == {("burst", 984.0, 240.0), (ACCOUNT_BURST, 120.0, 6.0)}
        assert [a["account"] for a in alert["accounts"]] == ["a-5", "a-8"]
        assert "cancels of few accounts ×20 beside their own habits" in alert["summary"].lower()
        assert alert["summary"].endswith("; beside their own habits stand out a-5 75 %, a-8 25 %")


def test_accounts_are_told_as_those_of_the_stream_that_they_carry() -> None:
    thin = finding(symbol="SOL", stream="spread_bps", detector="level", accounts=[])
    orders = finding(symbol="SOL", stream="orders", accounts=[("a-1", 0.6)])
    (alert,) = told(thin, orders)
    assert alert["summary"].endswith("; one account makes 60 % of the orders (a-1)")


def test_shares_of_accounts_of_two_bursts_are_weighed_by_what_each_tells_of() -> None:
    later = account_burst(window=START + 12, observed=40.0, accounts=[("a-9", 1.0)])
    incidents = Incidents(30)
    incidents.advance([account_burst()], START + 12)
    (grown,) = incidents.advance([later, joint(window=START + 12, accounts=[])], START + 13)
    assert grown.finding.accounts == [("a-5", 0.5625), ("a-9", 0.25), ("a-8", 0.1875)]


def test_markets_that_move_together_are_one_incident_and_later_ones_another() -> None:
    other = finding(symbol="ETH", window=START + 14, partition=1)
    alerts = told(joint(), other, until=START + 20)
    assert [a["status"] for a in alerts] == ["firing", "updated"]
    assert alerts[1]["symbols"] == ["SOL", "ETH"]
    assert "together on SOL and ETH since" in alerts[1]["summary"]
    assert {e["symbol"] for e in alerts[1]["evidence"]} == {"SOL", "ETH"}
    assert {r["partition"] for r in alerts[1]["records"]} == {1, 3}
    assert " --symbol SOL --symbol ETH --from " in alerts[1]["reproduce"]
    late = finding(symbol="ETH", window=START + 25)
    assert len({a["fingerprint"] for a in told(joint(), late, until=START + 30)}) == 2


def test_an_incident_goes_on_from_its_snapshot() -> None:
    whole, restored = Incidents(30), Incidents(30)
    whole.advance([joint(), finding(symbol="ETH")], START + 12)
    restored.restore(whole.snapshot())
    assert restored.snapshot() == whole.snapshot()
    more = [joint(window=START + 20)]
    assert restored.advance(more, START + 99) == whole.advance(more, START + 99)
    assert finding_from_state(dataclasses.asdict(joint())) == joint()


def test_words_and_steps() -> None:
    assert join_list(["a"]) == "a"
    assert join_list(["a", "b"]) == "a and b"
    assert [escalate(level) for level in ("info", "warning", "critical")] == [
        "warning", "critical", "critical",
    ]  # fmt: skip
    one = joint(parts=[])
    assert "together" not in IncidentAlertWriter(EngineSettings()).sentence(
        Incident("f", 1, "firing", one.window, one, last_window=one.window)
    )
