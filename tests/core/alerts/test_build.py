"""The alert, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.alerts.build import AlertBuilder
from monitor.core.alerts.incidents import Incidents
from monitor.core.alerts.severity import escalate, severity_of_ratio
from monitor.core.contract.alert import (
    AlertZone,
    MarketStake,
    Severity,
    Stake,
    StakeShock,
    alert_json,
)
from monitor.core.settings import EngineSettings, StreamSettings
from tests.core.alerts.findings import START, alert, alerts_of, incident, joint_finding, plain


def test_alert_of_one_stream_holds_all_fields_of_the_contract() -> None:
    record = plain(alert())
    assert (record["id"], record["incident"]) == ("f00d-1", "cafe")
    assert record["versions"]["alerts_per_day"] == 10
    assert record["ts"] == (START + 12) * 1_000_000_000
    assert record["since"] == START * 1_000_000_000
    assert record["layer"] == "execution"
    assert record["severity"] == "warning"
    assert record["evidence"] == [
        {
            "stream": "cancels", "detector": "burst", "observed": 984.0, "expected": 240.0,
            "ratio": 4.1, "unit": "cancels", "p": 2.89352e-07, "once_per_days": 40.0, "share": 1.0,
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
    assert (one.kind, one.status, one.severity) == ("incident", "firing", "critical")
    assert one.symbols == ("SOL",)
    assert [(e.stream, e.share, e.ratio) for e in one.evidence] == [
        ("cancels", 0.5, 4.1),
        ("leverage_raises", 0.3, 15.0),
        ("depth_25bps_least", 0.2, 0.2),
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
            "says": "cancels ×4.1 and depth within 25 bps (thinner side) at a fifth of usual",
        },
        {"layer": "post_trade", "says": "nothing out of the ordinary"},
    ]


def test_kind_and_layer_come_from_the_feature() -> None:
    surge = alert(stream="leverage_doublings")
    late = alert(stream="late", accounts=[])
    thin = alert(stream="depth_25bps_least", observed=40.0)
    assert (surge.kind, surge.layer) == ("leverage_surge", "margin")
    assert (late.kind, late.layer) == ("late_records", "data")
    assert (thin.kind, thin.severity) == ("thin_book", "critical")
    assert late.summary.startswith("Late records ×4.1 for 12 s on SOL-PERP (82 a second")


def test_symbol_cannot_smuggle_a_command_into_the_reproduction() -> None:
    assert "--symbol 'X;rm' " in alert(symbol="X;rm").reproduce


def test_severity_follows_the_ratio_in_both_directions() -> None:
    ratios = (1.5, 2.0, 5.0, None, 0.5, 0.2, 0.0)
    assert [severity_of_ratio(r) for r in ratios] == [
        "info", "warning", "critical", "critical", "warning", "critical", "critical",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("level", "higher"),
    [("info", "warning"), ("warning", "critical"), ("critical", "critical")],
)
def test_much_at_stake_raises_the_severity_by_one(level: Severity, higher: Severity) -> None:
    assert escalate(level) == higher
    observed = {"info": 240.0, "warning": 984.0, "critical": 2400.0}[level]
    zone = AlertZone(98.9, 98.95, "long", 1000.0)
    for forced, expected in ((1e6, higher), (999_999.0, level)):
        stake = MarketStake(Stake(forced, forced, 0.0, 2.0), (zone,))
        built = AlertBuilder(EngineSettings()).build(incident(observed=observed), stake)
        assert built.severity == expected
        assert (built.at_stake, built.zones) == (stake.at_stake, (zone,))


def test_a_cascade_within_an_hours_move_raises_the_severity_as_what_lies_near_does() -> None:
    def severity_of(forced: float, within_hour: bool) -> Severity:
        shock = StakeShock(-0.03, 0.05, forced, 0.4, within_hour)
        stake = MarketStake(Stake(0.0, 0.0, 0.0, 2.0, down=shock), ())
        return AlertBuilder(EngineSettings()).build(incident(observed=984.0), stake).severity

    assert severity_of(1e6, within_hour=True) == "critical"
    assert severity_of(1e6, within_hour=False) == "warning"
    # Next to nothing is at stake, however far the mark would go.
    assert severity_of(999_999.0, within_hour=True) == "warning"


@pytest.mark.parametrize(
    ("forced", "book", "expected"),
    [(5e5, 6e5, "info"), (5e5, 2e5, "warning"), (5e5, 1e5, "critical"), (1e6, 6e5, "warning")],
)
def test_a_critical_shock_is_as_grave_as_its_size_beside_the_book(
    forced: float, book: float, expected: Severity
) -> None:
    facts = {"shock": -0.01, "chance": 0.4, "survives": 1.0, "cross_share": 0.0,
             "cross_accounts": 0, "also": "", "also_more": 0}  # fmt: skip
    cascade = incident(stream="critical_fall", detector="critical_shock", observed=forced,
                       expected=book, facts=facts, is_end=False)  # fmt: skip
    stake = MarketStake(Stake(0.0, 0.0, 0.0, 2.0, StakeShock(-0.01, 0.03, forced, 1.0, True)), ())
    built = AlertBuilder(EngineSettings()).build(cascade, stake)
    assert (built.severity, built.kind, built.layer) == (expected, "critical_shock", "margin")


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
