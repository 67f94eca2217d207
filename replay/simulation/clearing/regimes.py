"""What the simulated venue does with an account under water: one entry a regime.

Written anew from the venues' pages, not from the engine's table, which these are compared with.
Requirement everywhere: the largest rate · notional − deduction over the tiers of a market, the
deductions making it continuous (Binance's cumulative amounts), at the mark.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import IntEnum

from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.contract.units import SECOND_NS


class TakenOver(IntEnum):
    """When the insurance fund takes what is left of a position, at its bankruptcy price."""

    NEVER = 0
    STILL_DUE = 1
    """The account is below maintenance after its order."""
    BELOW_ZERO = 2
    """Its equity is below 0, or its tiers allow no order."""


class AdlOrder(IntEnum):
    """By which score of a counterparty its position is closed first."""

    PRICE_AND_LEVERAGE = 0
    """(mark/entry)^side · notional/equity"""
    PROFIT_AND_MARGIN_RATIO = 1
    """profit/wallet · maintenance/equity"""
    PROFIT_AND_LEVERAGE = 2
    """profit/entry value · notional/equity; a loss is divided by the leverage"""


@dataclass(frozen=True, slots=True)
class ClearingRules:
    """In the units of the ledger; the order of the fields is that of the columns.

    `closing_fee`: share of notional (1e-8) that counts beside maintenance. `first_share`: share
    (1e-8) of a position of at least `partial_from` (1e-6) in its first order, after which
    `wait_ns` pass before the next. `tiers_down`: an order brings a position so many tiers down,
    none is sent from its lowest ones; 0: orders close all. `backstop_share`: of maintenance (1e-8),
    below which the vault takes positions over; 0: there is no vault. `has_fund`: an insurance fund
    takes over and pays debts. `at_last_mark`: deleveraging is at the mark of the second before,
    where that leaves the account no debt.
    """

    closing_fee: int = 0
    first_share: int = SCALE
    partial_from: int = 0
    wait_ns: int = 0
    tiers_down: int = 0
    backstop_share: int = 0
    taken_over: TakenOver = TakenOver.NEVER
    has_fund: bool = False
    adl_order: AdlOrder = AdlOrder.PROFIT_AND_LEVERAGE
    at_last_mark: bool = False

    def numbers(self) -> list[int]:
        """All fields as integers."""
        return [int(value) for value in astuple(self)]


CLEARING: dict[str, ClearingRules] = {
    "hyperliquid": ClearingRules(
        first_share=SCALE // 5,
        partial_from=100_000 * MONEY_SCALE,
        wait_ns=30 * SECOND_NS,
        backstop_share=2 * SCALE // 3,
        adl_order=AdlOrder.PRICE_AND_LEVERAGE,
        at_last_mark=True,
    ),
    "binance": ClearingRules(
        taken_over=TakenOver.STILL_DUE,
        has_fund=True,
        adl_order=AdlOrder.PROFIT_AND_MARGIN_RATIO,
    ),
    "gate": ClearingRules(
        closing_fee=50_000,
        tiers_down=2,
        taken_over=TakenOver.BELOW_ZERO,
        has_fund=True,
    ),
}
"""By the `path`, else the `regime`, of a market's reference. Hyperliquid: "Liquidations" and
"Auto-deleveraging"; Binance USD-M: "Liquidation Protocols" and "Auto-Deleveraging"; Gate:
"Liquidation", taker fee 0.05 %; read November 2026. Gate prints no ranking: that of profit and
leverage stands in for it."""
