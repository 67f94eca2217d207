"""The last hour of each market: what its book and bands say, asked for by name, and bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.core.contract.units import SECOND_NS
from monitor.http import recent_markets
from monitor.http.recent_markets import COLUMNS, EVERY_NS, RecentMarkets
from replay.day import Day
from tests.cases.markets import at
from tests.http.market_day import HELD, read, two_markets
from tests.http.serving import request

NEAR_BINS = 8
"""Of 25 bps: 2 % from the mark."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return two_markets(tmp_path_factory.mktemp("markets"))


def ask(recent: RecentMarkets, path: str) -> Any:
    reply = request(path, markets=recent)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def test_a_market_has_its_prices_book_and_bands_every_five_seconds(day: Day) -> None:
    history = ask(read(day), "/markets/A%2FB")
    steps = [b - a for a, b in zip(history["ts"], history["ts"][1:], strict=False)]
    assert len(steps) >= 3
    assert min(steps) >= EVERY_NS
    assert max(steps) < EVERY_NS + 2 * SECOND_NS
    for n, ts in enumerate(history["ts"]):
        second = (ts - at(0)) // SECOND_NS - 1
        price = 100 - second / 1000
        assert history["price"][n] == pytest.approx(price, rel=1e-5)
        assert history["spread_bps"][n] == pytest.approx(0.1 / price * 1e4, rel=1e-3)
        assert history["bid_depth"][n] == pytest.approx(210 * price, rel=0.01)
        near = {
            side: sum(amount for bin, amount in history["forced"][n] if bin in bins)
            for side, bins in (("long", range(-NEAR_BINS, 0)), ("short", range(NEAR_BINS)))
        }
        assert near["long"] == pytest.approx(history["forced_long"][n], rel=0.01)
        assert near["long"] == pytest.approx(1000, rel=0.02)
        assert near["short"] == history["forced_short"][n] == 0
        assert {bin > 0 for bin, _ in history["forced"][n]} == {False, True}
        assert history["survives"][n] is not None
    later = ask(read(day), f"/markets/A%2FB?after={history['ts'][-2]}")
    assert later["ts"] == history["ts"][-1:]


def test_a_market_without_a_mark_has_the_middle_of_its_book_and_no_bands(day: Day) -> None:
    recent = read(day)
    overview = ask(recent, "/markets")
    assert [row["symbol"] for row in overview["markets"]] == [HELD, "BARE"]
    row = overview["markets"][1]
    assert {*row} == {"symbol", *COLUMNS}
    assert (row["price"], row["spread_bps"]) == (10, 20)
    assert row["bid_depth"] == pytest.approx(1600, rel=0.01)
    assert (row["forced_long"], row["r_down"], row["critical_up"]) == (None, None, None)
    assert not any(ask(recent, "/markets/BARE")["forced"])


def test_samples_are_bounded_and_the_oldest_go(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    times = ask(read(day), "/markets/BARE")["ts"]
    monkeypatch.setattr(recent_markets, "SAMPLES_MAX", 3)
    assert ask(read(day), "/markets/BARE")["ts"] == times[-3:]
    monkeypatch.setattr(recent_markets, "BYTES_MAX", 1)
    assert ask(read(day), "/markets/BARE")["ts"] == times[-1:]
    monkeypatch.setattr(recent_markets, "ROWS_MAX", 1)
    overview = ask(read(day), "/markets")
    assert (len(overview["markets"]), overview["left_out"]) == (1, 1)


def test_what_cannot_be_shown_is_said(day: Day) -> None:
    assert request("/markets").status == 503
    assert "partition 0" in request("/markets/A").body
    assert request("/markets", markets=RecentMarkets()).status == 503
    recent = read(day)
    reply = request("/markets/A%2Fb", markets=recent)
    assert (reply.status, "did you mean A/B" in reply.body) == (404, True)
    assert request("/markets/BARE?after=x", markets=recent).status == 400
    assert request("/marketsX", markets=recent).status == 404
