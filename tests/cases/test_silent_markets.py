"""A market falls silent while the others go on; a maintenance hour; half of a venue at once.

Source: public reports of a market whose feed had died unseen, because every topic was busy with
the other markets, and of monitors that a long maintenance made deaf. Read 2026-11.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cases.front_door import Replayed, replay_records
from tests.cases.markets import Record, at, seconds_after

STOP, BACK, END = 720, 960, 1100
MARKETS = [f"M{n}-PERP" for n in range(6)]


def venue() -> list[Record]:
    """Orders and, a fifth as many, trades at random times, in six markets of unlike rates."""
    rng, records = random.Random(11), []
    for n, symbol in enumerate(MARKETS):
        second, number = 0.0, 0
        while (second := second + rng.expovariate(0.4 + 0.3 * n)) < END:
            number += 1
            common = {"ts": at(second), "symbol": symbol, "price": "10", "quantity": "1"}
            order = {"kind": "order", "order_id": f"{n}-{number}", "side": "buy", "action": "new"}
            records.append({**common, **order})
            if number % 5 == 0:
                records.append({**common, "kind": "fill", "side": "buy"})
    return sorted(records, key=lambda record: record["ts"])


def replay_without(tmp_path: Path, is_missing: Callable[[Record], bool]) -> Replayed:
    """The venue without some records between `STOP` and `BACK`."""
    between = range(at(STOP), at(BACK))
    records = [r for r in venue() if r["ts"] not in between or not is_missing(r)]
    return replay_records(tmp_path, records)


def test_a_market_that_falls_silent_is_told_with_its_symbol(tmp_path: Path) -> None:
    begin, end = replay_without(tmp_path, lambda r: r["symbol"] == "M3-PERP").alerts
    assert (begin["kind"], begin["layer"]) == ("feed_stopped", "data")
    assert begin["symbols"] == ["M3-PERP"]
    assert 55 <= seconds_after(begin, STOP) <= 80
    assert begin["summary"].startswith("No orders and fills of M3-PERP for ")
    assert ", usual up to " in begin["summary"]
    assert ", while other markets go on; the last came at " in begin["summary"]
    assert (end["status"], end["fingerprint"]) == ("resolved", begin["fingerprint"])
    assert 0 < seconds_after(end, BACK) < 15


def test_many_markets_that_stop_together_are_one_incident_with_their_count(tmp_path: Path) -> None:
    alerts = replay_without(tmp_path, lambda r: r["symbol"] != "M5-PERP").alerts
    assert len({alert["fingerprint"] for alert in alerts}) == 1
    assert {alert["kind"] for alert in alerts} == {"feed_stopped"}
    assert alerts[-1]["status"] == "resolved"
    assert set(alerts[-1]["symbols"]) == set(MARKETS) - {"M5-PERP"}
    assert alerts[-1]["summary"].startswith("Records of 5 markets (")


@pytest.mark.parametrize("missing", ["order", "fill", ""])
def test_a_whole_topic_that_stops_is_no_silence_of_its_markets(
    tmp_path: Path, missing: str
) -> None:
    alerts = replay_without(tmp_path, lambda r: missing in r["kind"]).alerts_of("feed_stopped")
    assert [alert["symbols"] for alert in alerts] == [[]] * len(alerts)
    topics = {"order": ["orders"], "fill": ["fills"], "": ["fills", "orders"]}[missing]
    for topic in topics:
        assert any(f"topic {topic}, partition 0" in alert["summary"] for alert in alerts)


def test_nothing_is_told_of_a_whole_venue(tmp_path: Path) -> None:
    assert replay_without(tmp_path, lambda _: False).alerts == []


def test_a_maintenance_hour_does_not_make_the_rule_deaf(tmp_path: Path) -> None:
    rng, second, records = random.Random(5), 0.0, []
    while (second := second + rng.expovariate(0.5)) < 3 * 3600:
        if 3600 < second < 7200 or 9000 < second < 9060:
            continue
        records.append(
            {"kind": "mark", "ts": at(second), "symbol": "A-PERP", "mark": "10", "index": "10"}
        )
    alerts = replay_records(tmp_path, records).alerts_of("feed_stopped")
    assert [9000 < seconds_after(alert, 0) < 9060 for alert in alerts] == [False, True]
