"""An incident's alerts as one history."""

from __future__ import annotations

from monitor.core.alerts.history import group_by_incident
from tests.core.alerts.findings import START, alert, alerts_of, finding

SECOND = 1_000_000_000


def test_history_says_when_it_opened_how_grave_it_was_and_when_it_ended() -> None:
    more = finding(symbol="SOL", window=START + 20, observed=9000.0)
    small = finding(symbol="SOL", observed=400.0)
    other = finding(symbol="ETH", window=START + 30)
    alerts = alerts_of(small, more, other, until=START + 99)
    sol, eth = group_by_incident(alerts)
    assert [a.status for a in sol.alerts] == ["firing", "updated", "resolved"]
    assert (sol.opened_ns, sol.resolved_ns) == ((START + 12) * SECOND, (START + 51) * SECOND)
    assert (sol.alerts[0].severity, sol.severity) == ("info", "warning")
    assert (sol.latest, sol.since_ns) == (sol.alerts[1], START * SECOND)
    assert sol.incident != eth.incident
    assert group_by_incident(sol.alerts[:2])[0].resolved_ns is None


def test_a_rule_decides_a_silence_and_chance_decides_a_burst() -> None:
    silence = alert(symbol="", stream="fill_silence", detector="silence")
    assert [group_by_incident([one])[0].is_by_rule for one in (silence, alert())] == [True, False]
