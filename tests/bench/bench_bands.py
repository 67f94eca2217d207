"""A refresh over a whole venue: 1 M accounts, 3.8 M positions, 500 markets, 6 tiers.

python -m tests.bench.bench_bands [accounts] [rounds]
"""

from __future__ import annotations

import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np

from monitor.core import bands
from monitor.core.bands import Bands, Books, Positions, Rules, arrange, refresh
from monitor.core.regimes import REGIMES
from monitor.core.tiers import Tiers

MARKETS = 500
TABLE = [(0, "0.004"), (50_000, "0.005"), (600_000, "0.0065"), (3_000_000, "0.01"),
         (12_000_000, "0.02"), (70_000_000, "0.025")]  # fmt: skip


def venue(accounts: int, seed: int = 1) -> tuple[Positions, Rules, np.ndarray, Books]:
    """Self-made accounts: 3.83 positions each on average, most of them cross."""
    rng = np.random.default_rng(seed)
    isolated = rng.random(accounts) < 0.055
    held = np.where(isolated, 1, rng.integers(1, 8, accounts))
    pool = np.repeat(np.arange(accounts), held)
    place = np.arange(len(pool)) - np.repeat(np.cumsum(held) - held, held)
    step = np.repeat(rng.integers(1, 60, accounts), held)
    market = (np.repeat(rng.integers(0, MARKETS, accounts), held) + place * step) % MARKETS
    mark = np.exp(rng.normal(2, 2, MARKETS))
    notional = np.exp(rng.normal(7, 2, len(pool)))
    quantity = notional / mark[market] * np.where(rng.random(len(pool)) < 0.55, 1, -1)
    entry = mark[market] * np.exp(rng.normal(0, 0.03, len(pool)))
    gross = np.bincount(pool, notional, accounts)
    equity = gross / np.exp(rng.normal(2.0, 0.8, accounts))
    cash = equity - np.bincount(pool, quantity * mark[market], accounts)
    tiers = Tiers.of([(Fraction(b), Fraction(r), None) for b, r in TABLE])
    rules = Rules.of([(REGIMES["hyperliquid"], tiers)] * MARKETS)
    levels = np.arange(1, 21) * 0.0002
    price = np.stack([mark[:, None] * (1 - levels), mark[:, None] * (1 + levels)])
    size = np.broadcast_to(2e5 / mark[None, :, None], price.shape).copy()
    return arrange(pool, market, quantity, entry, cash, isolated), rules, mark, Books.of(
        mark, price, size
    )  # fmt: skip


def numpy_liquidation(p: Positions, rules: Rules, mark: np.ndarray) -> np.ndarray:
    """The liquidation prices alone, in NumPy, for comparison."""
    at = mark[p.market]
    size = np.abs(p.quantity)
    rate, deduction, bound = (a[: len(TABLE)] for a in (rules.rate, rules.deduction, rules.bound))
    tier = np.searchsorted(bound, size * at, side="right") - 1
    need = rate[tier] * size * at - deduction[tier]
    count = len(p.cash)
    equity = (p.cash + np.bincount(p.pool, p.quantity * at, count))[p.pool]
    other = np.bincount(p.pool, need, count)[p.pool] - need
    long = p.quantity > 0
    best = np.where(long, -np.inf, np.inf)
    for r, d in zip(rate, deduction, strict=True):
        x = (other - d - equity + p.quantity * at) / (p.quantity - size * r)
        best = np.where(long, np.maximum(best, x), np.minimum(best, x))
    return np.where(best > 0, best, np.nan)


def main() -> None:
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    began = time.perf_counter()
    positions, rules, mark, books = venue(accounts)
    print(f"{accounts:,} accounts, {len(positions.quantity):,} positions, {MARKETS} markets, "
          f"{len(TABLE)} tiers (made in {time.perf_counter() - began:.1f} s)")  # fmt: skip
    room = Bands.empty(len(positions.quantity), accounts, MARKETS)
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as executor:
            taken = []
            cpu = time.process_time()
            for _ in range(rounds + 2):
                began = time.perf_counter()
                refresh(positions, rules, mark, books, run=executor.map, out=room)
                taken.append((time.perf_counter() - began) * 1e3)
            cpu = (time.process_time() - cpu) * 1e3 / len(taken)
        taken = taken[2:]
        print(
            f"refresh, {threads} thread(s): p50 {np.percentile(taken, 50):.0f} ms, "
            f"p99 {np.percentile(taken, 99):.0f} ms, {cpu:.0f} ms of CPU each"
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    began = time.perf_counter()
    plain = numpy_liquidation(positions, rules, mark)
    alone = (time.perf_counter() - began) * 1e3
    same = np.nanmax(np.abs(plain / room.prices[bands.LIQUIDATION] - 1))
    print(f"NumPy, liquidation prices alone: {alone:.0f} ms (largest difference {same:.1e})")
    print(f"highest memory with making the venue: {memory:.2f} GB")


if __name__ == "__main__":
    main()
