"""Contracts that settle in coin are computed in coin, or refused in one sentence.

Source: public reports of liquidation prices of inverse positions that a calculator for linear
contracts had put thousands of dollars away from the venue's. Read in 2026-11.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cases.front_door import brinkwatch


def margin(tmp_path: Path, document: Any) -> subprocess.CompletedProcess[str]:
    (tmp_path / "positions.json").write_text(json.dumps(document))
    return brinkwatch("margin", tmp_path / "positions.json", "--json")


def answers(tmp_path: Path, document: Any) -> list[dict[str, Any]]:
    """The positions of the one pool of `document`, solved."""
    done = margin(tmp_path, document)
    assert done.returncode == 0, done.stderr
    positions: list[dict[str, Any]] = json.loads(done.stdout)["pools"][0]["positions"]
    return positions


def position(regime: str, symbol: str, side: str) -> dict[str, Any]:
    given = {"symbol": symbol, "side": side, "quantity": 700, "entry": 3500, "leverage": 4}
    pool = {"mode": "isolated"}
    return {"regime": regime, "pool": pool, "tiers": 0.01, "positions": [given]}


@pytest.mark.parametrize(
    ("regime", "symbol", "long", "short"),
    [
        # Maintenance at entry value: 3500 / (1 ± (1/4 − 0.01)).
        ("bybit", "ETHUSD", 3500 / 1.24, 3500 / 0.76),
        ("bitmex", "XBTUSD", 3500 / 1.24, 3500 / 0.76),
        # Maintenance at the mark: 3500 · (1 ± 0.01) / (1 ± 1/4).
        ("binance", "ETHUSD_PERP", 3500 * 1.01 / 1.25, 3500 * 0.99 / 0.75),
        ("deribit", "ETH-PERPETUAL", 3500 * 1.01 / 1.25, 3500 * 0.99 / 0.75),
        ("okx", "ETH-USD-SWAP", 3500 * 1.0105 / 1.25, 3500 * 0.9895 / 0.75),  # and its fee
    ],
)
def test_liquidation_is_where_the_coin_is_lost(
    tmp_path: Path, regime: str, symbol: str, long: float, short: float
) -> None:
    for side, expected in (("long", long), ("short", short)):
        (answer,) = answers(tmp_path, position(regime, symbol, side))
        assert float(answer["liquidation"]) == pytest.approx(expected)


@pytest.mark.parametrize("symbol", ["BTCUSD", "XBTUSD", "ETH-PERPETUAL", "BTC-USD-SWAP"])
def test_without_a_venue_that_says_what_it_is_it_is_refused(tmp_path: Path, symbol: str) -> None:
    done = margin(tmp_path, position("generic", symbol, "long"))
    assert done.returncode == 2
    assert "may be a coin-margined contract: give contract as" in " ".join(done.stderr.split())
