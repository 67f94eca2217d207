"""Features that rest on the book, or on the past of a market or an account, one by one."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from monitor.core.contract.events import TOPICS, Control
from monitor.core.contract.feature_catalogue import FEATURE_NAMES, FEATURES
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.settings import EngineSettings
from tests.core.test_shard import at, cancel, closed, values


def book(second: float, bid: float = 99.99, ask: float = 100.01, size: float = 10) -> Any:
    levels = [[str(bid), str(size)]], [[str(ask), str(size)]]
    return {"kind": "book", "symbol": "X", "ts": at(second), "bids": levels[0], "asks": levels[1]}


def fill(second: float, side: str, price: float, **more: Any) -> dict[str, Any]:
    base = {"kind": "fill", "symbol": "X", "ts": at(second), "side": side, "price": str(price)}
    return {**base, "quantity": "1", **more}


def leverage(second: float, account: str, to: float, **more: Any) -> dict[str, Any]:
    base = {"kind": "leverage", "symbol": "X", "ts": at(second), "account": account}
    return {**base, "leverage": str(to), "margin_mode": "cross", **more}


def test_every_feature_has_a_unit_a_noun_and_records() -> None:
    assert tuple(FEATURE_COLUMN) == FEATURE_NAMES
    for name, stream in FEATURES.items():
        assert stream.unit, name
        assert stream.noun, name
        assert stream.records, name
        assert set(stream.records) <= TOPICS.keys(), name


def test_gaps_in_the_sequence_numbers_of_each_feed_are_missing_records() -> None:
    def one(second: float, seq: int | None) -> dict[str, Any]:
        return cancel(second, quantity="1", **({} if seq is None else {"seq": seq}))

    records = [
        one(0.1, 10), one(0.2, 12),  # 11 never came
        one(1.1, 14), one(1.2, 13), one(1.3, None),  # out of order, and one without a number
        fill(1.4, "buy", 100, seq=5),  # another feed, with numbers of its own
        one(2.1, 20),  # 15 to 19
        one(3.1, 1), one(3.2, 2),  # a count begun anew
        one(4.1, 4),
    ]  # fmt: skip
    parts = closed(records, 5)
    assert [values(parts, second)["missing"] for second in range(5)] == [1, 0, 5, 0, 1]


def test_a_feed_without_sequence_numbers_has_no_missing_records() -> None:
    assert "missing" not in values(closed([cancel(0.1)], 1), 0)


def test_a_cancel_is_near_the_touch_of_the_book_before_its_window() -> None:
    records = [
        book(0.5),
        # The best bid is 99.99: 5 bps below is 99.94.
        cancel(1.2, side="buy", price="99.95", quantity="2", account="a"),
        cancel(1.2, side="buy", price="99.93", quantity="2", account="a"),
        cancel(1.3, side="sell", price="100.06", quantity="1", account="b"),
        cancel(1.3, side="sell", price="100.07", quantity="1"),
        cancel(1.4, quantity="1"),
        book(1.1, 90, 91),
        cancel(2.1, side="buy", price="99.95", quantity="2"),
        cancel(2.2, side="buy", price="80", quantity="2"),
    ]
    parts = closed(sorted(records, key=lambda r: r["ts"]), 3)
    got = values(parts, 1)
    assert got["cancels_near"] == 2
    assert got["cancels_near_share"] == 2 / 4
    assert got["cancels_near_notional"] == pytest.approx(199.9 + 100.06)
    assert got["cancels_near_top_share"] == pytest.approx(199.9 / (199.9 + 100.06))
    # Above the best bid is nearer still.
    assert values(parts, 2)["cancels_near"] == 1
    assert "cancels_near" not in values(parts, 0)


def test_leverage_raises_count_with_their_doublings_and_first_high_leverage_apart() -> None:
    records = [
        leverage(0.1, "a", 20, previous="5"),
        leverage(0.2, "b", 3, previous="2"),
        leverage(0.3, "c", 2, previous="10"),
        leverage(0.4, "d", 25),
        leverage(0.5, "e", 19),
    ]
    got = values(closed(records, 1), 0)
    assert got["leverage_raises"] == 2
    assert got["leverage_raises_share"] == 2 / 3
    assert got["leverage_doublings"] == pytest.approx(2 + math.log2(1.5), abs=1e-5)
    assert got["leverage_first_high"] == 1


def test_a_switch_of_margin_mode_is_against_the_account_s_last_mode_in_the_market() -> None:
    records = [
        leverage(0.1, "a", 5),
        leverage(0.2, "b", 5, margin_mode="isolated"),
        leverage(1.1, "a", 5, margin_mode="isolated"),
        leverage(1.2, "a", 5),
        leverage(1.3, "b", 9, margin_mode="isolated"),
        {**leverage(1.4, "a", 5, margin_mode="isolated"), "symbol": "Y"},
    ]
    parts = closed(records, 2)
    assert values(parts, 0)["mode_switches"] == 0
    assert values(parts, 1)["mode_switches"] == 2
    assert values(parts, 1, "Y")["mode_switches"] == 0


def test_a_sweep_is_the_span_of_one_side_s_taker_prices() -> None:
    records = [
        fill(0.1, "buy", 100.0, order_id="t"),
        fill(0.1, "buy", 100.2, order_id="t"),
        fill(0.2, "buy", 100.5, order_id="t"),
        fill(0.2, "buy", 100.1, order_id="u"),
        fill(0.2, "sell", 90.0, order_id="m", liquidity="maker"),
        fill(0.3, "sell", 99.0, order_id="v"),
    ]
    got = values(closed(records, 2), 0)
    assert got["sweep_bps"] == pytest.approx(50)
    assert got["fills_per_taker"] == 5 / 3
    assert values(closed(records, 2), 1)["sweep_bps"] == 0


def test_rebates_count_apart_from_fees() -> None:
    records = [fill(0.1, "buy", 10, fee="0.5"), fill(0.2, "sell", 10, fee="-0.2")]
    got = values(closed(records, 1), 0)
    assert (got["fees"], got["rebates"], got["rebates_to_fees"]) == (0.5, 0.2, 0.4)


def test_late_records_count_in_the_window_that_was_current_when_they_arrived() -> None:
    records = [cancel(2.5), cancel(0.3), cancel(2.48), cancel(1.0), cancel(3.2)]
    parts = closed(records, 4)
    assert values(parts, 1)["late"] == 2  # the clock is at 2.5 s, and lateness a second
    assert values(parts, 2)["late"] == 0
    assert values(parts, 2)["cancels"] == 2
    assert values(parts, 2)["lag_ms"] == pytest.approx(20)
    assert values(parts, 3)["late"] == 0


def test_withdrawn_depth_is_against_the_market_s_past_and_refill_is_timed() -> None:
    records = [book(0.5 + s, size=10) for s in range(70)]
    records += [fill(70.2, "sell", 99.99), fill(70.3, "sell", 99.9)]
    records += [book(70.5 + s, size=2) for s in range(5)]
    records += [book(75.5, size=9)]
    parts = closed(sorted(records, key=lambda r: r["ts"]), 76)
    assert "depth_withdrawn_25bps" not in values(parts, 59)
    assert values(parts, 69)["depth_withdrawn_25bps"] == pytest.approx(0)
    assert values(parts, 70)["depth_withdrawn_25bps"] == pytest.approx(0.8, abs=0.01)
    assert values(parts, 70)["depth_25bps"] == pytest.approx(400)
    assert values(parts, 70)["refill_s"] == 1
    assert values(parts, 74)["refill_s"] == 5
    assert values(parts, 75)["refill_s"] == 0


def ladder(second: float, mid: float = 100.0, bid: float = 10, ask: float = 10) -> Any:
    """Ten levels a side, a cent apart."""
    bids = [[f"{mid - 0.01 * k:.2f}", str(bid)] for k in range(1, 11)]
    asks = [[f"{mid + 0.01 * k:.2f}", str(ask)] for k in range(1, 11)]
    return {"kind": "book", "symbol": "X", "ts": at(second), "bids": bids, "asks": asks}


def test_a_market_s_reach_is_the_median_of_how_far_its_books_go() -> None:
    """A book that shows one level for once does not move it; a day of other books does."""
    records = [book(0.5 + s, bid=99.98 if s % 10 else 99.5, ask=100.03) for s in range(60)]
    records += [book(60.5 + s, bid=99.9, ask=100.1) for s in range(2000)]
    parts = closed(records, 2060)
    assert values(parts, 59)["reach_bid_bps"] == pytest.approx(2.5, rel=0.1)
    assert values(parts, 59)["reach_ask_bps"] == pytest.approx(2.5, rel=0.1)
    assert values(parts, 2059)["reach_bid_bps"] == pytest.approx(10, rel=0.01)
    two = ladder(0.5)
    two["asks"] = two["asks"][:3]
    got = values(closed([two], 1), 0)
    assert (got["reach_bid_bps"], got["reach_ask_bps"]) == pytest.approx((10, 3))


def test_a_spread_lasts_for_five_books_and_is_no_less_than_two_ticks_or_one_bp() -> None:
    def spreads(*bps: float) -> list[float | None]:
        books = [book(s + 0.5, 100 - b / 200, 100 + b / 200) for s, b in enumerate(bps)]
        parts = closed(books, len(bps))
        return [values(parts, s).get("spread_lasting_bps") for s in range(len(bps))]

    wide = spreads(*[0.1] * 6, *[4.0] * 6, 0.3)
    assert wide[:4] == [None] * 4
    assert wide[4:10] == [1.0] * 6
    assert wide[10:12] == [pytest.approx(4, rel=1e-3)] * 2
    assert wide[12] == 1.0
    ticks = spreads(*[20.0] * 8, *[40.0] * 8, *[60.0] * 5)
    assert ticks[7] == pytest.approx(40, rel=1e-3)
    assert ticks[15] == pytest.approx(40, rel=1e-3)
    assert ticks[20] == pytest.approx(60, rel=1e-3)


def test_a_sweep_of_a_wall_is_refilled_at_the_usual_depth() -> None:
    records = [book(0.5 + s, size=10) for s in range(70)] + [book(70.5, size=60)]
    records += [fill(71.2, "sell", 99.99), fill(71.3, "sell", 99.9)]
    records += [book(71.5, size=2), book(72.5, size=9)]
    parts = closed(sorted(records, key=lambda r: r["ts"]), 73)
    assert [values(parts, s)["refill_s"] for s in (71, 72)] == [1, 0]


def test_quotes_that_are_cut_where_they_stand_are_counted_with_their_evidence() -> None:
    """Ten of ten bids at a fifth of their size; then the same book a cent higher: nine prices of a
    side are unchanged, and nothing is cut. A level that goes is none that shrinks."""
    books = [ladder(0.5), ladder(1.5, bid=2), ladder(2.5, mid=100.01, bid=2), ladder(4.5, bid=1)]
    parts = closed(books, 6)
    cut = [values(parts, second)["levels_shrunk"] for second in range(5)]
    assert cut == [0, 10, 0, 0, 9]
    nats = values(parts, 1)["levels_shrunk_nats"]
    assert nats == pytest.approx(10 * math.log(10), rel=1e-12)
    # Of the asks nothing shrank, and that is no evidence for the contrary. A quarter of the quotes
    # has shrunk in the two comparisons before, and twice that is taken for chance.
    usual = (10 / 20 + 0 / 18) / 2
    wanted = 9 * math.log(1 / (2 * usual))
    assert values(parts, 4)["levels_shrunk_nats"] == pytest.approx(wanted, rel=1e-12)


def test_both_best_prices_have_stepped_back_when_they_stay_there() -> None:
    wide = [book(6 + k + 0.5, 99.98, 100.02) for k in range(3)]
    one_side = [book(6 + k + 0.5, 99.98, 100.01) for k in range(3)]
    quiet = [book(second + 0.5) for second in range(6)]

    def back(books: list[Any]) -> list[float]:
        # It counts once a market has a past.
        early = [book(second + 0.5) for second in range(70)]
        late = [{**b, "ts": b["ts"] + at(70) - at(0)} for b in (*quiet, *books)]
        parts = closed([*early, *late], 80)
        return [values(parts, 70 + second)["step_back_bps"] for second in range(9)]

    assert back(wide)[:8] == [0.0] * 8
    assert back(wide)[8] == pytest.approx(1e4 * 0.01 / 100.01, rel=1e-3)
    assert back(one_side) == [0.0] * 9


def test_a_lack_of_depth_is_that_of_the_thicker_side() -> None:
    usual = [ladder(second + 0.5) for second in range(100)]
    thin = [ladder(100 + k + 0.5, bid=1, ask=1) for k in range(20)]
    one = [ladder(100 + k + 0.5, bid=1) for k in range(20)]
    # Over 3 s the mean comes near to a tenth, and the usual follows slowly.
    assert 6 < values(closed([*usual, *thin], 121), 119)["depth_missing"] < 10
    assert values(closed([*usual, *one], 121), 119)["depth_missing"] == pytest.approx(1, abs=1e-6)


def test_the_price_after_a_gap_of_more_than_a_minute_is_no_move() -> None:
    """Nobody knows when within the gap it moved."""
    path = [book(s + 0.5, 99.99 + 0.01 * (s % 2), 100.01 + 0.01 * (s % 2)) for s in range(700)]
    soon = closed([*path, book(720.5, 101, 101.02)], 722)
    late = closed([*path, book(790.5, 101, 101.02)], 792)
    assert values(soon, 720)["price_move_1s"] > 90
    assert "price_move_1s" not in values(late, 790)


def test_layering_needs_unfilled_cancels_on_a_side_and_a_price_that_moves_through_it() -> None:
    quiet = [fill(0.2, "buy", 100), *(book(0.5 + s) for s in range(70))]
    pulled = [
        cancel(70.1, side="buy", price="99.98", quantity="50", account="a"),
        cancel(70.2, side="buy", price="99.97", quantity="50", account="a"),
    ]
    falls = [book(71.5, 99.69, 99.71), book(72.5, 99.69, 99.71)]
    rises = [book(71.5, 100.29, 100.31)]
    hit = [fill(70.3, "sell", 99.99, quantity="60")]
    layered = values(closed([*quiet, *pulled, *falls], 73), 71)["layering"]
    assert layered > 5
    assert values(closed([*quiet, *pulled, *rises], 73), 71)["layering"] == 0
    assert values(closed([*quiet, *pulled, *hit, *falls], 73), 71)["layering"] == 0
    assert "layering" not in values(closed([*quiet, *falls], 73), 71)  # nobody tells of cancels


def test_a_venue_without_books_or_accounts_has_the_features_of_its_records() -> None:
    engine = Engine(EngineSettings(streams=()), [])
    ends = [Control(topic=t, partition=0, offset=1, ts=at(1)) for t in TOPICS.values()]
    engine.control(ends)
    raw = json.dumps({"kind": "cancel", "symbol": "X", "ts": at(0.5)}).encode()
    engine.step(decode("cancel", "cancels", 0, np.array([0], np.int64), [raw]))
    (part,) = engine.finish().closed
    row = part.features.values[0]
    assert row[FEATURE_COLUMN["cancels"]] == 1
    assert np.isnan(row[FEATURE_COLUMN["cancels_near"]])
    assert np.isnan(row[FEATURE_COLUMN["depth_25bps_least"]])


def test_a_number_is_known_from_the_first_record_of_its_feed_in_the_topic_partition() -> None:
    other = {**fill(1.5, "buy", 100), "symbol": "Z"}
    public = [fill(0.5, "buy", 100), other, fill(2.5, "buy", 100)]
    parts = closed(public, 3)
    first = values(parts, 0)
    assert (first["liquidations"], first["trades"], first["late"]) == (0, 1, 0)
    assert not {"orders", "cancels", "leverage_raises", "mode_switches"} & first.keys()
    assert values(parts, 1, "Z")["liquidations"] == 0
    assert "cancels" not in values(parts, 2)
    # Of orders come cancels, and of names of accounts changes of leverage; not before them.
    parts = closed([*public, cancel(1.5, symbol="Z", account="a")], 3)
    assert not {"cancels", "leverage_raises", "orders"} & values(parts, 0).keys()
    for second, symbol in ((1, "X"), (1, "Z"), (2, "X")):
        got = values(parts, second, symbol)
        assert got["leverage_raises"] == got["leverage_first_high"] == got["mode_switches"] == 0
        assert got["cancels"] == (second == 1 and symbol == "Z")
        assert "orders" not in got
    order = {"kind": "order", "symbol": "X", "ts": at(1.5), "side": "buy", "quantity": "1"}
    assert values(closed([*public, {**order, "action": "new"}], 3), 1)["cancels"] == 0
    named = closed([leverage(0.5, "a", 5), *public], 3)
    assert values(named, 0)["leverage_raises"] == 0
