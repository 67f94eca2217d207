"""`brinkwatch margin`: liquidation prices, with their trace, for positions given as JSON.

    {"regime": "hyperliquid", "tiers": [{"lower_bound": 0, "maintenance_rate": 0.0125}],
     "pool": {"mode": "cross", "equity": 130}, "positions": [{"symbol": "A", "quantity": 1,
     "mark": 40}, …]}

or a list of such. `tiers`, `fee` and the other rates may stand at the position, the pool or the
document; the nearest counts. The pool's `equity` stands at the marks; `balance` (or a position's
`margin`) stands before unrealised profit, and with `leverage` the margin is entry value / leverage.
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

from monitor.core.contract.units import WARN_RATIO
from monitor.core.margin import calculator_input
from monitor.core.margin.calculator_input import ZERO, Fields, MarginInputError, PositionInput
from monitor.core.margin.liquidation_price import Crossing, Prices, Regime, prices, requirement
from monitor.core.margin.regimes import REGIMES

_DIGITS = Context(prec=18)


def solve(document: object) -> dict[str, object]:
    """The answer to a document: `{"pools": [{"positions": [{…}]}]}`, prices as decimal strings.

    Raises `MarginInputError` with a sentence that says how to mend the document.
    """
    if isinstance(document, dict) and "pools" in document:
        document = document["pools"]
    document = document if isinstance(document, list) else [document]
    pools = calculator_input.non_empty_list(document, "the document")
    return {"pools": [_pool(pool, f"pools[{i}]") for i, pool in enumerate(pools)]}


def _pool(document: object, where: str) -> dict[str, object]:
    top = Fields(where, calculator_input.mapping(document, where))
    given = top.find("pool")
    own = calculator_input.mapping({} if given is None else given, f"{where}.pool")
    pool = Fields(f"{where}.pool", own, (top.own,))
    name = pool.find("regime", inherit=True)
    regime = REGIMES.get(name.lower()) if isinstance(name, str) else None
    if regime is None:
        raise MarginInputError(
            f"{pool.where}: regime {str(name)[:40]!r} is none of {', '.join(REGIMES)}"
        )
    mode = calculator_input.read_mode(pool) or "cross"
    places = f"{where}.positions"
    positions = []
    for i, item in enumerate(calculator_input.non_empty_list(top.find("positions"), places)):
        item = calculator_input.mapping(item, where)
        fields = Fields(f"{places}[{i}]", item, (pool.own, top.own))
        positions.append(calculator_input.read_position(regime, fields, mode))
    crossed = [one for one in positions if not one.isolated]
    pool_equity = _pool_equity(pool, positions, crossed)
    total = sum((requirement(regime, one.position) for one in crossed), ZERO)
    total += pool.number("other_maintenance") or ZERO
    answers = []
    for one in positions:
        equity, other = pool_equity, total - requirement(regime, one.position)
        if one.isolated:
            other = one.fields.number("other_maintenance") or ZERO
            if one.equity is not None:
                equity = one.equity
            elif equity is None or len(positions) > 1:
                equity = one.by_leverage
        if equity is None:
            raise MarginInputError(
                f"{one.fields.where}: no equity: give the pool's equity, or the position's margin "
                "or leverage"
            )
        answers.append(_position_answer(regime, one, equity, other))
    equity_text = decimal_text(pool_equity)
    return {"regime": regime.name, "mode": mode, "equity": equity_text, "positions": answers}


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


def decimal_text(value: Fraction | None) -> str | None:
    """A decimal string of 18 significant digits at most; None stays None."""
    if value is None:
        return None
    shown = format(_DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator)), "f")
    return (shown.rstrip("0").rstrip(".") if "." in shown else shown) or "0"


def _position_answer(
    regime: Regime, one: PositionInput, equity: Fraction, other: Fraction
) -> dict[str, object]:
    """`equity`: of its pool; `other`: maintenance margin of the other positions there."""
    at = prices(regime, one.position, equity, other)
    return {
        "symbol": one.position.symbol,
        "warn": decimal_text(at.warn.price),
        "liquidation": decimal_text(at.liquidation.price),
        "backstop": decimal_text(at.backstop.price) if at.backstop else None,
        "bankruptcy": decimal_text(at.bankruptcy.price),
        "tier": at.liquidation.tier,
        **_venue_prices(regime, one, equity, at),
        "trace": _trace(regime, one, equity, at),
    }


def _venue_prices(
    regime: Regime, one: PositionInput, equity: Fraction, at: Prices
) -> dict[str, object]:
    """What only one venue has.

    dYdX v4: `fillable` is the price at which the venue's own liquidation order is sent. The lower
    the equity, the further it lies from the oracle price: by spread to maintenance · maintenance /
    size · clamp(bankruptcy adjustment · (1 − equity / pool maintenance), 0, 1); defaults of mainnet
    genesis. `deleveraging` is the price at which the position goes to a counterparty. It takes its
    share (by maintenance) of the pool's equity along, so in a cross pool this is not the price at
    k = 0. Source: dydxprotocol/v4-chain, x/clob/keeper/liquidations.go, GetFillablePrice and
    GetBankruptcyPriceInQuoteQuantums.

    Drift: `close_to_cover` is the base units that must be closed to make up the missing margin.
    Each unit of notional closed frees the margin rate less two fees. None: that is nothing, and the
    whole position is closed. Source: drift protocol-v2, math/liquidation.rs.
    """
    position, fields = one.position, one.fields
    total = at.maintenance + at.other_maintenance
    if regime.name == "dydx":
        adjustment = fields.positive("bankruptcy_adjustment", inherit=True) or Fraction(1)
        spread = fields.positive("spread_to_maintenance", inherit=True) or Fraction(3, 2)
        rating = adjustment * (1 - equity / total) if total > 0 else Fraction(1)
        away = min(max(rating, ZERO), Fraction(1)) * spread * at.maintenance
        share = at.maintenance / total if total else Fraction(1)
        return {
            "fillable": decimal_text(position.price - away / position.quantity),
            "deleveraging": decimal_text(position.price - equity * share / position.quantity),
        }
    if regime.name == "drift":
        rate = position.tiers.rows[position.tiers.index_at(position.notional)].rate
        liquidator = fields.fraction("liquidator_fee", inherit=True) or ZERO
        fund = fields.fraction("fund_fee", inherit=True) or ZERO
        quote = fields.positive("quote_price", inherit=True) or Fraction(1)
        freed = position.price * quote * (rate - liquidator - fund)
        shortage = max(total - equity, ZERO)
        return {"close_to_cover": decimal_text(shortage / freed if freed > 0 else None)}
    return {}


def _trace(regime: Regime, one: PositionInput, equity: Fraction, at: Prices) -> dict[str, object]:
    position = one.position
    total = at.maintenance + at.other_maintenance
    initial = position.tiers.initial(position.notional)
    if initial is not None:
        initial += position.size_rate * position.size * position.notional
    binds = {}
    for name in ("warn", "liquidation", "backstop"):
        crossing: Crossing | None = getattr(at, name)
        if crossing is not None and crossing.tier is not None:
            row = position.tiers.rows[crossing.tier]
            binds[name] = {
                "tier": crossing.tier,
                "lower_bound": decimal_text(row.lower_bound),
                "maintenance_rate": decimal_text(row.rate + position.size_rate * position.size),
                "deduction": decimal_text(row.deduction),
            }
    return {
        "formula": "x = (k·(M_other − d) − A0 + q·p0) / (q − z·(k·r + fee))",
        "mode": "isolated" if one.isolated else "cross",
        "quantity": decimal_text(position.quantity),
        "price": decimal_text(position.price),
        "price_is": one.basis,
        "maintenance_at": "entry value" if regime.at_entry else "mark",
        "equity": decimal_text(equity),
        "fee": decimal_text(position.fee),
        "maintenance": decimal_text(at.maintenance),
        "other_maintenance": decimal_text(at.other_maintenance),
        "initial": decimal_text(initial),
        "margin_ratio": decimal_text(total / equity) if equity > 0 else None,
        "state": _state(regime, equity, total),
        "binds": binds,
        "mark_rule": regime.mark_rule,
        "unknown": _unknown_inputs(regime, one, initial),
        "ignored": sorted(one.fields.own.keys() - one.fields.names_read),
    }


def _state(regime: Regime, equity: Fraction, total: Fraction) -> str:
    if equity < 0:
        return "bankrupt"
    if regime.backstop_k is not None and equity < regime.backstop_k * total:
        return "backstop"
    if equity < total:
        return "liquidation"
    return "warn" if total > 0 and equity <= WARN_RATIO * total else "healthy"


def _unknown_inputs(regime: Regime, one: PositionInput, initial: Fraction | None) -> list[str]:
    unknown = []
    if one.basis == "entry" and not regime.at_entry:
        unknown.append("mark: not given, equity taken to stand at the entry price")
    if regime.counts_fee and one.fields.find("fee", inherit=True) is None:
        unknown.append("fee: not given, closing fee counted as 0")
    if initial is None:
        unknown.append("initial rate: not given")
    return [*unknown, "book: not given, slippage of closing not counted"]
