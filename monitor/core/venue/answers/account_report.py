"""One account as it stands: where its equity came from, and how far it is from being forced.

The prices are exact, by the solver of `brinkwatch margin` with its trace; the bands' kernels give
the same in floats. Positions and cash are sorted into pools as in `monitor/core/bands/pools.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from monitor.core.accounts.equity_split import EquitySplit
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_kernels import ACCOUNT_TS
from monitor.core.accounts.liquidation_outcomes import MarginPool, pool_of
from monitor.core.bands.inputs import BookImpact, MarketInputs, mark_prices
from monitor.core.contract import stepped
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.batch import ABSENT, TextColumn
from monitor.core.decode.stepped_kernels import LIMB
from monitor.core.margin.calculator import Beside, decimal_text, initial_margin, solve_position
from monitor.core.margin.calculator_input import ZERO, Fields
from monitor.core.margin.calculator_positions import PositionInput
from monitor.core.margin.common_factor import Holding, factor_moves
from monitor.core.margin.contract_types import Contract
from monitor.core.margin.liquidation_price import Position, Prices, Regime, requirement
from monitor.core.marks.market_rows import INDEX, MARK, VALUES
from monitor.core.tables.interner import hash_text
from monitor.core.venue.state import VenueState

PRICES = ("warn", "liquidation", "backstop", "bankruptcy")
WITHOUT_PRICES = (*PRICES, "tier", "trace", "distance", "stressed", "as_isolated", "as_cross")
"""What a position has none of whose pool is not known."""
NEAR_NAMES_MAX = 20_000
"""Accounts among which a name that is not there is looked for."""
REASONS = {
    "no_margin": "isolated, and neither its margin nor its leverage is on record; taken as 0",
    "no_collateral": "no deposit is on record; its equity is what its records add up to",
}
"""Why the money of a pool is not certain, by the verdict of `liquidation_outcomes.pool_of`."""


def find_account(ledger: AccountLedger, name: str) -> int | None:
    """The number of the account `name`; None: no record of it has been applied."""
    names = ledger.names
    (sought,) = hash_text(TextColumn.from_strings([name]))
    alike = np.flatnonzero(names.hashes == sought)
    there = alike[ledger.account_rows[alike, ACCOUNT_TS] != 0]
    return next((n for n in there.tolist() if names.names(np.array([n])) == [name]), None)


def some_accounts(ledger: AccountLedger) -> list[str]:
    """Names of accounts with records, `NEAR_NAMES_MAX` at most."""
    there = np.flatnonzero(ledger.account_rows[:, ACCOUNT_TS] != 0)
    return sorted(ledger.names.names(there[:NEAR_NAMES_MAX]))


def report_account(venue: VenueState, number: int) -> dict[str, Any]:
    """The account of this number, as plain values; amounts and prices as decimal strings.

    `equity` by cause (None in what needs a mark that is not known); `positions`, each with its
    prices and their `trace` as `brinkwatch margin` gives them, their `distance` (fractions of the
    mark), the same prices `stressed` by the slippage of closing into today's book, and as they
    would be `as_isolated` and `as_cross`; `factor`: the moves of all markets together at which the
    cross account is due; `unknown`: what is not known, and what is taken instead.
    """
    return _AccountReport(venue, number).document()


class _OpenPosition(NamedTuple):
    """A position with what is known of its market; `why`: what is missing, empty where nothing is.

    `one`: as the solver takes it, None where something is missing. `slippage`: of closing it, a
    fraction of the mark; None: there is no book.
    """

    symbol: int
    name: str
    row: dict[str, int]
    mark: Fraction | None
    why: str
    regime: Regime | None
    one: PositionInput | None
    slippage: Fraction | None

    @property
    def quantity(self) -> Fraction:
        return Fraction(self.row["quantity"], LIMB)

    @property
    def holding(self) -> Holding:
        """For sums over pools, all of whose positions are priced."""
        assert self.regime is not None
        assert self.one is not None
        return self.regime, self.one.position


class _AccountReport:
    def __init__(self, venue: VenueState, number: int) -> None:
        ledger, inputs = venue.ledger, venue.market_inputs()
        (self._name,) = ledger.names.names(np.array([number]))
        self._account = ledger.account_values(number)
        owner, symbol = ledger.row_owners()
        mine = np.flatnonzero(owner == number)
        self._rows = {int(symbol[row]): ledger.position_values(row) for row in mine.tolist()}
        symbols = np.array([s for s, row in self._rows.items() if row["quantity"]], np.int64)
        books = BookImpact.from_books(mark_prices(inputs.marks[symbols]), symbols, inputs.books)
        every = enumerate(zip(symbols.tolist(), ledger.symbols.names(symbols), strict=True))
        opened = [_open(inputs, books, k, s, name, self._rows[s]) for k, (s, name) in every]
        self._open = sorted(opened, key=lambda one: one.name)
        self._unknown = [f"{one.name}: {one.why}" for one in self._open if one.why]
        self._unknown += [
            f"its wallet in {currency} is not shown: what settles in coin counts by itself"
            for currency in _coin_wallets(venue, self._name)
        ]

    def document(self) -> dict[str, Any]:
        pools = {one.symbol: self._pool(one) for one in self._open}
        for reason in REASONS:
            # A pool of many positions is said once, by its first.
            names = [one.name for one in self._open if pools[one.symbol].reason == reason]
            crossed = reason == "no_collateral"
            self._unknown += [f"{n}: {REASONS[reason]}" for n in names[: 1 if crossed else None]]
        return {
            "account": self._name,
            "equity": self._equity(),
            "positions": [self._position(one, pools[one.symbol]) for one in self._open],
            "factor": self._factor(),
            "unknown": self._unknown,
        }

    def _pool(self, one: _OpenPosition) -> MarginPool:
        return pool_of(self._account, self._rows, one.symbol)

    def _members(self, pool: MarginPool) -> list[_OpenPosition]:
        return [one for one in self._open if one.symbol in pool.rows]

    def _equity(self) -> dict[str, str | None]:
        split = self._split()
        is_known = all(one.mark is not None for one in self._open)
        return _describe_split(split, is_known) | {
            "transfers": decimal_text(split.transfers),
            "total": decimal_text(split.total) if is_known else None,
        }

    def _split(self) -> EquitySplit:
        """Of the whole account; a mark that is not known counts as 0."""
        opened = [EquitySplit.of_position(one.row, one.mark or ZERO) for one in self._open]
        return EquitySplit.sum([EquitySplit.of_closed(self._account), *opened])

    def _position(self, one: _OpenPosition, pool: MarginPool) -> dict[str, Any]:
        row, mark = one.row, one.mark
        entry = Fraction(row["entry"], MONEY_SCALE) / abs(one.quantity)
        notional = None if mark is None else abs(one.quantity) * mark
        split = EquitySplit.of_position(row, mark or ZERO)
        document: dict[str, Any] = {
            "symbol": one.name,
            "mode": pool.mode,
            "quantity": decimal_text(one.quantity),
            "entry": decimal_text(entry),
            "mark": decimal_text(mark),
            "notional": decimal_text(notional),
            "leverage": decimal_text(Fraction(row["leverage"], SCALE)) if row["leverage"] else None,
            "equity": _describe_split(split, mark is not None),
        }
        members = self._members(pool)
        if not _are_priced(members):
            return document | dict.fromkeys(WITHOUT_PRICES)
        equity = _equity_of(pool, members)
        beside = Beside(equity, _others(one, members), None, dated=True)
        regime, position = one.holding
        assert one.one is not None
        own = replace(one.one, isolated=pool.mode == "isolated")
        answer = solve_position(regime, own, beside)
        answer["distance"] = _distances(beside.prices(regime, position), position.price)
        document |= answer
        document["stressed"] = _stressed(one, beside)
        document["as_isolated"] = self._as_isolated(one, pool, equity, members)
        document["as_cross"] = self._as_cross(one)
        return document

    def _as_isolated(
        self, one: _OpenPosition, pool: MarginPool, equity: Fraction, members: list[_OpenPosition]
    ) -> dict[str, Any]:
        """As if its pool were this position with a margin of its own."""
        regime, position = one.holding
        own, basis = equity, "its margin"
        if pool.mode != "isolated":
            own, basis = _margin_alone(one, equity, members)
        prices = Beside(own, ZERO, None, dated=True).prices(regime, position)
        return {"equity": decimal_text(own), "equity_is": basis, **_four(prices)}

    def _as_cross(self, one: _OpenPosition) -> dict[str, Any] | None:
        """As if all positions of the account shared all of its equity."""
        if not _are_priced(self._open):
            return None
        regime, position = one.holding
        beside = Beside(self._split().total, _others(one, self._open), None, dated=True)
        return {"equity": decimal_text(beside.equity), **_four(beside.prices(regime, position))}

    def _factor(self) -> dict[str, float | None] | None:
        """None: the account has no cross positions, or not all of them are priced."""
        crossed = next((o for o in self._open if self._pool(o).mode == "cross"), None)
        members = [] if crossed is None else self._members(self._pool(crossed))
        if crossed is None or not _are_priced(members):
            return None
        equity = _equity_of(self._pool(crossed), members)
        moves = factor_moves([one.holding for one in members], equity)
        down, up = (None if move is None else float(move) for move in moves)
        return {"down": down, "up": up}


def _open(
    inputs: MarketInputs, books: BookImpact, k: int, symbol: int, name: str, row: dict[str, int]
) -> _OpenPosition:
    """`k`: the position's market in `books`."""
    mark, rules = _mark(inputs, symbol), inputs.rules.get(name)
    if row["own_rules"]:
        _, rules = inputs.own_rules[row["own_rules"] - 1]
    if name in inputs.left_out:
        why = f"no prices: {inputs.left_out[name]}"
        mark = None  # its profit is no price difference
    elif rules is None:
        why = "no prices, for its tiers are not on record (reference about market)"
    elif mark is None:
        why = "no prices, for its mark is not known"
    else:
        why = ""
    if rules is None or mark is None:
        return _OpenPosition(symbol, name, row, mark, why, None, None, None)
    regime, tiers = rules
    quantity = Fraction(row["quantity"], LIMB)
    entry = Fraction(row["entry"], MONEY_SCALE) / abs(quantity)
    position = Position(name, quantity, mark, tiers, entry, regime.closing_fee or ZERO)
    slip = books.slippage(k, quantity > 0, float(position.notional))
    one = PositionInput(
        position, Contract(), quantity, None, None, position.profit(entry, mark), "mark",
        False, Fields(name, {}),
    )  # fmt: skip
    slippage = None if math.isnan(slip) else Fraction(slip)
    return _OpenPosition(symbol, name, row, mark, why, regime, one, slippage)


