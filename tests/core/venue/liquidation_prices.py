"""The liquidation price of every position of a venue, by the kernels."""

from __future__ import annotations

import numpy as np

from monitor.core.bands.inputs import BookImpact, MarketRules
from monitor.core.bands.kernels.arrays import PRICE_LIQUIDATION, STRESS
from monitor.core.bands.kernels.position_prices import price_positions
from monitor.core.engine import Engine


def liquidation_prices(engine: Engine) -> dict[tuple[str, str], float | None]:
    """By account and market; None: there is none, or it is not known."""
    venue, pools = engine.venue, engine.stage.band_maker.pools
    positions, inputs = pools.update(), venue.market_inputs()
    rules = MarketRules.read(pools.market_names, pools.market_symbols, inputs)
    marks = rules.marks(inputs.marks)
    slip = np.ravel(BookImpact.from_books(marks, rules.symbols, inputs.books).slip)
    prices = np.empty((STRESS, len(positions.quantity)))
    price_positions(positions, rules.arrays.at_marks(marks), slip, prices)
    out = {}
    for pool, (first, count) in enumerate(zip(positions.start, positions.length, strict=True)):
        (account,) = venue.ledger.names.names(pools.accounts(np.array([pool])))
        for slot in range(first, first + count):
            price = float(prices[PRICE_LIQUIDATION, slot])
            name = pools.market_names[positions.market[slot]]
            out[account, name] = price if 0.0 < price < np.inf else None
    return out
