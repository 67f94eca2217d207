"""The venues' margin regimes: which requirement, which mark, and what happens under water.

Data only: the formulas are in `formulas.py`. A new venue is an entry here, and its published prices
are vectors in `tests/vectors`. Sources: the venues' own documentation of liquidation, as of
2024–2025.
"""

from __future__ import annotations

from fractions import Fraction

from monitor.core.margin.formulas import (
    HYPERLIQUID_BACKSTOP_K,
    LiquidationPath,
    Regime,
    maintenance_at_entry,
    maintenance_at_mark,
)
from monitor.core.margin.mark_rules import MARK_RULES

_FUND = "insurance fund"
_TAKEOVER = "takeover at the bankruptcy price"

REGIMES: dict[str, Regime] = {
    regime.name: regime
    for regime in (
        Regime(
            "hyperliquid",
            maintenance_at_mark,
            MARK_RULES["hyperliquid"],
            LiquidationPath(
                (
                    "market order for the whole position",
                    "backstop vault below 2/3 of maintenance",
                    "auto-deleveraging below zero equity",
                ),
                Fraction(1, 5),
                Fraction(100_000),
                30.0,
                "(mark/entry)·(notional/account value)",
            ),
            backstop_k=HYPERLIQUID_BACKSTOP_K,
        ),
        Regime(
            "dydx",
            maintenance_at_mark,
            MARK_RULES["oracle"],
            LiquidationPath(
                (
                    "immediate-or-cancel at the fillable price",
                    f"{_FUND}, 1M a block",
                    "deleveraging against pseudo-random counterparties",
                ),
                Fraction(1, 10),
            ),
        ),
        Regime(
            "binance",
            maintenance_at_mark,
            MARK_RULES["binance"],
            LiquidationPath(
                ("orders cancelled", "one large immediate-or-cancel", _TAKEOVER, _FUND),
                adl="profit × margin ratio",
            ),
        ),
        Regime(
            "bybit",
            maintenance_at_entry,
            MARK_RULES["bybit"],
            LiquidationPath(
                ("orders cancelled", "one risk tier down at a time", "fill-or-kill", _TAKEOVER),
                adl="on a drawdown of the fund",
            ),
            at_entry=True,
        ),
        *(
            Regime(
                name,
                maintenance_at_mark,
                MARK_RULES["okx"],
                LiquidationPath(("two tiers down at a time", _TAKEOVER)),
                counts_fee=True,
            )
            for name in ("okx", "gate")
        ),
        Regime(
            "drift",
            maintenance_at_mark,
            MARK_RULES["oracle"],
            LiquidationPath(("a share that grows with time under water", "losses socialised")),
        ),
        Regime(
            "bitmex",
            maintenance_at_mark,
            MARK_RULES["fair"],
            LiquidationPath(
                ("orders cancelled", "one risk limit down at a time", "fill-or-kill", _TAKEOVER),
                adl="profit × leverage",
            ),
        ),
        Regime(
            "deribit",
            maintenance_at_mark,
            MARK_RULES["deribit"],
            LiquidationPath(("incremental, a round a second", _FUND), cooldown_s=1.0, adl="profit"),
        ),
        Regime(
            "generic", maintenance_at_mark, MARK_RULES["oracle"], LiquidationPath(("market order",))
        ),
    )
}
"""Every margin regime by name. A `reference` record's `regime` names one."""
