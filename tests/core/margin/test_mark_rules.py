"""The venues' mark rules and ranks by figures: the formulas that the product names in words."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from monitor.core.margin.liquidation_price import Position
from monitor.core.margin.regimes import MARK_RULES
from monitor.core.margin.tiers import Tiers
from tests.core.margin.venue_formulas import MARK_MODELS, MarkInputs, adl_rank, ema

TIERS = Tiers.flat(Fraction("0.05"))


def test_every_mark_rule_has_a_model() -> None:
    assert MARK_RULES.keys() == MARK_MODELS.keys()


def test_hyperliquid_ranks_profit_and_leverage_first() -> None:
    position = Position("X", Fraction(10), Fraction(120), TIERS)
    assert adl_rank(Fraction(100), position, Fraction(600)) == Fraction(12, 10) * 2
    short = Position("X", Fraction(-10), Fraction(80), TIERS)
    assert adl_rank(Fraction(100), short, Fraction(400)) == Fraction(100, 80) * 2
    assert adl_rank(Fraction(100), short, Fraction(0)) is None


def test_a_mark_rule_without_its_inputs_gives_no_price() -> None:
    full = MarkInputs(100.0, 99.0, 101.0, 103.0, 0.5, 0.0001, 0.5, (99.5, 100.2, 104.0))
    assert MARK_MODELS["hyperliquid"].price(full) == 100.5
    assert MARK_MODELS["binance"].price(full) == 100.5
    assert MARK_MODELS["oracle"].price(full) == 100.0
    assert MARK_MODELS["fair"].price(full) == pytest.approx(100.005)
    for rule in MARK_MODELS.values():
        assert rule.price(MarkInputs(bid=99.0, ask=101.0, last=100.0)) is None


@pytest.mark.parametrize(
    ("rule", "shares"),
    [("hyperliquid", (0.02, 0.06, 0.18, 0.33)), ("binance", (0.10, 0.33, 1.0, 1.0)),
     ("bybit", (0.01, 0.03, 0.10, 0.20)), ("oracle", (0.0, 0.0, 0.0, 0.0))],
)  # fmt: skip
def test_the_own_book_moves_the_mark_by_the_published_share(
    rule: str, shares: tuple[float, ...]
) -> None:
    result = [MARK_MODELS[rule].book_share(t) for t in (3.0, 10.0, 30.0, 60.0)]
    assert result == pytest.approx(shares, abs=0.006)


def test_an_average_over_irregular_samples_does_not_depend_on_how_many_there_are() -> None:
    once = ema(2.0, 5.0, 30.0, 150.0)
    twice = ema(ema(2.0, 5.0, 10.0, 150.0), 5.0, 20.0, 150.0)
    assert math.isclose(once, twice, rel_tol=1e-14)
