"""A simulated day: a small venue with a life of its own, and planted incidents that are known.

The records of one day agree with one another: an order is placed before it is cancelled or filled,
both sides of a fill are there, positions come from fills. Books, prices and order flow are drawn
beside one another, though: the book is not what the orders add up to, and nobody is liquidated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monitor.core.contract import events
from monitor.core.contract.fixed_point import SCALE, format_decimal
from monitor.core.decode import codec
from replay.day.reader import DayWriter
from replay.simulation.accounts import (
    AccountActions,
    OpeningState,
    SimulatedPositions,
    draw_opening,
    funding_payments,
)
from replay.simulation.incidents import (
    PlantedIncident,
    check_plan,
    default_plan,
    encode_plan,
    read_plan,
)
from replay.simulation.log import SimulatedLog
from replay.simulation.market import (
    MarketWalk,
    Population,
    Rng,
    SimulatedMarkets,
    Stretch,
    daily_cycle,
    make_markets,
    make_population,
)
from replay.simulation.order_flow import SECOND_NS, OrderFlow, planted_orders
from replay.simulation.record_writer import RecordWriter

START_TS = 1_763_985_600 * SECOND_NS
"""2025-11-24T12:00:00Z, always: the same seed gives the same day."""
HOUR_NS = 3600 * SECOND_NS
STRETCH_RECORDS = 1_000_000
"""About so many records are held at a time, at most a minute's."""
INSURANCE_FUND = 2_500_000
INCIDENTS_FILE = "incidents.json"
_SYMBOLS_MAX, _ACCOUNTS_MAX = 10_000, 1_000_000


@dataclass(frozen=True, slots=True)
class SimulatedDay:
    """What was made."""

    out: Path
    start_ts: int
    end_ts: int
    records: int
    events: dict[str, int]
    """Records by kind."""
    incidents: list[PlantedIncident]


