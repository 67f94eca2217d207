"""One record with a clock hours or decades ahead, among ordinary ones.

Source: public reports of monitors that fell silent after a record from the future; read 2026-11.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cases.front_door import START_NS, replay_records

SECOND_NS = 1_000_000_000
HOURS_NS, DECADES_NS = 2 * 3_600 * SECOND_NS, 40 * 365 * 86_400 * SECOND_NS


def order(ts: int, i: int) -> dict[str, Any]:
    fixed = {"kind": "order", "symbol": "Q-PERP", "side": "sell", "price": "3", "quantity": "2"}
    return {**fixed, "ts": ts, "account": f"u{i % 4}", "order_id": str(i), "action": "new"}


@pytest.mark.parametrize("ahead_ns", [HOURS_NS, DECADES_NS])
@pytest.mark.parametrize("after", [0, 1, 25])
def test_the_odd_record_is_named_and_the_others_count(
    tmp_path: Path, ahead_ns: int, after: int
) -> None:
    before = 12
    records = [order(START_NS + i * SECOND_NS // 4, i) for i in range(before + after)]
    odd = order(records[before - 1]["ts"] + ahead_ns, 999)
    got = replay_records(tmp_path, [*records[:before], odd, *records[before:]])
    assert got.report["late"] == 0
    assert got.report["events"] == {"order": before + after}
    assert got.report["refused_by_reason"] == {"time_jump": 1}
    assert got.report["windows"] < 15
    (alert,) = got.alerts_of("time_jump")
    assert alert["layer"] == "data"
    place = {"topic": "orders", "partition": 0, "first_offset": before, "last_offset": before}
    assert alert["records"] == [place]
    assert f"+{ahead_ns // SECOND_NS:,} s ahead" in alert["summary"]


def test_three_in_a_row_of_one_producer_do_not_move_the_clock(tmp_path: Path) -> None:
    records = [order(START_NS + i * SECOND_NS // 4, i) for i in range(30)]
    odd = [order(START_NS + DECADES_NS + i, 1) for i in range(3)]
    got = replay_records(tmp_path, [*records[:10], *odd, *records[10:]])
    assert got.report["events"] == {"order": 30}
    assert got.report["refused_by_reason"] == {"time_jump": 3}
    assert got.report["late"] == 0
