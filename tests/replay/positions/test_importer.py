"""`brinkwatch import positions`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from monitor.core.settings import EngineSettings
from replay.day import Day
from replay.day.importer import IngestError, NothingImportedError
from replay.moment import engine_at
from replay.positions.importer import import_positions
from tests.core.venue.liquidation_prices import liquidation_prices
from tests.venues.positions.test_dump import META, STATE


def test_imported_day_has_the_prices_that_the_venue_printed(tmp_path: Path) -> None:
    path = tmp_path / "states.json.gz"
    path.write_bytes(gzip.compress(json.dumps([META, {"user": "0x1", **STATE}]).encode()))
    report = import_positions([path], tmp_path / "day")
    counts = {kind: n for kind, n in report.records.items() if n}
    assert counts == {"mark": 2, "collateral": 1, "reference": 4}
    engine = engine_at(Day(tmp_path / "day"), EngineSettings(), None, lambda _: None)
    prices = liquidation_prices(engine)
    # What the state says of itself: 1,500 beside 39,000, and −1,000 beside 1,000 units.
    assert prices["0x1", "BTC"] == pytest.approx(40_500 / 0.5 / 1.0125, rel=1e-9)
    assert prices["0x1", "MEGA"] == pytest.approx(1.0 / (1 - 1 / 6), rel=1e-7)
    assert engine.stage.printed_prices.verdicts["isolated"] == 1


def test_dump_without_a_state_makes_no_day(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('{"a": 1}')
    with pytest.raises(NothingImportedError, match="clearinghouseState"):
        import_positions([tmp_path / "odd.json"], tmp_path / "day")
    with pytest.raises(IngestError, match="no such file"):
        import_positions([tmp_path / "none.json"], tmp_path / "day")
    assert not (tmp_path / "day").exists()
