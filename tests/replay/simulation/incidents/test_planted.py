"""An incident says everything that its kind needs, and nothing that it does not mean."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from monitor.core.contract.units import SECOND_NS
from replay.simulation.incidents.planted import (
    CASCADE_PHASES,
    INCIDENT_RULES,
    IncidentKind,
    PlantedIncident,
)

NEEDED: dict[str, Any] = {"records": ["book"], "side": "buy"}


def incident(kind: IncidentKind, **fields: Any) -> PlantedIncident:
    """One of a kind, with what it needs."""
    rule = INCIDENT_RULES[kind]
    row = {
        "id": "x",
        "kind": kind,
        "symbol": "BTC-PERP",
        "start_ts": 1_000 * SECOND_NS,
        "end_ts": 1_100 * SECOND_NS,
        **({"size": rule.high} if rule.size else {}),
        **{name: NEEDED[name] for name in rule.needs},
    }
    return PlantedIncident.model_validate({**row, **fields})


def refusal(kind: IncidentKind, **fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        incident(kind, **fields)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize("kind", INCIDENT_RULES)
def test_a_size_is_within_the_bounds_of_its_kind(kind: IncidentKind) -> None:
    rule = INCIDENT_RULES[kind]
    if not rule.size:
        assert "leave it out" in refusal(kind, size=2.0)
        return
    assert incident(kind, size=rule.low).size == rule.low
    assert f"give {rule.low:g} to {rule.high:g}" in refusal(kind, size=rule.high * 1.01)
    assert refusal(kind, size=0)
    if rule.is_signed:
        assert incident(kind, size=-rule.high).size == -rule.high
    else:
        assert refusal(kind, size=-rule.high)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("thin_book", {"size": None}, "valid number"),
        ("thin_book", {"accounts": ["a-1"]}, "a thin_book has no accounts: leave it out"),
        ("thin_book", {"symbol": ""}, "a thin_book is of one market: name it as symbol"),
        ("cancel_burst", {"side": "buy"}, "a cancel_burst has no side: leave it out"),
        ("feed_silence", {"records": []}, "a feed_silence needs records"),
        ("layering", {"side": None}, "a layering needs side"),
        ("feed_silence", {"records": ["reference"]}, "Input should be"),
        ("latency_flip", {"symbols": ["ETH-PERP"]}, "a latency_flip has no symbols"),
        ("cascade", {"end_ts": 1_000 * SECOND_NS}, "end_ts must be later than start_ts"),
        ("cascade", {"depth": 3}, "Extra inputs"),
        ("cascade", {"size": float("nan")}, "finite"),
    ],
)
def test_a_field_that_its_kind_does_not_have_is_refused(
    kind: IncidentKind, fields: dict[str, Any], words: str
) -> None:
    assert words in refusal(kind, **fields)


def test_a_kind_that_has_a_size_needs_one() -> None:
    row = {"id": "x", "kind": "thin_book", "symbol": "A", "start_ts": 1, "end_ts": 2}
    with pytest.raises(ValidationError, match="a thin_book needs size: makers keep"):
        PlantedIncident.model_validate(row)


@pytest.mark.parametrize("kind", INCIDENT_RULES)
def test_parts_are_of_one_market_and_within_the_incident(kind: IncidentKind) -> None:
    more = ["ETH-PERP", "SOL-PERP"] if "symbols" in INCIDENT_RULES[kind].fields else []
    whole = incident(kind, symbols=more)
    parts = list(whole.parts())
    assert {part.symbol for part in parts} == set(whole.markets)
    for part in parts:
        assert list(part.parts()) == [part]
        assert not part.symbols
        assert whole.start_ts <= part.start_ts < part.end_ts <= whole.end_ts


def test_a_cascade_has_its_phases_in_each_of_its_markets() -> None:
    parts = list(incident("cascade", size=4.0, symbols=["ETH-PERP"], accounts=["a-1"]).parts())
    assert [part.kind for part in parts] == 2 * list(CASCADE_PHASES)
    falls = [part for part in parts if part.kind == "price_shock"]
    assert [(part.size, part.end_ts) for part in falls] == 2 * [(-4.0, 1_100 * SECOND_NS)]
    assert [part.accounts for part in parts if part.kind == "cancel_burst"] == 2 * [["a-1"]]
