"""What goes out is what the AsyncAPI document says, field by field."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from monitor.core.bands.market_bands import VenueBands
from monitor.core.bands.records import band_records
from monitor.core.contract.alert import Alert, alert_json, parse_alert
from monitor.core.contract.outputs import MarketBandsRecord, VenueBandsRecord
from tests.core.alerts.findings import alert, plain
from tests.core.venue.test_state import BASE, deposit, fill, leverage, mark, run
from tests.theorems import days


def read(model: Any, raw: bytes) -> Any:
    """The record as the model reads it: equal to what was written, and nothing left out."""
    adapter = TypeAdapter(model)
    record = adapter.validate_json(raw, strict=True)
    is_alert = model is Alert
    again = adapter.dump_json(record, exclude_unset=not is_alert, exclude_defaults=is_alert)
    assert json.loads(again) == json.loads(raw)
    return record


def outputs_of(seed: int) -> tuple[list[Alert], list[VenueBands]]:
    """Alerts and bands of a small day of every kind."""
    day = days.feed(seed, per_part=200)
    machine = days.engine(day.partitions)
    outputs = [machine.control(day.controls), *map(machine.step, day.parts), machine.finish()]
    return [a for o in outputs for a in o.alerts], [b for o in outputs for b in o.bands]


def test_every_alert_and_every_record_of_bands_matches_its_type() -> None:
    bands: list[VenueBands] = []
    alerts: list[Alert] = []
    markets = 0
    for seed in range(6):
        more, moments = outputs_of(seed)
        assert [read(Alert, alert_json(one)) for one in more] == more
        alerts += more
        bands += moments
    for moment in bands:
        (_, first), *rest = band_records(moment)
        read(VenueBandsRecord, first)
        markets += len([read(MarketBandsRecord, raw) for _, raw in rest])
    # None of the forms goes untried.
    assert {one.status for one in alerts} == {"firing", "updated", "resolved"}
    assert any(one.triage for one in alerts)
    assert any(one.at_stake for one in alerts)
    assert any(one.evidence[0].p is None for one in alerts)
    assert any(one.accounts for one in alerts)
    assert markets > 20


def test_single_stream_alert_and_estimate_match_the_types() -> None:
    assert read(Alert, alert_json(alert())).evidence[0].ratio == 4.1
    rest = [r for r in BASE if r["kind"] != "mark"]
    (_, made) = run([*rest, {**mark(100), "open_interest": 50}])
    _, (_, raw) = band_records(made[-1])
    assert read(MarketBandsRecord, raw).estimate


def test_market_with_both_sides_and_modes_matches_its_type() -> None:
    _, made = run([*BASE, deposit("a", 110), fill("a", "buy", 10), deposit("c", 150),
                   leverage("c", 10, "isolated"), fill("c", "sell", 10)])  # fmt: skip
    (_, first), (_, raw) = band_records(made[-1])
    assert read(VenueBandsRecord, first).pools == 2
    record = read(MarketBandsRecord, raw)
    assert record.long.zones.zone
    assert record.short.zones.zone


REQUIRED = [f.name for f in dataclasses.fields(Alert) if f.default is dataclasses.MISSING]


@pytest.mark.parametrize("field", REQUIRED)
def test_alert_without_a_required_field_is_refused(field: str) -> None:
    record = plain(alert())
    parse_alert(json.dumps(record))
    del record[field]
    with pytest.raises(ValidationError):
        parse_alert(json.dumps(record))
