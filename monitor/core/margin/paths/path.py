"""A liquidation path as data: what happens to an account under water, in which order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from monitor.core.margin.paths.orders import (
    AtBankruptcy,
    FirstShare,
    OrderSize,
    PriceLimit,
    ShareEachStep,
)
from monitor.core.margin.paths.ranking import Ranking

_WHOLE, _AT_BANKRUPTCY = FirstShare(), AtBankruptcy()


class OrderKind(Enum):
    """How the venue closes in the market; fill-or-kill fills as a whole or not at all."""

    MARKET = "market order"
    IMMEDIATE_OR_CANCEL = "immediate-or-cancel"
    FILL_OR_KILL = "fill-or-kill"
    AUCTION = "auction"


class Takeover(Enum):
    """When the insurance fund takes over at the bankruptcy price what is left of a position."""

    STILL_DUE = "when the account is still due after the order"
    UNFILLED = "when the order has not filled"
    BELOW_ZERO = "when equity is below zero"
    NEVER = "never"


class FundScope(Enum):
    """Whose losses an insurance fund covers."""

    NONE = "there is none"
    MARKET = "one market's"
    VENUE = "all markets'"


@dataclass(frozen=True, slots=True)
class LiquidationPath:
    """What a venue does with an account whose equity has fallen to its maintenance.

    `steps`: in words, in order. `size`, `order`, `limit`: of what is sent to the book in a step.
    `cooldown_s`: how long nothing more is sent after an order for a part. `refresh_s`: how often
    the mark is made anew, so that an account is judged again; 0: not stated. `backstop_k`: the
    multiple of maintenance below which a backstop vault takes the position over instead; None:
    there is none. `takeover`: when the insurance fund does. `fund`: whose losses that covers;
    `fund_step_max`: the most that it pays for an account in one step (quote currency; None: no
    limit). `ranking`: by which the other side is deleveraged when nobody takes what is left at the
    bankruptcy price; None: it is not. `at_last_mark`: whether that is at the mark of the step
    before, where the account's equity covers it. `socialised`: whether everybody in the market
    bears a debt that the fund does not. `fee`: of each fill, a fraction of its notional that goes
    to the fund, out of what the fill brings beyond the bankruptcy price. `adl`: in words, how
    counterparties are ranked.
    """

    name: str
    steps: tuple[str, ...]
    size: OrderSize = _WHOLE
    order: OrderKind = OrderKind.MARKET
    limit: PriceLimit = _AT_BANKRUPTCY
    cooldown_s: float = 0.0
    refresh_s: float = 0.0
    backstop_k: Fraction | None = None
    takeover: Takeover = Takeover.NEVER
    fund: FundScope = FundScope.VENUE
    fund_step_max: Fraction | None = None
    ranking: Ranking | None = None
    at_last_mark: bool = False
    socialised: bool = False
    fee: Fraction = Fraction(0)
    adl: str = ""

    @property
    def first_share(self) -> Fraction:
        """The share of a position that is sent at once. A path whose first order depends on tiers,
        on the shortage or on time counts as sending all of it: bands and shocks then err towards
        more forced flow, not less."""
        if isinstance(self.size, FirstShare | ShareEachStep):
            return self.size.share
        return Fraction(1)

    @property
    def partial_above(self) -> Fraction | None:
        """The notional (quote currency) from which `first_share` holds; None: always."""
        return self.size.above if isinstance(self.size, FirstShare) else None
