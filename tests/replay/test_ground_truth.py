"""Alerts beside what was planted: about it, near it, or away from all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.core.contract.alert import Alert, Carrier
from monitor.core.contract.events import Fill
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode import codec
from monitor.errors import ConfigError
from replay import ground_truth
from replay.day import Day, DayWriter
from replay.ground_truth import EVIDENCE, INCIDENTS_FILE
from replay.simulation.incidents.plan import encode_plan
from replay.simulation.incidents.planted import INCIDENT_RULES, IncidentKind
from tests.core.alerts.findings import alert
from tests.replay.simulation.incidents.test_planted import incident

START_S = 1_763_985_600
SPAN = {"start_ts": START_S * SECOND_NS, "end_ts": (START_S + 100) * SECOND_NS}
EXAMPLES: dict[IncidentKind, str] = {
    "cancel_burst": "cancels",
    "layering": "layering",
    "leverage_surge": "leverage_raises",
    "thin_book": "depth_25bps",
    "joint": "spread_bps",
    "thin_book_cluster": "depth_lack_10s",
    "depth_withdrawal": "cost_bps",
    "index_fault": "mark_off_market",
    "feed_silence": "book_silence",
    "latency_flip": "fill_delay",
    "crowded_funding": "funding_apr",
    "price_shock": "price_move_10s",
    "cascade": "critical_fall",
}
"""A stream whose evidence is about an incident of the kind."""


def about(stream: str, second: float, symbol: str = "BTC-PERP", *accounts: str) -> Alert:
    """An alert of one stream, so many seconds after the incident began."""
    one = alert(symbol=symbol)
    evidence = replace(one.evidence[0], stream=stream, detector=stream)
    return replace(
        one,
        ts=round((START_S + second) * SECOND_NS),
        kind=FEATURES[stream].kind or "burst",
        evidence=(evidence,),
        symbols=(symbol,) if symbol else (),
        accounts=tuple(Carrier(account, 0.5) for account in accounts),
    )


@pytest.mark.parametrize("kind", INCIDENT_RULES)
def test_evidence_of_its_kind_in_its_market_and_time_is_about_an_incident(
    kind: IncidentKind,
) -> None:
    one, stream = incident(kind, **SPAN), EXAMPLES[kind]
    assert ground_truth.is_about(about(stream, 50), one)
    assert not ground_truth.is_about(about(stream, -1), one)
    assert not ground_truth.is_about(about(stream, 170), one)
    assert not ground_truth.is_about(about(stream, 50, "DOGE-PERP"), one)


def test_evidence_of_another_kind_is_near_an_incident_but_not_about_it() -> None:
    burst = incident("cancel_burst", **SPAN)
    thin = about("depth_25bps", 50)
    assert ground_truth.is_near(thin, burst)
    assert not ground_truth.is_about(thin, burst)
    assert ground_truth.unrelated_incidents([thin], [burst]) == []
    away = about("depth_25bps", 300)
    assert ground_truth.unrelated_incidents([away], [burst]) == [[away]]


def test_what_a_cascade_forces_in_other_markets_is_near_it() -> None:
    cascade, elsewhere = incident("cascade", **SPAN), about("liquidations", 90, "XRP-PERP")
    assert ground_truth.is_near(elsewhere, cascade)
    assert not ground_truth.is_about(elsewhere, cascade)


def test_every_kind_of_alert_that_is_looked_for_exists() -> None:
    kinds = {spec.kind for spec in FEATURES.values()} | {
        record for spec in FEATURES.values() for record in spec.records
    }
    by_the_mark_filter = {"outlying_index", "outlying_mark", "outlying_source"}
    by_rules = {"mark_off_market", "unsound_book"}  # named as their streams are
    assert by_rules <= {*FEATURES}
    assert {k for some in EVIDENCE.values() for k in some} <= kinds | by_the_mark_filter | by_rules
    assert {*EVIDENCE} == {*INCIDENT_RULES}


def test_a_burst_may_be_seen_while_its_accounts_place_its_orders() -> None:
    burst = incident("cancel_burst", accounts=["a-1"], **SPAN)
    assert ground_truth.is_about(about("orders", -20, "BTC-PERP", "a-1"), burst)
    assert not ground_truth.is_about(about("orders", -20, "BTC-PERP", "a-2"), burst)
    assert not ground_truth.is_about(about("orders", -100, "BTC-PERP", "a-1"), burst)


def test_a_silence_of_all_markets_is_found_by_an_alert_of_no_market() -> None:
    silence = incident("feed_silence", symbol="", **SPAN)
    assert ground_truth.is_about(about("book_silence", 20, ""), silence)
    assert ground_truth.is_about(about("book_silence", 160, ""), silence)  # its next record says so


def day_of(folder: Path, causes: list[str]) -> Day:
    """A day with a cascade and a fill of each cause, in the seconds 10, 20 and so on of it."""
    fills = [
        Fill.model_validate(
            {
                "kind": "fill",
                "ts": (START_S + 10 * (k + 1)) * SECOND_NS,
                "symbol": "ETH-PERP",
                "side": "sell",
                "price": "100",
                "quantity": "1",
                "cause": cause,
            }
        )
        for k, cause in enumerate(causes)
    ]
    plan = [incident("cascade", symbols=["ETH-PERP"], **SPAN)]
    with DayWriter(folder, venue="test") as day:
        offset = np.arange(len(fills))
        day.write(codec.batch_from_events("fill", "fills", 0, offset, fills))
        day.attach(INCIDENTS_FILE, encode_plan(plan))
    return Day(folder)


def test_the_lead_of_a_cascade_counts_to_the_first_position_closed_by_force(tmp_path: Path) -> None:
    day = day_of(tmp_path / "day", ["trade", "trade", "liquidation", "adl"])
    alerts = [about("leverage_raises", 12), about("critical_fall", 25, "ETH-PERP")]
    (one,) = ground_truth.compare(day, alerts)
    assert (one.delay_s, one.lead_s) == (12.0, 18.0)
    assert one.severity == max(
        (a.severity for a in alerts), key=["info", "warning", "critical"].index
    )
    (missed,) = ground_truth.compare(day, [])
    assert (missed.delay_s, missed.lead_s, missed.severity, missed.kinds) == (None, None, None, [])
    assert missed.first_forced_ts == (START_S + 30) * SECOND_NS
    calm = day_of(tmp_path / "calm", ["trade"])
    assert ground_truth.compare(calm, alerts)[0].lead_s is None


def test_a_ground_truth_that_cannot_be_read_is_an_error_that_says_so(tmp_path: Path) -> None:
    assert ground_truth.read_planted(tmp_path) == []
    (tmp_path / INCIDENTS_FILE).write_text("[{}]")
    with pytest.raises(ConfigError, match=r"cannot be read .*: simulate the day anew"):
        ground_truth.read_planted(tmp_path)
