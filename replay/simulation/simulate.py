"""A simulated day: a small invented venue, with planted incidents as ground truth.

The records of a day are consistent: an order is placed before it is cancelled or filled, every fill
has both sides, positions follow from fills. Books, prices and orders are drawn independently,
though: the book is not the sum of the open orders, and nobody is liquidated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monitor.core.contract import events
from monitor.core.contract.fixed_point import SCALE, format_decimal
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode import codec
from replay.day import DayWriter
from replay.ground_truth import INCIDENTS_FILE
from replay.simulation import accounts, market
from replay.simulation.incidents.disturbances import disturbances
from replay.simulation.incidents.plan import encode_plan, make_plan
from replay.simulation.incidents.planted import PlantedIncident
from replay.simulation.log import SimulatedLog
from replay.simulation.order_flow import OrderFlow, planted_orders
from replay.simulation.record_writer import RecordWriter
from replay.simulation.settings import SimulationSettings

START_TS = 1_763_985_600 * SECOND_NS
"""2025-11-24T12:00:00Z, the start of every simulated day."""
HOUR_NS = 3600 * SECOND_NS
STRETCH_RECORDS = 1_000_000
"""About so many records are in memory at a time, at most a minute's."""
INSURANCE_FUND = 2_500_000
"""Quote currency."""


@dataclass(frozen=True, slots=True)
class SimulatedDay:
    """A day that was written."""

    out: Path
    start_ts: int
    end_ts: int
    records: int
    events: dict[str, int]
    """Records by kind."""
    incidents: list[PlantedIncident]


def simulate(
    out: Path,
    settings: SimulationSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SimulatedDay:
    """Write a simulated day to the folder `out`, with its ground truth in `incidents.json`.

    `progress` takes the seconds simulated so far and the seconds of the whole day. Raises
    `ValueError` for settings out of range and for incidents that the day cannot hold, `DayError`
    where `out` exists.
    """
    settings = settings or SimulationSettings()
    settings.check()
    total_s = settings.minutes * 60
    end_ts = START_TS + total_s * SECOND_NS
    # A random generator for each part, so that planted incidents leave the rest as it was.
    seeds = np.random.SeedSequence(settings.seed).spawn(7)
    world, walking, flowing, planting, settling, logging, writing = (
        np.random.Generator(np.random.PCG64(seed)) for seed in seeds
    )
    markets = market.make_markets(world, settings.symbols)
    population = market.make_population(world, settings.accounts)
    plan = make_plan(
        settings.incidents, planting, markets.names, population.names, START_TS, end_ts
    )
    parts = [part for incident in plan for part in incident.parts()]
    # `rate` is the mean of the day as simulated, whichever part of the daily cycle it covers.
    mean = settings.rate / float(market.daily_cycle(START_TS, total_s).mean())
    positions = accounts.SimulatedPositions(settings.symbols)
    references, deposits, choices = accounts.draw_opening(
        settling, markets, population, START_TS, positions
    )
    planted = planted_orders(planting, parts, markets, population, settings.rate, START_TS)
    with DayWriter(out, venue="simulated", end_ts=end_ts) as day:
        log = SimulatedLog(day, logging, settings.partitions, START_TS)
        writer = RecordWriter(log, writing, markets, population)
        _write_references(log, markets, references)
        writer.write("collateral", deposits)
        walk = market.MarketWalk(walking, markets)
        flow = OrderFlow(flowing, markets, population, mean, planted)
        surges = [part for part in parts if part.kind == "leverage_surge"]
        actions = accounts.AccountActions(settling, markets, population, mean, choices, surges)
        # The length of a stretch divides an hour.
        lengths = (s for s in (60, 30, 20, 10, 5, 2) if s * settings.rate <= STRETCH_RECORDS)
        seconds = next(lengths, 1)
        for at in range(START_TS, end_ts, seconds * SECOND_NS):
            writer.disturbed = disturbances(parts, markets.names, at, seconds)
            if at % HOUR_NS == 0:
                rate = writer.funding_rate
                writer.write(
                    "collateral",
                    accounts.funding_payments(settling, positions, walk.price(), rate, at),
                )
            stretch = walk.step(at, writer.disturbed)
            writer.write_books(stretch)
            writer.write_marks(stretch, positions.open_interest())
            placed, met, ended = flow.step(stretch)
            writer.write_orders(placed, met)
            writer.write_cancels(ended)
            writer.write_fills(met, positions)
            leverage, moves = actions.step(stretch)
            writer.write("leverage", leverage)
            writer.write("collateral", moves)
            log.write_heartbeats(at + seconds * SECOND_NS)
            if progress:
                progress((at - START_TS) // SECOND_NS + seconds, total_s)
        noted = {"seed": settings.seed, "rate": settings.rate, "accounts": settings.accounts}
        day.note("simulated", noted)
        day.note("incidents", len(plan))
        day.attach(INCIDENTS_FILE, encode_plan(plan))
    counts = log.record_counts
    return SimulatedDay(out, START_TS, end_ts, sum(counts.values()), counts, plan)


def _write_references(
    log: SimulatedLog, markets: market.SimulatedMarkets, positions: list[events.Event]
) -> None:
    """Write the rules of the markets, the insurance fund and the positions at the opening."""
    rules = [_market_rules(markets, row) for row in range(len(markets.names))]
    fund = events.InsuranceFundReference.model_validate(
        {"ts": START_TS, "about": "insurance_fund", "amount": str(INSURANCE_FUND)}
    )
    rows: list[events.Event] = [*rules, fund, *positions]
    partitions = log.partition_of([getattr(row, "symbol", None) or "" for row in rows])
    for partition in range(log.partitions):
        mine = [row for row, p in zip(rows, partitions.tolist(), strict=True) if p == partition]
        offset = np.arange(len(mine))
        topic = events.TOPICS["reference"]
        log.write_batch(codec.batch_from_events("reference", topic, partition, offset, mine))


def _market_rules(markets: market.SimulatedMarkets, row: int) -> events.MarketReference:
    """A market with two tiers, as on Hyperliquid: half the leverage above a notional."""
    leverage = int(markets.leverage_max[row])
    bound = 150_000_000 * leverage // 40
    return events.MarketReference.model_validate(
        {
            "ts": START_TS,
            "symbol": markets.names[row],
            "about": "market",
            "tick": format_decimal(int(markets.tick[row]), SCALE),
            "lot": format_decimal(int(markets.lot[row]), SCALE),
            "regime": "hyperliquid",
            "tiers": [
                {"lower_bound": str(b), "maintenance_rate": str(r), "initial_rate": str(2 * r)}
                for b, r in ((0, 0.5 / leverage), (bound, 1 / leverage))
            ],
        }
    )