def _coin_wallets(venue: VenueState, name: str) -> list[str]:
    """The coins in which an account has a wallet of its own."""
    contracts = venue.coin_entries.contracts.values()
    currencies = sorted({contract.settles_in or "" for contract in contracts})
    return [c for c in currencies if find_account(venue.ledger, f"{name} {c}") is not None]


def _mark(inputs: MarketInputs, symbol: int) -> Fraction | None:
    """The last trusted mark, or the index where there is none."""
    mark, index = inputs.marks[symbol, [MARK - VALUES, INDEX - VALUES]].tolist()
    code = index if mark == ABSENT else mark
    return None if code == ABSENT else stepped.exact(code)


def _are_priced(members: Sequence[_OpenPosition]) -> bool:
    return all(one.one is not None for one in members)


def _equity_of(pool: MarginPool, members: Sequence[_OpenPosition]) -> Fraction:
    worth = (one.quantity * (one.mark or ZERO) for one in members)
    return Fraction(pool.cash, MONEY_SCALE) + sum(worth, ZERO)


def _others(one: _OpenPosition, members: Sequence[_OpenPosition]) -> Fraction:
    """What the rest of a pool requires."""
    return sum((requirement(*o.holding) for o in members if o is not one), ZERO)


def _margin_alone(
    one: _OpenPosition, equity: Fraction, members: Sequence[_OpenPosition]
) -> tuple[Fraction, str]:
    """The equity of a cross position if it were isolated, and what that is."""
    assert one.one is not None
    position = one.one.position
    if one.row["leverage"]:
        entry_value = Fraction(one.row["entry"], MONEY_SCALE)
        margin = entry_value * SCALE / one.row["leverage"]
        return margin + one.one.profit, "entry value / leverage, and profit"
    initial = initial_margin(position)
    if initial is not None:
        return initial, "initial margin at the mark"
    own, total = requirement(*one.holding), sum((requirement(*o.holding) for o in members), ZERO)
    share = own / total if total else Fraction(1, len(members))
    return equity * share, "its share of the account's equity, by maintenance margin"


