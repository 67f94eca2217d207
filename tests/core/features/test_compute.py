"""Numbers that lean on the book, on the past of a market or of an account, one by one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from monitor.core.contract.events import TOPICS, Control
from monitor.core.contract.feature_catalogue import FEATURE_NAMES, FEATURES
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine
from monitor.core.features import crowding
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.settings import EngineSettings
from monitor.core.windows.accumulators import doublings
from monitor.core.windows.columns import DOUBLING_UNITS
from monitor.core.windows.margin_modes import MarginModes
from tests.core.test_shard import at, cancel, closed, values
from tests.support import recording


def book(second: float, bid: float = 99.99, ask: float = 100.01, size: float = 10) -> Any:
    levels = [[str(bid), str(size)]], [[str(ask), str(size)]]
    return {"kind": "book", "symbol": "X", "ts": at(second), "bids": levels[0], "asks": levels[1]}


def fill(second: float, side: str, price: float, **more: Any) -> dict[str, Any]:
    base = {"kind": "fill", "symbol": "X", "ts": at(second), "side": side, "price": str(price)}
    return {**base, "quantity": "1", **more}


def leverage(second: float, account: str, to: float, **more: Any) -> dict[str, Any]:
    base = {"kind": "leverage", "symbol": "X", "ts": at(second), "account": account}
    return {**base, "leverage": str(to), "margin_mode": "cross", **more}


def test_every_number_has_a_unit_a_noun_a_layer_and_its_records() -> None:
    assert tuple(FEATURE_COLUMN) == FEATURE_NAMES
    for name, stream in FEATURES.items():
        assert stream.unit, name
        assert stream.noun, name
        assert stream.records, name
        assert set(stream.records) <= TOPICS.keys(), name


def test_missing_records_are_told_by_the_numbers_of_each_feed() -> None:
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


def test_what_is_never_numbered_is_not_missed() -> None:
    assert "missing" not in values(closed([cancel(0.1)], 1), 0)


def test_a_cancel_is_near_by_the_book_before_its_window_not_by_a_later_one() -> None:
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


def test_raises_are_weighed_by_how_far_up_and_first_high_ones_are_counted() -> None:
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


def test_doublings_are_exact_to_two_parts_of_a_million() -> None:
    rng = np.random.default_rng(1)
    for new, old in rng.integers(1, 2 ** rng.integers(1, 62, (500, 2))).tolist():
        assert doublings(new, old) / DOUBLING_UNITS == pytest.approx(math.log2(new / old), abs=4e-6)
        assert doublings(new, old) == -doublings(old, new)


def test_a_switch_of_mode_is_known_from_what_the_account_chose_before() -> None:
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


@pytest.mark.parametrize("together", [1, 3, 12])
def test_modes_are_forgotten_alike_however_many_windows_close_together(together: int) -> None:
    rng = np.random.default_rng(5)
    changes = np.stack(
        [
            np.repeat(np.arange(12), 10), np.arange(120), np.arange(120),
            rng.integers(0, 40, 120) * 7919, rng.integers(0, 2, 120),
        ],
        axis=1,
    )  # fmt: skip
    modes, sums = MarginModes(8), np.zeros((12, 1), np.int64)
    for part in np.split(changes, range(10 * together, 120, 10 * together)):
        modes.count_switches(part, sums, 0)
    assert sums.sum() > 0
    reference, alone = MarginModes(8), np.zeros((12, 1), np.int64)
    for part in np.split(changes, 12):
        reference.count_switches(part, alone, 0)
    assert sums.tolist() == alone.tolist()
    assert modes.evicted == reference.evicted > 0


def test_a_sweep_is_the_span_of_one_sides_prices_and_makers_do_not_count() -> None:
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


def test_rebates_are_told_beside_fees() -> None:
    records = [fill(0.1, "buy", 10, fee="0.5"), fill(0.2, "sell", 10, fee="-0.2")]
    got = values(closed(records, 1), 0)
    assert (got["fees"], got["rebates"], got["rebates_to_fees"]) == (0.5, 0.2, 0.4)


def test_late_records_count_where_the_log_had_come_to() -> None:
    records = [cancel(2.5), cancel(0.3), cancel(2.48), cancel(1.0), cancel(3.2)]
    parts = closed(records, 4)
    assert values(parts, 2)["late"] == 2
    assert values(parts, 2)["cancels"] == 2
    assert values(parts, 2)["lag_ms"] == pytest.approx(20)
    assert values(parts, 3)["late"] == 0


def test_depth_withdrawn_is_against_its_own_past_and_refill_is_timed() -> None:
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


def test_layering_needs_unfilled_cancels_on_a_side_and_a_price_that_goes_through_it() -> None:
    quiet = [book(0.5 + s) for s in range(70)]
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
    assert values(closed([*quiet, *falls], 73), 71)["layering"] == 0


def crowding_series(seconds: float, rows: np.ndarray) -> np.ndarray:
    """Crowding after each row: funding a year, premium, volatility; `seconds` lie between rows."""
    state = np.zeros(crowding.WIDTH)
    return np.array([crowding.step(state, seconds, *row) for row in rows.tolist()])


def test_crowding_needs_one_sign_a_past_and_no_storm() -> None:
    rng = np.random.default_rng(2)
    past = np.stack(
        [0.1 + 0.02 * rng.standard_normal(240), 1e-4 * rng.standard_normal(240),
         0.6 * np.exp(0.2 * rng.standard_normal(240))], axis=1,
    )  # fmt: skip

    def last(*now: float) -> float:
        return float(crowding_series(3600.0, np.vstack((past, [now])))[-1])

    assert last(0.5, 5e-4, 0.6) > 3
    assert last(-0.5, -5e-4, 0.6) < -3
    assert last(0.5, -5e-4, 0.6) == 0
    assert last(0.5, 5e-4, 6.0) == 0
    assert np.isnan(crowding_series(3600.0, past)[:23]).all()
    assert not np.isnan(crowding_series(3600.0, past)[23:]).any()


def hourly(folder: Path, coin: str) -> np.ndarray:
    """Funding a year on Hyperliquid, its perp's price over Binance's (for want of an index), and
    realised volatility with a memory of a day, by the hour.
    """
    where = [("coin", "=", coin), ("venue", "in", ["hyperliquid", "binance"])]
    candles = pq.read_table(folder / "candles.parquet", filters=where).to_pylist()
    rates = pq.read_table(folder / "funding_rates.parquet", filters=where).to_pylist()
    close = {(r["venue"], r["timestamp"]): r["c"] for r in candles}
    funding = {r["timestamp"]: r["funding_rate"] for r in rates if r["venue"] == "hyperliquid"}
    rows, before, variance = [], 0.0, 0.0
    for hour in sorted(funding):
        here, there = close.get(("hyperliquid", hour)), close.get(("binance", hour))
        if here is None or there is None:
            continue
        if before:
            variance += (math.log(here / before) ** 2 - variance) / 24
            volatility = math.sqrt(variance * 24 * 365)
            rows.append((funding[hour] * 24 * 365, here / there - 1, volatility))
        before = here
    return np.array(rows)


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL", "DOGE"])
def test_crowding_on_recorded_funding_is_rare_and_comes_in_stretches(coin: str) -> None:
    rows = hourly(recording("perp-funding-oi-2025"), coin)
    assert len(rows) > 500
    said = crowding_series(3600.0, rows)[24 * 7 :]
    assert np.isfinite(said).all()
    crowded = np.abs(said) > 1
    assert 0.005 < crowded.mean() < 0.1
    # It says more than chance: the hour after a crowded one is far oftener crowded than any other.
    assert crowded[1:][crowded[:-1]].mean() > 3 * crowded.mean()


def test_names_of_features_hold_for_a_venue_without_books_or_accounts() -> None:
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
