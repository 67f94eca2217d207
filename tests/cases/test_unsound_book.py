"""A market's book is crossed or locked for minutes.

Public reports of order book consumers: a level that a venue removed stays in a copy of the book (a
lost update, a stale snapshot), so the best bid stands at or above the best ask until the next
resynchronisation. Spread, middle and depth of such a book mean nothing. Feeds that merge venues
cross for a moment every now and then, and that is ordinary. Read 2026-11.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.front_door import replay_records
from tests.cases.markets import Record, book, prices, quiet_market, seconds_after

BEGIN, END = 700, 1000


def spoilt(bid_over_ask: float) -> list[Record]:
    """Twenty minutes, in five of which an old bid stands so far over the best ask."""
    records: list[Record] = []
    for record in quiet_market("ETH-PERP", prices(1200, 3400.0, 5e-5, seed=11)):
        second = (record["ts"] - records[0]["ts"]) / 1e9 if records else 0.0
        if record["kind"] == "book" and BEGIN <= int(second) < END:
            ask = float(record["asks"][0][0])
            record["bids"] = [[f"{ask * (1 + bid_over_ask):.8f}", "9"], *record["bids"]]
        records.append(record)
    return records


@pytest.mark.parametrize(
    ("over", "told"), [(20e-4, "crossed by 20 bps"), (3e-5, "crossed by 0.3 bps"), (0.0, "locked")]
)
def test_it_is_reported_within_seconds_and_only_resolved_when_it_ends(
    tmp_path: Path, over: float, told: str
) -> None:
    begin, end = replay_records(tmp_path, spoilt(over)).alerts
    assert (begin["status"], begin["layer"], begin["kind"]) == ("firing", "data", "unsound_book")
    assert told in begin["summary"]
    assert 0 < seconds_after(begin, BEGIN) <= 10
    assert (end["status"], end["fingerprint"]) == ("resolved", begin["fingerprint"])
    assert 0 < seconds_after(end, END) <= 10


def test_single_crossed_snapshots_are_ordinary(tmp_path: Path) -> None:
    records: list[Record] = []
    for i, record in enumerate(quiet_market("ETH-PERP", prices(1200, 3400.0, 5e-5, seed=12))):
        records.append(record)
        if record["kind"] == "book" and i % 50 == 1:
            second = (record["ts"] - records[0]["ts"]) / 1e9 + 0.3
            ask = float(record["asks"][0][0])
            records.append(book(second, "ETH-PERP", ask * 1.002, ask))
    assert replay_records(tmp_path, records).alerts == []


def test_a_market_in_which_books_are_often_locked_is_ordinary(tmp_path: Path) -> None:
    records = list(quiet_market("BTC-PERP", prices(900, 90_000.0, 5e-5, seed=13)))
    for i, record in enumerate(records):
        if record["kind"] == "book" and i // 60 % 2:
            record["bids"][0][0] = record["asks"][0][0]
    assert replay_records(tmp_path, records).alerts_of("unsound_book") == []
