"""Each statistic gives what is so by construction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monitor.core.contract.units import SECOND_NS
from replay.day import Day
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.bench.flow import statistics as st
from tests.bench.flow.__main__ import cell, table_lines
from tests.bench.flow.leverage import leverage_of_day
from tests.bench.flow.market import STATISTICS, busiest_market, measure_market


def test_events_at_random_are_neither_bunched_nor_set_off_by_others() -> None:
    ts = np.cumsum(np.random.default_rng(1).exponential(0.1, 50_000) * SECOND_NS).astype(np.int64)
    rate, variation, bunched, branching = st.arrivals(ts)
    assert rate == pytest.approx(10, rel=0.02)
    assert variation == pytest.approx(1, abs=0.02)
    assert bunched == pytest.approx(1 - np.exp(-0.1), abs=0.01)
    assert branching < 0.1


def test_the_branching_ratio_is_that_of_the_process() -> None:
    rng, ratio = np.random.default_rng(2), 0.6
    events = [rng.uniform(0, 40_000, 80_000)]
    while len(events[-1]):
        parents = np.repeat(events[-1], rng.poisson(ratio, len(events[-1])))
        events.append(parents + rng.exponential(0.05, len(parents)))
    ts = np.sort(np.concatenate(events) * SECOND_NS).astype(np.int64)
    assert st.arrivals(ts).branching == pytest.approx(ratio, abs=0.03)


@pytest.mark.parametrize("index", [1.3, 2.5])
def test_the_tail_index_is_that_of_the_sizes(index: float) -> None:
    sizes = 1 + np.random.default_rng(3).pareto(index, 100_000)
    assert st.tail_index(sizes) == pytest.approx(index, rel=0.05)


def test_a_series_that_keeps_most_of_its_last_value_is_correlated_so() -> None:
    noise, values = np.random.default_rng(4).standard_normal(50_000), np.zeros(50_000)
    for k in range(1, len(values)):
        values[k] = 0.8 * values[k - 1] + noise[k]
    assert st.autocorrelation(values, 1) == pytest.approx(0.8, abs=0.02)
    assert st.autocorrelation(values, 3) == pytest.approx(0.8**3, abs=0.03)


def test_too_little_says_nothing() -> None:
    few = np.arange(10, dtype=np.int64) * SECOND_NS
    assert np.isnan(st.arrivals(few)).all()
    assert np.isnan(st.tail_index(np.ones(10)))
    assert np.isnan(st.autocorrelation(np.ones(10), 1))
    assert np.isnan(st.quantile(np.ones(10), 0.5))


def test_a_lifetime_is_that_of_an_order_that_was_seen_placed() -> None:
    placed = {"a": 0, "b": SECOND_NS}
    ended = np.array([3, 4, 5]) * SECOND_NS
    assert st.lifetimes_s(placed, ["a", "b", "unseen"], ended).tolist() == [3.0, 3.0]


def book_of(bid_sizes: list[float], seconds: int = 1) -> st.TopBook:
    """Books of five levels a side whose bid sizes are all the same in each book."""
    count = len(bid_sizes)
    ts = np.arange(count) * seconds * SECOND_NS
    levels = np.tile(np.arange(5.0), (count, 1))
    size = np.repeat(np.array(bid_sizes)[:, None], 5, axis=1)
    return st.TopBook(ts, 100 - levels, size, 101 + levels, np.ones((count, 5)))


def test_a_book_recovers_when_half_of_what_was_taken_is_back() -> None:
    sizes = [10.0] * 60
    sizes[31:36] = [4.0, 5.0, 6.9, 7.0, 9.0]
    book = book_of(sizes)
    sale = np.array([30 * SECOND_NS + 1])
    assert st.recovery_s(book, sale, np.array([False]), np.array([30.0])) == pytest.approx([4.0])
    sizes[31:] = [4.0] * (len(sizes) - 31)
    never = st.recovery_s(book_of(sizes), sale, np.array([False]), np.array([30.0]))
    assert never.tolist() == [np.inf]


def test_a_ladder_of_equal_sizes_has_a_fifth_in_each_fifth() -> None:
    first, second, reach = st.depth_shares(book_of([10.0] * 60), 5)
    assert (first, second) == pytest.approx((0.2, 0.2))
    assert reach == pytest.approx(1e4 * (105 / 100.5 - 1))
    assert book_of([10.0] * 60).tick() == 1.0


def test_a_simulated_day_has_every_statistic_and_its_row(tmp_path: Path) -> None:
    settings = SimulationSettings(minutes=4, symbols=2, accounts=300, rate=200, incidents="none")
    simulate(tmp_path / "day", settings)
    day = Day(tmp_path / "day")
    numbers = measure_market(day, busiest_market(day)) | leverage_of_day(day)
    absent = {key for key, number in numbers.items() if np.isnan(number)}
    assert absent <= {"recovery_s"}  # too few large trades in four minutes
    lines = list(table_lines({"simulated": numbers}))
    assert len(lines) == 2 + len(numbers)
    assert any(line.startswith(f"| {STATISTICS['cancel_share']} | 0.") for line in lines)
    assert [cell(np.nan), cell(np.inf), cell(0.12345)] == ["–", "> 60", "0.123"]
