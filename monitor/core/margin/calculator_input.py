"""Reading the positions given to `brinkwatch margin`: JSON values to exact rationals and tables.

Numbers may be JSON numbers or decimal strings. Every refusal is a `MarginInputError` that names the
place (`pools[0].positions[1].quantity`) and says how to mend it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import NamedTuple

from monitor.core.margin.liquidation_price import Position, Regime
from monitor.core.margin.tiers import TierError, Tiers

ZERO = Fraction(0)
EXPONENT_MAX = 40
"""Powers of ten beyond which a number is a typing error, not a price."""
TEXT_MAX = 80
"""Longest number that is read, in characters."""
CUM_TOLERANCE = Fraction(1, 50)
"""Quote currency: venues round a tier's cumulative amount to cents."""
FIELD_ALIASES = {
    "entry": ("entry_price",),
    "mark": ("mark_price",),
    "margin": ("collateral", "isolated_margin"),
    "balance": ("wallet_balance", "margin", "collateral"),
    "mode": ("margin_mode",),
    "cum": ("deduction",),
}
"""Other names of the same field, in the contract and at venues."""
SIDE_SIGNS = {"long": 1, "buy": 1, "1": 1, "short": -1, "sell": -1, "-1": -1}
DERIBIT_RATES = {"BTC": ("0.01", "0.02", "0.00005"), "SOL": ("0.02", "0.04", "0.000005")}
"""Maintenance rate, initial rate and their rise for each base unit, by base currency.
Source: Deribit support, "Linear Perpetual"."""


class MarginInputError(ValueError):
    """The document cannot be solved as it stands."""


