"""The venues' margin regimes: which requirement, which mark, and what happens under water.

Data only: the formulas are in `liquidation_price.py`. A new venue is an entry here, and its
published prices are vectors in `tests/vectors`. Sources: the venues' own pages on liquidation and
on mark price, of 2024–2025.
"""

from __future__ import annotations

from fractions import Fraction

from monitor.core.margin.liquidation_price import Regime

_MEDIAN_OF_THREE = "median(index·(1 + funding rate·share of the interval left), index + {}, last)"
MARK_RULES = {
    "hyperliquid": (
        "median(oracle + EMA150s(mid − oracle), median(bid, ask, last), median of other venues' "
        "perpetual mids)"
    ),
    "oracle": "the oracle price alone",
    "binance": _MEDIAN_OF_THREE.format("mean30s(mid − index)"),
    "bybit": _MEDIAN_OF_THREE.format("mean5min(mid − index)"),
    "okx": _MEDIAN_OF_THREE.format("mean5min(mid − index)"),
    "fair": "index·(1 + funding rate·share of the interval left)",
    "deribit": "index + EMA30s(fair price − index)",
}
"""How venues make their mark, as formulas in words. A `reference` record's `mark_rule` names one.
They are worked out in `tests/core/margin/venue_formulas.py`; bands take the venue's own mark."""

_CANCEL, _FUND = "orders cancelled", "insurance fund"
_TAKEOVER = "takeover at the bankruptcy price"
_HYPERLIQUID_STEPS = (
    "market order for the whole position",
    "backstop vault below 2/3 of maintenance",
    "auto-deleveraging below zero equity",
)
_DYDX_STEPS = (
    "immediate-or-cancel at the fillable price",
    f"{_FUND}, 1M a block",
    "deleveraging against pseudo-random counterparties",
)
_OKX_STEPS = ("two tiers down at a time", _TAKEOVER)

REGIMES: dict[str, Regime] = {
    regime.name: regime
    for regime in (
        Regime(
            "hyperliquid",
            MARK_RULES["hyperliquid"],
            _HYPERLIQUID_STEPS,
            first_share=Fraction(1, 5),
            partial_above=Fraction(100_000),
            cooldown_s=30.0,
            adl="(mark/entry)·(notional/account value)",
            backstop_k=Fraction(2, 3),
        ),
        Regime("dydx", MARK_RULES["oracle"], _DYDX_STEPS, first_share=Fraction(1, 10)),
        Regime(
            "binance",
            MARK_RULES["binance"],
            (_CANCEL, "one large immediate-or-cancel", _TAKEOVER, _FUND),
            adl="profit × margin ratio",
        ),
        Regime(
            "bybit",
            MARK_RULES["bybit"],
            (_CANCEL, "one risk tier down at a time", "fill-or-kill", _TAKEOVER),
            adl="on a drawdown of the fund",
            at_entry=True,
        ),
        Regime("okx", MARK_RULES["okx"], _OKX_STEPS, counts_fee=True),
        Regime("gate", MARK_RULES["okx"], _OKX_STEPS, counts_fee=True),
        Regime(
            "drift",
            MARK_RULES["oracle"],
            ("a share that grows with time under water", "losses socialised"),
        ),
        Regime(
            "bitmex",
            MARK_RULES["fair"],
            (_CANCEL, "one risk limit down at a time", "fill-or-kill", _TAKEOVER),
            adl="profit × leverage",
        ),
        Regime(
            "deribit",
            MARK_RULES["deribit"],
            ("incremental, a round a second", _FUND),
            cooldown_s=1.0,
            adl="profit",
        ),
        Regime("generic", MARK_RULES["oracle"], ("market order",)),
    )
}
"""Every margin regime by name. A `reference` record's `regime` names one."""
