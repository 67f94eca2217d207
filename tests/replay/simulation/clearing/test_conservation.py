"""Money and quantity only move: by fills, funding, liquidation, vault, fund and deleveraging."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.simulation.clearing import columns as c
from replay.simulation.clearing.regimes import CLEARING
from tests.replay.simulation.clearing.small_venue import SYMBOLS, SmallVenue

REGIMES = st.sampled_from(sorted(CLEARING))


def check_sums(venue: SmallVenue) -> None:
    ledger = venue.ledger
    money = int(ledger.pools[:, c.CASH].sum() + ledger.totals[c.COLLECTED])
    assert money == ledger.totals[c.PAID_IN]
    lots = np.bincount(
        ledger.positions[:, c.MARKET], ledger.positions[:, c.LOTS].astype(float), len(SYMBOLS)
    )
    assert lots.tolist() == [0.0] * len(SYMBOLS)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), regime=REGIMES, share=st.sampled_from([0.005, 0.05, 0.3]))
def test_money_and_quantity_are_conserved_in_every_step(
    seed: int, regime: str, share: float
) -> None:
    venue = SmallVenue(seed, regime)
    check_sums(venue)
    for second in range(25):
        venue.trade(6)
        check_sums(venue)
        venue.transfer()
        check_sums(venue)
        venue.move_marks(share)
        orders = venue.check()
        venue.fill_orders(orders)
        check_sums(venue)
        venue.settle()
        check_sums(venue)
        if second % 8 == 7:
            venue.pay_funding()
            check_sums(venue)
        venue.now += 1_000_000_000


@pytest.mark.parametrize("regime", sorted(CLEARING))
def test_the_small_venue_sees_every_cause_that_its_path_has(regime: str) -> None:
    """Or the theorems would hold of nothing."""
    causes: set[int] = set()
    for seed in range(8):
        venue = SmallVenue(seed, regime, fund=2_000)
        for _ in range(25):
            venue.step(0.15)
        causes |= {fill[1 + c.FILL_CAUSE] for fill in venue.fills}
    assert causes == {c.TRADE, c.LIQUIDATION, c.BACKSTOP, c.ADL}
