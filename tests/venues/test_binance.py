"""Binance's raw socket, event by event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.venues.adapter import OptionError
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


def test_best_prices_are_the_book_of_a_market_without_depth() -> None:
    venue = Binance()
    first, second = records_from(
        venue, *(ticker(T + ms) for ms in (0, 9_999, 10_000, 10_050, 10_100))
    )
    assert (first["kind"], first["bids"], first["asks"]) == ("book", [["1", "1"]], [["2", "1"]])
    assert [second["ts"] - first["ts"], len(second["bids"])] == [100_000_000, 1]
    assert venue.left_out["of bookTicker while depth may still come"] == 2
    assert records_from(venue, depth(T + 20_000, 9, 12, 8, [], []), ticker(T + 21_000)) == []


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


def test_differences_that_no_snapshot_follows_are_left_out_in_words() -> None:
    venue = Binance()
    waiting = "differences of a market without a snapshot: record its REST snapshot too"
    early = [depth(T + i, 8 + i, 8 + i, 7 + i, [], []) for i in range(3)]
    assert records_from(venue, *early) == []
    assert venue.left_out[waiting] == 3
    records_from(venue, snapshot(T + 3))
    assert venue.left_out[waiting] == 0


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


def test_contracts_of_coin_m_are_base_units_and_a_reference_says_so_once() -> None:
    def coin(event: str, **fields: Any) -> str:
        return line(event, T, **fields).replace("BTCUSDT", "BTCUSD_PERP")

    trade = {"t": 1, "p": "50000", "q": "40", "X": "MARKET", "m": False, "ps": "BTCUSD"}
    venue = Binance()
    reference, first, second = records_from(venue, coin("trade", **trade), coin("trade", **trade))
    assert reference["contract"] == {"type": "inverse", "size": "100", "settles_in": "BTC"}
    assert reference["ts"] == first["ts"]
    assert first["quantity"] == second["quantity"] == "0.08"
    assert refused_from(Binance(), coin("trade", **trade | {"p": "0"}))[0].reason == "out_of_range"


def test_differences_of_coin_m_are_applied_as_contracts_and_shown_as_base_units() -> None:
    lines = [snapshot(T), depth(T + 100, 9, 12, 8, [["9.8", "0"], ["10", "3"]], [])]
    venue = Binance({"symbol": "DOTUSD_PERP", "contract_size": "20"})
    lines[1] = lines[1].replace("BTCUSDT", "DOTUSD_PERP")
    _, before, after = records_from(venue, *lines)
    assert before["bids"] == [["9.9", "2.02020202"], ["9.8", "4.08163265"]]
    assert after["bids"] == [["10", "6"], ["9.9", "2.02020202"]]


def test_what_is_no_size_of_a_contract_is_refused() -> None:
    with pytest.raises(OptionError, match="whole USD a contract"):
        Binance({"contract_size": "0"})


def test_trades_count_once_where_a_market_has_both_streams() -> None:
    venue = Binance()
    both = {"p": "9.5", "q": "2", "m": False}
    lines = [line("aggTrade", T, a=5, **both), line("trade", T, t=9, **both)]
    (fill,) = records_from(venue, *lines, line("trade", T, t=10, **both))
    assert (fill["trade_id"], fill["side"], fill["quantity"]) == ("5", "buy", "2")
    assert venue.left_out == {"of trade, whose trades are in another stream too": 2}


def test_a_liquidation_order_is_a_fill_of_what_it_filled() -> None:
    order = {"s": "BTCUSDT", "S": "SELL", "q": "3", "p": "9900", "ap": "9910.5", "z": "2", "T": T}
    venue = Binance()
    filled, waiting = line("forceOrder", T, o=order), line("forceOrder", T, o=order | {"z": "0"})
    (fill,) = records_from(venue, filled, waiting)
    assert fill == {
        "kind": "fill",
        "ts": T * NS,
        "symbol": "BTCUSDT",
        "side": "sell",
        "price": "9910.5",
        "quantity": "2",
        "liquidity": "taker",
        "cause": "liquidation",
    }
    assert venue.left_out == {"liquidation orders that had filled nothing yet": 1}


def test_the_funding_interval_is_the_time_between_two_funding_times() -> None:
    hour = 3_600_000
    times = [T, T, T + 8 * hour, T + 24 * hour, T + 24 * hour + 1]
    marks = [
        json.dumps({"e": "markPriceUpdate", "E": T + i, "s": "X", "p": "9", "r": "0.1", "T": at})
        for i, at in enumerate(times)
    ]
    records = records_from(Binance(), *(f"{T}000 {mark}" for mark in marks))
    found = [record.get("funding_interval_s") for record in records]
    assert found == [None, None, 8 * 3_600, 8 * 3_600, 8 * 3_600]


def test_a_partial_book_replaces_the_book_and_an_envelope_may_hold_a_list() -> None:
    book = {"e": "depthUpdate", "E": T, "T": T, "s": "X", "u": 7, "b": [["9", "1"]]}
    one = {"stream": "x@depth20@100ms", "data": book | {"a": [["10", "1"]]}}
    two = {"stream": "x@depth20@100ms", "data": book | {"T": T + 100, "a": [["11", "1"]]}}
    mark = {"e": "markPriceUpdate", "E": T, "s": "X", "p": "9"}
    several = {"stream": "!markPrice@arr", "data": [mark, mark | {"s": "Y"}]}
    lines = [f"{T}000 {json.dumps(message)}" for message in (one, two, several)]
    first, second, *marks = records_from(Binance(), *lines)
    assert (first["asks"], second["asks"]) == ([["10", "1"]], [["11", "1"]])
    assert [record["symbol"] for record in marks] == ["X", "Y"]


def test_a_level_that_is_no_number_is_refused_and_never_enters_the_book() -> None:
    venue = Binance()
    records_from(venue, ticker(T), snapshot(T))
    bad = depth(T + 100, 9, 12, 8, [["NaN", "1"]], []), depth(T + 150, 9, 12, 8, [["1", "-1"]], [])
    assert [r.reason for r in refused_from(venue, *bad)] == ["wrong_type", "wrong_type"]
    (book,) = records_from(venue, depth(T + 200, 9, 12, 8, [["9.7", "1"]], []))
    assert book["bids"] == [["9.9", "1"], ["9.8", "2"], ["9.7", "1"]]


def test_a_time_that_is_text_is_refused_at_once() -> None:
    long = line("trade", T, t=1, p="1", q="1", m=True).replace(
        f'"T": {T}', f'"T": "{"9" * 10_000}"'
    )
    assert [r.reason for r in refused_from(Binance(), long)] == ["wrong_type"]
