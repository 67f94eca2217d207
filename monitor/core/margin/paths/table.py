"""Every venue's liquidation path: the one table. Its source and date stand below each entry.

Where a venue's page leaves a number to the market or to the day (fees, funds, exact order limits)
the entry has the one of its genesis or first table, and says so. A path that is not limited by its
venue's words is limited at the bankruptcy price wherever the venue promises that nobody ends in
debt: what would fill worse is what its fund, its backstop or the other side takes.
"""

from __future__ import annotations

from fractions import Fraction

from monitor.core.margin.paths.orders import (
    AnyPrice,
    AuctionPrice,
    FillablePrice,
    FirstShare,
    GrowingShare,
    ShareEachStep,
    TiersDown,
    UntilSafe,
)
from monitor.core.margin.paths.path import FundScope, LiquidationPath, OrderKind, Takeover
from monitor.core.margin.paths.ranking import Ranking

_CANCEL, _FUND = "orders cancelled", "insurance fund"
_TAKEOVER = "takeover at the bankruptcy price"

MARKET = LiquidationPath(
    "market",
    ("market order for the whole position",),
    limit=AnyPrice(),
    fund=FundScope.NONE,
    ranking=Ranking.PROFIT,
    adl=Ranking.PROFIT.value,
)
"""Everything at once, no cooldown, no fund, no fee: the end that is easy to check by hand."""

GENERIC = LiquidationPath("generic", ("market order",), limit=AnyPrice(), ranking=Ranking.PROFIT)
"""A venue that nobody has described: as `MARKET`, with whatever fund it has."""

HYPERLIQUID = LiquidationPath(
    "hyperliquid",
    (
        "market order for the whole position",
        "backstop vault below 2/3 of maintenance",
        "auto-deleveraging below zero equity",
    ),
    size=FirstShare(Fraction(1, 5), above=Fraction(100_000)),
    cooldown_s=30.0,
    refresh_s=3.0,
    backstop_k=Fraction(2, 3),
    fund=FundScope.NONE,
    ranking=Ranking.PRICE_AND_LEVERAGE,
    at_last_mark=True,
    adl=Ranking.PRICE_AND_LEVERAGE.value,
)
"""Source: Hyperliquid docs, "Liquidations" and "Auto-deleveraging", of 2024 to 2026, read 2026-11:
a fifth first of more than 100,000, 30 s, then the rest; the liquidator vault takes position and
margin below 2/3 of maintenance; below zero the other side is closed at the previous mark, ranked.
The mark's 3 s: the median of 100 waves on 10 October 2025. The docs' ranking is written for longs.
"""

DYDX = LiquidationPath(
    "dydx",
    (
        "immediate-or-cancel at the fillable price",
        f"{_FUND}, 1M a block",
        "deleveraging against pseudo-random counterparties",
    ),
    size=ShareEachStep(Fraction(1, 10), Fraction(1_000), Fraction(100_000)),
    order=OrderKind.IMMEDIATE_OR_CANCEL,
    limit=FillablePrice(spread=Fraction(3, 2), adjustment=Fraction(1)),
    refresh_s=1.0,
    fund_step_max=Fraction(1_000_000),
    ranking=Ranking.BY_LOT,
    fee=Fraction(15, 1_000),
)
"""Source: dYdX chain v4, `x/clob` (liquidation keeper and its genesis: fee 1.5 %, spread 150 % of
the maintenance fraction, 10 % of a position of at least 1,000 and 100,000 a subaccount a block,
1,000,000 of insurance lost a block), read 2026-11. A step is a block, of about a second."""

BINANCE = LiquidationPath(
    "binance",
    (_CANCEL, "one large immediate-or-cancel", _TAKEOVER, _FUND),
    order=OrderKind.IMMEDIATE_OR_CANCEL,
    refresh_s=1.0,
    takeover=Takeover.STILL_DUE,
    ranking=Ranking.PROFIT_AND_MARGIN_RATIO,
    adl=Ranking.PROFIT_AND_MARGIN_RATIO.value,
)
"""Source: Binance, "Liquidation Protocols" and "What Is Auto-Deleveraging (ADL)", of 2019 to 2025,
read 2026-11: the bankrupt price of the liquidated order, no fee; the ranking as printed there."""

