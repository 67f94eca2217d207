"""Books whose size and spread hardly vary, as market makers' programs quote them.

Public reports of monitors that alarm at the last digit: where the usual deviation is almost
nothing, any difference is many times it ("depth at 99.8 % of usual"). Read 2026-11.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.cases.front_door import replay_records
from tests.cases.markets import Record, book, prices, seconds_after, trade

SECONDS = 5400


def constant(thin_from: int = SECONDS) -> list[Record]:
    """A market that steps by 5 bps now and then; from `thin_from` on an eighth of its depth."""
    rng, price, records = random.Random(3), 25.0, []
    for second in range(SECONDS):
        if rng.random() < 0.002:
            price *= 1 + rng.choice((-1, 1)) * 5e-4
        size = 40.0 if second < thin_from else 5.0
        size *= 1 + (rng.uniform(-0.002, 0.002) if rng.random() < 0.2 else 0.0)
        records.append(book(second, "CALM-PERP", price * 0.9999, price * 1.0001, size))
        if rng.random() < 0.2:
            records.append(trade(second + 0.1, "CALM-PERP", price))
    return records


def test_they_make_no_alert(tmp_path: Path) -> None:
    assert replay_records(tmp_path, constant()).alerts == []


def test_a_real_fall_is_reported(tmp_path: Path) -> None:
    alerts = replay_records(tmp_path, constant(thin_from=5000)).alerts
    first = next(a for a in alerts if a["status"] == "firing")
    depth = next(e for e in first["evidence"] if e["stream"] == "depth_25bps")
    assert "all that the book shows" in first["summary"]
    assert depth["reach_bps"] == pytest.approx(5.0, rel=0.1)
    assert 0 < seconds_after(first, 5000) <= 60


def test_after_a_step_usual_does_not_run_away_from_the_book(tmp_path: Path) -> None:
    records = [
        book(i, "CALM-PERP", price * 0.9999, price * 1.0001, 10.0 if i < 900 else 13.0)
        for i, price in enumerate(prices(1500, 7.0, 1e-4, seed=9))
    ]
    depths = [r["bids"][0] for r in records[900:]]
    both_sides = 2 * 5 * max(float(price) * float(size) for price, size in depths)
    alerts = replay_records(tmp_path, records).alerts
    assert all(e["expected"] < 2 * both_sides for a in alerts for e in a["evidence"])
    assert not any(a["severity"] == "critical" for a in alerts)
