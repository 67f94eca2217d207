"""The venues' formulas that the product only names, worked out so that figures can check them.

`MARK_MODELS` is the price of each rule in `regimes.MARK_RULES`, and how fast the venue's own
book can move it; `adl_rank` is Hyperliquid's order of deleveraging (`regimes.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

from monitor.core.margin.liquidation_price import Position


@dataclass(frozen=True, slots=True)
class MarkInputs:
    """Inputs of a mark rule, in quote currency; None: not known.

    `premium_ema`: the moving average the rule asks for, of (mid or fair price − index).
    `funding_rate`: for one funding interval; `to_funding`: share of the interval still to run, 0–1.
    `other_mids`: the perpetual's mid on other venues.
    """

    index: float | None = None
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    premium_ema: float | None = None
    funding_rate: float | None = None
    to_funding: float | None = None
    other_mids: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class MarkModel:
    """A mark rule as functions.

    `price`: None where an input is missing. `book_share(t)`: share of a displacement of the venue's
    own book that has reached its mark after `t` seconds while outside prices hold still.
    """

    price: Callable[[MarkInputs], float | None]
    book_share: Callable[[float], float]


def ema(previous: float | None, sample: float, elapsed_s: float, time_constant_s: float) -> float:
    """Exponential average over irregular samples: the weight of the past is e^(−Δt/τ).

    >>> ema(0.0, 1.0, 150.0, 150.0) == 1 - math.exp(-1)
    True
    """
    if previous is None:
        return sample
    keep = math.exp(-max(elapsed_s, 0.0) / time_constant_s)
    return keep * previous + (1.0 - keep) * sample


def _hyperliquid(x: MarkInputs) -> float | None:
    book = (x.bid, x.ask, x.last)
    if x.index is None or x.premium_ema is None or None in book or not x.other_mids:
        return None
    own = median(price for price in book if price is not None)
    return median((x.index + x.premium_ema, own, median(x.other_mids)))


def _funding_price(x: MarkInputs) -> float | None:
    if x.index is None or x.funding_rate is None or x.to_funding is None:
        return None
    return x.index * (1.0 + x.funding_rate * x.to_funding)


def _median_of_three(x: MarkInputs) -> float | None:
    by_funding = _funding_price(x)
    if by_funding is None or x.index is None or x.premium_ema is None or x.last is None:
        return None
    return median((by_funding, x.index + x.premium_ema, x.last))


def _index_and_average(x: MarkInputs) -> float | None:
    if x.index is None or x.premium_ema is None:
        return None
    return x.index + x.premium_ema


def _oracle(x: MarkInputs) -> float | None:
    return x.index


def _none(t_s: float) -> float:
    return 0.0


def _exponential(time_constant_s: float) -> Callable[[float], float]:
    return lambda t_s: -math.expm1(-t_s / time_constant_s)


def _linear(length_s: float) -> Callable[[float], float]:
    return lambda t_s: min(t_s / length_s, 1.0)


MARK_MODELS = {
    "hyperliquid": MarkModel(_hyperliquid, _exponential(150.0)),
    "oracle": MarkModel(_oracle, _none),
    "binance": MarkModel(_median_of_three, _linear(30.0)),
    "bybit": MarkModel(_median_of_three, _linear(300.0)),
    "okx": MarkModel(_median_of_three, _linear(300.0)),
    "fair": MarkModel(_funding_price, _none),
    "deribit": MarkModel(_index_and_average, _exponential(30.0)),
}


def adl_rank(entry: Fraction, position: Position, equity: Fraction) -> Fraction | None:
    """Hyperliquid's auto-deleveraging rank, highest first: (mark/entry)·(notional/account value).

    For a short the first factor is entry/mark: profit ranks high on either side. None without
    positive equity, since such an account is not a counterparty.
    """
    if equity <= 0:
        return None
    gain = position.price / entry if position.quantity > 0 else entry / position.price
    return gain * position.size * position.price / equity
