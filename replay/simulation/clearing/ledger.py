"""Opening the clearing house: the rules of its markets, its arrays, and room for more positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.arrays.types import Int64
from monitor.core.contract import stepped
from monitor.core.contract.events import MarketReference
from monitor.core.contract.fixed_point import INT64_MAX, MONEY_SCALE, SCALE
from monitor.errors import ConfigError
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.accounts import rehash
from replay.simulation.clearing.columns import Ledger
from replay.simulation.clearing.regimes import CLEARING

POSITIONS_AT_FIRST = 4
"""Positions an account for which there is room at first; pages that nothing is written to cost no
memory."""


@dataclass(frozen=True, slots=True)
class VenueMoney:
    """What the venue's own accounts begin with (1e-6), and the fees of each class of accounts as
    (maker, taker), 1e-8 of notional; below 0: a rebate. Class 0 is everybody's, 1 market makers'.
    """

    vault: int = 0
    fund: int = 0
    fee_rates: tuple[tuple[int, int], ...] = ((15_000, 45_000), (-3_000, 45_000))


def open_ledger(
    references: Sequence[MarketReference],
    accounts: int,
    money: VenueMoney | None = None,
    fee_class: Int64 | None = None,
) -> Ledger:
    """A ledger without positions, for markets with these rules and so many accounts.

    Raises `ConfigError` where the rules of a market cannot be executed, and says how to mend them.
    """
    money = money or VenueMoney()
    regimes = {row.path or row.regime or "" for row in references}
    if len(regimes) != 1 or not regimes <= CLEARING.keys():
        raise ConfigError(
            f"the markets' regimes are {', '.join(sorted(regimes)) or 'none'}: "
            f"give all of them one of {', '.join(CLEARING)}"
        )
    rules = CLEARING[regimes.pop()]
    rows = max(POSITIONS_AT_FIRST * accounts, 1024)
    everybody = accounts + 2
    classes = np.zeros(everybody, np.int64)
    if fee_class is not None:
        classes[:accounts] = fee_class
    ledger = Ledger(
        positions=np.zeros((rows, c.POSITION_WIDTH), np.int64),
        pools=np.zeros((everybody + rows, c.POOL_WIDTH), np.int64),
        totals=np.zeros(c.TOTALS_WIDTH, np.int64),
        first=np.zeros(everybody, np.int64),
        slots=np.zeros(_slots_for(rows), np.int32),
        triggers=np.zeros(rows, np.int64),
        sides=np.zeros(rows, np.int32),
        queue=np.zeros(everybody + rows, np.int64),
        due=np.zeros(everybody + rows, np.int64),
        markets=np.array([_market_row(row) for row in references], np.int64),
        tiers=_tier_table(references),
        last_marks=np.zeros(len(references), np.int64),
        fee_class=classes,
        fee_rates=np.array(money.fee_rates, np.int64),
        rules=np.array([accounts, *rules.numbers()], np.int64),
    )
    ledger.pools[accounts : accounts + 2, c.CASH] = money.vault, money.fund
    ledger.totals[c.PAID_IN] = money.vault + money.fund
    return ledger


def add_room(ledger: Ledger, fills: int) -> Ledger:
    """A ledger that takes `fills` more fills: the same one, or one with wider arrays of the same
    contents."""
    rows, used = len(ledger.positions), int(ledger.totals[c.ROWS])
    if used + 2 * fills <= rows:
        return ledger
    wide = 2 * (used + 2 * fills)
    pools = len(ledger.pools) - rows + wide
    wider = ledger._replace(
        positions=_widen(ledger.positions, wide),
        pools=_widen(ledger.pools, pools),
        slots=np.zeros(_slots_for(wide), np.int32),
        triggers=_widen(ledger.triggers, wide),
        sides=_widen(ledger.sides, wide),
        queue=_widen(ledger.queue, pools),
        due=_widen(ledger.due, pools),
    )
    rehash(wider)
    return wider


def _slots_for(rows: int) -> int:
    """Slots of a hash table that stays at most half full."""
    return 1 << (2 * rows - 1).bit_length()


def _widen(array: Any, length: int) -> Any:
    out = np.zeros((length, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out


def _market_row(row: MarketReference) -> list[int]:
    """`TICK_VALUE`, `TOP_RATE` and `LEVERAGE_MAX` of a market."""
    if row.tick is None or row.lot is None or not row.tiers:
        raise ConfigError(f"{row.symbol} has no tick, lot or tiers: its reference must give them")
    if row.tiers_by == "contracts" or (row.contract and row.contract.type != "linear"):
        raise ConfigError(
            f"{row.symbol} is not linear with tiers by notional: "
            "the simulated venue clears no other"
        )
    value = stepped.exact(row.tick) * stepped.exact(row.lot) * MONEY_SCALE
    if value.denominator != 1:
        raise ConfigError(
            f"a tick of a lot of {row.symbol} is worth {float(value):g} of 1e-6: "
            "choose tick and lot so that it is a whole number"
        )
    highest = SCALE * SCALE // max(_initial_rates(row)[0], 1)
    return [int(value), max(tier.maintenance_rate for tier in row.tiers), highest]


def _initial_rates(row: MarketReference) -> list[int]:
    """Initial margin rates (1e-8) of the tiers; without one, twice the maintenance rate."""
    return [
        min(2 * tier.maintenance_rate, SCALE) if tier.initial_rate is None else tier.initial_rate
        for tier in row.tiers or ()
    ]


def _tier_table(references: Sequence[MarketReference]) -> Int64:
    """(markets, most tiers, `TIER_WIDTH`); rows that a market does not have are never reached."""
    most = max(len(row.tiers or ()) for row in references)
    table = np.zeros((len(references), most, c.TIER_WIDTH), np.int64)
    table[:, :, c.BOUND] = INT64_MAX
    for market, row in enumerate(references):
        rates = [
            (t.maintenance_rate, r)
            for t, r in zip(row.tiers or (), _initial_rates(row), strict=True)
        ]
        deductions, before, bound_before = [0, 0], (0, 0), -1
        for place, (tier, pair) in enumerate(zip(row.tiers or (), rates, strict=True)):
            bound = tier.lower_bound
            rises = all(new >= old for new, old in zip(pair, before, strict=True))
            if not rises or bound <= bound_before or (place == 0 and bound):
                raise ConfigError(
                    f"tier {place} of {row.symbol}: list the tiers from 0 by rising lower bound, "
                    "with rates that do not fall"
                )
            deductions = [
                d + bound * (new - old) // SCALE
                for d, new, old in zip(deductions, pair, before, strict=True)
            ]
            table[market, place] = bound, pair[0], deductions[0], pair[1], deductions[1]
            before, bound_before = pair, bound
    return table
