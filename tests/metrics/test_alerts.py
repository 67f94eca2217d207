"""What fires, on /metrics: counted by its labels, with sentences, and zero once it has ended."""

from __future__ import annotations

import dataclasses

import pytest
from prometheus_client import CollectorRegistry

from monitor.core.contract.alert import Alert, Carrier
from monitor.metrics import alerts as module
from monitor.metrics.alerts import SEVERAL, FiringAlerts, SymbolLabels
from tests.core.alerts.findings import alert

Samples = dict[tuple[str, ...], float]


def shown(firing: FiringAlerts) -> tuple[Samples, Samples]:
    """The counts by severity, kind and symbol; the beginnings by all labels."""
    registry = CollectorRegistry()
    registry.register(firing)
    number, since = registry.collect()
    return tuple(  # type: ignore[return-value]  # there are two
        {tuple(s.labels.values()): s.value for s in family.samples} for family in (number, since)
    )


def one(own: str, **changed: object) -> Alert:
    # Its shape is any alert's.
    return dataclasses.replace(alert(), incident=own, symbols=("SOL",), kind="burst", **changed)  # type: ignore[arg-type]


def test_what_fires_is_counted_until_it_ends_and_then_zero() -> None:
    firing = FiringAlerts(SymbolLabels())
    a = one("a", severity="warning", status="firing", summary="Cancels ×4", since=5 * 10**9)
    firing.follow([a, one("b", severity="warning", status="firing")])
    counts, since = shown(firing)
    assert counts == {("warning", "burst", "SOL"): 2}
    assert since["a", "warning", "burst", "SOL", "Cancels ×4"] == 5
    firing.follow([dataclasses.replace(a, status="updated", severity="critical")])
    counts, since = shown(firing)
    assert counts == {("warning", "burst", "SOL"): 1, ("critical", "burst", "SOL"): 1}
    assert len(since) == 2
    firing.follow([one("b", status="resolved"), one("a", status="resolved")])
    counts, since = shown(firing)
    assert set(counts.values()) == {0}
    assert since == {}


def test_a_silenced_one_does_not_fire_and_a_restart_shows_what_the_stage_has() -> None:
    firing = FiringAlerts(SymbolLabels())
    firing.follow([one("a", status="firing"), one("b", status="firing", silenced_by="quiet")])
    assert [labels[0] for labels in shown(firing)[1]] == ["a"]
    firing.follow([one("a", status="updated", silenced_by="quiet")])
    assert shown(firing)[1] == {}
    firing.restart([one("c", status="updated")])
    assert [labels[0] for labels in shown(firing)[1]] == ["c"]


def test_no_account_is_in_a_sentence() -> None:
    firing = FiringAlerts(SymbolLabels())
    accounts = (Carrier("acct-77", 0.9),)
    firing.follow([one("a", status="firing", accounts=accounts, summary="90 % by acct-77")])
    ((*_, text),) = shown(firing)[1]
    assert text == "90 % by (account)"


def test_only_the_gravest_are_listed_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRING_LISTED", 2)
    firing = FiringAlerts(SymbolLabels())
    graves = ("info", "critical", "warning")
    firing.follow([one(s, status="firing", severity=s) for s in graves])
    counts, since = shown(firing)
    assert sum(counts.values()) == 3
    assert [labels[0] for labels in since] == ["critical", "warning"]


def test_symbols_beyond_the_limit_share_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYMBOLS_MAX", 1)
    labels = SymbolLabels()
    every = [labels.label(symbols) for symbols in (("A",), ("B",), ("A",), ("A", "B"), ())]
    assert every == ["A", "(other)", "A", SEVERAL, SEVERAL]
