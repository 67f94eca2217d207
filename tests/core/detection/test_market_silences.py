"""Silences of markets: the same however windows are cut, rare by chance, cheap where nothing is."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from monitor.core.contract.units import DAY_S
from monitor.core.detection.market_silences import MarketSilences
from monitor.core.finding import Finding
from monitor.core.settings import EngineSettings
from monitor.core.windows.columns import KINDS

Rows = tuple[Any, Any, Any]


def rows_of(arrivals: dict[tuple[int, str], Any]) -> Rows:
    """Windows with records, from the windows of each market and kind."""
    places: dict[tuple[int, int], set[str]] = {}
    for (symbol, kind), windows in arrivals.items():
        for window in windows.tolist():
            places.setdefault((window, symbol), set()).add(kind)
    order = sorted(places)
    offsets = np.full((len(order), len(KINDS)), -1)
    for i, place in enumerate(order):
        offsets[i, [KINDS.index(kind) for kind in places[place]]] = 1
    window, symbol = np.array(order, np.int64).T
    return window, symbol, offsets


def judge(silences: MarketSilences, rows: Rows, low: int, high: int) -> list[Finding]:
    part = [column[low:high] for column in rows]
    windows = SimpleNamespace(window=part[0], symbol=part[1], last_offset=part[2])
    names = {int(n): f"m{n}" for n in np.unique(rows[1])}
    return silences.judge(SimpleNamespace(windows=windows, names=names))  # type: ignore[arg-type]


def random_rows(rng: Any, markets: int, seconds: int, mean_s: float) -> Rows:
    arrivals = {}
    for symbol in range(markets):
        for kind in ("order", "fill", "book"):
            gaps = rng.exponential(mean_s * rng.uniform(0.3, 2), int(seconds / mean_s * 4))
            windows = np.unique(np.cumsum(gaps).astype(np.int64))
            arrivals[symbol, kind] = windows[windows < seconds]
    return rows_of(arrivals)


@pytest.mark.parametrize("seed", range(6))
def test_any_cuts_between_windows_and_any_snapshot_give_the_same_findings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    window, symbol, offsets = random_rows(rng, 8, 3 * DAY_S // 2, 40)
    keep = np.ones(len(window), np.bool_)
    for _ in range(12):  # one or several markets are silent for a while
        begin, who = rng.integers(window[-1]), rng.integers(8, size=rng.integers(1, 6))
        during = (window >= begin) & (window < begin + rng.integers(300, 20_000))
        keep &= ~(during & np.isin(symbol, who))
    rows = window[keep], symbol[keep], offsets[keep]
    whole = judge(MarketSilences(EngineSettings(), 0), rows, 0, len(rows[0]))
    assert len(whole) > 4
    starts = np.flatnonzero(np.diff(rows[0], prepend=-1))
    cuts = [0, *sorted(rng.choice(starts[1:], 40, replace=False).tolist()), len(rows[0])]
    silences, parts = MarketSilences(EngineSettings(), 0), []
    for low, high in pairwise(cuts):
        parts += judge(silences, rows, low, high)
        state = silences.snapshot()
        silences = MarketSilences(EngineSettings(), 0)
        silences.restore(state)
    assert parts == whole


def test_random_gaps_of_many_markets_are_no_silence() -> None:
    rows = random_rows(np.random.default_rng(1), 60, DAY_S // 4, 30)
    assert judge(MarketSilences(EngineSettings(), 0), rows, 0, len(rows[0])) == []


def test_what_has_come_again_is_over_and_what_never_does_is_taken_for_gone() -> None:
    every = np.arange(0, 3 * DAY_S, 7)
    gone, back = every[every < 5_000], every[(every < 9_000) | (every > 20_000)]
    rows = rows_of({(0, "order"): every, (1, "order"): gone, (2, "order"): back})
    findings = judge(MarketSilences(EngineSettings(), 0), rows, 0, len(rows[0]))
    # Busy windows are counted, of which there is one every seven seconds.
    assert [(f.symbol, f.is_end, f.facts["is_gone"]) for f in findings] == [
        ("m1", False, 0), ("m2", False, 0), ("m2", True, 0),
    ]  # fmt: skip
    busy = rows_of({(0, "order"): np.arange(3 * DAY_S), (1, "order"): np.arange(5_000)})
    findings = judge(MarketSilences(EngineSettings(), 0), busy, 0, len(busy[0]))
    assert [(f.symbol, f.is_end, f.facts["is_gone"]) for f in findings] == [
        ("m1", False, 0), ("m1", True, 1),
    ]  # fmt: skip


def test_a_stale_book_or_mark_of_a_market_that_goes_on_is_left_to_its_own_rule() -> None:
    every, stopped = np.arange(4_000), np.arange(2_000)
    for kind, said in (("book", False), ("mark", False), ("order", True)):
        other = "fill"
        arrivals = {(0, kind): every, (0, other): every, (1, kind): stopped, (1, other): every}
        rows = rows_of(arrivals)
        findings = judge(MarketSilences(EngineSettings(), 0), rows, 0, len(rows[0]))
        assert [f.symbol for f in findings] == ["m1"] * said
