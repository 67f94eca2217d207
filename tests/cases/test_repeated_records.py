"""Kind: a producer delivers the same records more than once, and the accounts count each again.

Modelled on public reports of at-least-once feeds (a reconnect that replays the last minutes, a
connector restarted from an old position, every trade published by two relays). Read 2026-11.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cases.front_door import START_NS, Replayed, replay_records

SECOND = 10**9


def day() -> list[dict[str, Any]]:
    """A long of 700 at 80, and its other side; the account's funds carry it down to some price."""
    symbol = {"symbol": "AVAX-PERP"}
    rules = [{"lower_bound": "0", "maintenance_rate": "0.02"}]
    records: list[dict[str, Any]] = [
        {"kind": "reference", "ts": START_NS, "about": "market", **symbol, "tiers": rules},
        {"kind": "reference", "ts": START_NS + 1, "about": "position", **symbol, "account": "long",
         "quantity": "100", "entry_price": "80", "margin_mode": "cross"},
        {"kind": "collateral", "ts": START_NS + 2, "account": "long", "amount": "9000",
         "cause": "deposit"},
        {"kind": "collateral", "ts": START_NS + 3, "account": "maker", "amount": "500000",
         "cause": "deposit"},
    ]  # fmt: skip
    for i in range(6):
        for account, side, liquidity in (("long", "buy", "taker"), ("maker", "sell", "maker")):
            records.append(
                {"kind": "fill", "ts": START_NS + (5 + i) * SECOND, **symbol, "side": side,
                 "account": account, "trade_id": f"x{i}", "liquidity": liquidity, "price": "80",
                 "quantity": "100", "fee": "0.4"}
            )  # fmt: skip
    for i in range(30):
        ts = START_NS + (12 + i) * SECOND
        records.append({"kind": "mark", "ts": ts, **symbol, "mark": "80"})
    return records


def again(records: list[dict[str, Any]], gap_s: float) -> list[dict[str, Any]]:
    """Each record twice, the second one `gap_s` later, with the time that it had."""
    kinds = ("fill", "collateral", "reference")
    coming = [(r["ts"], i, r) for i, r in enumerate(records)]
    repeats = [(ts + gap_s * SECOND, i, r) for ts, i, r in coming if r["kind"] in kinds]
    return [record for *_, record in sorted([*coming, *repeats], key=lambda row: row[:2])]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return replay_records(tmp_path_factory.mktemp("once"), day())


@pytest.mark.parametrize("gap_s", [0.0, 0.1, 6.0])
def test_a_repeat_counts_once_and_is_told(tmp_path: Path, once: Replayed, gap_s: float) -> None:
    replayed = replay_records(tmp_path, again(day(), gap_s))
    assert replayed.bands[-1] == once.bands[-1]
    assert replayed.report["repeated_by_kind"] == {"collateral": 2, "fill": 12, "reference": 2}
    (alert,) = replayed.alerts_of("repeated_records")
    assert (alert["layer"], alert["severity"]) == ("data", "warning")
    assert "records in topic fills, partition 0 repeat others" in alert["summary"]


def test_a_day_without_repeats_says_nothing_of_them(once: Replayed) -> None:
    assert once.report["repeated"] == 0
    assert once.alerts_of("repeated_records") == []
    assert once.bands[-1]["long"]["nearest"] is not None
