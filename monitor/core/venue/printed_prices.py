"""Collateral outside, from the liquidation prices that a venue prints.

A printed price L of a position of a cross account says what equity the venue counts: with p the
mark that it was computed at, z = |q| and M the maintenance margin,

    equity − all maintenance at p  =  M(z·L) − M(z·p) − q·(L − p) + fee·z·L

The right side needs the position alone, so every print of an account must give the same surplus.
The surplus that most prints agree on is the account's: that of the equity on record where it is
among them. What it has more than the records say is collateral outside (spot balances that a
unified account counts); with it all other positions of the account have their prices too.

A print that does not agree may be that of a position that kept an older maximum leverage: where one
whole leverage explains it exactly, and the regime keeps tables, the position gets that rate. What
is left disagrees, and is counted: the position may be isolated, or was read at another moment.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.accounts import ledger_kernels as kernels
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_entries import SHOWN_MARK, SHOWN_PRICE
from monitor.core.bands.inputs import MarketInputs, MarketRules, RuleArrays
from monitor.core.bands.kernels.arrays import TIER_DEDUCTION, TIER_RATE, PositionArrays
from monitor.core.bands.pools import Pools
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import to_floats
from monitor.core.margin.regimes import REGIMES
from monitor.core.venue.own_rules import OwnRules

MET, NEW_COLLATERAL, OLDER_LEVERAGE, DISAGREES, ISOLATED, NOT_KNOWN = (
    "met", "collateral_outside", "older_leverage", "disagrees", "isolated", "not_known",
)  # fmt: skip
"""What came of a printed price: the equity on record gives it; so does collateral outside, which
this or another print of the account showed; an older maximum leverage does; no equity of the
account gives it beside the others; its position is isolated, and collateral is no question;
its position, mark or tier table is not there."""
TOLERANCE = 1e-5
"""Of the price: prints that differ by less agree."""
LEVERAGE_MAX = 100
"""The largest maximum leverage that is looked for."""
_ROUNDING = 2e-6
"""Money of each position is rounded to 1e-6."""


class CrossAccount(NamedTuple):
    """The positions of a cross account. `columns`: of their rules. `mark`: where its venue had it.
    `printed`: NaN: none."""

    quantity: Float64
    entry: Float64
    columns: Int64
    mark: Float64
    printed: Float64
    surplus: float
    """Of the equity on record and collateral outside so far, over all maintenance."""

    def maintenance(self, rules: RuleArrays, price: Float64) -> Float64:
        """Of each position at a price of its own, quote currency."""
        size, out = np.abs(self.quantity), np.empty(len(price))
        for i, column in enumerate(self.columns.tolist()):
            rows = rules.tiers[:, rules.tier_start[column] : rules.tier_start[column + 1]]
            at = self.entry[i] if rules.at_entry[column] else price[i]
            needs = rows[TIER_RATE] * size[i] * at - rows[TIER_DEDUCTION]
            if rules.whole[column]:
                own = np.searchsorted(rows[0], size[i] * self.mark[i], side="right") - 1
                needs = needs[max(int(own), 0)]
            out[i] = np.max(needs)
        return out


class Settled(NamedTuple):
    """What an account's prints come to: its surplus, by position whether the table gives its print,
    and the older maximum leverage that does; 0: none."""

    surplus: float
    meets: Bool
    leverage: Int64


def settle(account: CrossAccount, rules: RuleArrays, keeps_tables: Bool) -> Settled:
    """The surplus that most prints of an account agree on; of equals that on record comes first."""
    q, p, printed = account.quantity, account.mark, account.printed
    z, fee = np.abs(q), rules.fee[account.columns]
    needs = account.maintenance(rules, np.where(np.isnan(printed), p, printed))
    gain = q * (printed - p) - fee * z * printed
    surplus = needs - account.maintenance(rules, p) - gain
    allowed = TOLERANCE * z * printed + _ROUNDING * len(q)
    candidates = np.append(account.surplus, surplus[~np.isnan(surplus)])[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        meets = np.abs(candidates - surplus) <= allowed
        times = np.rint(z * (printed - p) / (candidates + gain) / 2.0)
        flat = 0.5 / times * z * (printed - p) - gain
        is_older = (times >= 1) & (times <= LEVERAGE_MAX) & (np.abs(candidates - flat) <= allowed)
    is_older &= ~meets & keeps_tables
    explained = meets.sum(axis=1) * (1 + (meets | is_older).sum(axis=1))
    best = int(np.argmax(explained))
    agreed = candidates[0, 0] if best == 0 else float(np.median(surplus[meets[best]]))
    return Settled(agreed, meets[best], np.where(is_older[best], times[best], 0).astype(np.int64))


class PrintedPrices(Stateful):
    """Calibrates a venue's accounts by what it prints. `verdicts`: prints so far, by verdict."""

    STATE = ("verdicts",)

    def __init__(self, ledger: AccountLedger, pools: Pools, own_rules: OwnRules) -> None:
        self._ledger, self._pools, self._own_rules = ledger, pools, own_rules
        self.verdicts: Counter[str] = Counter()

    def calibrate(self, shown: Int64, inputs: MarketInputs) -> bool:
        """Take in what was printed by now (`SHOWN_COLUMNS`). Whether an account has changed."""
        is_printed = shown[:, SHOWN_PRICE] != ABSENT
        if not is_printed.any():
            return False
        # The marks of an account's other positions count too.
        accounts = np.unique(shown[is_printed, kernels.ACCOUNT])
        positions = self._pools.update()
        rules = MarketRules.read(self._pools.market_names, self._pools.market_symbols, inputs)
        marks, before = rules.marks(inputs.marks), self.verdicts.copy()
        for account in accounts.tolist():
            mine = shown[shown[:, kernels.ACCOUNT] == account]
            self._calibrate_account(account, mine, positions, rules, marks)
        new = self.verdicts - before
        return bool(new[NEW_COLLATERAL] or new[OLDER_LEVERAGE])

    def _calibrate_account(
        self, account: int, shown: Int64, positions: PositionArrays, rules: MarketRules,
        marks: Float64,
    ) -> None:  # fmt: skip
        pool = self._pools.cross_pool(account)
        slots = np.empty(0, np.int64)
        if pool is not None:
            first = int(positions.start[pool])
            slots = np.arange(first, first + positions.length[pool])
        columns = positions.rules[slots].astype(np.int64)
        columns = np.where(columns < 0, columns + len(marks), columns)
        mark, printed = marks[columns], np.full(len(slots), np.nan)
        of_slot = {symbol: i for i, symbol in enumerate(rules.symbols[columns].tolist())}
        for values in shown:
            place = of_slot.get(int(values[kernels.SYMBOL]))
            has_price = values[SHOWN_PRICE] != ABSENT
            if place is None:
                is_isolated = self._is_isolated(account, int(values[kernels.SYMBOL]))
                self.verdicts[ISOLATED if is_isolated else NOT_KNOWN] += has_price
                continue
            if has_price:
                (printed[place],) = to_floats(values[[SHOWN_PRICE]])
            if values[SHOWN_MARK] != ABSENT and mark[place] == mark[place]:
                (mark[place],) = to_floats(values[[SHOWN_MARK]])
        prints = int((~np.isnan(printed)).sum())
        if not prints or np.isnan(mark).any() or pool is None:
            self.verdicts[NOT_KNOWN] += prints
            return
        quantity = positions.quantity[slots]
        one = CrossAccount(quantity, positions.entry[slots], columns, mark, printed, 0.0)
        equity = float(positions.cash[pool] + (quantity * mark).sum())
        one = one._replace(surplus=equity - float(one.maintenance(rules.arrays, mark).sum()))
        self._apply(account, slots, one, positions, rules)

    def _is_isolated(self, account: int, symbol: int) -> bool:
        """Whether an account has an isolated position in a market."""
        rows = self._ledger.find_rows(np.array([account]), np.array([symbol]))
        of_market = bool(self._ledger.isolated_only[symbol, 0])
        of_position = bool(self._ledger.position_rows[rows[0], kernels.ROW_MODE] == kernels.ISOLATED)
        return bool(self._ledger.is_open[rows[0]]) and (of_market or of_position)

    def _apply(
        self, account: int, slots: Int64, one: CrossAccount, positions: PositionArrays,
        rules: MarketRules,
    ) -> None:  # fmt: skip
        keeps = np.array([REGIMES[rules.regimes[k]].keeps_tables for k in one.columns.tolist()])
        settled = settle(one, rules.arrays, keeps)
        older = np.flatnonzero(settled.leverage)
        needs_before = one.maintenance(rules.arrays, one.mark)
        more = settled.surplus - one.surplus
        for i in older.tolist():
            rate = round(0.5 * SCALE / settled.leverage[i])
            name = rules.names[rules.arrays.market[one.columns[i]]]
            self._own_rules.set_rate(int(positions.row[slots[i]]), name, rate)
            more += abs(one.quantity[i]) * one.mark[i] * rate / SCALE - needs_before[i]
        # A remainder below what prints may differ by is none.
        nearly = np.median((TOLERANCE * np.abs(one.quantity) * one.printed)[settled.meets])
        units = 0 if abs(more) <= nearly else round(more * MONEY_SCALE)
        prints, met = int((~np.isnan(one.printed)).sum()), int(settled.meets.sum())
        if units:
            outside = int(self._ledger.collateral_outside[account, 0])
            self._ledger.set_collateral_outside(account, outside + units)
        has_outside = self._ledger.collateral_outside[account, 0] != 0
        self.verdicts[NEW_COLLATERAL if has_outside else MET] += met
        self.verdicts[OLDER_LEVERAGE] += len(older)
        self.verdicts[DISAGREES] += prints - met - len(older)
