"""The alert, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.alerts.build import AlertBuilder
from monitor.core.alerts.incidents import Incident, Incidents
from monitor.core.alerts.severity import SeverityCondition
from monitor.core.contract.alert import MarketStake, Stake, alert_json
from monitor.core.settings import EngineSettings, StreamSettings
from tests.core.alerts.findings import (
    START,
    alert,
    alerts_of,
    finding,
    joint_finding,
    part,
    plain,
)


def test_alert_of_one_stream_holds_all_fields_of_the_contract() -> None:
    record = plain(alert())
    assert (record["id"], record["incident"]) == ("cafe-1", "cafe")
    assert record["versions"]["alerts_per_day"] == 10
    assert record["ts"] == (START + 12) * 1_000_000_000
    assert record["since"] == START * 1_000_000_000
    assert record["layer"] == "execution"
    assert (record["severity"], record["because"]) == ("warning", "worth a look")
    assert record["look_at"] == ["cancels by account"]
    assert record["evidence"] == [
        {
            "stream": "cancels", "detector": "burst", "observed": 984.0, "expected": 240.0,
            "ratio": 4.1, "unit": "cancels", "p": 2.89352e-07, "once_per_days": 40.0, "share": 1.0,
            "seen_s": 7776000.0,
        }
    ]  # fmt: skip
    assert record["records"] == [
        {"topic": "cancels", "partition": 3, "first_offset": 120, "last_offset": 1103}
    ]
    assert record["abstained"] == [{"detector": "liquidations", "why": "none seen so far"}]
    assert record["reproduce"] == (
        "brinkwatch replay DAY --symbol SOL-PERP --from 2025-11-24T16:03:07Z "
        "--to 2025-11-24T16:03:20Z"
    )
    assert record["accounts"][0] == {"account": "a-17", "share": 0.4}
    assert list(record) == sorted(record)
    assert b'"a-17","share":0.4}' in alert_json(alert())


def test_alert_of_several_streams_has_a_row_of_evidence_for_each() -> None:
    (one,) = alerts_of(joint_finding())
    assert (one.kind, one.status, one.severity) == ("incident", "firing", "warning")
    assert one.symbols == ("SOL",)
    assert [(e.stream, e.share, e.ratio) for e in one.evidence] == [
        ("leverage_raises", 0.3, 15.0),
        ("depth_25bps_least", 0.2, 0.2),
        ("cancels", 0.5, 4.1),
    ]
    assert [r.topic for r in one.records] == ["books", "cancels", "leverage"]
    (abstained,) = one.abstained
    assert (abstained.detector, abstained.why) == ("mark_gap_bps", "none seen so far")
    assert one.reproduce.startswith("brinkwatch replay DAY --symbol SOL --from 2025-11-24T")


def test_triage_says_what_each_layer_shows_from_the_lowest_up() -> None:
    streams = [StreamSettings(feature=name) for name in ("cancels", "leverage_raises")]
    (one,) = Incidents(30).advance([joint_finding()], START + 12)
    built = AlertBuilder(EngineSettings(streams=tuple(streams))).build(one)
    assert plain(built)["triage"] == [
        {"layer": "data", "says": "not watched"},
        {"layer": "pricing", "says": "cannot tell; abstained: mark_gap_bps (none seen so far)"},
        {"layer": "margin", "says": "leverage raises ×15"},
        {
            "layer": "execution",
            "says": "depth within 25 bps (thinner side) at a fifth of usual and cancels ×4.1",
        },
        {"layer": "post_trade", "says": "nothing out of the ordinary"},
    ]


def test_kind_and_layer_come_from_the_feature() -> None:
    surge = alert(stream="leverage_doublings")
    late = alert(stream="late", accounts=[])
    thin = alert(stream="depth_25bps_least", observed=40.0)
    assert (surge.kind, surge.layer) == ("leverage_surge", "margin")
    assert (late.kind, late.layer) == ("late_records", "data")
    assert (thin.kind, thin.severity) == ("thin_book", "warning")
    assert late.summary.startswith("Late records ×4.1 for 12 s on SOL-PERP (82 a second")


def test_symbol_cannot_smuggle_a_command_into_the_reproduction() -> None:
    assert "--symbol 'X;rm' " in alert(symbol="X;rm").reproduce


def test_what_moved_to_the_harmless_side_is_no_reason() -> None:
    deep = part("depth_25bps_least", 104_000.0, 100_000.0, 0.2)
    narrow = part("spread_bps", 1.0, 3.0, 0.2)
    (one,) = alerts_of(joint_finding(parts=[part("trades", 984.0, 240.0, 0.6), deep, narrow]))
    assert [row.stream for row in one.evidence] == ["trades"]
    assert (one.kind, one.triage) == ("joint", None)
    assert "depth" not in one.summary


def test_no_chance_is_rarer_than_what_was_seen_can_carry() -> None:
    (row,) = alert(seen=754).evidence
    assert (row.seen_s, row.once_per_days) == (754.0, round(754 / 86_400, 8))
    assert "; rarer than anything in the 12 min seen)" in alert(seen=754).summary


def test_severity_rises_while_an_incident_lasts_and_never_falls() -> None:
    """The stake is there at the second publication, and gone at the third."""
    builder = AlertBuilder(EngineSettings())
    near = MarketStake(Stake(2e6, 2e6, 0.0, 2.0, absorbed=0.1), ())
    stakes = {START + 11: None, START + 12: near}

    def judge(incident: Incident) -> SeverityCondition:
        return builder.judge(incident, stakes.get(incident.window))

    incidents = Incidents(30, judge=judge)
    # Nothing has grown: it is published again because it is graver.
    small = {"observed": 100.0, "expected": 40.0, "since": START + 12, "window": START + 12}
    published = incidents.advance([finding(), finding(**small)], START + 99)
    alerts = [builder.build(i, stakes.get(i.window)) for i in published]
    assert [(a.status, a.severity, a.because) for a in alerts] == [
        ("firing", "warning", "worth a look"),
        ("updated", "critical", "much is at stake in this market"),
        ("resolved", "critical", "much is at stake in this market"),
    ]


def test_a_level_that_moves_to_the_harmless_side_is_not_called_by_the_harm() -> None:
    depth = {"stream": "depth_25bps_least", "detector": "HalfSpaceTrees", "expected": 100.0}
    assert alert(**depth, observed=20.0).kind == "thin_book"
    assert alert(**depth, observed=500.0).kind == "HalfSpaceTrees"
    spread = {"stream": "spread_bps", "detector": "GaussianScorer", "expected": 1.0}
    assert alert(**spread, observed=5.0).kind == "wide_spread"
    assert alert(**spread, observed=0.2).kind == "GaussianScorer"


def test_an_alert_names_both_detectors_of_one_feature() -> None:
    streams = (
        StreamSettings(feature="spread_bps", detector="level"),
        StreamSettings(feature="spread_bps", detector="anomaly.GaussianScorer"),
    )
    (one,) = Incidents(30).advance([joint_finding()], START + 12)
    built = AlertBuilder(EngineSettings(streams=streams)).build(one)
    assert built.versions.detectors == {
        "spread_bps by level": "level",
        "spread_bps by anomaly.GaussianScorer": "anomaly.GaussianScorer",
    }


def test_drift_has_a_chance_beside_its_facts_and_is_never_critical() -> None:
    given: dict[str, Any] = {
        "stream": "depth_drift", "detector": "drift", "facts": {"days": 9}, "is_end": False,
        "expected": 100.0,
    }  # fmt: skip
    nearly, far = (alert(observed=observed, **given) for observed in (70.0, 5.0))
    assert (nearly.kind, nearly.severity, far.severity) == ("drift", "info", "warning")
    assert nearly.evidence[0].once_per_days == pytest.approx(40.0)
