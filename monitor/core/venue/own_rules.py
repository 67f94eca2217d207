"""Rules that single positions have of their own, where they differ from their market's.

Three things give a position such rules: its market's tier table changed and the regime lets open
positions keep theirs; the venue shows a maximum leverage that the market's table does not have; or
its account has a maintenance rate of its own. Every different set of rules has a number, which the
ledger keeps with the position until it closes or turns (`AccountLedger.own_rules`).

A maximum leverage that the table does not have where the position stands is one from before it: one
rate, half of 1/maximum leverage, for all of the position, whatever its size. A venue shows that of
the tier in which a position is, so one below the table's first is no sign of an older table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_entries import SHOWN_LEVERAGE, SHOWN_MARK
from monitor.core.accounts.ledger_kernels import (
    ACCOUNT,
    ROW_ENTRY,
    ROW_QUANTITY,
    ROW_REST,
    SYMBOL,
    account_of,
    symbol_of,
)
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.batch import ABSENT, TextColumn
from monitor.core.decode.stepped_kernels import limbs_to_e8, to_float
from monitor.core.margin.liquidation_price import Regime
from monitor.core.margin.tiers import Tiers

RULES_MAX = 4096
"""Different sets of rules; a position that would need one more has its market's."""
_SAME = 1e-6
"""Rates that differ by less than this part are the same: a venue shows whole leverages."""

Rules = tuple[Regime, Tiers]


class RuleSet(NamedTuple):
    """Rules that some positions of a market have. `table`: the reference record with their tier
    table; empty: one rate, `rate` (1e-8 of notional), for all of a position."""

    symbol: str
    table: bytes
    rate: int


