"""Bands as records: what the zones of a market say to a desk's tools."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from monitor.core.bands.market_bands import VenueBands
from monitor.core.bands.records import band_records
from tests.core.venue.test_state import BASE, deposit, fill, leverage, mark, run, table


def records(bands: VenueBands) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in band_records(bands)}


def test_a_market_says_what_is_forced_where_by_whom_and_what_the_book_takes() -> None:
    _, bands = run([*BASE, deposit("a", 110), fill("a", "buy", 10), deposit("b", 60),
                   fill("b", "buy", 10), deposit("c", 150), leverage("c", 10, "isolated"),
                   fill("c", "sell", 10)])  # fmt: skip
    record = records(bands[-1])["SOL"]
    assert (record["kind"], record["mark"], record["estimate"]) == ("bands", 100.0, False)
    long, short = record["long"], record["short"]
    # b: 60 + 10 (x − 100) = 0.5 x → x = 98.947; a: x = 93.684. c: 100 + 10 (100 − x) = 0.5 x.
    assert long["zones"]["zone"] == [21, 126]
    assert long["zones"]["mode"] == ["cross", "cross"]
    assert long["zones"]["leverage"] == ["10-25", "5-10"]
    assert long["zones"]["notional"] == [1000.0, 1000.0]
    assert short["zones"] == {"zone": [95], "mode": ["isolated"], "leverage": ["10-25"],
                              "notional": [1000.0]}  # fmt: skip
    assert [h["account"] for h in long["holders"]] == ["b"]
    assert long["holders"][0]["share"] == 1.0
    within = {part["pct"]: part for part in long["within"]}
    assert (within[1.0]["forced"], within[2.0]["forced"], within[10.0]["forced"]) == (0, 1000, 2000)
    assert within[0.25]["depth"] == pytest.approx(500)
    assert within[2.0]["absorbed"] == 1.0
    assert long["nearest"] == pytest.approx(98.95)
    assert long["chance"] is None  # a volatility takes half an hour to measure
    names = dict(zip(short["stages"]["stage"], short["stages"]["zone"], strict=True))
    assert names["bankrupt"] == 200  # 10 % away
    assert names["stressed"] <= 95


def test_a_markets_own_path_stands_in_its_bands() -> None:
    """Here another venue's than the regime's; the digest shows that they are another's."""
    own = {**table(), "path": "hyperliquid"}
    _, bands = run([own, *BASE[1:], deposit("a", 110), fill("a", "buy", 10)])
    record = records(bands[-1])["SOL"]
    assert record["regime"] == "generic"
    assert record["path"]["first_share"] == 0.2
    assert (record["path"]["partial_above"], record["path"]["cooldown_s"]) == (100_000, 30)
    assert record["path"]["steps"][1] == "backstop vault below 2/3 of maintenance"
    assert "backstop" in record["long"]["stages"]["stage"]
    _, generic = run([*BASE, deposit("a", 110), fill("a", "buy", 10)])
    assert bands[-1].digest() != generic[-1].digest()


def test_records_are_one_line_with_sorted_keys_the_venue_first() -> None:
    _, bands = run([*BASE, deposit("a", 110), fill("a", "buy", 10)])
    (venue_key, venue), (key, value) = band_records(bands[-1])
    assert (venue_key, key) == ("", "SOL")
    assert b"\n" not in value
    assert json.dumps(json.loads(value), sort_keys=True, separators=(",", ":")).encode() == value
    common = json.loads(venue)
    assert (common["pools"], common["unknown_pools"], common["assumed_margins"]) == (1, 0, 0)
    # All markets fall by f: 110 + 1000 f = 0.05 · 1000 (1 + f).
    assert common["common_factor"]["fall"] == {"zone": [126], "notional": [1000.0]}
    assert common["common_factor"]["rise"] == {"zone": [], "notional": []}


def test_the_chance_of_the_nearest_zone_comes_from_the_marks_themselves() -> None:
    steps = np.random.default_rng(0).normal(0, 0.001, 60)
    prices = 100 * np.exp(np.cumsum(steps))
    marks = [{**mark(round(float(p), 6)), "at": 60 * i} for i, p in enumerate(prices)]
    rest = [r for r in BASE if r["kind"] != "mark"]
    _, bands = run([*rest, *marks, deposit("a", 110), fill("a", "buy", 10)], 4_000)
    record = records(bands[-1])["SOL"]
    per_year = 0.001 * np.sqrt(365 * 24 * 60)
    assert record["sigma"] == pytest.approx(per_year, rel=0.35)
    chance = record["long"]["chance"]
    assert len(chance) == len(record["horizons_s"]) == 4
    assert 0 <= chance[0] < chance[1] < chance[2] < chance[3] < 1
    by_distance = [part["chance"][2] for part in record["long"]["within"]]
    assert by_distance == sorted(by_distance, reverse=True)


def test_without_accounts_an_estimate_says_what_it_assumes() -> None:
    with_interest = {**mark(100), "open_interest": 50}
    rest = [r for r in BASE if r["kind"] != "mark"]
    _, bands = run([*rest, with_interest])
    record = records(bands[-1])["SOL"]
    assert record["estimate"] is True
    assert record["assumptions"]["open_interest"] == 50.0
    assert record["assumptions"]["leverage_high"] == 10.0  # twice the maintenance rate of 5 %
    for side in (record["long"], record["short"]):
        assert 0.95 * 5000 <= sum(side["zones"]["notional"]) <= 5000
        # Leverage 10 and 5 % maintenance: nobody is nearer than (0.1 − 0.05) / 1.05.
        assert side["zones"]["zone"][0] * 5 >= 470
        assert side["holders"] == []
    # Once an account is known to hold something there, nothing is guessed any more.
    _, bands = run([*rest, with_interest, deposit("a", 110), fill("a", "buy", 10)])
    assert records(bands[-1])["SOL"]["estimate"] is False
    # Nor where the table is missing.
    assert run([with_interest])[1] == []
    assert table()["regime"] == "generic"
