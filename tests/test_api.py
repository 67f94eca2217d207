"""The Python interface: typed objects and tables, the examples of its docstring, the notebook."""

from __future__ import annotations

import doctest
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from monitor import api
from monitor.config import load
from monitor.core.contract import stepped
from monitor.core.contract.alert import alert_json
from monitor.core.contract.events import KINDS
from tests.support import ROOT

POOL = {
    "regime": "hyperliquid",
    "tiers": [{"lower_bound": 0, "maintenance_rate": "0.0125"}],
    "pool": {"equity": 130},
    "positions": [{"symbol": "BTC", "quantity": 10, "mark": 100}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("api") / "day"
    api.simulate(out, api.SimulationSettings(minutes=12, symbols=3, rate=150.0))
    return out


@pytest.fixture(scope="module")
def run(folder: Path) -> api.Replay:
    return api.replay(folder, bands=True)


def test_the_examples_of_the_docstring_hold() -> None:
    result = doctest.testmod(api)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_a_replay_yields_typed_alerts_and_bands_and_keeps_them(run: api.Replay) -> None:
    first = list(run)
    assert {type(item) for item in first} == {
        api.Alert, api.MarketBandsRecord, api.VenueBandsRecord,
    }  # fmt: skip
    assert list(run) == first
    assert [*run.alerts] == [item for item in first if isinstance(item, api.Alert)]
    assert len(run.alerts) == run.summary.alerts > 0
    assert len(run.alerts) + len(run.bands) == len(first)


def test_a_replay_gives_the_digest_of_the_command(folder: Path, run: api.Replay) -> None:
    from monitor.console import Console
    from replay.commands import open_days, replay_days

    result = replay_days(open_days([str(folder)]), load(), Console(True))
    assert result["digest"] == run.summary.digest
    assert result["alerts"] == run.summary.alerts


def test_a_filter_and_a_configuration_choose_the_alerts(folder: Path, run: api.Replay) -> None:
    one = run.alerts[0]
    shown = api.AlertFilter(one.since, one.ts, frozenset(one.symbols))
    few = api.replay(folder, options=api.ReplayOptions(shown=shown)).alerts
    assert one in few
    assert all(alert in run.alerts for alert in few)
    with pytest.raises(ValueError, match="bands=True"):
        _ = api.replay(folder).bands


def test_two_runs_are_compared_incident_by_incident(
    folder: Path, run: api.Replay, tmp_path: Path
) -> None:
    few = api.replay(folder, load(alerts={"per_day": 0.1}))
    comparison = api.diff(few, run)
    before, after = ({alert.incident for alert in one.alerts} for one in (few, run))
    matched = len(comparison.changed) + len(comparison.unchanged)
    assert (matched + len(comparison.gone), matched + len(comparison.new)) == (
        len(before), len(after),
    )  # fmt: skip
    assert [one.alerts_per_day for one in comparison.after] == [10.0]
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(b"".join(alert_json(alert) + b"\n" for alert in run.alerts))
    assert [*api.load_alerts(file)] == [*run.alerts]
    assert len(api.diff(run, api.load_alerts(file)).unchanged) == len(after)


def test_alerts_are_a_table_with_times(run: api.Replay) -> None:
    table = run.alerts.to_arrow()
    assert table.num_rows == len(run.alerts)
    assert table.schema.field("ts").type == pa.timestamp("ns", "UTC")
    assert table["ts"].cast(pa.int64()).to_pylist() == [alert.ts for alert in run.alerts]
    assert table["symbols"].to_pylist() == [list(alert.symbols) for alert in run.alerts]
    assert table["summary"].to_pylist() == [alert.summary for alert in run.alerts]


def test_bands_are_a_table_with_a_row_for_each_market_side_and_distance(run: api.Replay) -> None:
    table = run.bands.to_arrow()
    markets = [band for band in run.bands if isinstance(band, api.MarketBandsRecord)]
    assert table.num_rows == sum(len(m.long.within) + len(m.short.within) for m in markets)
    assert pc.sum(table["forced"]).as_py() == pytest.approx(
        sum(w.forced for m in markets for side in (m.long, m.short) for w in side.within)
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_records_of_a_day_are_tables_in_real_units(folder: Path, kind: str) -> None:
    day = api.open_day(str(folder))
    table, exact = day.to_arrow(kind), day.to_arrow(kind, exact=True)
    assert table.num_rows == exact.num_rows == day.meta.records[kind]
    times = table["ts"].cast(pa.int64()).to_pylist()
    assert times == sorted(times)
    if kind == "fill":
        batches = [b for b in day.batches() if b.kind == "fill"]
        codes = sorted(price for b in batches for price in b.numbers["price"].tolist())
        texts = [stepped.format_code(code) for code in codes]
        assert sorted(exact["price"].to_pylist()) == [Decimal(text) for text in texts]
        assert table["price"].type == pa.float64()
        assert sorted(table["price"].to_pylist()) == [float(text) for text in texts]
    if kind == "book":
        assert table["bids_price"].type == pa.list_(pa.float64())
        # A side of a simulated book can be taken whole.
        bids = [prices for prices in table["bids_price"].to_pylist() if len(prices) > 1]
        assert len(bids) > table.num_rows // 2
        assert all(0 < prices[-1] < prices[0] for prices in bids)


def test_what_cannot_be_opened_is_refused_with_a_sentence(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(api.ConfigError, match="is no recorded day"):
        api.open_day(tmp_path)
    with pytest.raises(ValueError, match="no kind 'trade': there are order"):
        api.open_day(folder).to_arrow("trade")
    with pytest.raises(api.MarginInputError, match="no tiers"):
        api.margin({**POOL, "tiers": None})


def test_margin_prices_are_those_of_the_command() -> None:
    answer = api.margin(POOL)
    (position,) = answer
    assert (position.symbol, position.mode, position.quantity) == ("BTC", "cross", 10)
    # 130 + 10 (x - 100) = 0.0125 * 10 x
    assert position.liquidation == pytest.approx(Decimal(870) / Decimal("9.875"))
    row = answer.to_arrow().to_pylist()[0]
    assert row["liquidation"] == pytest.approx(870 / 9.875)
    assert row["backstop"] is None or row["backstop"] < row["liquidation"]


def test_pandas_is_asked_for_in_one_sentence_where_it_is_missing(
    run: api.Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.day.reader.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install pandas"):
        run.alerts.to_pandas()


def cells(notebook: Path) -> Iterator[str]:
    """The code of a notebook's cells."""
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(cell["source"])


def test_the_notebook_runs_cell_by_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    codes = list(cells(ROOT / "docs" / "notebooks" / "first_steps.ipynb"))
    assert len(codes) >= 5
    for code in codes:
        exec(code, namespace)
    assert namespace["alerts"].num_rows > 0
    assert namespace["answer"][0].liquidation is not None


def test_type_information_is_shipped() -> None:
    assert all((ROOT / name / "py.typed").exists() for name in ("monitor", "detectors", "replay"))