def number(value: object, where: str) -> Fraction:
    """An exact rational from a JSON number or decimal string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise MarginInputError(f"{where}: {_shorten(value)} is not a number: give 0.01 or '0.01'")
    text = str(value) if not isinstance(value, int) or abs(value) < 10**TEXT_MAX else "too long"
    try:
        exact = Decimal(text) if len(text) <= TEXT_MAX and "_" not in text else Decimal("NaN")
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite() or abs(exact.adjusted()) > EXPONENT_MAX:
        raise MarginInputError(f"{where}: {_shorten(value)} is not a finite decimal number")
    return Fraction(exact)


@dataclass
class Fields:
    """One JSON object, and the objects around it that give defaults, nearest first.

    `names_read` collects the names that were looked up, so that the rest can be reported.
    """

    where: str
    own: Mapping[str, object]
    outer: tuple[Mapping[str, object], ...] = ()
    names_read: set[str] = field(default_factory=set)

    def find(self, name: str, inherit: bool = False) -> object | None:
        """The value under `name` or one of its aliases; None when absent or null."""
        names = (name, *FIELD_ALIASES.get(name, ()))
        self.names_read.update(names)
        for source in (self.own, *(self.outer if inherit else ())):
            for key in names:
                if source.get(key) is not None:
                    return source[key]
        return None

    def number(self, name: str, inherit: bool = False) -> Fraction | None:
        value = self.find(name, inherit)
        return None if value is None else number(value, f"{self.where}.{name}")

    def positive(self, name: str, inherit: bool = False) -> Fraction | None:
        value = self.number(name, inherit)
        if value is not None and value <= 0:
            raise MarginInputError(f"{self.where}.{name} must be above 0")
        return value

    def fraction(self, name: str, inherit: bool = False) -> Fraction | None:
        """A rate between 0 (inclusive) and 1."""
        value = self.number(name, inherit)
        if value is not None and not 0 <= value < 1:
            raise MarginInputError(f"{self.where}.{name} must be a fraction: 5 bp is 0.0005")
        return value


def mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise MarginInputError(f"{where}: {_shorten(value)} is not an object in braces")
    return value


def non_empty_list(value: object, where: str) -> Sequence[object]:
    if not isinstance(value, list) or not value:
        raise MarginInputError(f"{where} must be a list with at least one entry")
    return value


def read_tiers(value: object, where: str, by_leverage: bool) -> Tiers:
    """A tier table in any of its forms: a rate, `[rate]`, one row, or a list of rows.

    A row is an object (`lower_bound`, `maintenance_rate`, and if given `initial_rate` and `cum`),
    or `[lower bound, rate]`, or that with an initial rate; `[lower bound, rate, lower bound, rate]`
    is two rows. `by_leverage`: rows may give `max_leverage` in place of the rate (Hyperliquid: half
    of 1/max leverage).
    """
    rows = [_row(row, f"{where}[{i}]", by_leverage) for i, row in enumerate(_rows(value, where))]
    try:
        table = Tiers.from_rows([row[:3] for row in rows], rows[0].cum or ZERO)
    except TierError as error:
        raise MarginInputError(f"{where}: {error}") from None
    for i, (row, given) in enumerate(zip(table.rows, rows, strict=True)):
        if given.cum is not None and abs(given.cum - row.deduction) > CUM_TOLERANCE:
            raise MarginInputError(
                f"{where}[{i}].cum is {float(given.cum):g}, but the bounds and rates give "
                f"{float(row.deduction):g}: mend the row or leave cum out"
            )
    return table


def _rows(value: object, where: str) -> Sequence[object]:
    if not isinstance(value, list):
        return [value]
    rows = non_empty_list(value, where)
    if any(isinstance(row, dict | list) for row in rows) or len(rows) == 1:
        return rows
    if len(rows) % 2:
        raise MarginInputError(
            f"{where}: an odd run of bare numbers: give [lower bound, rate] pairs, from 0 upwards"
        )
    return [list(rows[i : i + 2]) for i in range(0, len(rows), 2)]


class TierInput(NamedTuple):
    """A row of a tier table as given; `cum`: its cumulative amount."""

    lower_bound: Fraction
    rate: Fraction
    initial: Fraction | None = None
    cum: Fraction | None = None


def _row(value: object, where: str, by_leverage: bool) -> TierInput:
    if isinstance(value, list):
        if not 2 <= len(value) <= 3:
            raise MarginInputError(f"{where}: a row is [lower bound, rate] or with initial rate")
        return TierInput(*(number(item, f"{where}[{i}]") for i, item in enumerate(value)))
    if not isinstance(value, dict):
        return TierInput(ZERO, number(value, where))
    row = Fields(where, value)
    rate, initial = row.number("maintenance_rate"), row.number("initial_rate")
    if rate is None and by_leverage:
        leverage = row.positive("max_leverage")
        if leverage is not None:
            rate, initial = 1 / (2 * leverage), initial or 1 / leverage
    if rate is None:
        raise MarginInputError(f"{where}: no maintenance_rate: give it as a fraction of notional")
    return TierInput(row.number("lower_bound") or ZERO, rate, initial, row.number("cum"))


def _shorten(value: object) -> str:
    """The value as text, cut short; a number of thousands of digits is not written out at all."""
    if isinstance(value, int) and abs(value) >= 10**TEXT_MAX:
        return "a number that long"
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "…"


@dataclass(frozen=True)
class PositionInput:
    """A position as read.

    `equity`: its own, at `position.price`; None: not given. `by_leverage`: its own equity as its
    leverage gives it, taken where neither it nor the pool has an equity. `profit`: unrealised
    profit since entry. `basis`: which price was given, mark or entry.
    """

    position: Position
    equity: Fraction | None
    by_leverage: Fraction | None
    profit: Fraction
    basis: str
    isolated: bool
    fields: Fields


def read_mode(fields: Fields) -> str | None:
    """The margin mode, cross or isolated; None: not given."""
    mode = fields.find("mode")
    if mode not in (None, "cross", "isolated"):
        raise MarginInputError(
            f"{fields.where}.mode must be cross or isolated, not {_shorten(mode)}"
        )
    return None if mode is None else str(mode)


def read_position(regime: Regime, fields: Fields, mode: str) -> PositionInput:
    """The position that a JSON object gives; `mode`: the pool's margin mode."""
    symbol = fields.find("symbol")
    quantity = _quantity(fields)
    mark, entry = fields.positive("mark"), fields.positive("entry")
    price = mark if mark is not None else entry
    if price is None:
        raise MarginInputError(f"{fields.where}: no price: give mark (or entry)")
    if regime.at_entry and entry is None:
        raise MarginInputError(
            f"{fields.where}: {regime.name} counts maintenance at entry value: give entry"
        )
    tiers, size_rate = _tiers(regime, fields, str(symbol))
    name = fields.where.rpartition(".")[2] if symbol is None else str(symbol)
    fee = fields.fraction("fee", inherit=True) or ZERO
    position = Position(name, quantity, price, tiers, entry, fee, size_rate)
    profit = quantity * (price - entry) if entry is not None else ZERO
    isolated = (read_mode(fields) or mode) == "isolated"
    equity, margin = fields.number("equity"), fields.number("margin")
    if equity is None and margin is not None:
        equity = margin + profit
    leverage = fields.positive("leverage", inherit=True)
    value = position.size * (entry or price)
    by_leverage = None if leverage is None else value / leverage + profit
    basis = "mark" if mark is not None else "entry"
    return PositionInput(position, equity, by_leverage, profit, basis, isolated, fields)


def _quantity(fields: Fields) -> Fraction:
    quantity = fields.number("quantity")
    if not quantity:
        raise MarginInputError(f"{fields.where}.quantity: give a number, long above 0, short below")
    side = fields.find("side")
    if side is None:
        return quantity
    sign = SIDE_SIGNS.get(str(side).lower())
    if sign is None or (quantity < 0 and sign > 0):
        raise MarginInputError(
            f"{fields.where}.side {_shorten(side)} does not fit the quantity's sign"
        )
    return sign * abs(quantity)


def _tiers(regime: Regime, fields: Fields, symbol: str) -> tuple[Tiers, Fraction]:
    given = fields.find("tiers", inherit=True)
    size_rate = fields.fraction("size_rate", inherit=True) or ZERO
    if given is not None:
        return read_tiers(given, f"{fields.where}.tiers", regime.name == "hyperliquid"), size_rate
    rate = fields.fraction("maintenance_rate", inherit=True)
    if rate is not None:
        return Tiers.flat(rate), size_rate
    base = symbol.upper().replace("_", "-").partition("-")[0]
    if regime.name == "deribit" and base in DERIBIT_RATES:
        maintenance, initial, rise = (Fraction(number) for number in DERIBIT_RATES[base])
        return Tiers.from_rows([(ZERO, maintenance, initial)]), rise
    raise MarginInputError(
        f"{fields.where}: no tiers: give them at the position, the pool or the document, "
        'for a venue with one rate as {"lower_bound": 0, "maintenance_rate": r}'
    )
