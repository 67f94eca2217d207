"""In which order a venue deleverages the other side: by a score, the highest first.

The formulas hold for single rationals and for arrays of floats alike.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple


class Standing(NamedTuple):
    """A counterparty's position and account at the mark, each a rational or an array.

    `side`: 1 long, −1 short. `entry`: average entry price. `notional`: at the mark. `equity` and
    `need`: of the account, its equity above 0, and its maintenance.
    """

    side: Any
    entry: Any
    mark: Any
    notional: Any
    equity: Any
    need: Any


def _positive(value: Any) -> Any:
    """The value where it is above 0, else 0."""
    return (value + abs(value)) / 2


def _gain(s: Standing) -> Any:
    """Profit as a fraction of the entry value."""
    return s.side * (s.mark - s.entry) / s.entry


def price_and_leverage(s: Standing) -> Any:
    """(mark/entry)·(notional/account value) for longs; for shorts, who gain as the mark falls,
    with entry/mark in its place."""
    return (s.mark / s.entry) ** s.side * s.notional / s.equity


def profit_and_margin_ratio(s: Standing) -> Any:
    """Unrealised profit over wallet balance (at least 1), times maintenance over margin balance."""
    profit = s.side * (s.mark - s.entry) * s.notional / s.mark
    wallet = s.equity - profit
    return _positive(profit) / (1 + _positive(wallet - 1)) * s.need / s.equity


def profit_and_leverage(s: Standing) -> Any:
    """Profit over entry value, times effective leverage; a loss is divided by it."""
    leverage = s.notional / s.equity
    return _positive(_gain(s)) * leverage - _positive(-_gain(s)) / leverage


class Ranking(Enum):
    """A venue's order, in words."""

    PRICE_AND_LEVERAGE = "(mark/entry)·(notional/account value)"
    PROFIT_AND_MARGIN_RATIO = "profit × margin ratio"
    PROFIT_AND_LEVERAGE = "profit × leverage"
    PROFIT = "profit"
    BY_LOT = "pseudo-random"


SCORES: dict[Ranking, Callable[[Standing], Any]] = {
    Ranking.PRICE_AND_LEVERAGE: price_and_leverage,
    Ranking.PROFIT_AND_MARGIN_RATIO: profit_and_margin_ratio,
    Ranking.PROFIT_AND_LEVERAGE: profit_and_leverage,
    Ranking.PROFIT: _gain,
}
"""The score of each ranking but `BY_LOT`, which draws by a hash of the account's name."""
