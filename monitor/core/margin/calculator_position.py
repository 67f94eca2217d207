"""Reading one position of a document for `brinkwatch margin`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from monitor.core.margin.calculator_input import ZERO, Fields, MarginInputError, read_tiers
from monitor.core.margin.formulas import Position, Regime
from monitor.core.margin.tiers import Tiers

SIDE_SIGNS = {"long": 1, "buy": 1, "1": 1, "short": -1, "sell": -1, "-1": -1}
DERIBIT_RATES = {"BTC": ("0.01", "0.02", "0.00005"), "SOL": ("0.02", "0.04", "0.000005")}
"""Maintenance rate, initial rate and their rise for each base unit, by base currency.
Source: Deribit support, "Linear Perpetual"."""


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
        raise MarginInputError(f"{fields.where}.mode must be cross or isolated, not {mode!r}")
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
    position = Position(
        symbol=fields.where.rpartition(".")[2] if symbol is None else str(symbol),
        quantity=quantity,
        price=price,
        tiers=tiers,
        entry=entry,
        fee=fields.fraction("fee", inherit=True) or ZERO,
        size_rate=size_rate,
    )
    profit = quantity * (price - entry) if entry is not None else ZERO
    isolated = (read_mode(fields) or mode) == "isolated"
    basis = "mark" if mark is not None else "entry"
    equity, by_leverage = _own_equity(fields, position, profit)
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
        raise MarginInputError(f"{fields.where}.side {side!r} does not fit the quantity's sign")
    return sign * abs(quantity)


def _own_equity(
    fields: Fields, position: Position, profit: Fraction
) -> tuple[Fraction | None, Fraction | None]:
    """The position's own equity as given, and by its leverage: entry value / leverage + profit."""
    equity, margin = fields.number("equity"), fields.number("margin")
    leverage = fields.positive("leverage", inherit=True)
    value = position.size * (position.entry or position.price)
    by_leverage = None if leverage is None else value / leverage + profit
    if equity is None and margin is not None:
        equity = margin + profit
    return equity, by_leverage


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
