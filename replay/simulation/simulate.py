"""A simulated day: a small invented venue, with planted incidents as ground truth.

The book is the sum of the open orders, which are matched by price and time; prices come out of
trading. A clearing house of its own holds what accounts have, and closes in the book the positions
of those that fall below maintenance.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors.arrays.types import Int64
from monitor.core.contract import events
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE, format_decimal
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode import codec
from replay.day import DayWriter
from replay.ground_truth import INCIDENTS_FILE
from replay.simulation import accounts, market, opening
from replay.simulation.clearing.columns import DEPOSIT
from replay.simulation.clearing.ledger import VenueMoney, add_room, open_ledger
from replay.simulation.clearing.states import StateTrail
from replay.simulation.incidents.disturbances import Disturbances, disturbances
from replay.simulation.incidents.orders import planted_orders
from replay.simulation.incidents.plan import encode_plan, make_plan
from replay.simulation.incidents.planted import PlantedIncident
from replay.simulation.index import IndexWalk
from replay.simulation.log import SimulatedLog
from replay.simulation.market import Float64, Rows, SimulatedMarkets
from replay.simulation.record_writer import RecordWriter
from replay.simulation.settings import SimulationSettings
from replay.simulation.trading import state as columns
from replay.simulation.trading.settlement import open_accounts
from replay.simulation.venue import SimulatedVenue

START_TS = 1_763_985_600 * SECOND_NS
"""2025-11-24T12:00:00Z, the start of every simulated day."""
HOUR_NS, MINUTE_NS = 3600 * SECOND_NS, 60 * SECOND_NS
STRETCH_RECORDS, STRETCH_BOOKS = 1_000_000, 60_000
"""About so many records, and books, are in memory at a time, at most a minute's."""
VENUE_FUNDS = 2_500_000
"""Of the insurance fund, and of the backstop vault, quote currency."""


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
    states: Path | None = None,
) -> SimulatedDay:
    """Write a simulated day to the folder `out`, with its ground truth in `incidents.json`.

    `progress` takes the seconds simulated so far and the seconds of the whole day. `states`: a
    Parquet file that gets what every account has after each minute (`StateTrail`). Raises
    `ValueError` for settings out of range and for incidents that the day cannot hold, `DayError`
    where `out` exists.
    """
    settings = settings or SimulationSettings()
    settings.check()
    total_s = settings.minutes * 60
    end_ts = START_TS + total_s * SECOND_NS
    # A random generator for each part, so that planted incidents leave the rest as it was.
    seeds = np.random.SeedSequence(settings.seed).spawn(7)
    world, walking, planting, trading, settling, logging, writing = (
        np.random.Generator(np.random.PCG64(seed)) for seed in seeds
    )
    markets = market.make_markets(world, settings.symbols)
    population = market.make_population(world, settings.accounts)
    plan = make_plan(
        settings.incidents, planting, markets.names, population.names, START_TS, end_ts
    )
    parts = [part for incident in plan for part in incident.parts()]
    # `rate` is the mean of the day as simulated, whichever part of the daily cycle it covers.
    cycle = market.daily_cycle(START_TS, total_s)
    mean = settings.rate / float(np.cumsum(cycle)[-1] / total_s)
    state = opening.open_trading(trading, markets, population, mean)
    rules = [_market_rules(markets, row) for row in range(len(markets.names))]
    fee_class = np.zeros(len(population.names), np.int64)
    fee_class[population.makers] = fee_class[population.arbitrageurs] = 1
    funds = VENUE_FUNDS * MONEY_SCALE
    ledger = open_ledger(rules, len(population.names), VenueMoney(funds, funds), fee_class)
    against = state.makers[:: columns.MAKERS_MAX, columns.MAKER_ACCOUNT]
    opened = accounts.draw_opening(settling, markets, population, against)
    ledger = add_room(ledger, len(opened.places))
    open_accounts(ledger, opened.deposits, opened.places)
    depth_lots = state.state[:, columns.DEPTH_LOTS].copy()
    planted = planted_orders(planting, parts, markets, population, settings.rate, depth_lots)
    seconds = _stretch_s(settings)
    records = seconds * settings.rate
    venue = SimulatedVenue(
        state._replace(planted=planted), ledger, markets, records, START_TS, end_ts
    )
    trail = closing(StateTrail(states)) if states else nullcontext()
    with DayWriter(out, venue="simulated", end_ts=end_ts) as day, trail as written:
        log = SimulatedLog(day, logging, settings.partitions, START_TS)
        writer = RecordWriter(log, writing, markets, population)
        references = accounts.position_references(markets, population, opened.places, START_TS)
        _write_references(log, rules, references)
        writer.write("collateral", _deposits(opened.deposits, funds))
        walk = IndexWalk(walking, markets)
        surges = [part for part in parts if part.kind == "leverage_surge"]
        wishes = accounts.AccountWishes(settling, markets, population, mean, surges)
        base = opening.spontaneous_rate(state, markets, mean)
        for at in range(START_TS, end_ts, seconds * SECOND_NS):
            writer.disturbed = disturbances(parts, markets.names, at, seconds)
            if at % HOUR_NS == 0:
                writer.write("collateral", venue.pay_funding(at))
            index, activity = walk.step(at, writer.disturbed)
            outside = _world(index, base * activity, writer.disturbed, depth_lots)
            venue.simulate(writer, at, outside, wishes.step(at, activity))
            log.write_heartbeats(at + seconds * SECOND_NS)
            if written and (at + seconds * SECOND_NS) % MINUTE_NS == 0:
                venue.write_states(written, at + seconds * SECOND_NS, log.record_counts)
            if progress:
                progress((at - START_TS) // SECOND_NS + seconds, total_s)
        noted = {"seed": settings.seed, "rate": settings.rate, "accounts": settings.accounts}
        day.note("simulated", noted)
        day.note("incidents", len(plan))
        day.attach(INCIDENTS_FILE, encode_plan(plan))
    counts = log.record_counts
    return SimulatedDay(out, START_TS, end_ts, sum(counts.values()), counts, plan)


def _stretch_s(settings: SimulationSettings) -> int:
    """Seconds that are simulated at a time; their number divides an hour."""
    for seconds in (60, 30, 20, 10, 5, 2):
        if (
            seconds * settings.rate <= STRETCH_RECORDS
            and seconds * settings.symbols <= STRETCH_BOOKS
        ):
            return seconds
    return 1


def _world(
    index: Float64, arrivals: Float64, disturbed: Disturbances, depth_lots: Float64
) -> Float64:
    """What comes from outside in a stretch, by the columns of `trading/state.py`."""
    crowd = disturbed.taken_depths * depth_lots
    outside = (index, arrivals, disturbed.depth_kept, disturbed.premium, disturbed.index_error)
    world: Float64 = np.stack([*outside, crowd], axis=2)
    return world


def _deposits(deposits: Int64, funds: int) -> Rows:
    """What all accounts pay in at the opening, those of the venue's own too."""
    rows = np.zeros(len(deposits) + 2, columns.MOVE_ROW)
    rows["ts"], rows["account"] = START_TS, np.arange(len(rows))
    rows["amount"] = np.append(deposits, [funds, funds])
    rows["symbol"], rows["cause"] = -1, DEPOSIT
    return rows


def _write_references(
    log: SimulatedLog, rules: list[events.MarketReference], positions: list[events.Event]
) -> None:
    """Write the rules of the markets, the insurance fund and the positions at the opening."""
    fund = events.InsuranceFundReference.model_validate(
        {"ts": START_TS, "about": "insurance_fund", "amount": str(VENUE_FUNDS)}
    )
    rows: list[events.Event] = [*rules, fund, *positions]
    partitions = log.partition_of([getattr(row, "symbol", None) or "" for row in rows])
    for partition in range(log.partitions):
        mine = [row for row, p in zip(rows, partitions.tolist(), strict=True) if p == partition]
        offset = np.arange(len(mine))
        topic = events.TOPICS["reference"]
        log.write_batch(codec.batch_from_events("reference", topic, partition, offset, mine))


def _market_rules(markets: SimulatedMarkets, row: int) -> events.MarketReference:
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
