"""The orders of the accounts that a burst of cancels or a layering names."""

from __future__ import annotations

import numpy as np

from detectors.arrays.types import Float64, Int64
from monitor.core.contract.units import SECOND_NS
from replay.simulation.incidents.planted import PlantedIncident
from replay.simulation.market import Population, Rng, Rows, SimulatedMarkets
from replay.simulation.trading.draws import (
    draw_array,
    exponential_quantiles,
    log_normal_quantiles,
)
from replay.simulation.trading.state import PLANTED_ORDER

CANCELS_PER_EVENT = 0.42
"""Share of cancels among orders, cancels and fills."""
BURST_REST_S, BURST_STEPS, BURST_WEALTH = 20.0, 15, 0.003
"""How long the orders of a burst rest before it, on average; how many steps behind the touch at
most; their median notional as a share of the account's wealth."""
LAYERS = 20
"""Orders of one layering."""


def planted_orders(
    rng: Rng,
    parts: list[PlantedIncident],
    markets: SimulatedMarkets,
    population: Population,
    rate: float,
    depth_lots: Float64,
) -> Rows:
    """Orders of incidents' parts (`PLANTED_ORDER`), by time.

    `rate`: orders, cancels and fills of the venue a second. `depth_lots`: usual lots of a side
    within 25 bps, by market.
    """
    rows = [np.zeros(0, PLANTED_ORDER)]
    for part in parts:
        if part.kind not in ("cancel_burst", "layering"):
            continue
        market = markets.names.index(part.symbol)
        who = np.array([population.names.index(name) for name in part.accounts], np.int64)
        if part.kind == "cancel_burst":
            lot = markets.lot_value[market] * markets.ticks[market]
            lots = population.wealth[who] * BURST_WEALTH / lot
            usual = rate * CANCELS_PER_EVENT * float(markets.share[market])
            planted = _burst(rng, part, who, lots, usual)
        else:
            planted = _layering(rng, part, who, float(depth_lots[market]))
        planted["symbol"] = market
        rows.append(planted)
    every = np.concatenate(rows)
    return every[np.argsort(every["ts"], kind="stable")]


def _burst(
    rng: Rng, part: PlantedIncident, who: Int64, typical_lots: Float64, usual: float
) -> Rows:
    """Orders that are cancelled in a burst; `usual`: cancels of its market a second."""
    seconds = (part.end_ts - part.start_ts) / SECOND_NS
    count = int((part.size - 1) * usual * seconds + rng.random())
    rows = np.zeros(count, PLANTED_ORDER)
    end = rng.integers(part.start_ts, part.end_ts, count)
    rest_s = BURST_REST_S * draw_array(rng, exponential_quantiles(), (count,))
    rows["life"] = 1 + (rest_s * SECOND_NS).astype(np.int64)
    rows["ts"] = end - rows["life"]
    chosen = rng.integers(len(who), size=count)
    rows["account"], rows["side"] = who[chosen], rng.integers(2) * 2 - 1
    rows["distance"] = rng.integers(1, BURST_STEPS, count)
    size = draw_array(rng, log_normal_quantiles(1.0), (count,)) * typical_lots[chosen]
    rows["lots"] = np.maximum(size.astype(np.int64), 1)
    return rows


def _layering(rng: Rng, part: PlantedIncident, who: Int64, depth_lots: float) -> Rows:
    """Orders that rest on one side, and are cancelled together; who takes through where they were
    is in the disturbances."""
    rows = np.zeros(LAYERS, PLANTED_ORDER)
    length_ns = part.layers_end_ts - part.start_ts
    rows["ts"] = part.start_ts + rng.integers(length_ns // 4, size=LAYERS)
    rows["life"] = part.layers_end_ts + rng.integers(SECOND_NS, size=LAYERS) - rows["ts"]
    rows["distance"] = rng.integers(1, BURST_STEPS, LAYERS)
    rows["side"] = 1 if part.side == "buy" else -1
    rows["lots"] = max(1, int(part.size * depth_lots / LAYERS))
    rows["account"] = who[rng.integers(len(who), size=LAYERS)]
    return rows
