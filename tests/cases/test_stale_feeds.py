"""The mark or the book of one market stops while the market goes on.

Public reports of liquidations at a price of minutes ago: one feed of a market had stopped while its
other feeds, and the same feed of other markets, went on, so no topic was silent. Read 2026-11.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.front_door import replay_records
from tests.cases.markets import Record, mark, prices, quiet_market, seconds_after

STOP, BACK = 600, 900


def records(without: str | None, every: int = 1) -> list[Record]:
    """Two markets; one kind of record of SKR-PERP is missing from `STOP` until `BACK`."""
    walks = {"SKR-PERP": (1.0, 21), "BIG-PERP": (250.0, 22)}
    out = []
    for symbol, (start, seed) in walks.items():
        out += list(quiet_market(symbol, prices(1200, start, 1e-4, seed)))
    first = out[0]["ts"]

    def keeps(record: Record) -> bool:
        second = (record["ts"] - first) / 1e9
        if record["symbol"] == "BIG-PERP":
            return True
        if record["kind"] == "mark" and int(second) % every:
            return False
        return record["kind"] != without or not STOP <= second < BACK

    return sorted(filter(keeps, out), key=lambda record: record["ts"])


@pytest.mark.parametrize("kind", ["mark", "book"])
def test_it_is_reported_within_about_a_minute_and_resolved_when_it_comes_again(
    tmp_path: Path, kind: str
) -> None:
    begin, end = replay_records(tmp_path, records(kind)).alerts
    assert (begin["kind"], begin["layer"]) == (f"stale_{kind}", "data")
    assert begin["symbols"] == ["SKR-PERP"]
    assert 30 < seconds_after(begin, STOP) <= 70
    assert "SKR-PERP not updated for " in begin["summary"]
    assert (end["status"], end["fingerprint"]) == ("resolved", begin["fingerprint"])
    assert 0 < seconds_after(end, BACK) <= 3


def test_usual_is_what_the_market_shows(tmp_path: Path) -> None:
    """A mark every eight seconds is usual here, and its stop is reported as soon."""
    (begin, _) = replay_records(tmp_path, records("mark", every=8)).alerts
    assert begin["kind"] == "stale_mark"
    assert "usual 8 s" in begin["summary"]
    assert 30 < seconds_after(begin, STOP) <= 80


def test_a_mark_every_ten_minutes_is_usual_somewhere(tmp_path: Path) -> None:
    walk = prices(1800, 1.0, 1e-5, seed=23)
    quiet = [r for r in quiet_market("SLOW-PERP", walk) if r["kind"] != "mark"]
    marks = [mark(second, "SLOW-PERP", walk[second]) for second in range(0, 1800, 600)]
    out = sorted([*quiet, *marks], key=lambda record: record["ts"])
    assert replay_records(tmp_path, out).alerts == []


def test_a_halt_of_the_whole_market_is_no_stop_of_one_feed(tmp_path: Path) -> None:
    """Five minutes without any record of SKR-PERP; its feeds come back a second apart."""
    out = records(None)
    first = out[0]["ts"]
    halted = [
        record
        for record in out
        if record["symbol"] == "BIG-PERP" or not STOP <= (record["ts"] - first) / 1e9 < BACK
    ]
    assert len(halted) < len(out)
    kinds = "stale_mark", "stale_index", "stale_book", "mark_off_market"
    assert replay_records(tmp_path, halted).alerts_of(*kinds) == []
