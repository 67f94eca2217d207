"""The venues' margin regimes: which requirement, which mark, and which path under water.

Data, and which version of a rule a date has: the formulas are in `liquidation_price.py`, the paths
in `paths/table.py`. A new venue is an entry here, and its published prices are vectors in
`tests/vectors`. Sources: the
venues' own pages on liquidation and on mark price, of 2024–2026. Of the tier law and closing fee:

- Binance (COIN-M and USD-M): marginal rates with a cumulative amount, in the settlement currency;
  both legs of hedge mode share one price in cross margin ("How to Calculate Liquidation Price of
  COIN-M Futures Contracts", read 2026-11).
- OKX: a position's tier goes by contracts and its rate holds for all of it; the taker fee counts,
  0.05 % without a fee class ("Futures and perpetuals: margin and liquidation", read 2026-11).
- BitMEX: a risk limit's rate holds for the whole position, at its entry value ("Liquidation",
  "Risk limits", read 2026-11).
- Deribit: the rate rises with the position's size in coin ("Linear perpetual", read 2026-11).
- Hyperliquid: maintenance at the mark of the price that is asked about; replies of its interface of
  27 March 2023 count it at today's mark instead, one of 22 February 2024 no longer does. The day
  between them is not known: the older rule is taken for the month in which it was seen.
- Bybit: maintenance at entry value until it became the mark value ("The New Margin Calculation" of
  September 2025; the formula of isolated positions as of 27 May 2026, read 2026-11).
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from monitor.core.margin.liquidation_price import Regime
from monitor.core.margin.paths.table import PATHS

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

_TAKER_FEE = Fraction(5, 10_000)
"""Of an account without a fee class, at OKX and Gate."""

REGIMES: dict[str, Regime] = {
    regime.name: regime
    for regime in (
        Regime(
            "hyperliquid",
            MARK_RULES["hyperliquid"],
            PATHS["hyperliquid"],
            keeps_tables=True,
            rule="since 2023-04-01: maintenance moves with the mark",
        ),
        Regime("dydx", MARK_RULES["oracle"], PATHS["dydx"]),
        Regime("binance", MARK_RULES["binance"], PATHS["binance"], hedge_mode=True),
        Regime(
            "bybit",
            MARK_RULES["bybit"],
            PATHS["bybit"],
            at_entry=True,
            hedge_mode=True,
            rule="until 2026-05-26: maintenance at entry value",
        ),
        Regime(
            "okx",
            MARK_RULES["okx"],
            PATHS["okx"],
            closing_fee=_TAKER_FEE,
            whole_position=True,
            hedge_mode=True,
        ),
        Regime("gate", MARK_RULES["okx"], PATHS["gate"], closing_fee=_TAKER_FEE, hedge_mode=True),
        Regime("drift", MARK_RULES["oracle"], PATHS["drift"]),
        Regime("bitmex", MARK_RULES["fair"], PATHS["bitmex"], at_entry=True, whole_position=True),
        Regime("deribit", MARK_RULES["deribit"], PATHS["deribit"]),
        Regime("generic", MARK_RULES["oracle"], PATHS["generic"], hedge_mode=True),
    )
}
"""Every margin regime by name. A `reference` record's `regime` names one."""

LATER_RULES: dict[str, tuple[tuple[str, Regime], ...]] = {
    "bybit": (
        (
            "2026-05-27",
            replace(
                REGIMES["bybit"],
                at_entry=False,
                extra_margin_fee=Fraction(55, 100_000),
                rule="since 2026-05-27: maintenance at the mark",
            ),
        ),
    )
}
"""What a regime became, and the day (UTC) from which it holds, earliest first."""
EARLIER_RULES: dict[str, tuple[tuple[str, Regime], ...]] = {
    "hyperliquid": (
        (
            "2023-04-01",
            replace(
                REGIMES["hyperliquid"],
                at_todays_mark=True,
                rule="until 2023-03-31: maintenance stays at today's",
            ),
        ),
    )
}
"""What a regime was, and the day (UTC) from which it no longer held so, latest first."""
RULE_CHANGES = {
    name: tuple(day for day, _ in (*EARLIER_RULES.get(name, ()), *LATER_RULES.get(name, ())))
    for name in REGIMES
}
"""By regime the days on which its rule changed."""


def regime_at(name: str, day: str | None) -> Regime | None:
    """The regime `name` as it held on `day` (UTC, 2026-05-27); None: there is none of that name.

    Without a day it is the rule that the venue had for longest, the one in `REGIMES`.
    """
    regime = REGIMES.get(name)
    if day is not None:
        for since, later in LATER_RULES.get(name, ()):
            regime = later if day >= since else regime
        for until, earlier in EARLIER_RULES.get(name, ()):
            regime = earlier if day < until else regime
    return regime
