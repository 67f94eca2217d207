"""Collateral outside, from the liquidation prices that a venue prints.

A printed price L of a position of a cross account says what equity the venue counts: with p the
mark that it was computed at, z = |q| and M the maintenance margin,

    equity − all maintenance at p  =  M(z·L) − M(z·p) − q·(L − p) + fee·z·L

The right side needs the position alone, so every print of an account must give the same surplus. A
long position for which the venue prints none says that the surplus is at least what L = 0 gives.
The surplus that most prints agree on is the account's: that of the equity on record where it is
among them. What it has more than the records say is collateral outside (spot balances that a
unified account counts); with it all other positions of the account have their prices too.

A print that does not agree may be that of a position that kept older rules of its market: where the
regime keeps tables, and one whole maximum leverage explains it exactly, or a table with tiers that
the venue has in another market, the position gets these. One that is far off is taken at its word:
the position has a margin of its own, of which the print says how large it is. What is left
disagrees and is counted: it was read at another moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Float64, Int64
from monitor.core.accounts import ledger_kernels as kernels
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_entries import SHOWN_MARK, SHOWN_PRICE
from monitor.core.bands.account_surplus import TOLERANCE, CrossAccount, settle
from monitor.core.bands.inputs import MarketInputs, MarketRules
from monitor.core.bands.kernels.arrays import PositionArrays
from monitor.core.bands.pools import Pools
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import to_floats
from monitor.core.margin.regimes import REGIMES
from monitor.core.venue.own_rules import OwnRules

MET, OUTSIDE, OLDER_RULES, OWN_MARGIN, ISOLATED, DISAGREES, NOT_KNOWN = (
    "met", "collateral_outside", "older_rules", "own_margin", "isolated", "disagrees",
    "not_known",
)  # fmt: skip
"""What came of a printed price: the equity on record gives it; it does with collateral outside;
older rules of its market do; a margin of its own that no record names; its position is isolated,
and its margin is on record; nothing does; its position, mark or tier table is not there."""


class _Surplus(NamedTuple):
    """Of an account, quote currency; its error, as prints are rounded; how many prints gave it."""

    value: float
    error: float
    prints: int


@dataclass(frozen=True, slots=True)
class _Venue:
    """The pools and rules as they stand. `marks`: by column of the rules. `records`: of the rules,
    by market."""

    positions: PositionArrays
    rules: MarketRules
    marks: Float64
    records: Mapping[str, bytes]

    def tables_with_tiers(self) -> list[tuple[int, bytes]]:
        """The different tables of several tiers that markets have: a column, and the record."""
        rules, names = self.rules.arrays, self.rules.names
        tables: dict[bytes, tuple[int, bytes]] = {}
        for k in sorted(range(len(names)), key=names.__getitem__):
            tiers = rules.tiers[:, rules.tier_start[k] : rules.tier_start[k + 1]]
            keeps = REGIMES[self.rules.regimes[k]].keeps_tables
            if keeps and tiers.shape[1] > 1 and names[k] in self.records:
                tables.setdefault(tiers.tobytes(), (k, self.records[names[k]]))
        return list(tables.values())


def _find_table(one: CrossAccount, place: int, surplus: float, venue: _Venue) -> bytes | None:
    """The record of a table with tiers that gives a position's print beside this surplus."""
    at = [place]
    alone = CrossAccount(
        one.quantity[at], one.entry[at], one.columns[at], one.mark[at], one.printed[at],
        one.is_none[at],
    )  # fmt: skip
    for column, record in venue.tables_with_tiers():
        other = alone._replace(columns=np.array([column]))
        if abs(other.surpluses(venue.rules.arrays)[0] - surplus) <= other.allowed[0]:
            return record
    return None


