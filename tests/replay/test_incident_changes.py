"""Two runs of one day: incidents are matched by their id, else by what they speak of."""

from __future__ import annotations

import json
from typing import Any

from monitor.core.alerts.build import AlertBuilder
from monitor.core.alerts.incidents import Incidents
from monitor.core.contract.alert import Alert
from monitor.core.finding import Finding
from monitor.core.settings import AlertSettings, EngineSettings
from replay.diff import describe_differences
from replay.incident_changes import compare_runs
from tests.core.alerts.findings import START, finding


def run(*findings: Finding, per_day: float = 10.0) -> list[Alert]:
    """The alerts that findings become."""
    builder = AlertBuilder(EngineSettings(alerts=AlertSettings(per_day=per_day)))
    return [builder.build(i) for i in Incidents(30).advance(list(findings), START + 10_000)]


def burst(symbol: str = "SOL", window: int = START, **changes: Any) -> Finding:
    return finding(symbol=symbol, window=window, since=window, **changes)


def test_runs_under_two_budgets_have_the_same_incidents_and_other_versions() -> None:
    few, many = run(burst(), per_day=3), run(burst(), burst("ETH", START + 500), per_day=30)
    comparison = compare_runs(few, many)
    counts = (len(getattr(comparison, n)) for n in ("unchanged", "changed", "gone", "new"))
    assert [*counts] == [1, 0, 0, 1]
    assert comparison.new[0].shown.latest.symbols == ("ETH",)
    budgets = [[v.alerts_per_day for v in side] for side in (comparison.before, comparison.after)]
    assert budgets == [[3.0], [30.0]]
    back = compare_runs(many, few)
    assert [change.shown.incident for change in back.gone] == [comparison.new[0].shown.incident]


def test_an_incident_that_begins_with_other_evidence_at_another_time_is_still_the_same() -> None:
    early, late = run(burst(window=START)), run(burst(window=START + 7, stream="orders"))
    (change,) = compare_runs(early, late).changed
    assert change.before
    assert change.after
    assert change.before.incident != change.after.incident
    phrases = describe_differences(change.differences)
    assert phrases[:2] == ["opened 7 s later", "resolved 7 s later"]
    assert "without evidence of cancels SOL" in phrases
    assert "with evidence of orders SOL" in phrases


def test_what_overlaps_most_is_the_same_and_what_does_not_overlap_is_not() -> None:
    one = run(burst(window=START))
    two = run(burst(window=START + 25), burst(window=START + 5, stream="late", partition=7))
    # Both bursts of `two` are one incident, for they are of one market at one time.
    assert len(compare_runs(one, two).changed) == 1
    apart = compare_runs(one, run(burst(window=START + 31, stream="orders")))
    assert (len(apart.gone), len(apart.new)) == (1, 1)
    other_market = compare_runs(one, run(burst("ETH", window=START)))
    assert (len(other_market.gone), len(other_market.new)) == (1, 1)


def test_a_rule_is_matched_to_the_same_rule_alone() -> None:
    facts = {"lasted_s": 1.0, "with_index": 0}
    rules = [
        burst(stream=name, detector=name, facts=facts, is_end=False)
        for name in ("stale_mark", "stale_index")
    ]
    comparison = compare_runs(run(rules[0]), run(rules[1], burst()))
    assert (len(comparison.gone), len(comparison.new)) == (1, 2)
    later = burst(stream="stale_mark", detector="stale_mark", facts=facts, is_end=False)
    later.window += 3
    again = compare_runs(run(rules[0], _end(rules[0])), run(later, _end(rules[0])))
    assert [*again.changed[0].differences] == ["opened"]


def _end(rule: Finding) -> Finding:
    facts = {"lasted_s": 90.0, "with_index": 0}
    names = {"stream": rule.stream, "detector": rule.detector}
    return burst(window=START + 90, facts=facts, is_end=True, **names)


def test_numbers_are_shown_where_they_differ_by_much_and_counted_where_by_little() -> None:
    (change,) = compare_runs(run(burst(observed=984.0)), run(burst(observed=999.0))).changed
    assert describe_differences(change.differences) == ["1 number by less than 5 %"]
    (change,) = compare_runs(run(burst(observed=470.0)), run(burst(observed=2400.0))).changed
    assert describe_differences(change.differences) == [
        "severity info → warning", "cancels SOL 470 (240 expected) → 2,400 (240 expected)",
    ]  # fmt: skip


def test_accounts_and_other_fields_are_named() -> None:
    accounts = [("a-17", 0.40), ("a-5", 0.21)]
    (change,) = compare_runs(run(burst()), run(burst(accounts=accounts))).changed
    assert describe_differences(change.differences) == ["accounts also a-5, without a-3 and a-9"]
    (change,) = compare_runs(run(burst()), run(burst(records=[]))).changed
    assert describe_differences(change.differences) == ["other records"]
    assert json.loads(json.dumps(change.differences))["records"][1] == []
    earlier = finding(symbol="SOL", window=START, since=START - 3)
    (change,) = compare_runs(run(burst()), run(earlier)).changed
    assert "began 3 s earlier" in describe_differences(change.differences)
