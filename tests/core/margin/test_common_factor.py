"""Where a cross account is due when all markets move: exact roots."""

from __future__ import annotations

import random
from fractions import Fraction

from monitor.core.margin.common_factor import Holding, factor_moves
from monitor.core.margin.liquidation_price import Position, requirement
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers

F = Fraction
TIERS = Tiers.from_rows(
    [(F(0), F("0.01"), None), (F(1000), F("0.02"), None), (F(5000), F("0.1"), None)]
)
REGIME = REGIMES["generic"]


def test_one_long_is_due_where_its_liquidation_price_is() -> None:
    # 100 + 10 · 100 · f = 0.05 · 1000 · (1 + f)  →  f = −50/950
    position = Position("A", F(10), F(100), Tiers.flat(F("0.05")))
    assert factor_moves([(REGIME, position)], F(100)) == (F(-50, 950), None)


def test_a_hedged_account_is_due_on_the_side_of_what_is_left_open() -> None:
    flat = Tiers.flat(F("0.05"))
    holdings = [
        (REGIME, Position("A", F(10), F(100), flat)),
        (REGIME, Position("B", F(-30), F(50), flat)),
    ]
    # 300 − 500 f = 0.05 · 2500 · (1 + f)  →  f = 175/625
    assert factor_moves(holdings, F(300)) == (None, F(175, 625))


def test_an_account_that_is_due_is_due_at_no_move() -> None:
    position = Position("A", F(10), F(100), Tiers.flat(F("0.05")))
    assert factor_moves([(REGIME, position)], F(49)) == (0, 0)


def gap(holdings: list[Holding], equity: Fraction, f: Fraction) -> Fraction:
    for regime, p in holdings:
        equity += p.quantity * p.price * f - requirement(regime, p, p.price * (1 + f))
    return equity


def test_equity_meets_the_requirement_at_each_root_and_exceeds_it_before() -> None:
    rng, roots = random.Random(5), 0
    for _ in range(200):
        regimes = [REGIMES[rng.choice(("generic", "bybit"))] for _ in range(rng.randint(1, 4))]
        holdings: list[Holding] = []
        for regime in regimes:
            price, size = F(rng.randint(1, 900), 7), F(rng.randint(1, 4000), 13)
            quantity = size if rng.random() < 0.6 else -size
            holdings.append((regime, Position("M", quantity, price, TIERS, price)))
        equity = sum((p.notional for _, p in holdings), F(0)) * F(rng.randint(2, 60), 100)
        moves = factor_moves(holdings, equity)
        if gap(holdings, equity, F(0)) < 0:
            assert moves == (0, 0)
            continue
        for root, far in zip(moves, (F(-1), F(10**6)), strict=True):
            assert root is not None or gap(holdings, equity, far) >= 0
            if root is not None:
                roots += 1
                assert gap(holdings, equity, root) == 0
                assert all(gap(holdings, equity, root * F(part, 8)) >= 0 for part in range(8))
    assert roots > 100