class OwnRules(Stateful):
    """All such rules of a venue.

    `read_rules`: regime and table of a market's reference record. `account_rates`: by account, 1e-8
    of notional. `refused`: positions without their own rules, for there are `RULES_MAX` already.
    `version` rises with every new set.
    """

    STATE = "_sets", "account_rates", "refused"

    def __init__(self, ledger: AccountLedger, read_rules: Callable[[bytes], Rules | None]) -> None:
        self._ledger, self._read_rules = ledger, read_rules
        self._sets: list[RuleSet] = []
        self._numbers: dict[RuleSet, int] = {}
        self._read: list[Rules | Tiers] = []
        """By set, what it says: regime and table, or the one rate."""
        self.account_rates: dict[str, int] = {}
        self.refused = 0

    @property
    def version(self) -> int:
        return len(self._sets)

    def rules(self, market_rules: Mapping[str, Rules]) -> list[tuple[str, Rules | None]]:
        """Market and rules by number, from 1; None: the market itself has none."""
        out: list[tuple[str, Rules | None]] = []
        for (symbol, _, _), own in zip(self._sets, self._read, strict=True):
            market = market_rules.get(symbol)
            if market is not None and isinstance(own, Tiers):
                market = market[0], own
            elif market is not None and not isinstance(own, Tiers):
                market = own
            out.append((symbol, market))
        return out

    def keep_table(self, symbol: str, table: bytes) -> None:
        """The positions that are open in a market keep this table, unless they have their own."""
        rows = self._open_rows(SYMBOL, symbol)
        rows = rows[self._ledger.own_rules[rows, 0] == 0]
        self._give(rows, RuleSet(symbol, table, 0))

    def set_account_rate(self, account: str, rate: int) -> None:
        """Count all positions of an account, open now or later, at one maintenance rate."""
        self.account_rates[account] = rate
        self._apply_account_rates(self._open_rows(ACCOUNT, account))

    def apply(
        self, came: tuple[Int64, ...], shown: Int64, marks: Int64, rules: Mapping[str, Rules]
    ) -> None:
        """What the entries of a cell opened, and what the venue showed in it (`SHOWN_COLUMNS`).

        `marks`: by symbol, codes. `rules`: of the markets.
        """
        if self.account_rates:
            entries = np.concatenate(came)
            entries = entries[entries[:, SYMBOL] >= 0]
            rows = self._ledger.find_rows(entries[:, ACCOUNT], entries[:, SYMBOL])
            self._apply_account_rates(np.unique(rows[self._ledger.is_open[rows]]))
        shown = shown[shown[:, SHOWN_LEVERAGE] != ABSENT]
        if not len(shown):
            return
        rows = self._ledger.find_rows(shown[:, ACCOUNT], shown[:, SYMBOL])
        names = self._ledger.symbols.names(shown[:, SYMBOL])
        for name, row, symbol, values in zip(
            names, rows.tolist(), shown[:, SYMBOL].tolist(), shown.tolist(), strict=True
        ):
            code = marks[symbol] if values[SHOWN_MARK] == ABSENT else values[SHOWN_MARK]
            if name in rules and rules[name][0].keeps_tables:
                rate = SCALE * SCALE // (2 * values[SHOWN_LEVERAGE])
                self._set_rate(row, name, rate, int(code), rules[name])

    def set_rate(self, row: int, symbol: str, rate: int) -> None:
        """Count one position at one rate (1e-8 of notional), whatever its market's table says."""
        self._give(np.array([row]), RuleSet(symbol, b"", rate))

    def set_table(self, row: int, symbol: str, table: bytes) -> None:
        """Give one position the tier table of this reference record."""
        self._give(np.array([row]), RuleSet(symbol, table, 0))

    def _set_rate(self, row: int, symbol: str, rate: int, mark: int, market: Rules) -> None:
        """Give a position the rate that the venue shows, unless its rules have that already."""
        whole, rest, entry = self._ledger.position_rows[row, [ROW_QUANTITY, ROW_REST, ROW_ENTRY]]
        notional = Fraction(int(entry), MONEY_SCALE)
        if mark != ABSENT:
            notional = Fraction(abs(limbs_to_e8(whole, rest)) / SCALE * to_float(mark))
        number = int(self._ledger.own_rules[row, 0])
        if number:
            own = self._read[number - 1]
            if _has_rate(own if isinstance(own, Tiers) else own[1], notional, rate):
                return
        if _has_rate(market[1], notional, rate):
            self._ledger.set_own_rules(np.array([row]), 0)
        else:
            self.set_rate(row, symbol, rate)

    def _apply_account_rates(self, rows: Int64) -> None:
        ledger = self._ledger
        keys = ledger.keys[rows]
        owners = ledger.names.names(account_of(keys))
        symbols = ledger.symbols.names(symbol_of(keys))
        # In the order of names: numbers of rows depend on arrival.
        for owner, symbol, row in sorted(zip(owners, symbols, rows.tolist(), strict=True)):
            if owner in self.account_rates:
                self.set_rate(row, symbol, self.account_rates[owner])

    def _open_rows(self, column: int, name: str) -> Int64:
        """The open positions of an account or a market."""
        ledger = self._ledger
        names = ledger.names if column == ACCOUNT else ledger.symbols
        (number,) = names.intern(TextColumn.from_strings([name])).tolist()
        of = account_of(ledger.keys) if column == ACCOUNT else symbol_of(ledger.keys)
        rows: Int64 = np.flatnonzero((of == number) & ledger.is_open)
        return rows

    def _give(self, rows: Int64, rules: RuleSet) -> None:
        number = self._numbers.get(rules)
        if number is None and len(self._sets) == RULES_MAX:
            self.refused += len(rows)
        elif len(rows):
            if number is None:
                self._add(rules)
                number = len(self._sets)
            self._ledger.set_own_rules(rows, number)

    def _add(self, rules: RuleSet) -> None:
        self._sets.append(rules)
        self._numbers[rules] = len(self._sets)
        one_rate = Tiers.flat(Fraction(rules.rate, SCALE))
        self._read.append((self._read_rules(rules.table) if rules.table else None) or one_rate)

    def restore(self, state: dict[str, object]) -> None:
        super().restore(state)
        sets, self._sets, self._numbers, self._read = self._sets, [], {}, []
        for values in sets:
            self._add(RuleSet(*values))

    def digest_parts(self) -> list[bytes]:
        """What stands in no row of the ledger; nothing where there are no such rules."""
        facts = self._sets, sorted(self.account_rates.items()), self.refused
        return [repr(facts).encode()] if any(facts) else []


def _has_rate(tiers: Tiers, notional: Fraction, rate: int) -> bool:
    """Whether the tier of a notional has this rate (1e-8)."""
    own = tiers.rows[tiers.index_at(notional)].rate
    return abs(own * SCALE - rate) <= _SAME * rate + 1