BYBIT = LiquidationPath(
    "bybit",
    (_CANCEL, "one risk tier down at a time", "fill-or-kill", _TAKEOVER),
    size=TiersDown(1),
    order=OrderKind.FILL_OR_KILL,
    takeover=Takeover.UNFILLED,
    ranking=Ranking.PROFIT_AND_LEVERAGE,
    adl="on a drawdown of the fund",
)
"""Source: Bybit, "Liquidation Process (USDT Contract)" of 2024, read 2026-11: from the lowest tier
the engine takes the position over at once; from a higher one a fill-or-kill order of what exceeds
the tier below comes first."""

OKX = LiquidationPath(
    "okx",
    ("two tiers down at a time", _TAKEOVER),
    size=TiersDown(2),
    order=OrderKind.IMMEDIATE_OR_CANCEL,
    takeover=Takeover.BELOW_ZERO,
    ranking=Ranking.PROFIT_AND_LEVERAGE,
)
"""Source: OKX, "Forced partial or full liquidation" of 2019 to 2025, read 2026-11: from tier 3 on
the number of contracts that exceeds two tiers below, again and again; from tiers 1 and 2 all of it
is taken over. Its ranking is not printed; that of profit and leverage stands here."""

GATE = LiquidationPath(
    "gate",
    OKX.steps,
    size=OKX.size,
    order=OKX.order,
    takeover=OKX.takeover,
    ranking=OKX.ranking,
)
"""Source: Gate, "Liquidation", read 2026-11: as OKX."""

DRIFT = LiquidationPath(
    "drift",
    ("a share that grows with time under water", "losses socialised"),
    size=GrowingShare(Fraction(1, 10), seconds=60, shortage_min=Fraction(50)),
    order=OrderKind.AUCTION,
    limit=AuctionPrice(
        first=Fraction(1, 100), grace_s=600, rise=Fraction(1, 10_000), most=Fraction(1, 20)
    ),
    socialised=True,
)
"""Source: Drift v2, program's liquidation maths: 10 % at once and all within 150 slots of 400 ms,
all of it below a shortage of 50, a fee that rises after 1,500 slots; read 2026-11. The fee itself
belongs to the market: 1 %, rising by a hundredth of a per cent a second to 5 %, is an example."""

BITMEX = LiquidationPath(
    "bitmex",
    (_CANCEL, "one risk limit down at a time", "fill-or-kill", _TAKEOVER),
    size=TiersDown(1),
    order=OrderKind.FILL_OR_KILL,
    takeover=Takeover.STILL_DUE,
    fund=FundScope.MARKET,
    ranking=Ranking.PROFIT_AND_LEVERAGE,
    adl=Ranking.PROFIT_AND_LEVERAGE.value,
)
"""Source: BitMEX, "Liquidation" and "Auto-Deleveraging", read 2026-11: as Bybit, but an account
that is still due after its order has filled is taken over; the fund is that of the contract."""

DERIBIT = LiquidationPath(
    "deribit",
    ("incremental, a round a second", _FUND),
    size=UntilSafe(),
    cooldown_s=1.0,
    refresh_s=1.0,
    takeover=Takeover.BELOW_ZERO,
    ranking=Ranking.PROFIT,
    adl=Ranking.PROFIT.value,
)
"""Source: Deribit, "Liquidations", read 2026-11: small steps, a round a second, until equity covers
maintenance; below zero the insurance fund."""

PATHS: dict[str, LiquidationPath] = {
    path.name: path
    for path in (
        HYPERLIQUID, DYDX, BINANCE, BYBIT, OKX, GATE, DRIFT, BITMEX, DERIBIT, GENERIC, MARKET,
    )
}  # fmt: skip
"""By name: a regime's own has the regime's. A `reference` record's `path` names one."""
