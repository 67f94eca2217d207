"""The venues' margin regimes: which requirement, which mark, and what happens under water.

Data only: the formulas are in `margin.py` and `markrules.py`. A new venue is an entry here, and
vectors. Sources: the venues' own documentation of liquidation, as of 2024–2025.
"""

from __future__ import annotations

from fractions import Fraction

from monitor.core.margin import HYPERLIQUID_BACKSTOP_K, Path, Regime, at_entry, at_mark
from monitor.core.markrules import MARK_RULES

_FUND = "insurance fund"
_TAKEOVER = "takeover at the bankruptcy price"

REGIMES: dict[str, Regime] = {
    regime.name: regime
    for regime in (
        Regime(
            "hyperliquid",
            at_mark,
            MARK_RULES["hyperliquid"],
            Path(
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
            at_mark,
            MARK_RULES["oracle"],
            Path(
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
            at_mark,
            MARK_RULES["binance"],
            Path(
                ("orders cancelled", "one large immediate-or-cancel", _TAKEOVER, _FUND),
                adl="profit × margin ratio",
            ),
        ),
        Regime(
            "bybit",
            at_entry,
            MARK_RULES["bybit"],
            Path(
                ("orders cancelled", "one risk tier down at a time", "fill-or-kill", _TAKEOVER),
                adl="on a drawdown of the fund",
            ),
            at_entry=True,
        ),
        *(
            Regime(
                name,
                at_mark,
                MARK_RULES["okx"],
                Path(("two tiers down at a time", _TAKEOVER)),
                counts_fee=True,
            )
            for name in ("okx", "gate")
        ),
        Regime(
            "drift",
            at_mark,
            MARK_RULES["oracle"],
            Path(("a share that grows with time under water", "losses socialised")),
        ),
        Regime(
            "bitmex",
            at_mark,
            MARK_RULES["fair"],
            Path(
                ("orders cancelled", "one risk limit down at a time", "fill-or-kill", _TAKEOVER),
                adl="profit × leverage",
            ),
        ),
        Regime(
            "deribit",
            at_mark,
            MARK_RULES["deribit"],
            Path(("incremental, a round a second", _FUND), cooldown_s=1.0, adl="profit"),
        ),
        Regime("generic", at_mark, MARK_RULES["oracle"], Path(("market order",))),
    )
}
"""Every margin regime by name. A `reference` record's `regime` names one."""
