"""What goes out is what the models of the AsyncAPI document say, field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.core.alerts.wording import AlertWriter, alert_json
from monitor.core.bands.market_bands import VenueBands
from monitor.core.bands.records import band_records
from monitor.core.contract.outputs import Alert, MarketBandsRecord, VenueBandsRecord
from monitor.core.settings import EngineSettings
from tests.core.alerts.test_wording import incident
from tests.core.venue.test_state import BASE, deposit, fill, leverage, mark, run
from tests.theorems import days


def held(model: Any, raw: bytes) -> Any:
    """The record as the model reads it: equal to what was written, and nothing left out."""
    record = json.loads(raw)
    read = model.model_validate_json(raw, strict=True)
    assert json.loads(read.model_dump_json(exclude_unset=True)) == record
    return read


def played(seed: int) -> tuple[list[dict[str, Any]], list[VenueBands]]:
    """Alerts and bands of a small day of every kind."""
    day = days.feed(seed, per_part=200)
    machine = days.engine(day.partitions)
    outputs = [machine.control(day.controls), *map(machine.step, day.parts), machine.finish()]
    return [a for o in outputs for a in o.alerts], [b for o in outputs for b in o.bands]


def test_every_alert_and_every_record_of_bands_is_as_the_models_say() -> None:
    alerts, bands, markets = [], [], 0
    for seed in range(6):
        told, made = played(seed)
        alerts += [held(Alert, alert_json(alert)) for alert in told]
        bands += made
    for moment in bands:
        (_, first), *rest = band_records(moment)
        held(VenueBandsRecord, first)
        markets += len([held(MarketBandsRecord, raw) for _, raw in rest])
    # None of the forms goes untried.
    assert {alert.status for alert in alerts} == {"firing", "updated", "resolved"}
    assert any(alert.triage for alert in alerts)
    assert any(alert.at_stake for alert in alerts)
    assert any(alert.evidence[0].p is None for alert in alerts)
    assert any(alert.accounts for alert in alerts)
    assert markets > 20


def test_an_alert_of_one_stream_and_an_estimate_are_too() -> None:
    alert = AlertWriter(EngineSettings()).alert(incident())
    assert held(Alert, alert_json(alert)).evidence[0].ratio == 4.1
    rest = [r for r in BASE if r["kind"] != "mark"]
    (_, made) = run([*rest, {**mark(100), "open_interest": 50}])
    _, (_, raw) = band_records(made[-1])
    assert held(MarketBandsRecord, raw).estimate


def test_a_market_with_both_sides_and_modes_is_too() -> None:
    _, made = run([*BASE, deposit("a", 110), fill("a", "buy", 10), deposit("c", 150),
                   leverage("c", 10, "isolated"), fill("c", "sell", 10)])  # fmt: skip
    (_, first), (_, raw) = band_records(made[-1])
    assert held(VenueBandsRecord, first).pools == 2
    record = held(MarketBandsRecord, raw)
    assert record.long.zones.zone
    assert record.short.zones.zone


@pytest.mark.parametrize("field", [n for n, f in Alert.model_fields.items() if f.is_required()])
def test_an_alert_without_a_field_that_the_contract_names_is_refused(field: str) -> None:
    alert = AlertWriter(EngineSettings()).alert(incident())
    del alert[field]
    with pytest.raises(ValidationError):
        Alert.model_validate(alert)
