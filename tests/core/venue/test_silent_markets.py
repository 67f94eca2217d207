"""Markets that fall silent together are one incident, whatever shards report them."""

from __future__ import annotations

from monitor.core.alerts.incidents import Incidents
from monitor.core.contract.alert import Alert
from monitor.core.contract.feature_catalogue import MARKET_SILENCE
from monitor.core.finding import Finding
from monitor.core.venue.silent_markets import MARKETS_NAMED, SilentMarkets
from tests.core.alerts.findings import START, alerts_of, finding


def silence(symbol: str, since: int, window: int, over: bool = False) -> Finding:
    return finding(
        symbol=symbol, stream=MARKET_SILENCE, detector=MARKET_SILENCE, since=since, window=window,
        is_end=over, facts={"kinds": "order", "is_gone": 0}, records=[], accounts=[], abstained=[],
    )  # fmt: skip


def alerts(findings: list[Finding]) -> list[Alert]:
    grouped = SilentMarkets(10).group(sorted(findings, key=lambda f: f.window))
    return alerts_of(*grouped, until=START + 1_000)


def test_three_hundred_markets_are_one_alert_and_one_end() -> None:
    names = [f"M{n:03d}" for n in range(300)]
    begin = [silence(name, START + n % 7, START + 60) for n, name in enumerate(names)]
    end = [silence(name, START, START + 400 + n, over=True) for n, name in enumerate(names)]
    first, last = alerts(begin + end)
    assert (first.status, last.status) == ("firing", "resolved")
    assert len(first.symbols) == MARKETS_NAMED
    assert "No orders of 300 markets (M000, M001, M002, 297 more) for " in first.summary
    assert "Records of 300 markets (" in last.summary
    assert first.kind == "feed_stopped"


def test_those_that_follow_are_told_whenever_they_are_twice_as_many() -> None:
    begin = [silence(f"M{n:03d}", START, START + 60 + n) for n in range(64)]
    statuses = [alert.status for alert in alerts(begin)]
    assert statuses == ["firing"] + ["updated"] * 6


def test_silences_that_began_at_other_times_are_other_incidents() -> None:
    found = alerts([silence("A", START, START + 60), silence("B", START + 20, START + 80)])
    assert [alert.symbols for alert in found] == [("A",), ("B",)]


def test_the_first_market_may_come_back_and_leave_again_while_another_is_silent() -> None:
    found = [
        silence("A", START, START + 60), silence("B", START, START + 60),
        silence("A", START, START + 70, over=True), silence("A", START + 100, START + 160),
        silence("B", START, START + 200, over=True), silence("A", START + 100, START + 210, True),
    ]  # fmt: skip
    groups = SilentMarkets(10)
    statuses = []
    incidents = Incidents(30)
    for one in found:
        state = groups.snapshot()
        groups = SilentMarkets(10)
        groups.restore(state)
        statuses += [i.status for i in incidents.advance(groups.group([one]), one.window + 1)]
    assert statuses == ["firing", "updated", "resolved"]
