"""Theorem: marks judged together leave what a guard for each market by itself leaves."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np

from detectors.arrays.types import Int64
from monitor.core.contract.stepped import quantise
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT, TextColumn
from monitor.core.marks import market_rows as columns
from monitor.core.marks.mark_filter import MarkFilter, _read_update
from monitor.core.marks.mark_guard import MarkGuard, PriceSource
from monitor.core.marks.market_rows import BOOK_WIDTH, MARK_COLUMNS
from monitor.core.snapshot import to_state
from monitor.core.tables.interner import Interner

MARKETS = 3
STEP_NS = SECOND_NS // 2


def draw_records(rng: np.random.Generator, count: int) -> tuple[Int64, list[list[PriceSource]]]:
    """Mark records of a few markets: ordinary ones, and one in twenty of each kind of trouble."""
    rows = np.full((count, len(MARK_COLUMNS)), ABSENT)
    price, ts, every = np.array([100.0, 3.0, 0.02]), 10**18, []
    for i in range(count):
        market = int(rng.integers(MARKETS))
        ts += STEP_NS if rng.random() > 0.02 else int(rng.integers(1, 90)) * SECOND_NS
        price[market] *= np.exp(rng.normal(0.0, 0.001))
        if rng.random() < 0.03:
            price[market] *= rng.choice([0.9, 1.04, 1.2])
        names = ["a", "b", "c"][: int(rng.choice([3, 3, 3, 2, 0], p=[0.4, 0.3, 0.2, 0.05, 0.05]))]
        sources = []
        for name in names:
            trouble = rng.random()
            own = 1.0 if trouble < 0.02 else price[market] * (1 + rng.normal(0.0, 0.0005))
            age_s = 40.0 if trouble > 0.98 else rng.uniform(0.0, 5.0)
            sources.append(PriceSource(name, round(own, 8), ts - round(age_s * SECOND_NS)))
        every.append(sources)
        rows[i, : columns.VALUES] = ts, 0, i, market
        for at, chance in ((columns.MARK, 0.9), (columns.INDEX, 0.8), (columns.LAST, 0.5)):
            if rng.random() < chance:
                offered = price[market] * (1.3 if rng.random() < 0.02 else 1.0)
                rows[i, at] = quantise(f"{offered:.8f}")
    return rows, every


def test_marks_judged_together_are_judged_as_each_by_itself() -> None:
    ordinary = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        rows, every = draw_records(rng, 1_500)
        books = np.zeros((MARKETS, BOOK_WIDTH), np.int64)
        books[:, columns.TS] = rows[700, columns.TS]
        books[:, columns.BEST_BID] = [quantise(p) for p in ("99.9", "2.99", "0.0199")]
        books[:, columns.BEST_ASK] = [quantise(p) for p in ("100.1", "3.01", "0.0201")]
        symbols = Interner()
        symbols.intern(TextColumn.from_strings(["A", "B", "C"]))
        judged = MarkFilter(symbols)
        texts: list[str | None] = [
            json.dumps([{"name": s.name, "price": str(s.price), "ts": s.ts} for s in sources])
            for sources in every
        ]
        judged.add_sources(0, list(range(len(rows))), texts)
        guards: dict[int, Any] = defaultdict(MarkGuard)
        begin = 0
        while begin < len(rows):
            end = begin + int(rng.integers(1, 40))
            out = judged.filter_rows(rows[begin:end], books)
            for i, row in enumerate(rows[begin:end].tolist(), start=begin):
                symbol = row[columns.SYMBOL]
                update = _read_update(row, books[symbol], every[i])
                mark, index, doubts = guards[symbol].judge(update)
                assert (out[i - begin, columns.MARK] != ABSENT) == mark, i
                assert (out[i - begin, columns.INDEX] != ABSENT) == index, i
                ordinary += not doubts
            kept = judged.snapshot()["guards"]
            assert repr(sorted(kept)) == repr(sorted(to_state(dict(guards)))), end
            begin = end
    assert 4_000 < ordinary < 8_500, "neither all records are ordinary nor hardly any"