def _stressed(one: _OpenPosition, beside: Beside) -> dict[str, Any] | None:
    """None: there is no book to close into."""
    if one.slippage is None:
        return None
    regime, position = one.holding
    costly = replace(position, fee=position.fee + one.slippage)
    prices = beside.prices(regime, costly)
    distance = _distances(prices, position.price)
    return {"slippage": float(one.slippage), **_four(prices), "distance": distance}


def _four(prices: Prices) -> dict[str, str | None]:
    crossings = (getattr(prices, name) for name in PRICES)
    texts = [None if c is None else decimal_text(c.price) for c in crossings]
    return dict(zip(PRICES, texts, strict=True))


def _distances(prices: Prices, mark: Fraction) -> dict[str, float | None]:
    """How far each price lies from the mark, a fraction of it; negative: below."""
    crossings = [getattr(prices, name) for name in PRICES]
    away = [None if c is None or c.price is None else float(c.price / mark - 1) for c in crossings]
    return dict(zip(PRICES, away, strict=True))


def _describe_split(split: EquitySplit, is_known: bool) -> dict[str, str | None]:
    return {
        "price": decimal_text(split.price) if is_known else None,
        "realised": decimal_text(split.realised),
        "unrealised": decimal_text(split.unrealised) if is_known else None,
        "funding": decimal_text(split.funding),
        "fees": decimal_text(split.fees),
    }
