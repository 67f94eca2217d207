"""dYdX's stream, event by event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.venues.dydx import Dydx
from tests.venues.feeds import records_from, refused_from

T = 1_700_000_000_000
ID = {"owner": "dydx1a", "sub": 2, "client_id": 7, "flags": 0, "pair": "ETH-USD"}
KEY = "dydx1a/2/7/0/ETH-USD"
TAKER = {"owner": "dydx1b", "sub": 0, "client_id": 8, "flags": 0, "pair": "ETH-USD"}


def line(kind: str, ms: int, mode: int = 0, **fields: Any) -> str:
    return json.dumps({"ts_ms": ms, "block": 1, "exec_mode": mode, "kind": kind, **fields})


def place(ms: int, **fields: Any) -> str:
    order = {"side": "BUY", "size": 1.5, "price": 3377.3, "tif": 2, "reduce_only": False}
    return line("place", ms, **{**ID, **order, "snapshot": False, **fields})


def remove(ms: int, **fields: Any) -> str:
    return line("remove", ms, **{**ID, "reason": 0, "removal_status": 1, **fields})


def filled(ms: int, total: float) -> str:
    return line("fill_amount", ms, **ID, total_filled=total, snapshot=False)


def match(ms: int, what: str = "match_orders", mode: int = 7, **fields: Any) -> str:
    maker = {**ID, "side": "BUY", "size": 1.5, "price": 3377.3}
    fills = [{"size": 0.5, "maker": ID}]
    return line("match", ms, mode, **{"match": what, "orders": [maker], "fills": fills, **fields})


def test_a_removal_has_the_quantity_left_and_the_time_of_placing() -> None:
    venue = Dydx()
    records = records_from(venue, place(T), filled(T + 1, 0.5), remove(T + 2))
    assert records == [
        {
            "kind": "order",
            "ts": T * 1_000_000,
            "symbol": "ETH-USD",
            "order_id": KEY,
            "account": "dydx1a/2",
            "side": "buy",
            "price": "3377.3",
            "quantity": "1.5",
            "action": "new",
            "reduce_only": False,
        },
        {
            "kind": "cancel",
            "ts": (T + 2) * 1_000_000,
            "symbol": "ETH-USD",
            "order_id": KEY,
            "account": "dydx1a/2",
            "side": "buy",
            "price": "3377.3",
            "quantity": "1",
            "placed_ts": T * 1_000_000,
        },
    ]
    assert venue.source_counts == {"place": 1, "fill_amount": 1, "remove": 1}


def test_an_order_placed_again_while_open_replaces_itself() -> None:
    _, again = records_from(Dydx(), place(T), place(T + 1, size=2.0))
    assert (again["action"], again["replaces"], again["quantity"]) == ("replace", KEY, "2")


def taker(ms: int, **fields: Any) -> str:
    return place(ms, **fields).replace('"kind": "place"', '"kind": "taker"')


def test_an_order_that_arrives_and_then_rests_is_one_order() -> None:
    venue = Dydx()
    records = records_from(venue, taker(T), taker(T), place(T), remove(T + 2))
    assert [r["kind"] for r in records] == ["order", "cancel"]
    assert records[0]["action"] == "new"
    assert records[1]["placed_ts"] == T * 1_000_000
    assert venue.left_out["of orders that came as `taker` already: one order"] == 2


def test_what_rests_otherwise_than_it_arrived_replaces_it() -> None:
    _, again = records_from(Dydx(), taker(T), place(T + 1, size=2.0))
    assert (again["action"], again["quantity"]) == ("replace", "2")
    # Once it rests, the same again is a new message of its owner.
    *_, again = records_from(Dydx(), taker(T), place(T), place(T + 1))
    assert again["action"] == "replace"


def test_an_order_of_a_snapshot_has_no_time_of_placing() -> None:
    _, cancel = records_from(Dydx(), place(T, snapshot=True), remove(T + 2))
    assert "placed_ts" not in cancel
    assert cancel["side"] == "buy"


def test_a_removal_of_an_order_not_seen_has_no_side() -> None:
    venue = Dydx()
    (cancel,) = records_from(venue, remove(T))
    assert set(cancel) == {"kind", "ts", "symbol", "order_id", "account"}
    assert venue.notes["removals of orders that were not seen open"] == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [(0, None), (1, "expired"), (2, "user"), (5, "self_trade"), (6, "post_only"), (9, "venue")],
)
def test_removal_reasons_become_those_of_the_contract(code: int, reason: str | None) -> None:
    (cancel,) = records_from(Dydx(), remove(T, reason=code))
    assert cancel.get("reason") == reason


def test_an_order_removed_as_filled_has_nothing_left() -> None:
    _, cancel = records_from(Dydx(), place(T), remove(T, removal_status=3))
    assert cancel["quantity"] == "0"


def test_a_taker_becomes_an_order() -> None:
    fields = {**TAKER, "side": "SELL", "size": 3, "price": 1e-05, "reduce_only": True}
    (order,) = records_from(Dydx(), line("taker", T, **fields))
    assert (order["kind"], order["side"], order["price"]) == ("order", "sell", "0.00001")
    assert order["reduce_only"] is True


def test_a_finalised_match_is_a_fill_of_each_side() -> None:
    maker, taker = records_from(Dydx(), match(T, taker=TAKER))
    both = {"kind": "fill", "ts": T * 1_000_000, "symbol": "ETH-USD"}
    both |= {"price": "3377.3", "quantity": "0.5", "cause": "trade"}
    assert maker == both | {
        "order_id": KEY,
        "account": "dydx1a/2",
        "side": "buy",
        "liquidity": "maker",
    }
    assert taker == both | {
        "order_id": "dydx1b/0/8/0/ETH-USD",
        "account": "dydx1b/0",
        "side": "sell",
        "liquidity": "taker",
    }


def test_an_optimistic_match_is_counted_and_makes_no_fill() -> None:
    venue = Dydx()
    assert records_from(venue, match(T, mode=0, taker=TAKER), match(T, mode=102, taker=TAKER)) == []
    assert venue.source_counts == {"match": 2}
    assert venue.left_out["optimistic matches, whose fills count when finalised"] == 2


def test_a_liquidation_is_the_liquidated_accounts_fill() -> None:
    liquidated = {"owner": "dydx1c", "sub": 128}
    line = match(T, "match_perpetual_liquidation", liquidated=liquidated)
    maker, taker = records_from(Dydx(), line)
    assert (maker["cause"], taker["cause"]) == ("trade", "liquidation")
    assert (taker["account"], taker["side"]) == ("dydx1c/128", "sell")
    assert "order_id" not in taker


def test_the_price_of_a_match_may_come_from_the_open_order() -> None:
    maker, _ = records_from(Dydx(), place(T), match(T, orders=[], taker=TAKER))[1:]
    assert maker["price"] == "3377.3"
    assert [r.reason for r in refused_from(Dydx(), match(T, orders=[], taker=TAKER))] == [
        "missing_field"
    ]


def test_an_order_out_of_range_is_refused_and_its_removal_is_not() -> None:
    venue = Dydx()
    (bad,) = refused_from(venue, place(T, size=1e17))
    assert bad.reason == "out_of_range"
    (cancel,) = records_from(venue, remove(T + 1))
    assert "quantity" not in cancel


def test_an_unknown_kind_is_counted_and_noted() -> None:
    venue = Dydx()
    assert records_from(venue, line("subaccount", T)) == []
    assert venue.source_counts == {"subaccount": 1}
    assert venue.left_out == {"of the kind subaccount, which is not needed": 1}
