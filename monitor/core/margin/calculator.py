"""`brinkwatch margin`: liquidation prices, with their trace, for positions given as JSON.

    {"regime": "hyperliquid", "tiers": [{"lower_bound": 0, "maintenance_rate": 0.0125}],
     "pool": {"mode": "cross", "equity": 130}, "positions": [{"symbol": "A", "quantity": 1,
     "mark": 40}, …]}

or a list of such. `tiers`, `fee` and the other rates may stand at the position, the pool or the
document; the nearest counts. The pool's `equity` stands at the marks; `balance` (or a position's
`margin`) stands before unrealised profit, and with `leverage` the margin is entry value / leverage.
"""

from __future__ import annotations

from fractions import Fraction

from monitor.core.margin.calculator_input import (
    Fields,
    MarginInputError,
    mapping,
    read_tiers,
    sequence,
)
from monitor.core.margin.calculator_output import ZERO, PositionInput, decimal_text, position_answer
from monitor.core.margin.formulas import Position, Regime, requirement
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers

SIDE_SIGNS = {"long": 1, "buy": 1, "1": 1, "short": -1, "sell": -1, "-1": -1}
DERIBIT_RATES = {
    "BTC": ("0.01", "0.02", "0.00005"),
    "SOL": ("0.02", "0.04", "0.000005"),
}
"""Maintenance rate, initial rate and their rise for each unit held, by base currency.
Source: Deribit support, "Linear Perpetual"."""


def solve(document: object) -> dict[str, object]:
    """The answer to a document: `{"pools": [{"positions": [{…}]}]}`, prices as decimal strings.

    Raises `MarginInputError` with a sentence that says how to mend the document.
    """
    if isinstance(document, dict) and "pools" in document:
        document = document["pools"]
    pools = sequence(document, "the document") if isinstance(document, list) else [document]
    return {"pools": [_pool(pool, f"pools[{i}]") for i, pool in enumerate(pools)]}


def _pool(document: object, where: str) -> dict[str, object]:
    top = Fields(where, mapping(document, where))
    given = top.find("pool")
    own = mapping({} if given is None else given, f"{where}.pool")
    pool = Fields(f"{where}.pool", own, (top.own,))
    regime = _regime(pool)
    mode = _mode(pool) or "cross"
    held = [
        _read_position(
            regime,
            Fields(f"{where}.positions[{i}]", mapping(item, where), (pool.own, top.own)),
            mode,
        )
        for i, item in enumerate(sequence(top.find("positions"), f"{where}.positions"))
    ]
    crossed = [one for one in held if not one.isolated]
    equity = _pool_equity(pool, held, crossed)
    total = sum((requirement(regime, one.position) for one in crossed), ZERO)
    total += pool.number("other_maintenance") or ZERO
    answers = []
    for one in held:
        at_hand = _isolated_equity(one, held, equity) if one.isolated else equity
        other = total - requirement(regime, one.position)
        if one.isolated:
            other = one.fields.number("other_maintenance") or ZERO
        if at_hand is None:
            raise MarginInputError(
                f"{one.fields.where}: no equity: give the pool's equity, or the position's margin "
                "or leverage"
            )
        answers.append(position_answer(regime, one, at_hand, other))
    return {
        "regime": regime.name,
        "mode": mode,
        "equity": decimal_text(equity),
        "positions": answers,
    }


def _regime(pool: Fields) -> Regime:
    name = pool.find("regime", inherit=True)
    if isinstance(name, str) and name.lower() in REGIMES:
        return REGIMES[name.lower()]
    raise MarginInputError(f"{pool.where}: regime {name!r} is none of {', '.join(REGIMES)}")


def _mode(fields: Fields) -> str | None:
    mode = fields.find("mode")
    if mode not in (None, "cross", "isolated"):
        raise MarginInputError(f"{fields.where}.mode must be cross or isolated, not {mode!r}")
    return None if mode is None else str(mode)


def _pool_equity(
    pool: Fields, held: list[PositionInput], crossed: list[PositionInput]
) -> Fraction | None:
    """The equity the document gives the pool, or else the sum of its cross positions' own."""
    symbols = [one.position.symbol for one in crossed]
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise MarginInputError(
                f"{pool.where}: {symbol} stands twice in a cross pool: give its net quantity once"
            )
    equity, balance = pool.number("equity"), pool.number("balance")
    if equity is not None:
        return equity
    if balance is not None:
        return balance + sum((one.profit for one in crossed or held), ZERO)
    own = [one.by_leverage if one.equity is None else one.equity for one in crossed]
    known = [value for value in own if value is not None]
    return sum(known, ZERO) if known and len(known) == len(crossed) else None


def _isolated_equity(
    one: PositionInput, held: list[PositionInput], pool: Fraction | None
) -> Fraction | None:
    """Its own; or the pool's, when it is the pool's only position; or what its leverage says."""
    if one.equity is not None:
        return one.equity
    return pool if pool is not None and len(held) == 1 else one.by_leverage


def _read_position(regime: Regime, fields: Fields, mode: str) -> PositionInput:
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
    isolated = (_mode(fields) or mode) == "isolated"
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
    """The position's own equity as given, and as its leverage would have it."""
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
