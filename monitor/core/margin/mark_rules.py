"""How each venue makes its mark price, and how fast its own book can move it.

A rule is a name, its formula in words, and a function of `MarkInputs`. A rule that lacks an input
answers None: the caller keeps the last good value and reports what was missing; a broken source
never moves margin state. Sources: the venues' own pages on mark price, as of 2024–2025.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class MarkInputs:
    """What a rule may need, in quote currency; None is "not known".

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


Formula = Callable[[MarkInputs], float | None]
Kappa = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class MarkRule:
    """A mark-price rule.

    `kappa(t)`: share of a displacement of the venue's own book that has reached its mark after
    `t` seconds while outside prices hold still (0: the oracle alone decides).
    `average_s`: time constant (EMA) or length (mean) in seconds of the average it takes, if any.
    """

    name: str
    formula: str
    price: Formula
    kappa: Kappa
    average_s: float | None = None


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


def _exponential(time_constant_s: float) -> Kappa:
    return lambda t_s: -math.expm1(-t_s / time_constant_s)


def _linear(length_s: float) -> Kappa:
    return lambda t_s: min(t_s / length_s, 1.0)


_THREE = "median(index·(1 + funding rate·share of the interval left), index + {}, last)"

MARK_RULES: dict[str, MarkRule] = {
    rule.name: rule
    for rule in (
        MarkRule(
            "hyperliquid",
            "median(oracle + EMA150s(mid − oracle), median(bid, ask, last), median of other "
            "venues' perpetual mids)",
            _hyperliquid,
            _exponential(150.0),
            150.0,
        ),
        MarkRule("oracle", "the oracle price alone", _oracle, _none),
        MarkRule(
            "binance", _THREE.format("mean30s(mid − index)"), _median_of_three, _linear(30.0), 30.0
        ),
        MarkRule(
            "bybit", _THREE.format("mean5min(mid − index)"), _median_of_three, _linear(300.0), 300.0
        ),
        MarkRule(
            "okx", _THREE.format("mean5min(mid − index)"), _median_of_three, _linear(300.0), 300.0
        ),
        MarkRule(
            "fair", "index·(1 + funding rate·share of the interval left)", _funding_price, _none
        ),
        MarkRule(
            "deribit",
            "index + EMA30s(fair price − index)",
            _index_and_average,
            _exponential(30.0),
            30.0,
        ),
    )
}
"""Every mark rule by name. A regime, or a `reference` record's `mark_rule`, names one."""
