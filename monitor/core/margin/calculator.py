"""`brinkwatch margin`: liquidation prices, with their trace, for positions given as JSON.

    {"regime": "hyperliquid", "tiers": [{"lower_bound": 0, "maintenance_rate": 0.0125}],
     "pool": {"mode": "cross", "equity": 130}, "positions": [{"symbol": "A", "quantity": 1,
     "mark": 40}, …]}

or a list of such. `tiers`, `fee` and the other rates may stand at the position, the pool or the
document; the nearest counts. The pool's `equity` stands at the marks; `balance` (or a position's
`margin`) stands before unrealised profit, and with `leverage` the margin is entry value / leverage.

- `contract` says what a contract is where the symbol does not: `{"type": "inverse", "size": 100}`,
  `{"type": "quanto", "multiplier": "0.000001"}`. `quantity` is then a number of contracts, and all
  money (equity, balance, tier bounds) is in the currency that the pool settles in.
- `tier_law` (`marginal`, `whole`) and `tiers_by` (`notional`, `contracts`) say what a tier's rate
  applies to where it is not the regime's own law; a table whose cumulative amounts are all 0 is one
  of whole positions.
- `as_of` is the day whose rules count.
- A market that stands in a cross pool once long and once short is in hedge mode.
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from monitor.core.contract.units import WARN_RATIO
from monitor.core.margin import calculator_input, calculator_positions
from monitor.core.margin.calculator_input import ZERO, Fields, MarginInputError
from monitor.core.margin.calculator_positions import PositionInput
from monitor.core.margin.contract_types import LINEAR
from monitor.core.margin.liquidation_price import (
    Crossing,
    Position,
    Prices,
    Regime,
    prices,
    requirement,
)
from monitor.core.margin.regimes import LATER_RULES, REGIMES, regime_at

_DIGITS = Context(prec=18)
FORMULA = "x = (k·(M_other − d) − A0 + q·p0) / (q − z·(k·r + fee))"
INVERSE_FORMULA = "1/x = (k·(M_other − d) − A0 − q/p0) / (−q − z·(k·r + fee)), q in quote currency"


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
    day = calculator_positions.read_day(pool)
    regime = regime_at(name.lower(), day) if isinstance(name, str) else None
    if regime is None:
        known = ", ".join(REGIMES)
        shown = calculator_input.shorten(name)
        raise MarginInputError(f"{pool.where}: regime {shown} is none of {known}")
    mode = calculator_positions.read_mode(pool) or "cross"
    places = f"{where}.positions"
    positions = []
    for i, item in enumerate(calculator_input.non_empty_list(top.find("positions"), places)):
        item = calculator_input.mapping(item, where)
        fields = Fields(f"{places}[{i}]", item, (pool.own, top.own))
        positions.append(calculator_positions.read_position(regime, fields, mode))
    crossed = [one for one in positions if not one.isolated]
    pool_equity = _pool_equity(pool, positions, crossed)
    legs: dict[str, list[PositionInput]] = {}
    for one in crossed:
        legs.setdefault(one.position.symbol, []).append(one)
    total = sum((requirement(regime, one.position) for one in crossed), ZERO)
    total += pool.number("other_maintenance") or ZERO
    answers = []
    for one in positions:
        equity, other = pool_equity, total - requirement(regime, one.position)
        opposite = None if one.isolated else _opposite_leg(regime, one, legs[one.position.symbol])
        if opposite is not None:
            other -= requirement(regime, opposite)
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
        beside = Beside(equity, other, opposite, dated=day is not None)
        answer = solve_position(regime, one, beside)
        answer["trace"] |= {
            "unknown": _unknown_inputs(regime, one, beside),
            "ignored": sorted(one.fields.own.keys() - one.fields.names_read),
        }
        answers.append(answer)
    return {
        "regime": regime.name,
        "mode": mode,
        "equity": decimal_text(pool_equity),
        "maintenance": decimal_text(total) if crossed else None,
        "positions": answers,
    }


class Beside(NamedTuple):
    """What a position's pool has beside it: its equity, what the other positions require, and in
    hedge mode the other leg, whose requirement stands in neither. `dated`: whether the document
    says on which day."""

    equity: Fraction
    other: Fraction
    opposite: Position | None
    dated: bool

    def prices(self, regime: Regime, position: Position) -> Prices:
        return prices(regime, position, self.equity, self.other, self.opposite)


def _opposite_leg(regime: Regime, one: PositionInput, legs: list[PositionInput]) -> Position | None:
    """The other one of the positions of a market in a cross pool; None: there is one alone."""
    if len(legs) == 1:
        return None
    symbol = one.position.symbol
    if not regime.hedge_mode:
        raise MarginInputError(
            f"{one.fields.where}: {symbol} stands twice in a cross pool, but {regime.name} nets "
            "positions: give its net quantity once"
        )
    other = legs[legs[0] is one]
    opposite = other.position
    if len(legs) > 2 or opposite.quantity * one.position.quantity > 0:
        raise MarginInputError(
            f"{one.fields.where}: {symbol} stands twice on one side of a cross pool: give one "
            "position for each side, with its whole quantity"
        )
    if other.contract != one.contract:
        raise MarginInputError(f"{one.fields.where}: {symbol} is two contracts: give both alike")
    return opposite


def _pool_equity(
    pool: Fields, positions: list[PositionInput], crossed: list[PositionInput]
) -> Fraction | None:
    """The equity that the document gives the pool, or else the sum of its cross positions'."""
    contracts = [one.contract for one in crossed]
    quoted = "the quote currency"
    settles = sorted({quoted if c.type == LINEAR else c.settles_in or "coin" for c in contracts})
    if len(settles) > 1:
        raise MarginInputError(
            f"{pool.where}: its positions settle in {' and '.join(settles)}: give one pool for "
            "each currency"
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


def solve_position(regime: Regime, one: PositionInput, beside: Beside) -> dict[str, Any]:
    """The four prices of a position in its pool, with their trace; numbers as decimal strings."""
    at = beside.prices(regime, one.position)
    other_side = at.liquidation.other_side
    return {
        "symbol": one.position.symbol,
        "warn": decimal_text(at.warn.price),
        "liquidation": decimal_text(at.liquidation.price),
        **({} if other_side is None else {"liquidation_other_side": decimal_text(other_side)}),
        "backstop": decimal_text(at.backstop.price) if at.backstop else None,
        "bankruptcy": decimal_text(at.bankruptcy.price),
        "tier": at.liquidation.tier,
        **_venue_prices(regime, one, beside.equity, at),
        "trace": _trace(regime, one, beside, at),
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


def _trace(regime: Regime, one: PositionInput, beside: Beside, at: Prices) -> dict[str, object]:
    position, equity, contract = one.position, beside.equity, one.contract
    total = at.maintenance + at.other_maintenance
    binds = {}
    for name in ("warn", "liquidation", "backstop"):
        crossing: Crossing | None = getattr(at, name)
        if crossing is not None and crossing.tier is not None and crossing.price is not None:
            row = position.tiers.rows[crossing.tier]
            fixed = position.tiers.fixed_rate(position.tier_amount)
            rate = row.rate if fixed is None else fixed
            binds[name] = {
                "tier": crossing.tier,
                "lower_bound": decimal_text(row.lower_bound),
                "maintenance_rate": decimal_text(rate + position.size_rate_at(crossing.price)),
                "deduction": decimal_text(row.deduction if fixed is None else ZERO),
            }
    return {
        "formula": INVERSE_FORMULA if position.inverse else FORMULA,
        "mode": "isolated" if one.isolated else "cross",
        "hedge_mode": beside.opposite is not None,
        "contract": {
            "type": contract.type,
            "size": decimal_text(contract.size),
            "multiplier": decimal_text(contract.multiplier),
            "settles_in": contract.settles_in,
        },
        "quantity": decimal_text(one.quantity),
        "price": decimal_text(position.price),
        "price_is": one.basis,
        "rule": regime.rule or "one version only",
        "tier_law": _tier_law(position),
        "maintenance_at": _maintenance_at(regime),
        "equity": decimal_text(equity),
        "fee": decimal_text(position.fee),
        "maintenance": decimal_text(at.maintenance),
        "other_maintenance": decimal_text(at.other_maintenance),
        "initial": decimal_text(initial_margin(position)),
        "margin_ratio": decimal_text(total / equity) if equity > 0 else None,
        "state": _state(regime, equity, total),
        "binds": binds,
        "mark_rule": regime.mark_rule,
    }


def initial_margin(position: Position) -> Fraction | None:
    """What opening the position would need at its price; None: the table does not say."""
    initial = position.tiers.rows[position.tiers.index_at(position.tier_amount)].initial_rate
    if initial is None:
        return None
    return (initial + position.size_rate_at(position.price)) * position.notional


def _maintenance_at(regime: Regime) -> str:
    if regime.at_entry:
        return "entry value"
    return "today's mark" if regime.at_todays_mark else "mark"


def _tier_law(position: Position) -> str:
    """What a tier's rate applies to, in words."""
    law = "the whole position" if position.tiers.whole else "each tier's part"
    unit = "contracts" if position.tiers.by_contracts else "notional"
    fixed = position.tiers.whole or position.tiers.by_contracts
    return f"{law}; tiers by {unit}" + (", as they stand today" if fixed else "")


def _state(regime: Regime, equity: Fraction, total: Fraction) -> str:
    if equity < 0:
        return "bankrupt"
    if regime.backstop_k is not None and equity < regime.backstop_k * total:
        return "backstop"
    if equity < total:
        return "liquidation"
    return "warn" if total > 0 and equity <= WARN_RATIO * total else "healthy"


def _unknown_inputs(regime: Regime, one: PositionInput, beside: Beside) -> list[str]:
    unknown = []
    if not beside.dated:
        for since, later in LATER_RULES.get(regime.name, ()):
            then = decimal_text(beside.prices(later, one.position).liquidation.price)
            unknown.append(
                f"as_of: not given, the rule {regime.rule} taken; the one of {since} puts "
                f"liquidation at {then or 'no price'}"
            )
    if one.basis == "entry" and not regime.at_entry:
        unknown.append("mark: not given, equity taken to stand at the entry price")
    if regime.closing_fee is not None and one.fields.find("fee", inherit=True) is None:
        fee = decimal_text(regime.closing_fee)
        unknown.append(f"fee: not given, closing fee counted as {regime.name}'s own of {fee}")
    if initial_margin(one.position) is None:
        unknown.append("initial rate: not given")
    return [*unknown, "book: not given, slippage of closing not counted"]
