"""Empty time costs no work: a gap of a day, of months or of decades ends like one of a minute.

Source: public reports of replays that never end and of monitors that hang over a weekend or after
one record with a far time. Read 2026-11.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cases.front_door import START_NS, replay_records

SECOND_NS = 1_000_000_000
DAY_S = 86_400


def orders(first_s: int, count: int) -> list[dict[str, Any]]:
    """Three orders a second in two markets."""
    return [
        {
            "kind": "order", "ts": START_NS + first_s * SECOND_NS + n * SECOND_NS // 3,
            "symbol": ("AAA-PERP", "BBB-PERP")[n % 2], "account": f"a{n % 5}", "order_id": str(n),
            "side": "buy", "price": "10", "quantity": "1", "action": "new",
        }
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("gap_s", [2 * 3600, DAY_S, 61 * DAY_S, 40 * 365 * DAY_S])
def test_windows_of_a_long_silence_are_not_measured(tmp_path: Path, gap_s: int) -> None:
    records = orders(0, 1_500) + orders(gap_s, 1_500)
    done = replay_records(tmp_path, records)
    assert done.exit_code == 0
    assert done.report["events"]["order"] == len(records)
    # 500 s with records on each side and about a minute after the first of them, in two markets.
    assert 2 * 1_000 <= done.report["windows"] <= 2 * (1_000 + 70)
    resolved = [alert for alert in done.alerts if alert["kind"] == "feed_stopped"]
    assert [alert["status"] for alert in resolved] == ["firing", "resolved"]


@pytest.mark.parametrize("gap_s", [3 * 3600, DAY_S - 60])
def test_logs_that_agree_bear_each_other_out(tmp_path: Path, gap_s: int) -> None:
    """A record of each of four kinds, and the same hours later."""
    sold = {"side": "sell", "price": "10", "quantity": "1"}
    kinds = {
        "mark": {"mark": "10"},
        "order": {"action": "new", **sold},
        "fill": sold,
        "book": {"bids": [["9", "1"]], "asks": [["11", "1"]]},
    }
    records = [
        {"kind": kind, "ts": START_NS + (later + n) * SECOND_NS, "symbol": "AAA-PERP", **more}
        for later in (0, gap_s)
        for n, (kind, more) in enumerate(kinds.items())
    ]
    done = replay_records(tmp_path, records)
    assert done.report["events"] == dict.fromkeys(sorted(kinds), 2)
    assert done.report["refused_by_reason"] == {}


def test_scattered_records_cost_about_a_minute_each(tmp_path: Path) -> None:
    records = [record for hour in range(48) for record in orders(hour * 3600, 3)]
    done = replay_records(tmp_path, records)
    assert done.report["windows"] <= 2 * 48 * 70


@pytest.mark.parametrize("gap_s", [15, 90, 3000])
def test_a_day_of_one_record_of_each_kind_loses_none(tmp_path: Path, gap_s: int) -> None:
    """The first thing that a person types: a mark, later an order, later a fill."""
    sold = {"side": "sell", "price": "10", "quantity": "1"}
    records = [
        {"kind": kind, "ts": START_NS + n * gap_s * SECOND_NS, "symbol": "AAA-PERP", **more}
        for n, (kind, more) in enumerate(
            (("mark", {"mark": "10"}), ("order", {"action": "new", **sold}), ("fill", sold))
        )
    ]
    done = replay_records(tmp_path, records)
    assert done.report["events"] == {"mark": 1, "order": 1, "fill": 1}
    assert done.report["refused_by_reason"] == {}
    assert done.alerts == []
    # The last record is in a window too; a minute after each record the shard rests.
    assert done.report["windows"] > min(gap_s, 60)
