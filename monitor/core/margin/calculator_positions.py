"""Reading the positions given to `brinkwatch margin`, with their contracts and margin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from monitor.core.margin.calculator_input import ZERO, Fields, MarginInputError, mapping, shorten
from monitor.core.margin.calculator_tiers import read_tiers
from monitor.core.margin.contract_types import (
    INVERSE,
    LINEAR,
    LINEAR_ONLY,
    QUANTO,
    TYPES,
    Contract,
)
from monitor.core.margin.liquidation_price import Position, Regime

SIDE_SIGNS = {"long": 1, "buy": 1, "1": 1, "short": -1, "sell": -1, "-1": -1}
_DAY = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])([T ].*)?)?", re.ASCII)
BOTH_SIDES = ("both", "net")
"""What venues call the side of a position outside hedge mode: the quantity's sign says it."""
MODES = {"cross": "cross", "crossed": "cross", "isolated": "isolated"}
DOLLAR_CONTRACTS = ("bybit", "bitmex", "deribit", "gate")
"""Regimes that count inverse positions in quote currency, a contract being one unit of it."""


@dataclass(frozen=True)
class PositionInput:
    """A position as read.

    `equity`: its own, at `position.price`; None: not given. `by_leverage`: its own equity as its
    leverage gives it, taken where neither it nor the pool has an equity. `profit`: unrealised
    profit since entry. `basis`: which price was given, mark or entry. `quantity`: as given, signed.
    """

    position: Position
    contract: Contract
    quantity: Fraction
    equity: Fraction | None
    by_leverage: Fraction | None
    profit: Fraction
    basis: str
    isolated: bool
    fields: Fields


def read_mode(fields: Fields) -> str | None:
    """The margin mode, cross or isolated; None: not given."""
    mode = fields.find("mode")
    if mode is None:
        return None
    mode_meant = MODES.get(mode.lower()) if isinstance(mode, str) else None
    if mode_meant is None:
        raise MarginInputError(
            f"{fields.where}.mode must be cross or isolated, not {shorten(mode)}"
        )
    return mode_meant


def read_day(fields: Fields) -> str | None:
    """The day (UTC) whose rules count, or the month, which begins it; None: not given."""
    text = fields.find("as_of", inherit=True)
    if text is None:
        return None
    if not isinstance(text, str) or not _DAY.fullmatch(text):
        raise MarginInputError(
            f"{fields.where}.as_of: {shorten(text)} is no day: give it as '2026-05-27'"
        )
    return text[:10]


def read_position(regime: Regime, fields: Fields, mode: str) -> PositionInput:
    """The position that a JSON object gives; `mode`: the pool's margin mode."""
    symbol = fields.find("symbol")
    named = fields.find("contract")
    if symbol is None and isinstance(named, str) and named.lower() not in TYPES:
        symbol = named  # Gate calls its symbols so.
    name = fields.where.rpartition(".")[2] if symbol is None else str(symbol)
    contract = read_contract(regime, fields, name)
    quantity = _quantity(fields)
    if fields.find("as_of") is not None:
        raise MarginInputError(
            f"{fields.where}.as_of: a pool has one day: give it at the pool or the document"
        )
    mark, entry = fields.positive("mark"), fields.positive("entry")
    price = mark if mark is not None else entry
    if price is None:
        raise MarginInputError(f"{fields.where}: no price: give mark (or entry)")
    if regime.at_entry and entry is None:
        raise MarginInputError(
            f"{fields.where}: {regime.name} counts maintenance at entry value: give entry"
        )
    tiers, size_rate = read_tiers(regime, fields, contract)
    fee = fields.fraction("fee", inherit=True)
    if fee is None or regime.extra_margin_fee:
        fee = regime.closing_fee or ZERO
    position = Position(
        name,
        quantity * contract.units,
        price,
        tiers,
        entry,
        fee,
        size_rate,
        inverse=contract.type == INVERSE,
        contracts=quantity,
    )
    profit = position.profit(entry, price) if entry is not None else ZERO
    isolated = (read_mode(fields) or mode) == "isolated"
    equity, margin = fields.number("equity"), fields.number("margin")
    extra = _extra_margin(regime, fields, position)
    if equity is None and margin is not None:
        equity = margin + extra + profit
    leverage = fields.positive("leverage", inherit=True)
    value = position.value(entry or price)
    by_leverage = None if leverage is None else value / leverage + extra + profit
    basis = "mark" if mark is not None else "entry"
    return PositionInput(
        position, contract, quantity, equity, by_leverage, profit, basis, isolated, fields
    )


