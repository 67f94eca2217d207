"""Mark and index of one market stand still, or run off, while its book and its trades move away.

Public reports of frozen price feeds: an oracle repeats its last price, fresh by its time stamp,
while the market falls; positions that are long under water look sound. Read 2026-11.
"""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from tests.cases.front_door import Replayed, replay_records
from tests.cases.markets import (
    Record,
    at,
    mark,
    prices,
    quiet_market,
    seconds_after,
    trade,
)

FREEZE = 900


def frozen(fall_a_second: float, seconds: int, without: tuple[str, ...] = ()) -> list[Record]:
    """From `FREEZE` on the mark repeats its last price while the market falls."""
    walk = prices(seconds, 1.0, 1e-4, seed=5)
    fallen = [p * (1 - fall_a_second) ** max(0, k - FREEZE) for k, p in enumerate(walk)]
    out = [
        {"kind": "reference", "ts": at(0), "symbol": "SKR-PERP", "about": "market",
         "regime": "dydx", "tiers": [{"lower_bound": "0", "maintenance_rate": "0.05"}]},
        {"kind": "collateral", "ts": at(0), "account": "a", "amount": "6000", "cause": "deposit"},
        {"kind": "fill", "ts": at(0.5), "symbol": "SKR-PERP", "account": "a", "side": "buy",
         "price": "1", "quantity": "30000", "liquidity": "taker"},
    ]  # fmt: skip
    for record in quiet_market("SKR-PERP", fallen):
        if record["kind"] == "mark" and record["ts"] >= at(FREEZE):
            record |= {"mark": f"{walk[FREEZE]:.8f}", "index": f"{walk[FREEZE]:.8f}"}
        if record["kind"] not in without or record["ts"] < at(FREEZE):
            out.append(record)
    return out


def first_of(replayed: Replayed) -> Record:
    return replayed.alerts_of("mark_off_market")[0]


@pytest.mark.parametrize("fall", [4.8e-4, 1.5e-4])
def test_a_frozen_mark_is_reported_within_about_a_minute(tmp_path: Path, fall: float) -> None:
    replayed = replay_records(tmp_path, frozen(fall, 1300))
    alert = first_of(replayed)
    assert (alert["layer"], alert["severity"]) == ("pricing", "critical")
    assert alert["symbols"] == ["SKR-PERP"]
    assert alert["summary"].startswith("Mark and index of SKR-PERP ")
    assert " % above its book and trades" in alert["summary"]
    assert 20 < seconds_after(alert, FREEZE) <= 75
    others = {a["kind"] for a in replayed.alerts} - {"mark_off_market"}
    updates = [
        a for a in replayed.alerts if (a["kind"], a["status"]) == ("mark_off_market", "updated")
    ]
    assert len(updates) >= 2  # as the gap doubles
    assert others <= {"price_move"}  # the market does fall


def test_bands_are_shown_from_the_book_too(tmp_path: Path) -> None:
    """The holder's liquidation price (0.842) lies above the market, and below the frozen mark."""
    replayed = replay_records(tmp_path, frozen(4.8e-4, 1700))
    band = next(b for b in reversed(replayed.bands) if b["symbol"] == "SKR-PERP")
    assert band["mark_age_s"] <= 1.0
    assert band["doubts"] == ["mark_off_market"]
    assert band["long"]["distance_pct"] > 10
    at_market = band["at_market"]
    assert at_market["price"] == band["market_price"] < 0.75
    assert at_market["long"]["distance_pct"] == 0.0
    assert at_market["long"]["within"][0]["forced"] == pytest.approx(
        30_000 * band["market_price"], rel=1e-3
    )
    before = next(b for b in replayed.bands if b["symbol"] == "SKR-PERP" and b["ts"] > at(100))
    assert (before["doubts"], before["at_market"]) == ([], None)


def test_an_old_mark_says_so_in_the_bands(tmp_path: Path) -> None:
    replayed = replay_records(tmp_path, frozen(4.8e-4, 1200, without=("mark",)))
    assert {a["kind"] for a in replayed.alerts} >= {"mark_off_market", "stale_mark"}
    band = next(b for b in reversed(replayed.bands) if b["symbol"] == "SKR-PERP")
    assert band["mark_age_s"] == pytest.approx(1200 - FREEZE, abs=2)
    assert "stale_mark" in band["doubts"]
    assert band["at_market"]["price"] < 0.9


@pytest.mark.parametrize("without", ["book", "fill"])
def test_one_witness_is_enough_if_it_lasts(tmp_path: Path, without: str) -> None:
    alert = first_of(replay_records(tmp_path, frozen(4.8e-4, 1200, without=(without,))))
    assert 60 <= seconds_after(alert, FREEZE) <= 150


def test_one_odd_trade_is_nothing(tmp_path: Path) -> None:
    records = list(quiet_market("SKR-PERP", prices(1200, 1.0, 1e-4, seed=6)))
    records.append(trade(1000.4, "SKR-PERP", 0.6))
    records.sort(key=lambda record: record["ts"])
    assert replay_records(tmp_path, records).alerts_of("mark_off_market") == []


def test_a_basis_that_the_market_always_shows_is_no_gap(tmp_path: Path) -> None:
    """The mark follows an index that lies 1 to 3 % over the book, in waves of twenty minutes."""
    rng = random.Random(7)
    records = []
    for record in quiet_market("HOT-PERP", prices(2400, 5.0, 2e-4, seed=8)):
        if record["kind"] == "mark":
            second = (record["ts"] - at(0)) / 1e9
            basis = 0.02 + 0.01 * math.sin(second / 1200 * 2 * math.pi) + rng.gauss(0, 5e-4)
            record = mark(second, "HOT-PERP", float(record["mark"]) * (1 + basis))
        records.append(record)
    assert replay_records(tmp_path, records).alerts_of("mark_off_market") == []


def test_a_wild_market_whose_mark_lags_is_no_gap(tmp_path: Path) -> None:
    """A mark that is a mean of half a minute, in a market that moves 0.2 % a second."""
    walk = prices(2400, 5.0, 2e-3, seed=9)
    mean, records = walk[0], []
    for record in quiet_market("WILD-PERP", walk):
        if record["kind"] == "mark":
            second = round((record["ts"] - at(0)) / 1e9)
            mean += (walk[second] - mean) / 15
            record = mark(second, "WILD-PERP", mean)
        records.append(record)
    assert replay_records(tmp_path, records).alerts_of("mark_off_market") == []
