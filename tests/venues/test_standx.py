"""StandX's tables, row by row."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.contract.fixed_point import SCALE
from monitor.core.contract.stepped import FINE, PLAIN, add, quantise
from monitor.core.decode.batch import Batch
from monitor.core.decode.codec import encode
from monitor.core.decode.stepped_kernels import from_e8
from monitor.venues.parse import UnreadableError
from monitor.venues.standx import Standx, to_codes

T = 1_700_000_000_000_000_000


def books(*rows: tuple[int, list[float], list[float]], **columns: Any) -> pa.Table:
    ts = pa.array([r[0] for r in rows], pa.timestamp("ns", "UTC"))
    return pa.table(
        {
            "timestamp": ts,
            "received_at": ts,
            "symbol": ["BTC-USD"] * len(rows),
            "bid_prices": [r[1] for r in rows],
            "bid_quantities": [[0.5] * len(r[1]) for r in rows],
            "ask_prices": [r[2] for r in rows],
            "ask_quantities": [[0.25] * len(r[2]) for r in rows],
            "is_valid": columns.get("is_valid", [True] * len(rows)),
        }
    )


def trades(*rows: tuple[int, float, float, str]) -> pa.Table:
    ts, price, quantity, side = zip(*rows, strict=True)
    times = pa.array(ts, pa.timestamp("ns", "UTC"))
    names = {"timestamp": times, "received_at": times, "symbol": ["BTC-USD"] * len(rows)}
    return pa.table({**names, "price": price, "quantity": quantity, "side": side})


def records(batches: list[Batch]) -> list[dict[str, Any]]:
    return [json.loads(raw) for batch in batches for raw in encode(batch)]


def test_books_that_repeat_a_timestamp_are_dropped() -> None:
    venue = Standx()
    first = venue.read(books((T, [9.9, 9.8], [10.1]), (T, [9.9, 9.8], [10.1])))
    again = venue.read(books((T, [9.9], [10.1]), (T + 1, [9.9], [10.2])))
    assert records([*first, *again]) == [
        {
            "kind": "book",
            "ts": T,
            "symbol": "BTC-USD",
            "bids": [["9.9", "0.5"], ["9.8", "0.5"]],
            "asks": [["10.1", "0.25"]],
        },
        {
            "kind": "book",
            "ts": T + 1,
            "symbol": "BTC-USD",
            "bids": [["9.9", "0.5"]],
            "asks": [["10.2", "0.25"]],
        },
    ]
    assert [b.offset.tolist() for b in (*first, *again)] == [[0], [1]]
    assert venue.source_counts == {"books": 4}
    assert venue.left_out["books that repeat the timestamp before them"] == 2


def test_an_invalid_book_is_dropped_and_counted() -> None:
    venue = Standx()
    rows = books((T, [9.9], [10.1]), (T + 1, [9.9], [10.1]), is_valid=[False, True])
    assert [r["ts"] for r in records(venue.read(rows))] == [T + 1]
    assert venue.left_out["books that the recorder marked invalid"] == 1


@pytest.mark.parametrize(
    ("bids", "asks", "reason"),
    [
        ([9.8, 9.9], [10.1], "book_order"),
        ([9.9], [10.1, 10.0], "book_order"),
        ([9.9, 0.0], [10.1], "out_of_range"),
        ([float("nan")], [10.1], "wrong_type"),
        ([9.9 - i / 100 for i in range(51)], [10.1], "too_many"),
    ],
)
def test_a_malformed_book_is_refused_and_the_others_stay(
    bids: list[float], asks: list[float], reason: str
) -> None:
    good = (T + 1, [9.9], [10.1])
    (batch,) = Standx().read(books((T, bids, asks), good))
    assert (batch.offset.tolist(), [r.offset for r in batch.refused]) == ([1], [0])
    assert batch.refused[0].reason == reason
    assert batch.refused[0].raw.startswith(b'{"timestamp":')


def test_levels_of_one_price_are_added_up() -> None:
    (batch,) = Standx().read(books((T, [9.9, 9.9, 9.8], [10.1]), (T + 1, [9.9], [10.1, 10.1])))
    assert batch.refused == []
    bids, asks = batch.ladders["bids"], batch.ladders["asks"]
    assert (bids.offset.tolist(), asks.offset.tolist()) == ([0, 2, 3], [0, 1, 2])
    assert bids.quantity[0] == add(int(bids.quantity[1]), int(bids.quantity[1]))
    assert asks.quantity[1] == bids.quantity[1]  # 0.25 twice


def test_trades_are_takers_fills_and_a_side_that_never_changes_is_noted() -> None:
    venue = Standx()
    (batch,) = venue.read(trades((T, 93869.83, 0.0001, "SELL"), (T, 93870.0, 0.0205, "SELL")))
    assert records([batch])[0] == {
        "kind": "fill",
        "ts": T,
        "symbol": "BTC-USD",
        "side": "sell",
        "price": "93869.83",
        "quantity": "0.0001",
        "liquidity": "taker",
        "cause": "trade",
    }
    assert venue.notes["every trade names the same side: the recorder's word, not who took"] == 2
    venue.read(trades((T + 1, 1.0, 1.0, "BUY")))
    assert not any("same side" in note for note in venue.notes)


def test_a_trade_without_a_side_is_refused() -> None:
    (batch,) = Standx().read(trades((T, 1.0, 1.0, "?"), (T, 1.0, 1.0, "BUY")))
    assert [(r.offset, r.reason) for r in batch.refused] == [(0, "bad_value")]
    assert batch.offset.tolist() == [1]


def test_a_gap_is_reported_and_books_and_trades_do_not_count_as_jumps() -> None:
    venue = Standx()
    venue.read(books((T, [9.9], [10.1]), (T + 61_000_000_000, [9.9], [10.1])))
    venue.read(trades((T, 1.0, 1.0, "BUY")))
    facts = venue.anomalies.facts()
    assert (facts["breaks"], facts["jumps_back"]) == (1, 0)


def test_a_table_with_other_columns_is_refused() -> None:
    with pytest.raises(UnreadableError):
        Standx().read(pa.table({"a": [1]}))


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([FINE, PLAIN]))
def test_a_double_becomes_the_number_of_its_shortest_text(value: float, below_one: int) -> None:
    try:
        expected = quantise(repr(value), below_one)
    except ValueError:
        expected = -1
    assert to_codes(np.array([value]), below_one).tolist() == [expected]


@given(st.integers(0, 2**51 - 1))
def test_a_decimal_of_eight_places_survives_the_double(units: int) -> None:
    codes = to_codes(np.array([units / SCALE]))
    assert codes.tolist() == from_e8(np.array([units])).tolist()