def _extra_margin(regime: Regime, fields: Fields, position: Position) -> Fraction:
    """Margin added to an isolated position, as far as it counts (Bybit since May 2026: less the
    fee to close what it carries)."""
    extra = fields.number("extra_margin") or ZERO
    fee = fields.fraction("fee", inherit=True)
    fee = regime.extra_margin_fee if fee is None else fee
    if not regime.extra_margin_fee:
        return extra
    return extra / (1 - fee if position.drift > 0 else 1 + fee)


def _quantity(fields: Fields) -> Fraction:
    quantity = fields.number("quantity")
    if not quantity:
        raise MarginInputError(f"{fields.where}.quantity: give a number, long above 0, short below")
    side = fields.find("side")
    if side is None or str(side).lower() in BOTH_SIDES:
        return quantity
    sign = SIDE_SIGNS.get(str(side).lower())
    if sign is None or (quantity < 0 and sign > 0):
        raise MarginInputError(
            f"{fields.where}.side {shorten(side)} does not fit the quantity's sign"
        )
    return sign * abs(quantity)


def read_contract(regime: Regime, fields: Fields, symbol: str) -> Contract:
    """What the position's contract is, as the document says or as the venue names it."""
    own = fields.find("contract", inherit=True)
    if isinstance(own, str):
        own = {} if own == symbol else {"type": own}
    own = {} if own is None else own
    inner = Fields(f"{fields.where}.contract", mapping(own, f"{fields.where}.contract"))
    kind = inner.find("type") or fields.find("contract_type", inherit=True)
    of_venue = Contract.at_venue(regime.name, symbol)
    if kind is None and of_venue is None:
        raise MarginInputError(
            f"{fields.where}: {shorten(symbol)} may be a coin-margined contract: give contract as "
            '{"type": "linear"}, {"type": "inverse", "size": 100} (quote currency a contract) or '
            '{"type": "quanto", "multiplier": 0.000001}'
        )
    if kind is None and of_venue is not None:
        kind = of_venue.type
    kind = kind.lower() if isinstance(kind, str) else kind
    if kind not in TYPES:
        raise MarginInputError(
            f"{fields.where}.contract: type {shorten(kind)} is none of {', '.join(TYPES)}"
        )
    if kind != LINEAR and regime.name in LINEAR_ONLY:
        raise MarginInputError(f"{fields.where}.contract: {regime.name} has linear contracts only")
    if of_venue is None or of_venue.type != kind:
        of_venue = None
    size = inner.positive("size") or fields.positive("contract_size", inherit=True)
    multiplier = inner.positive("multiplier") or fields.positive("multiplier", inherit=True)
    settles = inner.find("settles_in") or fields.find("settles_in", inherit=True)
    if kind == QUANTO and multiplier is None:
        multiplier = of_venue.multiplier if of_venue else None
        if multiplier is None:
            raise MarginInputError(
                f"{fields.where}.contract: a quanto contract needs its multiplier: settlement "
                "currency a contract for each unit of price, as 0.000001"
            )
    named = of_venue is not None or regime.name in DOLLAR_CONTRACTS
    if size is None and kind == INVERSE and not named:
        raise MarginInputError(
            f"{fields.where}.contract: an inverse contract needs its size: quote currency a "
            "contract (1 where the quantity is in quote currency)"
        )
    if size is None:
        size = of_venue.size if of_venue else Fraction(1)
    if settles is None and of_venue is not None:
        settles = of_venue.settles_in
    return Contract(
        kind,
        size,
        multiplier if kind == QUANTO else None,
        None if settles is None else str(settles),
    )
