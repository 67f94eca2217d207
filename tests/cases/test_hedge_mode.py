"""An account may be long and short in one market, and both legs need maintenance margin.

Source: public reports of hedge-mode accounts whose liquidation price a calculator took from the net
position. Read in 2026-11.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.test_coin_margined_contracts import answers

TABLE = [[0, 0.004], [50_000, 0.005], [600_000, 0.0065], [3_000_000, 0.01]]
LEGS = [{"symbol": "ETHUSDT", "positionSide": "LONG", "positionAmt": "900", "entryPrice": "3000",
         "markPrice": "3100"},
        {"symbol": "ETHUSDT", "positionSide": "SHORT", "positionAmt": "-700",
         "entryPrice": "3050", "markPrice": "3100"}]  # fmt: skip


def need(notional: float) -> float:
    """Maintenance by the parts of the table's tiers."""
    tops = [row[0] for row in TABLE[1:]] + [float("inf")]
    parts = (
        (min(notional, top) - low) * rate
        for (low, rate), top in zip(TABLE, tops, strict=True)
        if notional > low
    )
    return sum(parts)


def test_both_legs_share_the_price_at_which_the_pools_balance_is_lost(tmp_path: Path) -> None:
    other = {"symbol": "BTCUSDT", "quantity": -2, "entry": 60_000, "mark": 61_000}
    document = {"regime": "binance", "tiers": TABLE, "positions": [*LEGS, other],
                "pool": {"mode": "cross", "balance": 150_000}}  # fmt: skip

    def balance(x: float) -> float:
        profit = 900 * (x - 3000) - 700 * (x - 3050) - 2 * 1000
        return 150_000 + profit - need(900 * x) - need(700 * x) - need(122_000)

    low, high = 0.0, 3100.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if balance(middle) < 0 else (low, middle)
    long, short, _ = answers(tmp_path, document)
    assert float(long["liquidation"]) == pytest.approx(low)
    assert short["liquidation"] == long["liquidation"]
    assert float(long["trace"]["maintenance"]) == pytest.approx(need(900 * 3100))
    assert float(short["trace"]["maintenance"]) == pytest.approx(need(700 * 3100))
