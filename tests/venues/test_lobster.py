"""LOBSTER's messages, event by event."""

from __future__ import annotations

import pytest

from monitor.venues.adapter import OptionError
from monitor.venues.lobster import Lobster
from tests.venues.feeds import records_from, refused_from

MIDNIGHT = 1_340_236_800_000_000_000
"""2012-06-21 00:00 UTC."""


def adapter(**options: str) -> Lobster:
    return Lobster({"date": "2012-06-21", "symbol": "AAPL", **options})


def test_each_type_becomes_its_record() -> None:
    venue = adapter()
    records = records_from(
        venue,
        "34200.004241176,1,11,18,5853300,1",
        "34200.5,2,11,8,5853300,1",
        "34201,4,11,4,5853300,1",
        "34202.25,3,11,6,5853300,1",
        "34203,5,0,100,5853250,-1",
        "34204,7,0,0,-1,-1",
    )
    start = MIDNIGHT + 34_200_004_241_176
    order = {"ts": start, "symbol": "AAPL", "order_id": "11", "side": "buy", "price": "585.33"}
    cancel = order | {"kind": "cancel", "placed_ts": start}
    fill = {"kind": "fill", "symbol": "AAPL", "liquidity": "taker", "cause": "trade"}
    assert records == [
        order | {"kind": "order", "quantity": "18", "action": "new"},
        cancel | {"ts": MIDNIGHT + 34_200_500_000_000, "quantity": "8"},
        fill
        | {"ts": MIDNIGHT + 34_201_000_000_000, "side": "sell", "price": "585.33", "quantity": "4"},
        cancel | {"ts": MIDNIGHT + 34_202_250_000_000, "quantity": "6"},
        fill
        | {"ts": MIDNIGHT + 34_203_000_000_000, "side": "buy", "price": "585.325"}
        | {"quantity": "100"},
    ]
    assert venue.source_counts == {"1": 1, "2": 1, "3": 1, "4": 1, "5": 1, "7": 1}
    assert venue.left_out["trading halts and resumptions (type 7)"] == 1


def test_a_cancel_after_full_execution_has_no_time_of_placing() -> None:
    lines = ["34200,1,11,5,100,1", "34201,4,11,5,100,1", "34202,3,11,5,100,1"]
    assert "placed_ts" not in records_from(adapter(), *lines)[-1]


@pytest.mark.parametrize(
    ("path", "symbol", "day"),
    [
        ("x/AAPL_2012-06-21_34200000_57600000_message_50.csv", "AAPL", "2012-06-21"),
        ("lobster-aapl-2012-06-22/message.csv.gz", "AAPL", "2012-06-22"),
        ("message.csv", "LOBSTER", "2000-01-03"),
    ],
)
def test_date_and_symbol_come_from_the_path(path: str, symbol: str, day: str) -> None:
    venue = Lobster()
    venue.begin_file(path)
    (order,) = records_from(venue, "0,1,11,5,100,1")
    assert order["symbol"] == symbol
    (same,) = records_from(Lobster({"date": day}), "0,1,11,5,100,1")
    assert order["ts"] == same["ts"]
    assert any("no date is named" in note for note in venue.notes) == (day == "2000-01-03")


def test_the_utc_offset_converts_new_york_time() -> None:
    (order,) = records_from(adapter(utc_offset_h="-4"), "34200,1,11,5,100,1")
    assert order["ts"] == MIDNIGHT + (34_200 + 4 * 3_600) * 1_000_000_000


@pytest.mark.parametrize("options", [{"date": "21.6.2012"}, {"utc_offset_h": "NY"}])
def test_the_error_for_a_wrong_option_shows_its_form(options: dict[str, str]) -> None:
    with pytest.raises(OptionError, match=r"a day as 2012-06-21|whole hours"):
        Lobster(options)


@pytest.mark.parametrize(
    "line",
    ["34200,1,11,5,100", "34200,1,11,5,-1,1", "x,1,11,5,100,1", "34200,1,11,5,100,2", "1;2"],
)
def test_a_line_of_another_format_is_refused(line: str) -> None:
    assert len(refused_from(adapter(), line)) == 1
