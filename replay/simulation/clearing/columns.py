"""The arrays of the clearing house and what their columns mean.

A *pool* is what is liquidated together: the cross pool of an account has the account's number, the
pool of an isolated position is numbered by its row, behind those of all accounts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from detectors.arrays.types import I1, I2, I3, INT32_1, Int64

HOLDER, MARKET, LOTS, ENTRY, NEXT, LEVERAGE, MODE = range(7)
POSITION_WIDTH = 8
"""A position, one for each account and market ever traded. `HOLDER`: its account. `LOTS`: signed.
`ENTRY`: value at which the open lots were entered. `NEXT`: the account's next position, its row + 1
(0: none). `LEVERAGE`: what the account chose. Padded to a line of cache."""
CROSS, ISOLATED = range(2)
"""Margin modes, in the contract's order."""

CASH, ORDERS, WAITS_UNTIL, FLAGS = range(4)
POOL_WIDTH = 4
"""A pool. `CASH`: its money less what its positions were bought for, so that equity is cash + lots
at the mark. `ORDERS`: sent in the present liquidation. `WAITS_UNTIL`: no order before, ns."""
QUEUED, SENT, BEGUN = 1, 2, 4
"""Flags: the pool is judged at the next check; an order was sent for it at the last one; its
liquidation has begun, and its account's resting orders are cancelled."""

NEVER = -(2**62)
"""A trigger that no mark passes: of a flat position, and of one whose pool is judged anyway."""

ROWS, IN_QUEUE, DUE, COLLECTED, PAID_IN = range(5)
TOTALS_WIDTH = 5
"""Positions in use, pools in the queue, pools under liquidation; what the venue collected (fees
less rebates, and what rounding left it of funding), and all that was paid in less what was paid
out."""

TICK_VALUE, TOP_RATE, LEVERAGE_MAX = range(3)
MARKET_WIDTH = 3
"""A market: what a tick of a lot is worth, its highest maintenance rate and highest leverage."""
BOUND, RATE, DEDUCTION, INITIAL_RATE, INITIAL_DEDUCTION = range(5)
TIER_WIDTH = 5
"""A tier, from `BOUND` of notional up; need is the largest rate · notional − deduction."""
MAKER_RATE, TAKER_RATE = range(2)
"""Fees of a class of accounts."""

(
    ACCOUNTS, CLOSING_FEE, FIRST_SHARE, PARTIAL_FROM, WAIT_NS, TIERS_DOWN, BACKSTOP_SHARE, TAKEOVER,
    HAS_FUND, RANKING, AT_LAST_MARK,
) = range(11)  # fmt: skip
"""Rules: the number of accounts without vault and fund, then `ClearingRules` in numbers."""

FILL_COLUMNS = (
    "market", "maker", "taker", "lots", "price", "cause", "maker_fee", "taker_fee",
)  # fmt: skip
(
    FILL_MARKET, FILL_MAKER, FILL_TAKER, FILL_LOTS, FILL_PRICE, FILL_CAUSE, FILL_MAKER_FEE,
    FILL_TAKER_FEE,
) = range(len(FILL_COLUMNS))  # fmt: skip
TRADE, LIQUIDATION, BACKSTOP, ADL = range(4)
"""Causes of fills."""
MOVE_COLUMNS = ("account", "market", "amount", "cause", "fill")
MOVE_ACCOUNT, MOVE_MARKET, MOVE_AMOUNT, MOVE_CAUSE, MOVE_FILL = range(len(MOVE_COLUMNS))
DEPOSIT, WITHDRAWAL, ISOLATED_IN, ISOLATED_OUT, FUNDING, REBATE, ADJUSTMENT = range(7)
"""Causes of moves of collateral, in the contract's order."""
ORDER_COLUMNS = ("account", "market", "lots", "limit", "kind")
ORDER_ACCOUNT, ORDER_MARKET, ORDER_LOTS, ORDER_LIMIT, ORDER_KIND = range(len(ORDER_COLUMNS))
FIRST, FURTHER, UNWIND = range(3)
"""Kinds of forced orders."""
PLACE_COLUMNS = ("account", "market", "lots", "entry", "leverage", "mode", "margin")
(
    PLACE_ACCOUNT, PLACE_MARKET, PLACE_LOTS, PLACE_ENTRY, PLACE_LEVERAGE, PLACE_MODE, PLACE_MARGIN,
) = range(len(PLACE_COLUMNS))  # fmt: skip
"""A position of the opening; `margin`: of an isolated one, paid in beside what is deposited."""


class Ledger(NamedTuple):
    """The state of the clearing house.

    `positions` (rows, `POSITION_WIDTH`), `pools` (accounts + 2 + rows, `POOL_WIDTH`), `totals`,
    `first`: by account its latest position, row + 1. `slots`: hash table of positions, row + 1.
    `triggers`, `sides`: by position, the mark from which its pool is judged again, and 2·market +
    (0 long, 1 short). `queue`: pools to judge; `due`: pools under liquidation.
    `markets`, `tiers`: the rules of each market. `last_marks`: those of the last settlement.
    `fee_class` by account, `fee_rates` by class. `rules`: those of the venue.
    """

    positions: Int64
    pools: Int64
    totals: Int64
    first: Int64
    slots: NDArray[np.int32]
    triggers: Int64
    sides: NDArray[np.int32]
    queue: Int64
    due: Int64
    markets: Int64
    tiers: Int64
    last_marks: Int64
    fee_class: Int64
    fee_rates: Int64
    rules: Int64


LEDGER = types.BaseTuple.from_types(  # type: ignore[no-untyped-call]
    (I2, I2, I1, I1, INT32_1, I1, INT32_1, I1, I1, I2, I3, I1, I1, I2, I1), Ledger
)
"""Its numba type."""
