"""What the printed liquidation prices of one account say of its equity.

See `monitor/core/venue/printed_prices.py`, which applies it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.bands.inputs import RuleArrays
from monitor.core.bands.kernels.arrays import TIER_BOUND, TIER_DEDUCTION, TIER_RATE

TOLERANCE = 1e-5
"""Of the price: prints that differ by less agree."""
APART = 0.01
"""Of the price: prints that differ by less are of one account that was read at two moments."""
LEVERAGE_MAX = 100
"""The largest maximum leverage that is looked for."""
_ROUNDING = 2e-6
"""Money of each position is rounded to 1e-6."""


class CrossAccount(NamedTuple):
    """The positions of a cross account, in the order of their slots.

    `columns`: of their rules. `mark`: where its venue had it. `printed`: NaN: none; `is_none`: the
    venue says that there is none.
    """

    quantity: Float64
    entry: Float64
    columns: Int64
    mark: Float64
    printed: Float64
    is_none: Bool

    def maintenance(self, rules: RuleArrays, price: Float64) -> Float64:
        """Of each position at a price of its own, quote currency."""
        size, out = np.abs(self.quantity), np.empty(len(price))
        for i, column in enumerate(self.columns.tolist()):
            rows = rules.tiers[:, rules.tier_start[column] : rules.tier_start[column + 1]]
            at = self.entry[i] if rules.at_entry[column] else price[i]
            needs = rows[TIER_RATE] * size[i] * at - rows[TIER_DEDUCTION]
            if rules.whole[column]:
                tier = np.searchsorted(rows[TIER_BOUND], size[i] * self.mark[i], side="right") - 1
                needs = needs[max(int(tier), 0)]
            out[i] = np.max(needs)
        return out

    def cash_alone(self, rules: RuleArrays) -> Float64:
        """What each position would have to have as a pool of its own, less quantity × mark, for its
        printed price; NaN: there is none."""
        price = np.where(np.isnan(self.printed), self.mark, self.printed)
        fees = rules.fee[self.columns] * np.abs(self.quantity) * self.printed
        return self.maintenance(rules, price) - self.quantity * self.printed + fees

    def surpluses(self, rules: RuleArrays) -> Float64:
        """What the account has over all maintenance, as the print of each position says."""
        worth = self.quantity * self.mark - self.maintenance(rules, self.mark)
        return self.cash_alone(rules) + worth

    @property
    def allowed(self) -> Float64:
        """By how much the surpluses of prints may differ that agree."""
        return TOLERANCE * np.abs(self.quantity) * self.printed + _ROUNDING * len(self.quantity)


class Settled(NamedTuple):
    """What an account's prints come to: its surplus; by position whether the table gives its print,
    the older maximum leverage that does (0: none), and whether it is far off."""

    surplus: float
    meets: Bool
    leverage: Int64
    is_apart: Bool


def settle(
    account: CrossAccount, recorded: float, rules: RuleArrays, keeps_tables: Bool
) -> Settled:
    """The surplus that most prints of an account agree on; of equals the `recorded` one is first.

    `keeps_tables`: by position, whether its regime does. Where no two prints agree, those count
    first with which the venue's words that there is no price hold.
    """
    q, p, printed = account.quantity, account.mark, account.printed
    z = np.abs(q)
    before = account.maintenance(rules, p)
    gain = q * (printed - p) - rules.fee[account.columns] * z * printed
    surplus, allowed = account.surpluses(rules), account.allowed
    least = np.where(account.is_none & (q > 0), q * p - before, -np.inf)
    prints = surplus[~np.isnan(surplus)]
    lowest = least.max() + _ROUNDING * len(q)
    candidates = np.concatenate(([recorded], prints, [lowest]))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        meets = np.abs(candidates - surplus) <= allowed
        times = np.rint(z * (printed - p) / (candidates + gain) / 2.0)
        flat = 0.5 / times * z * (printed - p) - gain
        is_older = (times >= 1) & (times <= LEVERAGE_MAX) & (np.abs(candidates - flat) <= allowed)
        is_apart = np.abs(candidates - surplus) > APART * z * printed
    is_older &= ~meets & keeps_tables
    of_table, explained = meets.sum(axis=1), (meets | is_older).sum(axis=1)
    agreed = np.where(of_table > 1, explained, 0)
    nulls = (candidates >= least - _ROUNDING * len(q)).sum(axis=1)
    order = np.lexsort((-explained, -of_table, -nulls, -agreed))
    best = int(order[0])
    chosen = float(candidates[best, 0])
    if 0 < best <= len(prints):
        chosen = float(np.median(surplus[meets[best]]))
    leverage = np.where(is_older[best], times[best], 0).astype(np.int64)
    return Settled(chosen, meets[best], leverage, is_apart[best] & ~is_older[best])
