"""Some venues apply the rate of a position's tier to all of it, and not part by part.

Source: public reports of positions in a high tier that were liquidated well before the price that a
calculator with marginal rates had shown. Read in 2026-11.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cases.test_coin_margined_contracts import answers

TABLE = [{"lower_bound": i * 400_000, "maintenance_rate": 0.005 * (i + 1)} for i in range(8)]


def document(regime: str, **more: Any) -> dict[str, Any]:
    position = {"symbol": "ETH-USDT-SWAP", "quantity": 700, "entry": 3000, "mark": 3000,
                "leverage": 12}  # fmt: skip
    return {"regime": regime, "pool": {"mode": "isolated"}, "tiers": TABLE,
            "positions": [position], **more}  # fmt: skip


def test_okx_asks_the_rate_of_the_tier_for_all_of_it(tmp_path: Path) -> None:
    (answer,) = answers(tmp_path, document("okx"))
    assert float(answer["trace"]["maintenance"]) == pytest.approx(2_100_000 * 0.03)
    # The tier is one of contracts: it stays as the price falls; 0.05 % is the fee to close.
    assert float(answer["liquidation"]) == pytest.approx(3000 * (1 - 1 / 12) / (1 - 0.0305))


def test_a_table_with_amounts_of_0_says_the_same_at_any_venue(tmp_path: Path) -> None:
    tiers = [row | {"cum": 0} for row in TABLE]
    (answer,) = answers(tmp_path, document("generic", tiers=tiers))
    assert float(answer["trace"]["maintenance"]) == pytest.approx(2_100_000 * 0.03)


def test_binance_asks_each_rate_for_its_part(tmp_path: Path) -> None:
    (answer,) = answers(tmp_path, document("binance"))
    parts = 400_000 * (0.005 + 0.01 + 0.015 + 0.02 + 0.025) + 100_000 * 0.03
    assert float(answer["trace"]["maintenance"]) == pytest.approx(parts)
