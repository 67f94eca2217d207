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

from monitor.core.margin.calculator_input import ZERO, Fields, MarginInputError, mapping, sequence
from monitor.core.margin.calculator_output import decimal_text, position_answer
from monitor.core.margin.calculator_position import PositionInput, read_mode, read_position
from monitor.core.margin.formulas import Regime, requirement
from monitor.core.margin.regimes import REGIMES


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
    mode = read_mode(pool) or "cross"
    outer = pool.own, top.own
    positions = [
        read_position(regime, Fields(f"{where}.positions[{i}]", mapping(item, where), outer), mode)
        for i, item in enumerate(sequence(top.find("positions"), f"{where}.positions"))
    ]
    crossed = [one for one in positions if not one.isolated]
    pool_equity = _pool_equity(pool, positions, crossed)
    total = sum((requirement(regime, one.position) for one in crossed), ZERO)
    total += pool.number("other_maintenance") or ZERO
    answers = []
    for one in positions:
        if one.isolated:
            equity = _isolated_equity(one, positions, pool_equity)
            other = one.fields.number("other_maintenance") or ZERO
        else:
            equity, other = pool_equity, total - requirement(regime, one.position)
        if equity is None:
            raise MarginInputError(
                f"{one.fields.where}: no equity: give the pool's equity, or the position's margin "
                "or leverage"
            )
        answers.append(position_answer(regime, one, equity, other))
    return {
        "regime": regime.name,
        "mode": mode,
        "equity": decimal_text(pool_equity),
        "positions": answers,
    }


def _regime(pool: Fields) -> Regime:
    name = pool.find("regime", inherit=True)
    if isinstance(name, str) and name.lower() in REGIMES:
        return REGIMES[name.lower()]
    raise MarginInputError(f"{pool.where}: regime {name!r} is none of {', '.join(REGIMES)}")


def _pool_equity(
    pool: Fields, positions: list[PositionInput], crossed: list[PositionInput]
) -> Fraction | None:
    """The equity that the document gives the pool, or else the sum of its cross positions'."""
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
        return balance + sum((one.profit for one in crossed or positions), ZERO)
    own = [one.by_leverage if one.equity is None else one.equity for one in crossed]
    given = [equity for equity in own if equity is not None]
    return sum(given, ZERO) if given and len(given) == len(crossed) else None


def _isolated_equity(
    one: PositionInput, positions: list[PositionInput], pool: Fraction | None
) -> Fraction | None:
    """Its own, or the pool's if it is the pool's only position, or the equity by its leverage."""
    if one.equity is not None:
        return one.equity
    return pool if pool is not None and len(positions) == 1 else one.by_leverage
