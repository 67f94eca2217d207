"""A refresh of all prices and zones from the engine's accounts, at the size of a large venue.

python -m tests.bench.bench_bands [accounts] [rounds]

1 M accounts, 3.8 M positions, 500 markets, 6 tiers. Between two refreshes every mark moves and
fills come in, some of which open or close positions: a refresh takes all of that in. NumPy alone
does the liquidation prices, from arrays that lie ready.
"""

from __future__ import annotations

import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np

from monitor.core.accounts.ledger_kernels import ENTRY_COLUMNS, FILL, LEVERAGE, MOVE
from monitor.core.bands import refresh
from monitor.core.bands.inputs import Floats, PositionArrays, RuleArrays
from monitor.core.bands.market_bands import VenueBands
from monitor.core.bands.market_bands import compute_bands as bands_of
from monitor.core.decode.batch import Int64, TextColumn
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers
from monitor.core.marks.market_rows import LEVELS
from monitor.core.settings import AccountSettings, EngineSettings
from monitor.core.venue.state import VenueState
from monitor.core.venue.streams import VenueMoment, VenueStreams
from monitor.plugins import detector_factories

MARKETS, FILLS = 500, 5_000
E8, E6 = 10**8, 10**6
TABLE = [(0, "0.004"), (50_000, "0.005"), (600_000, "0.0065"), (3_000_000, "0.01"),
         (12_000_000, "0.02"), (70_000_000, "0.025")]  # fmt: skip


def entries(op: int, ts: int, account: Int64, symbol: Int64, *more: Int64) -> Int64:
    out = np.zeros((len(account), len(ENTRY_COLUMNS)), np.int64)
    out[:, 0], out[:, 1], out[:, 3] = ts, op, np.arange(len(account))
    out[:, 4], out[:, 5] = account, symbol
    for column, values in enumerate(more):
        out[:, 6 + column] = values
    return out


def fills(rng: np.random.Generator, ts: int, account: Int64, symbol: Int64, mark: Floats) -> Int64:
    notional = np.exp(rng.normal(7, 2, len(account)))
    side = np.where(rng.random(len(account)) < 0.55, 1, -1)
    at = mark[symbol] * np.exp(rng.normal(0, 0.03, len(account)))
    quantity = np.rint(notional / mark[symbol] * E8).astype(np.int64) + 1
    return entries(FILL, ts, account, symbol, side * quantity, np.rint(at * E8).astype(np.int64))


def holdings(rng: np.random.Generator, accounts: int) -> tuple[Int64, Int64, Int64]:
    """3.83 positions an account on average, a few accounts isolated: account, market, who is."""
    isolated = rng.random(accounts) < 0.055
    held = np.where(isolated, 1, rng.integers(1, 8, accounts))
    account = np.repeat(np.arange(accounts), held)
    place = np.arange(len(account)) - np.repeat(np.cumsum(held) - held, held)
    step = np.repeat(rng.integers(1, 60, accounts), held)
    market = (np.repeat(rng.integers(0, MARKETS, accounts), held) + place * step) % MARKETS
    return account, market, np.flatnonzero(isolated)


def build_venue(accounts: int, rng: np.random.Generator) -> tuple[VenueState, Floats]:
    """A venue whose accounts came to be as they do in the engine: by entries."""
    settings = AccountSettings(most=2 * accounts, positions=20 * accounts)
    venue = VenueState(EngineSettings(streams=(), accounts=settings))
    for low in range(0, accounts, 100_000):
        names = [f"account-{i}" for i in range(low, min(low + 100_000, accounts))]
        venue.ledger.names.intern(TextColumn.from_strings(names))
    symbols = [f"M{i}-PERP" for i in range(MARKETS)]
    venue.ledger.symbols.intern(TextColumn.from_strings(symbols))
    venue._grow()
    tiers = Tiers.from_rows([(Fraction(b), Fraction(r), None) for b, r in TABLE])
    venue.market_rules = dict.fromkeys(symbols, (REGIMES["hyperliquid"], tiers))
    mark = np.exp(rng.normal(2, 2, MARKETS))
    account, market, isolated = holdings(rng, accounts)
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
        np.add.at(gross, account[part], np.abs(rows[:, 6]) / E8 * mark[market[part]])
        venue.ledger.apply_entries(rows)
    money = gross / np.exp(rng.normal(2.0, 0.8, accounts)) * E6
    every = np.arange(accounts)
    for part in np.array_split(every, 16):
        cash, none = np.rint(money[part]).astype(np.int64), np.full(len(part), -1)
        venue.ledger.apply_entries(entries(MOVE, 10**18, part, none, cash))
    levels = np.arange(1, LEVELS + 1) * 0.0002
    for side, sign in ((0, -1), (1, 1)):
        at = 4 + 2 * side * LEVELS
        price = mark[:, None] * (1 + sign * levels)
        venue.last_books.data[:MARKETS, at : at + LEVELS] = np.rint(price * E8)
        venue.last_books.data[:MARKETS, at + LEVELS : at + 2 * LEVELS] = np.rint(2e5 / mark * E8)[
            :, None
        ]
    return venue, mark