class PrintedPrices(Stateful):
    """Calibrates a venue's accounts by what it prints. `verdicts`: prints so far, by verdict."""

    STATE = ("verdicts",)

    def __init__(self, ledger: AccountLedger, pools: Pools, own_rules: OwnRules) -> None:
        self._ledger, self._pools, self._own_rules = ledger, pools, own_rules
        self.verdicts: Counter[str] = Counter()

    def calibrate(
        self, end_ns: int, shown: Int64, inputs: MarketInputs, records: Mapping[str, bytes]
    ) -> bool:
        """Take in what the venue showed (`SHOWN_COLUMNS`) in the cell that ends at `end_ns`; False:
        it was nothing. `records`: of the rules of each market."""
        if not len(shown):
            return False
        # A position with a mark and no price has none; the other positions' marks count too.
        shown = shown[(shown[:, [SHOWN_PRICE, SHOWN_MARK]] != ABSENT).any(axis=1)]
        if not len(shown):
            return False
        accounts = self._by_account(shown)
        venue = self._read_venue(inputs, records)
        settled = [self._settle_account(a, mine, venue, end_ns) for a, mine in accounts]
        venue = self._read_venue(inputs, records)
        for (account, mine), one in zip(accounts, settled, strict=True):
            if one is not None:
                self._set_outside(account, mine, venue, one)
        return True

    def _by_account(self, shown: Int64) -> list[tuple[int, Int64]]:
        """By account, in the order of their names: numbers depend on arrival."""
        shown = shown[np.argsort(shown[:, kernels.ACCOUNT], kind="stable")]
        numbers, first = np.unique(shown[:, kernels.ACCOUNT], return_index=True)
        parts = np.split(shown, first[1:])
        names = self._ledger.names.names(numbers)
        order = sorted(range(len(names)), key=names.__getitem__)
        return [(int(numbers[i]), parts[i]) for i in order]

    def _read_venue(self, inputs: MarketInputs, records: Mapping[str, bytes]) -> _Venue:
        positions = self._pools.update()
        inputs = inputs._replace(own_rules=self._own_rules.rules(inputs.rules))
        rules = MarketRules.read(self._pools.market_names, self._pools.market_symbols, inputs)
        return _Venue(positions, rules, rules.marks(inputs.marks), records)

    def _settle_account(
        self, account: int, shown: Int64, venue: _Venue, end_ns: int
    ) -> _Surplus | None:
        """Give its positions the rules and margins that their prints say; None: there is nothing to
        compare."""
        slots = self._cross_slots(account, venue)
        one = self._read_positions(slots, shown, venue)
        in_pool = set(venue.positions.row[slots].tolist())
        for values in shown[shown[:, SHOWN_PRICE] != ABSENT]:
            row = self._row_of(values)
            if row not in in_pool:
                self._set_isolated(row, values, venue, end_ns)
        if one is None:
            lost = shown[shown[:, SHOWN_PRICE] != ABSENT]
            self.verdicts[NOT_KNOWN] += sum(self._row_of(values) in in_pool for values in lost)
            return None
        regimes = [REGIMES[venue.rules.regimes[k]] for k in one.columns.tolist()]
        keeps = np.array([regime.keeps_tables for regime in regimes], np.bool_)
        recorded = self._recorded_surplus(account, one, venue)
        settled = settle(one, recorded, venue.rules.arrays, keeps)
        margins = one.cash_alone(venue.rules.arrays)
        by_row = {self._row_of(values): values for values in shown}
        for i in np.flatnonzero(~np.isnan(one.printed) & ~settled.meets).tolist():
            row = int(venue.positions.row[slots[i]])
            name = venue.rules.names[venue.rules.arrays.market[one.columns[i]]]
            table = _find_table(one, i, settled.surplus, venue) if keeps[i] else None
            if settled.leverage[i]:
                self._own_rules.set_rate(row, name, round(SCALE / (2 * int(settled.leverage[i]))))
                self.verdicts[OLDER_RULES] += 1
            elif table is not None:
                self._own_rules.set_table(row, name, table)
                self.verdicts[OLDER_RULES] += 1
            elif settled.is_apart[i] and self._set_margin(row, by_row[row], margins[i], end_ns):
                self.verdicts[OWN_MARGIN] += 1
            else:
                self.verdicts[DISAGREES] += 1
        allowed = (TOLERANCE * np.abs(one.quantity) * one.printed)[settled.meets]
        error = float(np.median(allowed)) if len(allowed) else 0.0
        return _Surplus(settled.surplus, error, len(allowed))

    def _set_outside(self, account: int, shown: Int64, venue: _Venue, wanted: _Surplus) -> None:
        """Let the account have this surplus. A difference that no print shows is none."""
        one = self._read_positions(self._cross_slots(account, venue), shown, venue)
        if one is None:
            return
        outside = int(self._ledger.collateral_outside[account, 0])
        more = wanted.value - self._recorded_surplus(account, one, venue)
        if abs(more) > wanted.error and round(more * MONEY_SCALE):
            outside += round(more * MONEY_SCALE)
            self._ledger.set_collateral_outside(account, outside)
        self.verdicts[OUTSIDE if outside else MET] += wanted.prints

    def _cross_slots(self, account: int, venue: _Venue) -> Int64:
        pool = self._pools.cross_pool(account)
        if pool is None:
            return np.empty(0, np.int64)
        first = int(venue.positions.start[pool])
        return np.arange(first, first + int(venue.positions.length[pool]))

    def _recorded_surplus(self, account: int, one: CrossAccount, venue: _Venue) -> float:
        """Of the equity on record and the collateral outside so far, over all maintenance."""
        pool = self._pools.cross_pool(account)
        equity = float(venue.positions.cash[pool] + (one.quantity * one.mark).sum())
        return equity - float(one.maintenance(venue.rules.arrays, one.mark).sum())

    def _read_positions(self, slots: Int64, shown: Int64, venue: _Venue) -> CrossAccount | None:
        """The positions of a pool with what the venue shows; None: there are none, or one has no
        mark or tier table."""
        positions, marks = venue.positions, venue.marks
        columns = positions.rules[slots].astype(np.int64)
        columns = np.where(columns < 0, columns + len(marks), columns)
        mark, printed = marks[columns], np.full(len(slots), np.nan)
        is_none = np.zeros(len(slots), np.bool_)
        places = {row: i for i, row in enumerate(positions.row[slots].tolist())}
        for values in shown:
            place = places.get(self._row_of(values))
            if place is None:
                continue
            price, at = to_floats(values[[SHOWN_PRICE, SHOWN_MARK]])
            if values[SHOWN_MARK] != ABSENT and mark[place] == mark[place]:
                mark[place] = at
            is_none[place] = values[SHOWN_PRICE] == ABSENT
            printed[place] = np.nan if is_none[place] else price
        if not len(slots) or np.isnan(mark).any():
            return None
        sizes = positions.quantity[slots], positions.entry[slots]
        return CrossAccount(*sizes, columns, mark, printed, is_none)

    def _row_of(self, values: Int64) -> int:
        """The ledger's row of a position that the venue shows."""
        rows = self._ledger.find_rows(values[[kernels.ACCOUNT]], values[[kernels.SYMBOL]])
        return int(rows[0])

    def _set_isolated(self, row: int, values: Int64, venue: _Venue, end_ns: int) -> None:
        """Give an isolated position without a margin on record that of its printed price."""
        if not self._ledger.is_open[row]:
            self.verdicts[NOT_KNOWN] += 1
            return
        if self._ledger.position_rows[row, kernels.ROW_ISOLATED] > 0:
            self.verdicts[ISOLATED] += 1
            return
        slots = np.flatnonzero((venue.positions.row == row) & (venue.positions.quantity != 0.0))
        one = self._read_positions(slots, values[None], venue)
        alone = np.array([np.nan]) if one is None else one.cash_alone(venue.rules.arrays)
        is_set = self._set_margin(row, values, float(alone[0]), end_ns)
        self.verdicts[OWN_MARGIN if is_set else NOT_KNOWN] += 1

    def _set_margin(self, row: int, values: Int64, cash: float, end_ns: int) -> bool:
        """Make a position isolated with this cash; False: it would have no margin at all."""
        trade, fees, funding = self._ledger.position_rows[
            row, [kernels.ROW_TRADE, kernels.ROW_FEES, kernels.ROW_FUNDING]
        ].tolist()
        margin = 0 if cash != cash else round(cash * MONEY_SCALE) - trade - funding + fees
        if margin <= 0:
            return False
        entry = np.zeros((1, len(kernels.ENTRY_COLUMNS)), np.int64)
        entry[0, : kernels.SYMBOL + 1] = values[: kernels.SYMBOL + 1]
        entry[0, kernels.TS] = end_ns - 1
        entry[0, kernels.POSITION_MARGIN] = margin
        entry[0, kernels.POSITION_LEVERAGE] = ABSENT
        entry[0, kernels.POSITION_MODE] = kernels.ISOLATED
        self._ledger.apply_entries(entry)
        return True
