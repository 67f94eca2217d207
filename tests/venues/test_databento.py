"""Databento's market by order, event by event."""

from __future__ import annotations

import json

import pytest

from monitor.venues.databento import F_LAST, F_SNAPSHOT, Databento
from tests.venues.feeds import Record, records_from, refused_from

HEADER = (
    "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,price,size,channel_id,"
    "order_id,flags,ts_in_delta,sequence,symbol"
)
T = 1_718_539_204_000_000_000
SECOND = 10**9


def row(
    action: str, side: str, price: float, size: int, key: int, ts: int = T, flags: int = F_LAST
) -> str:
    units = round(price * 1e9)
    return f"{ts + 9},{ts},160,1,5,{action},{side},{units},{size},0,{key},{flags},0,7,ESU4"


def records(*rows: str, header: str = HEADER) -> tuple[list[Record], Databento]:
    venue = Databento()
    return records_from(venue, header, *rows), venue


def kinds(made: list[Record]) -> list[str]:
    return [r["kind"] for r in made]


def test_add_modify_and_cancel() -> None:
    made, venue = records(
        row("A", "B", 5411.75, 3, 42),
        row("M", "B", 5412.0, 2, 42, T + 1),
        row("C", "B", 5412.0, 2, 42, T + 2),
    )
    order = {"kind": "order", "symbol": "ESU4", "order_id": "42", "side": "buy"}
    assert made == [
        order | {"ts": T, "price": "5411.75", "quantity": "3", "action": "new"},
        order
        | {"ts": T + 1, "price": "5412", "quantity": "2", "action": "replace", "replaces": "42"},
        order | {"kind": "cancel", "ts": T + 2, "price": "5412", "quantity": "2", "placed_ts": T},
    ]
    assert venue.source_counts == {"A": 1, "M": 1, "C": 1}


def test_a_fill_is_no_cancel() -> None:
    """Neither the Fill nor the Cancel that books it; what a Cancel takes beyond it is one."""
    made, _ = records(
        row("A", "B", 10, 5, 1),
        row("T", "A", 10, 3, 0, T + 1, 0),
        row("F", "B", 10, 3, 1, T + 1, 0),
        row("C", "B", 10, 3, 1, T + 1),
        row("C", "B", 10, 2, 1, T + 2),
    )
    assert kinds(made) == ["order", "fill", "cancel"]
    fill, cancel = made[1:]
    assert (fill["side"], fill["quantity"], fill["liquidity"]) == ("sell", "3", "taker")
    assert (cancel["quantity"], cancel["ts"]) == ("2", T + 2)


def test_a_fill_that_a_modify_books_is_no_change_of_its_owner() -> None:
    made, _ = records(
        row("A", "A", 10, 5, 1),
        row("F", "A", 10, 2, 1, T + 1, 0),
        row("M", "A", 10, 3, 1, T + 1),
        row("M", "A", 10, 1, 1, T + 2),
    )
    assert kinds(made) == ["order", "order"]
    assert (made[1]["action"], made[1]["quantity"]) == ("replace", "1")


def test_a_snapshot_rests_in_the_book_and_makes_no_orders() -> None:
    made, venue = records(
        row("R", "N", 0, 0, 0, T, F_SNAPSHOT),
        row("A", "B", 9.5, 4, 1, T - 5, F_SNAPSHOT),
        row("A", "A", 10, 2, 2, T - 4, F_SNAPSHOT | F_LAST),
        row("A", "B", 9, 1, 3, T),
        row("C", "B", 9.5, 4, 1, T + SECOND),
    )
    assert kinds(made) == ["order", "book", "cancel"]
    assert made[1] == {
        "kind": "book", "ts": T, "symbol": "ESU4",
        "bids": [["9.5", "4"], ["9", "1"]], "asks": [["10", "2"]],
    }  # fmt: skip
    assert made[2]["placed_ts"] == T - 5
    assert venue.left_out["orders of a snapshot, resting before the record began"] == 2


def test_an_auction_has_neither_takers_nor_books() -> None:
    made, venue = records(
        row("A", "B", 11, 1, 1),
        row("A", "A", 10, 1, 2),
        row("T", "N", 10.5, 1, 0, T + 1, 0),
        row("F", "B", 10.5, 1, 1, T + 1, 0),
        row("C", "B", 11, 1, 1, T + 1),
        row("A", "B", 9, 1, 3, T + SECOND),
        row("A", "B", 8, 1, 4, T + 2 * SECOND),
    )
    # The cancel is the booking of the fill; with one bid left below the ask there is a book again.
    assert kinds(made) == ["order", "order", "order", "book", "order"]
    assert made[3]["ts"] == T + SECOND
    assert venue.left_out["trades without an aggressor: of an auction or of implied orders"] == 1


def test_json_lines_and_written_times() -> None:
    line = {
        "ts_recv": "2024-06-16T12:00:04.000000009Z",
        "hd": {"ts_event": "2024-06-16T12:00:04.000000000Z", "instrument_id": 5},
        "action": "A", "side": "B", "price": "5411.750000000", "size": 3, "order_id": "42",
        "flags": 128,
    }  # fmt: skip
    (order,) = records_from(Databento(), json.dumps(line))
    assert (order["ts"], order["price"], order["symbol"]) == (T, "5411.75", "5")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (row("A", "N", 10, 1, 1), "bad_value"),
        (row("A", "B", 10, 0, 1), "bad_value"),
        (row("A", "B", 10, 1, 1).replace("160", "160,160"), "missing_field"),
        (row("A", "B", 10, 1, 1).replace(str(T), "yesterday"), "wrong_type"),
        (row("A", "B", 10, 1, 1).replace("10000000000", str(2**63 - 1)), "missing_field"),
        (row("A", "B", -10, 1, 1), "out_of_range"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(line: str, reason: str) -> None:
    venue = Databento()
    records_from(venue, HEADER)
    (refused,) = refused_from(venue, line)
    assert refused.reason == reason
    assert refused.raw == line.encode()


def test_a_header_without_what_is_needed_is_refused() -> None:
    (refused,) = refused_from(Databento(), "ts_event,action,price")
    assert "order_id" in refused.detail
