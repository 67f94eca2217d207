"""What `brinkwatch margin` answers for one position: the prices, and the trace behind them."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

from monitor.core.contract.units import WARN_RATIO
from monitor.core.margin.calculator_input import ZERO
from monitor.core.margin.calculator_position import PositionInput
from monitor.core.margin.formulas import (
    Crossing,
    Position,
    Prices,
    Regime,
    close_to_cover,
    deleveraging_price,
    fillable_price,
    prices,
)

_DIGITS = Context(prec=18)


def decimal_text(value: Fraction | None) -> str | None:
    """A decimal string of 18 significant digits at most; None stays None."""
    if value is None:
        return None
    shown = format(_DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator)), "f")
    return (shown.rstrip("0").rstrip(".") if "." in shown else shown) or "0"


def position_answer(
    regime: Regime, one: PositionInput, equity: Fraction, other: Fraction
) -> dict[str, object]:
    """The answer for a position in a pool with `equity`, beside positions whose maintenance margin
    is `other` (quote currency).
    """
    position = one.position
    at = prices(regime, position, equity, other)
    return {
        "symbol": position.symbol,
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
    """What only one venue has: dYdX's fillable and deleveraging price, Drift's amount to close."""
    position, own, fields = one.position, at.maintenance, one.fields
    total = own + at.other_maintenance
    if regime.name == "dydx":
        adjustment = fields.positive("bankruptcy_adjustment", inherit=True) or Fraction(1)
        spread = fields.positive("spread_to_maintenance", inherit=True) or Fraction(3, 2)
        return {
            "fillable": decimal_text(
                fillable_price(position, equity, own, total, adjustment, spread)
            ),
            "deleveraging": decimal_text(deleveraging_price(position, equity, own, total)),
        }
    if regime.name == "drift":
        rate = position.tiers.rows[position.tiers.index_at(position.size * position.price)].rate
        liquidator = fields.fraction("liquidator_fee", inherit=True) or ZERO
        fund = fields.fraction("fund_fee", inherit=True) or ZERO
        quote = fields.positive("quote_price", inherit=True) or Fraction(1)
        shortage = max(total - equity, ZERO)
        amount = close_to_cover(shortage, position.price, rate, liquidator, fund, quote)
        return {"close_to_cover": decimal_text(amount)}
    return {}


def _trace(regime: Regime, one: PositionInput, equity: Fraction, at: Prices) -> dict[str, object]:
    position = one.position
    total = at.maintenance + at.other_maintenance
    initial = position.tiers.initial(position.size * position.price)
    if initial is not None:
        initial += position.size_rate * position.size * position.size * position.price
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
        "binds": {
            name: _binding_tier(position, crossing)
            for name, crossing in (
                ("warn", at.warn),
                ("liquidation", at.liquidation),
                ("backstop", at.backstop),
            )
            if crossing is not None and crossing.tier is not None
        },
        "mark_rule": regime.mark_rule,
        "unknown": _unknown_inputs(regime, one, initial),
        "ignored": one.fields.unread_names(),
    }


def _binding_tier(position: Position, crossing: Crossing) -> dict[str, object]:
    assert crossing.tier is not None
    row = position.tiers.rows[crossing.tier]
    return {
        "tier": crossing.tier,
        "lower_bound": decimal_text(row.lower_bound),
        "maintenance_rate": decimal_text(row.rate + position.size_rate * position.size),
        "deduction": decimal_text(row.deduction),
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
    unknown.append("book: not given, slippage of closing not counted")
    return unknown
