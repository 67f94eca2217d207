"""Tables of funding, open interest and candles, row by row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.core.decode.batch import Batch
from monitor.core.decode.codec import encode
from monitor.venues.funding import Funding
from monitor.venues.parse import UnreadableError
from tests.support import recording

HOUR_NS = 3_600_000_000_000
START = datetime(2025, 3, 8, tzinfo=UTC)
START_NS = int(START.timestamp()) * 1_000_000_000


def table(column: str, *rows: tuple[float | None, str | None, str | None, Any]) -> pa.Table:
    """Rows of hours since the start, venue, coin and number."""
    hours, venues, coins, numbers = zip(*rows, strict=True)
    times = [None if h is None else START + timedelta(hours=h) for h in hours]
    stamps = pa.array(times, pa.timestamp("us", "UTC"))
    return pa.table({"timestamp": stamps, "venue": venues, "coin": coins, column: numbers})


def records(batches: list[Batch]) -> list[dict[str, Any]]:
    return [json.loads(raw) for batch in batches for raw in encode(batch)]


def marks_of(*tables: pa.Table) -> list[dict[str, Any]]:
    venue = Funding()
    for one in tables:
        assert venue.read(one) == []
    return records(venue.finish())


def test_a_close_is_known_at_the_end_of_its_candle_and_makes_the_index_of_every_market() -> None:
    candles = table("c", (0, "a", "X", 10.0), (0, "b", "X", 12.0), (1, "a", "X", 11.0))
    head = {"kind": "mark", "symbol": "a:X"}
    first, other, last = marks_of(candles)
    assert first == head | {"ts": START_NS + HOUR_NS, "index": "11", "last": "10"}
    assert other == first | {"symbol": "b:X", "last": "12"}
    assert last == head | {"ts": START_NS + 2 * HOUR_NS, "index": "11", "last": "11"}


def test_one_record_has_all_that_a_market_says_at_a_time() -> None:
    candles = table("c", (0, "b", "X", 20.0), (1, "b", "X", 25.0))
    funding = table("funding_rate", (1, "a", "X", 1.25e-5), (2, "a", "X", -2e-5))
    interest = table("oi_usd", (1, "a", "X", 1_000.0), (2, "a", "X", 1_000.0))
    of_a = [r for r in marks_of(funding, interest, candles) if r["symbol"] == "a:X"]
    assert [(r["index"], r["funding_rate"], r["open_interest"]) for r in of_a] == [
        ("20", "0.0000125", "50"),
        ("25", "-0.00002", "40"),
    ]
    assert {r["funding_interval_s"] for r in of_a} == {3600}


def test_the_funding_interval_is_the_usual_distance_though_payments_come_late() -> None:
    late = 4e-6
    rows = [(8 * k + (late if k % 2 else 0.0), "a", "X", 1e-4) for k in range(5)]
    assert {r["funding_interval_s"] for r in marks_of(table("funding_rate", *rows))} == {8 * 3600}


def test_open_interest_without_a_price_is_left_out_and_counted() -> None:
    venue = Funding()
    venue.read(table("oi_usd", (1, "a", "X", 5.0), (9, "a", "X", 5.0)))
    venue.read(table("c", (0, "b", "X", 2.0)))
    marks = records(venue.finish())
    assert [r.get("open_interest") for r in marks if r["symbol"] == "a:X"] == ["2.5"]
    assert venue.left_out["open interest without a price to count it by"] == 1


def test_a_row_again_for_the_same_market_and_time_is_left_out_and_counted() -> None:
    venue = Funding()
    venue.read(table("c", (0, "a", "X", 2.0), (0, "a", "X", 3.0)))
    assert [r["last"] for r in records(venue.finish())] == ["2"]
    assert venue.left_out["candles again for the same market and time"] == 1


@pytest.mark.parametrize(
    ("column", "row", "reason"),
    [
        ("c", (None, "a", "X", 1.0), "missing_field"),
        ("c", (0, None, "X", 1.0), "missing_field"),
        ("c", (0, "a", "", 1.0), "missing_field"),
        ("funding_rate", (0, "a", "X", None), "missing_field"),
        ("funding_rate", (0, "a", "X", float("nan")), "wrong_type"),
        ("oi_usd", (0, "a", "X", float("inf")), "wrong_type"),
        ("oi_usd", (0, "a", "X", -1.0), "out_of_range"),
        ("c", (0, "a", "X", 0.0), "out_of_range"),
        ("c", (-24 * 365 * 40, "a", "X", 1.0), "out_of_range"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_bytes(
    column: str, row: tuple[Any, ...], reason: str
) -> None:
    venue = Funding()
    (batch,) = venue.read(table(column, row, (5, "a", "X", 1.0)))
    ((refused),) = batch.refused
    assert (batch.kind, refused.reason) == ("mark", reason)
    kept = json.loads(refused.raw)
    assert (kept["venue"], kept["coin"]) == row[1:3]
    assert len(records(venue.finish())) == (1 if column != "oi_usd" else 0)


def test_a_record_that_the_contract_refuses_keeps_the_rows_it_was_made_of() -> None:
    venue = Funding()
    venue.read(table("funding_rate", (0, "a", "two words", 1e-5)))
    ((refused),) = venue.finish()[0].refused
    assert json.loads(refused.raw)["coin"] == "two words"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (table("c", (0, "a", "X", 1.0)).drop_columns("coin"), "missing_field"),
        (table("price", (0, "a", "X", 1.0)), "missing_field"),
        (table("c", (0, "a", "X", 1.0)).set_column(0, "timestamp", [["soon"]]), "wrong_type"),
    ],
)
def test_a_table_of_another_kind_is_refused_as_a_whole(changed: pa.Table, reason: str) -> None:
    with pytest.raises(UnreadableError) as refusal:
        Funding().read(changed)
    assert refusal.value.reason == reason


def test_all_rows_of_the_recorded_months_are_read() -> None:
    venue = Funding()
    for name in ("funding_rates", "open_interest_old"):
        path = recording("perp-funding-oi-2025") / f"{name}.parquet"
        assert venue.read(pq.read_table(path)) == []
    marks = sum(len(batch) for batch in venue.finish())
    assert venue.source_counts == {"funding rates": 55_892, "open interest": 24_800}
    assert marks == 55_892
    assert venue.left_out["open interest without a price to count it by"] == 24_800
