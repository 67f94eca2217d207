"""A refresh of all prices and zones from the engine's accounts, at the size of a large venue.

1 M accounts, 3.8 M positions, 500 markets, 6 tiers. Between two refreshes every mark moves and
5,000 fills arrive, some of which open or close positions; a refresh takes all of that in. For
comparison, NumPy computes the liquidation prices alone, from sorted arrays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np

from detectors.arrays.types import Float64, Int64
from monitor.core.accounts.ledger_kernels import (
    ACCOUNT,
    ENTRY_COLUMNS,
    FILL,
    FILL_QUANTITY,
    LEVERAGE,
    MOVE,
    OFFSET,
    OP,
    ROW_QUANTITY,
    ROW_REST,
    SYMBOL,
    TS,
)
from monitor.core.bands.inputs import RuleArrays
from monitor.core.bands.kernels.arrays import PositionArrays
from monitor.core.bands.maker import BandMaker
from monitor.core.cascade.zone_shocks import pass_zones
from monitor.core.decode.batch import TextColumn
from monitor.core.decode.stepped_kernels import LIMB, from_e8, to_floats
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers
from monitor.core.marks.market_rows import BEST_ASK, BEST_BID, LEVELS
from monitor.core.settings import AccountSettings, EngineSettings
from monitor.core.venue.state import VenueState
from monitor.core.venue.streams import VenueMoment, VenueStreams
from monitor.plugins import detector_factories
from tests.bench.figures import Figure
from tests.core.bands.position_arrays import pools_of

CASES = {
    "full": ({"accounts": 1_000_000, "turns": 20},),
    "quick": ({"accounts": 100_000, "turns": 5},),
    "tiny": ({"accounts": 1_000, "turns": 1},),
}
MARKETS, FILLS = 500, 5_000
E8, E6 = 10**8, 10**6
TABLE = [(0, "0.004"), (50_000, "0.005"), (600_000, "0.0065"), (3_000_000, "0.01"),
         (12_000_000, "0.02"), (70_000_000, "0.025")]  # fmt: skip


def entries(op: int, ts: int, account: Int64, symbol: Int64, *more: Int64) -> Int64:
    out = np.zeros((len(account), len(ENTRY_COLUMNS)), np.int64)
    out[:, TS], out[:, OP], out[:, OFFSET] = ts, op, np.arange(len(account))
    out[:, ACCOUNT], out[:, SYMBOL] = account, symbol
    for column, values in enumerate(more, SYMBOL + 1):
        out[:, column] = values
    return out


def fills(rng: np.random.Generator, ts: int, account: Int64, symbol: Int64, mark: Float64) -> Int64:
    notional = np.exp(rng.normal(7, 2, len(account)))
    side = np.where(rng.random(len(account)) < 0.55, 1, -1)
    at = mark[symbol] * np.exp(rng.normal(0, 0.03, len(account)))
    quantity = np.rint(notional / mark[symbol] * E8).astype(np.int64) + 1
    return entries(FILL, ts, account, symbol, from_e8(side * quantity), codes_of(at))


def codes_of(values: Float64) -> Int64:
    return from_e8(np.rint(values * E8).astype(np.int64))


def holdings(rng: np.random.Generator, accounts: int, markets: int) -> tuple[Int64, Int64, Int64]:
    """Accounts and markets of positions, 3.83 an account on average, and the accounts (one in 18)
    whose only position is isolated.
    """
    isolated = rng.random(accounts) < 0.055
    positions = np.where(isolated, 1, rng.integers(1, 8, accounts))
    account = np.repeat(np.arange(accounts), positions)
    place = np.arange(len(account)) - np.repeat(np.cumsum(positions) - positions, positions)
    step = np.repeat(rng.integers(1, 60, accounts), positions)
    market = (np.repeat(rng.integers(0, markets, accounts), positions) + place * step) % markets
    return account, market, np.flatnonzero(isolated)


def build_venue(
    accounts: int, rng: np.random.Generator, markets: int = MARKETS
) -> tuple[VenueState, Float64]:
    """A venue whose accounts are built by entries, as in the engine."""
    settings = AccountSettings(most=2 * accounts, positions=20 * accounts)
    venue = VenueState(EngineSettings(streams=(), accounts=settings))
    for low in range(0, accounts, 100_000):
        names = [f"account-{i}" for i in range(low, min(low + 100_000, accounts))]
        venue.ledger.names.intern(TextColumn.from_strings(names))
    symbols = [f"M{i}-PERP" for i in range(markets)]
    venue.ledger.symbols.intern(TextColumn.from_strings(symbols))
    venue._grow()
    tiers = Tiers.from_rows([(Fraction(b), Fraction(r), None) for b, r in TABLE])
    venue.market_rules = dict.fromkeys(symbols, (REGIMES["hyperliquid"], tiers))
    mark = np.exp(rng.normal(2, 2, markets))
    account, market, isolated = holdings(rng, accounts, markets)
    alone = np.searchsorted(account, isolated)
    venue.ledger.apply_entries(
        entries(
            LEVERAGE,
            10**18,
            isolated,
            market[alone],
            np.full(len(alone), 10 * E8),
            np.ones(len(alone), np.int64),
        )
    )
    order = rng.permutation(len(account))
    gross = np.zeros(accounts)
    for part in np.array_split(order, 16):
        rows = fills(rng, 10**18, account[part], market[part], mark)
        size = np.abs(to_floats(rows[:, FILL_QUANTITY]))
        np.add.at(gross, account[part], size * mark[market[part]])
        venue.ledger.apply_entries(rows)
    money = gross / np.exp(rng.normal(2.0, 0.8, accounts)) * E6
    every = np.arange(accounts)
    for part in np.array_split(every, 16):
        cash, none = np.rint(money[part]).astype(np.int64), np.full(len(part), -1)
        venue.ledger.apply_entries(entries(MOVE, 10**18, part, none, cash))
    levels = np.arange(1, LEVELS + 1) * 0.0002
    books = venue.last_books.data[:markets]
    for best, sign in ((BEST_BID, -1), (BEST_ASK, 1)):
        books[:, best : best + LEVELS] = codes_of(mark[:, None] * (1 + sign * levels))
        books[:, best + LEVELS : best + 2 * LEVELS] = codes_of(2e5 / mark)[:, None]
    return venue, mark


def numpy_ms(p: PositionArrays, rules: RuleArrays, mark: Float64) -> float:
    """Processor time of the liquidation prices alone in NumPy, from sorted arrays, ms."""
    pool = pools_of(p)
    used = pool >= 0
    pool, at, quantity = pool[used], mark[p.market[used]], p.quantity[used]
    size = np.abs(quantity)
    bound, rate, deduction = rules.tiers[:, : len(TABLE)]
    began = time.process_time()
    tier = np.searchsorted(bound, size * at, side="right") - 1
    need = rate[tier] * size * at - deduction[tier]
    count = len(p.cash)
    equity = (p.cash + np.bincount(pool, quantity * at, count))[pool]
    other = np.bincount(pool, need, count)[pool] - need
    long = quantity > 0
    best = np.where(long, -np.inf, np.inf)
    for r, d in zip(rate, deduction, strict=True):
        x = (other - d - equity + quantity * at) / (quantity - size * r)
        best = np.where(long, np.maximum(best, x), np.minimum(best, x))
    assert np.isfinite(best).any()
    return (time.process_time() - began) * 1e3


def time_refresh(
    venue: VenueState,
    maker: BandMaker,
    streams: VenueStreams,
    mark: Float64,
    rng: np.random.Generator,
    ts: int,
) -> tuple[float, float, float]:
    """Wall and processor time of taking in fills and making all bands, and processor time in which
    the venue's streams judge them; ms.
    """
    accounts = len(venue.ledger.names)
    mark *= np.exp(rng.normal(0, 0.0005, MARKETS))
    venue.trusted_marks.data[:MARKETS, 0] = codes_of(mark)
    who, where = rng.integers(0, accounts, FILLS), rng.integers(0, MARKETS, FILLS)
    rows = rng.integers(0, len(venue.ledger.position_rows), FILLS)
    in_place = rng.random(FILLS) < 0.9  # A tenth opens a position in a market that is new to it.
    owner, symbol = venue.ledger.row_owners()
    who, where = np.where(in_place, owner[rows], who), np.where(in_place, symbol[rows], where)
    coming = fills(rng, ts, who, where, mark)
    positions = venue.ledger.position_rows[rows]
    quantity = from_e8(positions[:, ROW_QUANTITY] * LIMB + positions[:, ROW_REST])
    closing = in_place & (rng.random(FILLS) < 0.2)
    coming[closing, FILL_QUANTITY] = -quantity[closing]
    coming = coming[coming[:, FILL_QUANTITY] != 0]
    wall, cpu = time.perf_counter(), time.process_time()
    venue.changes = []
    venue._apply_entries(coming)
    bands = maker.compute(ts, venue.market_inputs())
    assert bands is not None
    bands.digest(maker.parallel_map)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    began = time.process_time()
    streams.judge(VenueMoment(0, venue, bands))
    return wall * 1e3, cpu * 1e3, (time.process_time() - began) * 1e3


def measure(scratch: Path, accounts: int, turns: int) -> Iterator[Figure]:
    rng = np.random.default_rng(1)
    venue, mark = build_venue(accounts, rng)
    positions = len(venue.ledger.position_rows)
    maker = BandMaker(venue.ledger, pass_zones)
    settings = EngineSettings()
    streams = VenueStreams(settings, detector_factories(settings.streams))
    _, first, _ = time_refresh(venue, maker, streams, mark, rng, 10**18)
    yield Figure("first refresh, all pools put in order", first, "ms", positions)
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as executor:
            maker.parallel_map = executor.map
            for turn in range(turns + 1):
                ts = 10**18 + turn * 10**9
                wall, cpu, judging = time_refresh(venue, maker, streams, mark, rng, ts)
                if turn == 0:
                    continue  # the threads begin
                if threads == 2:
                    yield Figure("refresh in two threads, wall time", wall, "ms", positions)
                    continue
                yield Figure(f"refresh after {FILLS:,} fills", cpu, "ms", positions)
                yield Figure("the venue's streams beside it", judging, "ms", MARKETS)
    pools = maker.pools
    arrays = pools.update()
    rules = RuleArrays.from_markets([venue.market_rules[name] for name in pools.market_names])
    at = mark[pools.market_symbols]
    yield Figure("NumPy, liquidation prices alone", numpy_ms(arrays, rules, at), "ms", positions)
