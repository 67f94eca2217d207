"""Opening the clearing house, and room for more positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monitor.core.contract import stepped
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.errors import ConfigError
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.accounts import apply_fills, find_position
from replay.simulation.clearing.ledger import add_room, open_ledger
from tests.replay.simulation.clearing.small_venue import market


def test_tiers_have_the_cumulative_amounts_of_the_tables_that_venues_print() -> None:
    """Binance BTCUSDT, read 2026-11: upper bound, rate, cumulative amount."""
    table = (
        (0, "0.004", 0), (50_000, "0.005", 50), (600_000, "0.0065", 950),
        (3_000_000, "0.01", 11_450), (12_000_000, "0.02", 131_450), (70_000_000, "0.025", 481_450),
    )  # fmt: skip
    ledger = open_ledger([market(0, "binance", tuple((b, r, r) for b, r, _ in table))], 1)
    amounts = ledger.tiers[0, :, c.DEDUCTION].tolist()
    assert amounts == [amount * MONEY_SCALE for _, _, amount in table]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"regime": "nowhere"}, "the markets' regimes are nowhere: give all of them one of "),
        ({"tiers": None}, "AAA has no tick, lot or tiers: its reference must give them"),
        ({"tiers_by": "contracts"}, "AAA is not linear with tiers by notional"),
        ({"lot": stepped.quantise("0.000001")}, "a tick of a lot of AAA is worth 0.5 of 1e-6"),
        ({"tiers": market(0, "gate").tiers[1:]}, "tier 0 of AAA: list the tiers from 0"),
        ({"tiers": market(0, "gate").tiers[::-1]}, "tier 0 of AAA: list the tiers from 0"),
    ],
)
def test_rules_that_cannot_be_executed_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        open_ledger([market(0, "gate").model_copy(update=change)], 1)


def test_a_ledger_with_more_room_has_the_same_positions() -> None:
    ledger = open_ledger([market(0, "binance"), market(1, "binance")], 400)
    rng = np.random.default_rng(3)
    pairs = [rng.choice(400, 2, replace=False) for _ in range(900)]
    for number, (maker, taker) in enumerate(pairs):
        fills = np.array([[number % 2, maker, taker, 1 + number % 7, 100, 0, 0, 0]], np.int64)
        ledger = add_room(ledger, 1)
        apply_fills(ledger, fills, np.zeros((2, 5), np.int64))
    wider = add_room(ledger, 5_000)
    assert len(wider.positions) > len(ledger.positions)
    assert add_room(wider, 1) is wider
    for account in range(400):
        for symbol in range(2):
            row = find_position(ledger, account, symbol)
            assert find_position(wider, account, symbol) == row
            assert np.array_equal(wider.positions[row], ledger.positions[row])
    assert wider.totals.tolist() == ledger.totals.tolist()


def test_a_full_ledger_says_what_to_call() -> None:
    ledger = open_ledger([market(0, "binance")], 3_000)
    ledger.totals[c.ROWS] = len(ledger.positions)
    fills = np.array([[0, 1, 2, 1, 100, 0, 0, 0]], np.int64)
    with pytest.raises(ValueError, match="call add_room before the fills"):
        apply_fills(ledger, fills, np.zeros((2, 5), np.int64))
