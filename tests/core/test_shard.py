"""Features of a shard's windows, number by number, from a few records."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from monitor.core.contract.events import TOPICS, Control
from monitor.core.contract.feature_catalogue import FEATURE_NAMES
from monitor.core.decode.codec import decode
from monitor.core.detection.judge import ClosedSpan
from monitor.core.engine import Engine
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.settings import AccountBurstSettings, EngineSettings, JointSettings, Limits

SECOND = 1_000_000_000
START = 1_764_000_000 * SECOND


def at(second: float) -> int:
    return START + round(second * SECOND)


def closed(
    records: list[dict[str, Any]], until: float, settings: EngineSettings | None = None
) -> list[ClosedSpan]:
    """The closed windows before `until` (s) of these records, one topic partition for each kind."""
    engine = Engine(settings or EngineSettings(streams=()), [])
    engine.control(
        [Control(topic=t, partition=0, offset=len(records), ts=at(until)) for t in TOPICS.values()]
    )
    for kind, topic in TOPICS.items():
        raws = [json.dumps(r).encode() for r in records if r["kind"] == kind]
        batch = decode(kind, topic, 0, np.arange(len(raws), dtype=np.int64), raws)
        assert batch.refused == []
        engine.step(batch)
    return engine.finish().closed


def values(parts: list[ClosedSpan], second: int, symbol: str = "X") -> dict[str, float]:
    """The features of one window that are present."""
    for part in parts:
        for window, number, row in zip(
            part.features.window, part.features.symbol, part.features.values, strict=True
        ):
            if window == START // SECOND + second and part.names[number] == symbol:
                return {
                    n: row[FEATURE_COLUMN[n]]
                    for n in FEATURE_NAMES
                    if not np.isnan(row[FEATURE_COLUMN[n]])
                }
    raise AssertionError(f"no window {second} of {symbol}")


def order(second: float, **more: Any) -> dict[str, Any]:
    base = {"kind": "order", "ts": at(second), "symbol": "X", "side": "buy", "action": "new"}
    return {**base, "price": "10", "quantity": "2", **more}


def cancel(second: float, **more: Any) -> dict[str, Any]:
    return {"kind": "cancel", "ts": at(second), "symbol": "X", **more}


def test_counts_and_notional_by_side_are_exact() -> None:
    records = [
        order(0.1, side="buy", price="0.1", quantity="0.3"),
        order(0.2, side="sell", price="99999.99999999", quantity="3.00000001"),
        order(0.3, side="sell", price=None),
    ]
    got = values(closed(records, 1), 0)
    assert got["orders"] == 3
    # 0.03 + 300000.99... rounded down to 1e-6
    assert got["order_notional"] == pytest.approx(0.03 + 300_000.000_999, abs=2e-6)
    assert got["cancels"] == 0
    assert got["cancels_to_orders"] == 0


def test_an_empty_window_has_zeros_and_without_a_book_there_are_no_book_features() -> None:
    parts = closed([order(0.5)], 3)
    got = values(parts, 2)
    assert got["orders"] == 0
    assert got["cancels"] == 0
    assert "cancels_to_orders" not in got
    assert not [n for n in got if n.startswith(("depth", "spread", "cost", "book", "mark"))]


def test_the_age_of_a_cancel_comes_from_its_order_or_its_own_record() -> None:
    records = [
        order(0.95, order_id="quick"),
        order(0.20, order_id="slow"),
        cancel(1.01, order_id="quick"),
        cancel(1.90, order_id="slow"),
        cancel(1.95, order_id="never-seen"),
        cancel(1.96, placed_ts=at(1.95)),
        cancel(1.97),
    ]
    got = values(closed(records, 2), 1)
    assert got["cancels"] == 5
    # Ages: 60 ms, 1.7 s, over a second (its order is older than the last second), 10 ms; of one
    # there is none.
    assert got["cancels_100ms_share"] == 2 / 4
    assert got["cancels_1s_share"] == 2 / 4


def test_an_order_that_changes_in_place_keeps_its_age() -> None:
    records = [
        order(0.1, order_id="a"),
        order(0.9, order_id="a", action="replace", replaces="a"),
        cancel(1.0, order_id="a"),
    ]
    assert values(closed(records, 2), 1)["cancels_1s_share"] == 1
    assert values(closed(records, 2), 1)["cancels_100ms_share"] == 0


def test_removing_an_order_with_no_quantity_left_is_no_cancel() -> None:
    got = values(closed([cancel(0.1, quantity="0"), cancel(0.2, quantity="1")], 1), 0)
    assert got["cancels"] == 1


def test_shares_of_accounts_are_exact() -> None:
    records = [cancel(0.1, account=name) for name in ["a"] * 6 + ["b"] * 3 + ["c"]]
    got = values(closed(records, 1), 0)
    assert got["cancels_accounts"] == 3
    assert got["cancels_top_share"] == 0.6
    assert got["cancels_herfindahl"] == pytest.approx(0.36 + 0.09 + 0.01)


def test_a_trade_counts_once_by_its_takers_record() -> None:
    fill = {"kind": "fill", "symbol": "X", "price": "10", "quantity": "1"}
    records = [
        {**fill, "ts": at(0.1), "side": "buy", "liquidity": "taker", "account": "t"},
        {**fill, "ts": at(0.1), "side": "sell", "liquidity": "maker", "account": "m"},
        {**fill, "ts": at(0.2), "side": "sell", "quantity": "3", "cause": "liquidation"},
    ]
    got = values(closed(records, 1), 0)
    assert got["trades"] == 2
    assert got["trade_notional"] == 40
    assert got["trade_imbalance"] == -0.5
    assert got["liquidations"] == 1
    assert got["liquidation_notional"] == 30


def test_the_last_book_of_a_window_is_measured_and_carried_forward() -> None:
    book = {"kind": "book", "symbol": "X"}
    records = [
        {**book, "ts": at(0.9), "bids": [["99.9", "10"], ["99", "1"]], "asks": [["100.1", "20"]]},
        {**book, "ts": at(0.1), "bids": [["50", "1"]], "asks": [["51", "1"]]},
    ]
    records = sorted(records, key=lambda r: r["ts"])
    settings = EngineSettings(streams=(), cost_notional=1000)
    parts = closed(records, 3, settings)
    for second, age in ((0, 0.1), (2, 2.1)):
        got = values(parts, second)
        assert got["spread_bps"] == pytest.approx(20)
        assert got["depth_5bps_bid"] == 0
        assert got["depth_10bps_bid"] == pytest.approx(999)
        assert got["depth_100bps_bid"] == pytest.approx(999 + 99)
        assert got["depth_10bps_ask"] == pytest.approx(2002)
        assert got["imbalance_25bps"] == pytest.approx((999 - 2002) / (999 + 2002))
        assert got["cost_buy_bps"] == pytest.approx(10)
        # 999 at 99.9, then 1 at 99: against the mid of 100
        assert got["cost_sell_bps"] == pytest.approx(
            (1 - 1000 / (10 + 1 / 99) / 100) * 1e4, abs=1e-3
        )
        assert got["book_age_s"] == pytest.approx(age)


def test_each_number_of_a_mark_keeps_its_last_value() -> None:
    mark = {"kind": "mark", "symbol": "X"}
    records = [
        {**mark, "ts": at(0.1), "mark": "101", "index": "100", "funding_rate": "0.0001"},
        {**mark, "ts": at(1.1), "mark": "102"},
    ]
    parts = closed(records, 2)
    assert values(parts, 0)["mark_to_index_bps"] == pytest.approx(100)
    assert values(parts, 1)["mark_to_index_bps"] == pytest.approx(200)
    assert values(parts, 1)["funding_rate"] == 0.0001


def test_a_flood_of_symbols_or_accounts_is_bounded_and_counted() -> None:
    limits = Limits(symbols=10, accounts=20, names=1000)
    habits = AccountBurstSettings(most=10)
    settings = EngineSettings(streams=(), limits=limits, account_bursts=habits)
    records = [order(0.001 * i, symbol=f"S{i % 50}", account=f"a{i}") for i in range(900)]
    kept = []
    for turn in (records, records[::-1]):
        engine = Engine(settings, [])
        topic = TOPICS["order"]
        ends = [Control(topic=t, partition=0, offset=9999, ts=at(2)) for t in TOPICS.values()]
        engine.control(ends)
        for i, record in enumerate(turn):
            raw = json.dumps({**record, "ts": at(0.5)}).encode()
            engine.step(decode("order", topic, 0, np.array([i], np.int64), [raw]))
        (part,) = engine.finish().closed
        assert len(part.windows.window) == 10
        assert len(part.windows.account) == 20
        assert engine.shards[0].evicted["symbols"] > 0
        assert engine.shards[0].evicted["accounts"] > 0
        assert engine.shards[0].evicted["habits"] > 0
        rows = [part.names[s] for s in part.windows.symbol.tolist()]
        kept.append((rows, part.windows.sums.tolist(), sorted(part.windows.counts.tolist())))
    assert kept[0] == kept[1]


def test_a_time_far_ahead_is_refused_when_three_ordinary_records_contradict_it() -> None:
    engine = Engine(EngineSettings(streams=()), [])
    seconds = [1, 2, 3, 7_200, 4, 5, 6]
    raws = [json.dumps(order(s)).encode() for s in seconds]
    for i, raw in enumerate(raws[:-1]):
        engine.step(decode("order", "orders", 0, np.array([i]), [raw]))
    assert engine.tally().reproducible_counts()["refused"] == {}
    engine.step(decode("order", "orders", 0, np.array([6]), raws[-1:]))
    facts = engine.tally().reproducible_counts()
    assert facts["refused"] == {"time_jump": 1}
    assert facts["events"] == {"order": 6}
    assert engine.shards[0].jumped[0].offset.tolist() == [3]
    assert engine.shards[0].jumped[1].tolist() == [6]


def test_forgetting_unused_names_does_not_change_the_output() -> None:
    digests = []
    for names in (1000, 100_000):
        limits = Limits(names=names)
        engine = Engine(EngineSettings(streams=(), limits=limits), [])
        ends = [Control(topic=t, partition=0, offset=0, ts=at(5000)) for t in TOPICS.values()]
        engine.control([c for c in ends if c.topic != "cancels"])
        for i in range(60):
            raws = [json.dumps(cancel(i * 60 + j / 100, account=f"{i}-{j}")) for j in range(50)]
            offset = np.arange(50 * i, 50 * i + 50)
            engine.step(decode("cancel", "cancels", 0, offset, [r.encode() for r in raws]))
        assert len(engine.shards[0].accounts) <= names + 50
        engine.finish()
        digests.append(engine.digest())
    assert digests[0] == digests[1]


@pytest.mark.parametrize("streams", [(), ("cancels",)])
def test_joint_evidence_can_be_turned_off(streams: tuple[str, ...]) -> None:
    settings = EngineSettings(streams=(), joint=JointSettings(streams=streams))
    assert len(closed([order(0.5), order(1.5)], 2, settings)[0].windows.window) == 2
    Engine(settings, []).restore(Engine(settings, []).snapshot())
