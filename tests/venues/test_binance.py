"""Binance's raw socket, event by event."""

from __future__ import annotations

import json
from typing import Any

from monitor.venues.binance import Binance
from tests.venues.feeds import records_from, refused_from

T = 1_700_000_000_000
NS = 1_000_000
BREAK = "breaks in the chain of differences: the book goes on, in part stale"


def line(event: str, ms: int, **fields: Any) -> str:
    data = {"e": event, "E": ms + 3, "T": ms, "s": "BTCUSDT", **fields}
    return f"{ms}123 {json.dumps({'stream': 'btcusdt@x', 'data': data})}"


def ticker(ms: int) -> str:
    return line("bookTicker", ms, u=1, b="1", B="1", a="2", A="1")


def snapshot(ms: int, last: int = 10) -> str:
    book = {"bids": [["9.9", "1"], ["9.8", "2"]], "asks": [["10.1", "1"]]}
    return f"{ms}123 {json.dumps({'lastUpdateId': last, 'E': ms, 'T': ms, **book})}"


def depth(ms: int, first: int, last: int, before: int, bids: list[Any], asks: list[Any]) -> str:
    return line("depthUpdate", ms, U=first, u=last, pu=before, b=bids, a=asks)


def test_the_book_follows_snapshot_and_differences_with_a_record_every_100_ms_at_most() -> None:
    venue = Binance()
    records = records_from(
        venue,
        ticker(T),
        snapshot(T),
        depth(T + 50, 9, 12, 8, [["9.9", "0.000"]], [["10.05", "4"]]),
        depth(T + 100, 13, 14, 12, [["9.85", "3"]], []),
    )
    first, second = records
    assert first["bids"] == [["9.9", "1"], ["9.8", "2"]]
    assert second == {
        "kind": "book",
        "ts": (T + 100) * NS,
        "symbol": "BTCUSDT",
        "bids": [["9.85", "3"], ["9.8", "2"]],
        "asks": [["10.05", "4"], ["10.1", "1"]],
    }
    assert BREAK not in venue.notes
    assert venue.source_counts == {"bookTicker": 1, "snapshot": 1, "depthUpdate": 2}


def test_differences_before_the_snapshot_are_applied_when_it_comes() -> None:
    venue = Binance()
    early = [
        depth(T, 5, 7, 4, [["9.9", "50"]], []),
        depth(T + 1, 8, 12, 7, [["9.95", "6"]], []),
    ]
    (book,) = records_from(venue, *early, snapshot(T + 2))
    assert book["bids"] == [["9.95", "6"], ["9.9", "1"], ["9.8", "2"]]
    assert venue.left_out["differences older than the book"] == 1
    assert BREAK not in venue.notes


def test_a_missing_difference_is_noted_and_the_book_goes_on() -> None:
    venue = Binance()
    chain = [depth(T + 1, 9, 12, 8, [], []), depth(T + 200, 20, 21, 19, [["9.7", "1"]], [])]
    records = records_from(venue, ticker(T), snapshot(T), *chain)
    assert records[-1]["bids"][-1] == ["9.7", "1"]
    assert venue.notes[BREAK] == 1


def test_a_trade_is_the_takers_fill() -> None:
    (fill,) = records_from(
        Binance(), line("trade", T, t=77, p="28145.10", q="0.002", X="MARKET", m=True)
    )
    assert fill == {
        "kind": "fill",
        "ts": T * NS,
        "symbol": "BTCUSDT",
        "trade_id": "77",
        "side": "sell",
        "price": "28145.1",
        "quantity": "0.002",
        "liquidity": "taker",
        "cause": "trade",
    }


def test_the_insurance_funds_trade_is_a_backstop() -> None:
    fields = {"t": 1, "p": "1", "q": "1", "m": False}
    (fund,) = records_from(Binance(), line("trade", T, **fields, X="INSURANCE_FUND"))
    assert (fund["side"], fund["cause"]) == ("buy", "backstop")
    (adl,) = records_from(Binance(), line("trade", T, **fields, X="ADL"))
    assert adl["cause"] == "adl"


def test_mark_index_and_funding_have_the_time_of_the_event() -> None:
    fields = {"p": "28147.27373413", "P": "1", "i": "28159.75642857", "r": "-0.00002754"}
    (mark,) = records_from(Binance(), line("markPriceUpdate", T, **fields))
    assert mark == {
        "kind": "mark",
        "ts": (T + 3) * NS,
        "symbol": "BTCUSDT",
        "mark": "28147.27373413",
        "index": "28159.75642857",
        "funding_rate": "-0.00002754",
    }


def test_the_receive_time_may_be_in_ns() -> None:
    line = snapshot(T).replace(f"{T}123", f"{T}123456").replace(f'"T": {T}, ', "")
    (book,) = records_from(Binance({"symbol": "X"}), line)
    assert (book["ts"], book["symbol"]) == (T * NS + 123_456, "X")


def test_a_snapshot_before_any_market_is_named_is_refused() -> None:
    assert [r.reason for r in refused_from(Binance(), snapshot(T))] == ["missing_field"]
