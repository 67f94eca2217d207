"""Prices and amounts that only one venue has, for the margin calculator."""

from __future__ import annotations

from fractions import Fraction

from monitor.core.margin.formulas import Position


def fillable_price(
    position: Position,
    equity: Fraction,
    maintenance: Fraction,
    pool_maintenance: Fraction,
    bankruptcy_adjustment: Fraction = Fraction(1),
    spread_to_maintenance: Fraction = Fraction(3, 2),
) -> Fraction:
    """dYdX v4: the price at which the venue's own liquidation order is sent.

    The lower the equity, the further it lies from the oracle price: by `spread_to_maintenance` ·
    maintenance / size · clamp(`bankruptcy_adjustment` · (1 − equity / pool maintenance), 0, 1).
    Defaults: mainnet genesis.
    Source: dydxprotocol/v4-chain, x/clob/keeper/liquidations.go, GetFillablePrice.
    """
    rating = Fraction(1)
    if pool_maintenance > 0:
        rating = bankruptcy_adjustment * (1 - equity / pool_maintenance)
    rating = min(max(rating, Fraction(0)), Fraction(1))
    return position.price - rating * spread_to_maintenance * maintenance / position.quantity


def deleveraging_price(
    position: Position, equity: Fraction, maintenance: Fraction, pool_maintenance: Fraction
) -> Fraction:
    """dYdX v4: the price at which the position is deleveraged against a counterparty.

    The position takes its share (by maintenance) of the pool's equity along, so in a cross pool
    this is not the price at k = 0. Source: GetBankruptcyPriceInQuoteQuantums, same file.
    """
    share = maintenance / pool_maintenance if pool_maintenance else Fraction(1)
    return position.price - equity * share / position.quantity


def close_to_cover(
    shortage: Fraction,
    price: Fraction,
    margin_rate: Fraction,
    liquidator_fee: Fraction = Fraction(0),
    fund_fee: Fraction = Fraction(0),
    quote_price: Fraction = Fraction(1),
) -> Fraction | None:
    """Drift: base units that must be closed to make up a margin `shortage` (quote currency).

    Each unit of notional closed frees the margin rate less the two fees. None: that is nothing, and
    the whole position is closed. Source: drift protocol-v2, math/liquidation.rs.
    """
    freed = price * quote_price * (margin_rate - liquidator_fee - fund_fee)
    return shortage / freed if freed > 0 else None