def numpy_liquidation(p: PositionArrays, rules: RuleArrays, mark: Floats) -> Floats:
    """The liquidation prices alone, in NumPy, for comparison."""
    used = p.pool_of_position >= 0
    pool, at, quantity = p.pool_of_position[used], mark[p.market[used]], p.quantity[used]
    size = np.abs(quantity)
    rate, deduction, bound = (a[: len(TABLE)] for a in (rules.rate, rules.deduction, rules.bound))
    began = time.perf_counter()
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
    best = np.where(best > 0, best, np.nan)
    print(f"NumPy, liquidation prices alone: {(time.perf_counter() - began) * 1e3:.0f} ms", end=" ")
    return best


def time_refresh(
    venue: VenueState, watch: VenueStreams, mark: Floats, rng: np.random.Generator, ts: int
) -> tuple[float, float, float]:
    """Time and CPU, in ms, of taking fills in and making all bands anew; time of judging what the
    venue's streams make of it."""
    accounts = len(venue.ledger.names)
    mark *= np.exp(rng.normal(0, 0.0005, MARKETS))
    venue.trusted_marks.data[:MARKETS, 0] = np.rint(mark * E8)
    who, where = rng.integers(0, accounts, FILLS), rng.integers(0, MARKETS, FILLS)
    rows = rng.integers(0, len(venue.ledger.position_rows), FILLS)
    known = rng.random(FILLS) < 0.9  # A tenth opens a position in a market that is new to it.
    owner, symbol = venue.ledger.row_owners()
    who, where = np.where(known, owner[rows], who), np.where(known, symbol[rows], where)
    coming = fills(rng, ts, who, where, mark)
    held = venue.ledger.position_rows[rows, 0]
    closing = known & (rng.random(FILLS) < 0.2)
    coming[closing, 6] = -held[closing]
    coming = coming[coming[:, 6] != 0]
    wall, cpu = time.perf_counter(), time.process_time()
    venue.changes = []
    venue._apply_entries(coming)
    found = bands_of(venue, ts)
    assert isinstance(found, VenueBands)
    found.digest(venue.parallel_map)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    began = time.perf_counter()
    watch.judge(VenueMoment(0, venue, found))
    return wall * 1e3, cpu * 1e3, (time.perf_counter() - began) * 1e3


def main() -> None:
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    rng = np.random.default_rng(1)
    began = time.perf_counter()
    venue, mark = build_venue(accounts, rng)
    positions = len(venue.ledger.position_rows)
    print(f"{accounts:,} accounts, {positions:,} positions, {MARKETS} markets, "
          f"{len(TABLE)} tiers (made in {time.perf_counter() - began:.1f} s)")  # fmt: skip
    settings = EngineSettings()
    watch = VenueStreams(settings, detector_factories(settings.streams))
    first, *_ = time_refresh(venue, watch, mark, rng, 10**18)
    print(f"first refresh, all pools put in order: {first / 1e3:.1f} s")
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as executor:
            venue.parallel_map = executor.map
            taken = [
                time_refresh(venue, watch, mark, rng, 10**18 + r * 10**9) for r in range(rounds + 2)
            ][2:]
        wall, cpu, judging = (np.array(column) for column in zip(*taken, strict=True))
        print(
            f"refresh after {FILLS:,} fills, {threads} thread(s): "
            f"p50 {np.percentile(wall, 50):.0f} ms, p99 {np.percentile(wall, 99):.0f} ms; "
            f"CPU of both p50 {np.percentile(cpu, 50):.0f} ms; "
            f"the venue's streams beside it p50 {np.percentile(judging, 50):.0f} ms"
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"highest memory of the whole: {memory:.2f} GB")
    positions = venue.pools.update()
    rules = RuleArrays.from_markets([venue.market_rules[name] for name in venue.pools.market_names])
    at = mark[venue.pools.market_symbols]
    plain = numpy_liquidation(positions, rules, at)
    kept = refresh.refresh_bands(positions, rules, at).prices[
        refresh.LIQUIDATION, positions.pool_of_position >= 0
    ]
    same = np.nanmax(np.abs(plain / kept - 1))
    print(f"(largest difference {same:.1e})")


if __name__ == "__main__":
    main()