def simulate(
    out: Path,
    *,
    seed: int = 7,
    minutes: int = 20,
    symbols: int = 8,
    accounts: int = 2000,
    rate: float = 400.0,
    incidents: str = "default",
    partitions: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SimulatedDay:
    """Write a simulated day to the folder `out`, with its ground truth in `incidents.json`.

    `rate`: orders, cancels and fills a second, on average, over all markets; books, marks and the
    rest come on top. `incidents`: `default`, `none`, or a JSON file of incidents to plant.
    `progress` is told the seconds done and to do. The same arguments give the same bytes.

    Raises `ValueError` for arguments out of range and for incidents that the day cannot hold.
    """
    _check_arguments(seed, minutes, symbols, accounts, rate, partitions)
    end_ts = START_TS + minutes * 60 * SECOND_NS
    # One stream of chance for each part, so that what is planted leaves the rest as it was.
    streams = [
        np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence(seed).spawn(7)
    ]
    world, walking, flowing, planting, settling, logging, writing = streams
    markets, population = make_markets(world, symbols), make_population(world, accounts)
    plan = _make_plan(incidents, planting, markets, population, end_ts)
    # The mean rate is that of the day made, whatever part of the daily cycle it covers.
    mean = rate / float(daily_cycle(START_TS, minutes * 60).mean())
    held = SimulatedPositions(symbols)
    start = draw_opening(settling, markets, population, START_TS, held)
    planted = planted_orders(planting, plan, markets, population, rate, START_TS)
    with DayWriter(out, venue="simulated", end_ts=end_ts, overwrite=overwrite) as day:
        tape = SimulatedLog(day, logging, partitions, START_TS)
        scribe = RecordWriter(tape, writing, markets, population)
        _write_opening(tape, scribe, markets, start)
        walk = MarketWalk(walking, markets)
        flow = OrderFlow(flowing, markets, population, mean, planted)
        desk = AccountActions(settling, markets, population, mean, start.settings, plan)
        for at, seconds in _stretches(rate, end_ts):
            if at % HOUR_NS == 0:
                funding = scribe.funding_rate
                scribe.write_moves(funding_payments(settling, held, walk.price(), funding, at))
            stretch = _thin_books(walk.step(at, seconds), plan, markets)
            scribe.write_books(stretch)
            scribe.write_marks(stretch, held.open_interest())
            placed, met, over = flow.step(stretch)
            scribe.write_orders(placed, met)
            scribe.write_cancels(over)
            scribe.write_fills(met, held)
            leverage, moves = desk.step(stretch)
            scribe.write_leverage(leverage)
            scribe.write_moves(moves)
            tape.write_heartbeats(at + seconds * SECOND_NS)
            if progress:
                progress((at - START_TS) // SECOND_NS + seconds, minutes * 60)
        day.note("simulated", {"seed": seed, "rate": rate, "accounts": accounts})
        day.note("incidents", len(plan))
    (out / INCIDENTS_FILE).write_bytes(encode_plan(plan))
    counts = tape.record_counts
    return SimulatedDay(out, START_TS, end_ts, sum(counts.values()), counts, plan)


def _check_arguments(
    seed: int, minutes: int, symbols: int, accounts: int, rate: float, partitions: int
) -> None:
    bounds = {
        "seed": (seed, 0, 2**63 - 1),
        "minutes": (minutes, 1, 60 * 24 * 31),
        "symbols": (symbols, 1, _SYMBOLS_MAX),
        "accounts": (accounts, 10, _ACCOUNTS_MAX),
        "rate": (rate, 0.1, 1e6),
        "partitions": (partitions, 1, 1024),
    }
    for name, (value, low, high) in bounds.items():
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}: give {low} to {high:g}")


def _make_plan(
    incidents: str, rng: Rng, markets: SimulatedMarkets, population: Population, end_ts: int
) -> list[PlantedIncident]:
    """The incidents of the day, each burst with its accounts."""
    if incidents == "none":
        return []
    names, accounts = markets.names, population.names
    if incidents == "default":
        return default_plan(rng, names, accounts, START_TS, end_ts)
    plan = read_plan(Path(incidents))
    check_plan(plan, names, accounts, START_TS, end_ts)
    drawn = population.draw(rng, len(plan)).tolist()
    return [
        i.model_copy(update={"accounts": [accounts[a]]})
        if i.raises_cancels and not i.accounts
        else i
        for i, a in zip(plan, drawn, strict=True)
    ]


def _write_opening(
    tape: SimulatedLog, scribe: RecordWriter, markets: SimulatedMarkets, start: OpeningState
) -> None:
    """The rules of the markets, the insurance fund, the positions and what was paid in."""
    rules = [_market_rules(markets, row) for row in range(len(markets.names))]
    fund = events.InsuranceFundReference.model_validate(
        {"ts": START_TS, "about": "insurance_fund", "amount": str(INSURANCE_FUND)}
    )
    rows: list[events.Event] = [*rules, fund, *start.positions]
    where = tape.partition_of([getattr(row, "symbol", None) or "" for row in rows])
    for partition in range(tape.partitions):
        mine = [row for row, p in zip(rows, where.tolist(), strict=True) if p == partition]
        offset = np.arange(len(mine))
        topic = events.TOPICS["reference"]
        tape.write_batch(codec.batch_from_events("reference", topic, partition, offset, mine))
    scribe.write_moves(start.deposits)


def _market_rules(markets: SimulatedMarkets, row: int) -> events.MarketReference:
    """Two tiers, as Hyperliquid has them: half the leverage above a notional."""
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


def _stretches(rate: float, end_ts: int) -> list[tuple[int, int]]:
    """Starts and lengths (s) of the stretches in which the day is made: whole parts of an hour."""
    length = next(s for s in (60, 30, 20, 10, 5, 2, 1) if s * rate <= STRETCH_RECORDS or s == 1)
    return [(at, length) for at in range(START_TS, end_ts, length * SECOND_NS)]


def _thin_books(
    stretch: Stretch, plan: list[PlantedIncident], markets: SimulatedMarkets
) -> Stretch:
    """`stretch` with the books of its incidents thinned and their spreads widened."""
    for incident in plan:
        first = (incident.start_ts - stretch.start_ts) // SECOND_NS
        last = -((stretch.start_ts - incident.end_ts) // SECOND_NS)
        if incident.thins_book and first < stretch.seconds and last > 0:
            seconds, symbol = slice(max(first, 0), last), markets.names.index(incident.symbol)
            stretch.depth[seconds, symbol] /= incident.size
            stretch.spread[seconds, symbol] += round(incident.size / 2)
    return stretch
