"""Kind: zero is not "absent". The first burst of something that has never happened yet.

Source: public reports of the first cascade of a newly listed market that no monitor told, and of
feeds that lost records for the first time; read 2026-11.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cases.front_door import START_NS, replay_records

SECOND = 1_000_000_000
BURST_S = 1900
"""When the burst begins: half an hour of warm-up and calm lies before it."""


def trades(seconds: int) -> list[dict[str, Any]]:
    """A trade a second of a market, by many accounts."""
    rng = np.random.default_rng(4)
    return [
        {
            "kind": "fill", "ts": START_NS + s * SECOND + int(rng.integers(SECOND)),
            "symbol": "NEW-PERP", "trade_id": f"t{s}", "side": str(rng.choice(["buy", "sell"])),
            "price": "20", "quantity": "3", "liquidity": "taker", "cause": "trade",
            "account": f"u{rng.integers(60)}",
        }
        for s in range(seconds)
    ]  # fmt: skip


@pytest.mark.parametrize(("number", "step_ms"), [(90, 150), (150, 60)])
def test_the_first_liquidations_of_a_market_are_told(
    tmp_path: Path, number: int, step_ms: int
) -> None:
    records = trades(2100)
    base = {**records[0], "side": "sell", "cause": "liquidation"}
    for k in range(number):
        ts = START_NS + BURST_S * SECOND + k * step_ms * 1_000_000
        records.append({**base, "ts": ts, "trade_id": f"l{k}", "account": f"v{k}"})
    day = replay_records(tmp_path, sorted(records, key=lambda r: r["ts"]))
    assert all(a["ts"] >= START_NS + BURST_S * SECOND for a in day.alerts)
    told = next(a for a in day.alerts if a["severity"] == "critical")
    assert told["because"] == "liquidations come in a wave"
    assert "liquidations" in [e["stream"] for e in told["evidence"]]
    assert told["ts"] <= START_NS + (BURST_S + 10) * SECOND


def test_the_first_numbers_that_are_missing_are_told(tmp_path: Path) -> None:
    records = [
        {
            "kind": "order", "ts": START_NS + s * SECOND, "symbol": "NEW-PERP", "side": "sell",
            "seq": 7 + s + (250 if s >= BURST_S else 0), "price": "3", "quantity": "1",
            "action": "new",
        }
        for s in range(2000)
    ]  # fmt: skip
    day = replay_records(tmp_path, records)
    (alert,) = day.alerts_of("missing_records")
    assert (alert["layer"], alert["evidence"][0]["observed"]) == ("data", 250)


@pytest.mark.parametrize("lasting_s", [0, 40])
def test_one_first_event_of_an_ordinary_kind_is_no_alert(tmp_path: Path, lasting_s: int) -> None:
    records = trades(2100)
    for k, second in enumerate((BURST_S, BURST_S + lasting_s)):
        liquidation = {**records[0], "cause": "liquidation", "trade_id": f"l{k}", "account": "v"}
        records.append({**liquidation, "ts": START_NS + second * SECOND})
    day = replay_records(tmp_path, sorted(records, key=lambda r: r["ts"]))
    assert day.alerts == []
