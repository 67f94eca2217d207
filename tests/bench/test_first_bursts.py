"""The measure of first bursts, at its least size."""

from __future__ import annotations

from tests.bench.detect import first


def test_first_bursts_are_measured_and_found() -> None:
    rows = list(first.recall_rows(1))
    assert [row["detector"] for row in rows] == list(first.KINDS)
    assert sum(row["recall_at_1"] for row in rows) >= 6
