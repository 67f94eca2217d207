"""Who pays for what the book does not: by hand, and against the exact state machine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.core.cascade.losses import NO_LOSSES, ForcedCloses, settle_losses
from monitor.core.margin.paths.liquidation import Liquidation
from monitor.core.margin.paths.table import PATHS
from monitor.core.margin.regimes import REGIMES
from tests.core.margin.paths.liquidations import book, exact, flat, holding

NAN = float("nan")


def closes(*rows: tuple[float, float, float, float, float]) -> ForcedCloses:
    """Of each position: sent, at which price, kept, bankruptcy price, backstop price."""
    return ForcedCloses(*(np.array(column, float) for column in zip(*rows, strict=True)))


def test_the_fund_pays_the_nearest_first_and_what_it_lacks_is_deleveraged() -> None:
    """70 and 30 are missing; 85 pay for the first, and for half of the second's 6."""
    rows = closes((10, 90, 0, 97, NAN), (6, 85, 0, 90, NAN), (5, 85, 0, 80, NAN))
    losses = settle_losses(PATHS["binance"], rows, 1, 84.0, 85.0)
    assert losses == (100, 85, 0, 3)
    assert settle_losses(PATHS["binance"], rows, 1, 84.0, 1e9) == (100, 100, 0, 0)
    assert settle_losses(PATHS["drift"], rows, 1, 84.0, 85.0).deleveraged == 0


def test_what_hyperliquid_keeps_open_goes_to_its_backstop_or_to_the_other_side() -> None:
    """A fifth of each is sold at 99; the mark comes to rest at 95."""
    rows = closes(
        (20, 99, 80, 96, 97), (20, 99, 80, 94, 96), (20, 99, 80, 90, 93), (0, 0, 10, NAN, NAN)
    )
    losses = settle_losses(PATHS["hyperliquid"], rows, 1, 95.0, 0.0)
    # The first brings 20·3 for what it sold, and lacks 80·1 for the rest.
    assert losses == (20, 0, 80, 80)


def test_shorts_lose_upwards() -> None:
    rows = closes((10, 112, 0, 103, NAN))
    assert settle_losses(PATHS["market"], rows, -1, 113.0, 0.0) == (90, 0, 0, 10)
    assert settle_losses(PATHS["market"], closes((10, 102, 0, 103, NAN)), -1, 113.0, 0.0) == (
        NO_LOSSES
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_shortfall_is_the_debt_that_the_state_machine_leaves(seed: int) -> None:
    """One account after another sells into the same book, everything at once."""
    rng = np.random.default_rng(seed)
    bids = [(int(100 - 2 * i), int(rng.integers(1, 30))) for i in range(1, 12)]
    sizes, margins = rng.integers(1, 12, 8).tolist(), rng.integers(1, 40, 8).tolist()
    regime = replace(REGIMES["generic"], path=PATHS["market"])
    left, rows, debts = book(*bids), [], []
    for size, margin in zip(sizes, margins, strict=True):
        account = holding("a", size, 100, margin)
        subject = Liquidation(regime, flat("0.9"), exact(1), account)
        record = subject.step(0, exact(100), left)
        paid = sum(fill.price * fill.quantity for fill in record.fills)
        rows.append((size, float(paid / size), 0, 100 - margin / size, NAN))
        debts.append(record.debt)
        for fill in record.fills:
            at = next(i for i, level in enumerate(left) if level.price == fill.price)
            left[at] = left[at]._replace(quantity=left[at].quantity - fill.quantity)
        assert account.quantity == 0
    losses = settle_losses(PATHS["market"], closes(*rows), 1, 50.0, 0.0)
    assert losses.shortfall == pytest.approx(float(sum(debts)))
    owing = sum(size for size, debt in zip(sizes, debts, strict=True) if debt > 0)
    assert losses.deleveraged == owing


@pytest.mark.parametrize("name", sorted(PATHS))
def test_a_larger_fund_never_raises_what_is_deleveraged(name: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        n = int(rng.integers(1, 12))
        bankrupt = rng.uniform(80, 110, n)
        rows = ForcedCloses(
            rng.integers(0, 9, n).astype(float), rng.uniform(80, 100, n),
            rng.integers(0, 9, n).astype(float), bankrupt, bankrupt + 1,
        )  # fmt: skip
        parts = [settle_losses(PATHS[name], rows, 1, 90.0, fund) for fund in (0.0, 30.0, 200.0)]
        assert parts == sorted(parts, key=lambda one: -one.deleveraged)
        for one in parts:
            assert one.fund_paid <= one.shortfall + 1e-9
            assert one.deleveraged <= rows.sent.sum() + rows.kept.sum()
