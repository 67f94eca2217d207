"""Bitstamp's feed, event by event."""

from __future__ import annotations

import json
from typing import Any

from monitor.venues.bitstamp import Bitstamp
from tests.venues.feeds import records_from, refused_from

T = 1_700_000_000_000
NS = 1_000_000


def line(ms: int, event: str, **fields: Any) -> str:
    return f"{ms} {event} {json.dumps(fields)}"


def order(ms: int, event: str, key: int, side: int, amount: str, price: str = "236.47") -> str:
    fields = {"price": price, "amount": amount, "datetime": "1", "id": key, "order_type": side}
    return line(ms, f"order_{event}", **fields)


def trade(ms: int, amount: float, **fields: Any) -> str:
    return line(ms, "trade", **{"price": 236.47000000000001, "amount": amount, "id": 9, **fields})


def test_an_order_is_placed_replaced_and_cancelled() -> None:
    lines = [order(T, "created", 5, 0, "2.00"), order(T + 1, "changed", 5, 0, "1.5")]
    records = records_from(Bitstamp(), *lines, order(T + 2, "deleted", 5, 0, "1.5"))
    both = {"symbol": "BTC-USD", "order_id": "5", "side": "buy", "price": "236.47"}
    new = both | {"kind": "order", "ts": T * NS, "quantity": "2", "action": "new"}
    assert records == [
        new,
        new | {"ts": (T + 1) * NS, "quantity": "1.5", "action": "replace", "replaces": "5"},
        both | {"kind": "cancel", "ts": (T + 2) * NS, "quantity": "1.5", "placed_ts": T * NS},
    ]


def test_the_deletion_of_a_filled_order_is_a_cancel_of_quantity_0() -> None:
    (cancel,) = records_from(Bitstamp(), order(T, "deleted", 5, 1, "0.00000000"))
    assert (cancel["quantity"], "placed_ts" in cancel) == ("0", False)


def test_the_taker_is_the_later_of_the_two_orders_that_shrank_by_the_traded_amount() -> None:
    resting_sell = [order(T, "created", 5, 1, "2"), order(T, "created", 6, 0, "0.5")]
    shrunk = [order(T + 1, "deleted", 6, 0, "0"), order(T + 1, "changed", 5, 1, "1.5")]
    venue = Bitstamp()
    fill = records_from(venue, *resting_sell, *shrunk, trade(T + 2, 0.5))[-1]
    assert fill == {
        "kind": "fill",
        "ts": (T + 2) * NS,
        "symbol": "BTC-USD",
        "trade_id": "9",
        "side": "buy",
        "price": "236.47",
        "quantity": "0.5",
        "liquidity": "taker",
        "cause": "trade",
    }


def test_the_takers_side_comes_from_the_feed_where_it_is_there() -> None:
    fill = records_from(Bitstamp(), trade(T, 0.5, type=1, sell_order_id=77, buy_order_id=76))[0]
    assert (fill["side"], fill["order_id"]) == ("sell", "77")


def test_without_orders_the_last_book_shows_the_takers_side() -> None:
    book = line(T, "order_book", bids=[["236.4", "1"]], asks=[["236.47", "1"]])
    assert records_from(Bitstamp(), book, trade(T, 0.5))[-1]["side"] == "buy"


def test_a_trade_whose_taker_cannot_be_inferred_is_refused() -> None:
    venue = Bitstamp()
    assert [r.reason for r in refused_from(venue, trade(T, 0.5))] == ["missing_field"]
    assert venue.notes["trades whose taker could not be told: refused"] == 1


def test_a_book_is_best_first_with_exact_numbers() -> None:
    bids = [["236.47", "1.78855669"], ["236.20", "0.1"]]
    (book,) = records_from(Bitstamp(), line(T, "order_book", bids=bids, asks=[["236.5", "3"]]))
    assert book == {
        "kind": "book",
        "ts": T * NS,
        "symbol": "BTC-USD",
        "bids": [["236.47", "1.78855669"], ["236.2", "0.1"]],
        "asks": [["236.5", "3"]],
    }
