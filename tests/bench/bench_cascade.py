"""Cascades at the size of a large venue: all shocks of each market, and the graph of all of them.

1 M accounts with 3.8 M positions, in 500 markets and in 40. The *graph* is the edges, the
reproduction number and what carries it, and the critical shocks of the common factor down and up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from monitor.core.bands.inputs import BookImpact, RuleArrays
from monitor.core.bands.maker import BandMaker
from monitor.core.bands.refresh import ParallelMap
from monitor.core.cascade.all_shocks import ShockAnswers
from monitor.core.cascade.graph.carriers import carriers
from monitor.core.cascade.graph.system import MarketSystem, SystemSide
from monitor.core.cascade.market_stress import RATE_SPAN
from monitor.core.cascade.venue_steps import book_levels, forced_steps, sent_at_once
from monitor.core.cascade.zone_shocks import pass_zones
from tests.bench.bench_bands import build_venue
from tests.bench.figures import Figure

CASES = {
    "full": (
        {"accounts": 1_000_000, "markets": 500, "turns": 5, "goal_s": 10.0},
        {"accounts": 1_000_000, "markets": 40, "turns": 5, "goal_s": 1.0},
    ),
    "quick": (
        {"accounts": 100_000, "markets": 500, "turns": 3, "goal_s": None},
        {"accounts": 100_000, "markets": 40, "turns": 3, "goal_s": None},
    ),
    "tiny": ({"accounts": 1_000, "markets": 40, "turns": 1, "goal_s": None},),
}
KAPPA = 0.18
SURVIVES = 0.3
ALL_SHOCKS_GOAL_MS = 50.0


def graph_of(system: MarketSystem, run: ParallelMap) -> int:
    """Both directions side by side; how many edges there are."""
    return sum(run(lambda falls: one_way(system.side(falls, SURVIVES)), (True, False)))


def one_way(side: SystemSide) -> int:
    k = side.edges(RATE_SPAN).total
    radius, shares = carriers(k)
    assert radius == 0.0 or abs(shares.sum() - 1.0) < 1e-6
    side.critical_factor()
    return int(np.count_nonzero(k))


def timed(step: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and processor time, s, and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = step()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def measure(
    scratch: Path, accounts: int, markets: int, turns: int, goal_s: float | None
) -> Iterator[Figure]:
    venue, prices = build_venue(accounts, np.random.default_rng(1), markets)
    pools = BandMaker(venue.ledger, pass_zones).pools
    positions, symbols = pools.update(), pools.market_symbols
    rules = RuleArrays.from_markets([venue.market_rules[name] for name in pools.market_names])
    mark, kappa = prices[symbols], np.full(markets, KAPPA)
    sent = sent_at_once(positions, rules, mark)
    books = BookImpact.from_books(mark, symbols, venue.last_books.data)
    levels = book_levels(mark, symbols, venue.last_books.data)
    _, cpu, (steps, _) = timed(lambda: forced_steps(positions, rules, mark, books, sent))
    work = len(steps.distance)
    yield Figure(f"steps of {markets} markets put in order", cpu * 1e3, "ms", work)
    both = np.tile(kappa, 2)
    for turn in range(turns + 1):
        wall, cpu, _ = timed(lambda: ShockAnswers.find(steps, levels, both, SURVIVES))
        if turn:
            goal = ALL_SHOCKS_GOAL_MS if goal_s else None
            name = f"all shocks of {markets} markets, each position a step"
            yield Figure(name, cpu * 1e3, "ms", work, goal=goal)
    with ThreadPoolExecutor(2) as executor:
        for turn in range(turns + 1):
            system = MarketSystem(positions, rules, mark, levels, kappa, sent)
            wall, cpu, edges = timed(partial(graph_of, system, executor.map))
            if turn:
                name = f"graph of {markets} markets"
                yield Figure(f"{name}, in two threads", wall, "s", edges, goal=goal_s)
                yield Figure(f"{name}, processor time", cpu, "s", edges)
