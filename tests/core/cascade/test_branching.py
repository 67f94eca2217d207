"""The branching ratio of liquidations against processes of which it is known."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.arrays.types import Float64
from monitor.core.cascade.branching import EVENTS_MIN, LiquidationTimes, branching_ratio
from monitor.core.contract.units import SECOND_NS

SEEDS, EVENTS = 20, 1_000
ERROR = 0.15
"""What a single ratio of so many events may miss by, in two of three cases; their mean by less."""


def hawkes_times(rng: np.random.Generator, n: float, decay_s: float, events: int) -> Float64:
    """About so many times (s) of a process in which each event sets off n others, as clusters."""
    rate = 0.05
    end = events * (1.0 - n) / rate
    generation = rng.uniform(0.0, end, rng.poisson(rate * end))
    every = [generation]
    while len(generation):
        children = rng.poisson(n, len(generation))
        generation = np.repeat(generation, children) + rng.exponential(decay_s, children.sum())
        generation = generation[generation < end]
        every.append(generation)
    return np.sort(np.concatenate(every))


@pytest.mark.parametrize("n", [0.0, 0.3, 0.6, 0.9])
def test_the_ratio_of_a_simulated_process_is_recovered(n: float) -> None:
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(SEEDS):
        times = hawkes_times(rng, n, 20.0, EVENTS)
        ratio = branching_ratio(times - times[0], float(times[-1] - times[0]))
        assert ratio is not None
        ratios.append(ratio)
    errors = np.abs(np.array(ratios) - n)
    assert abs(np.mean(ratios) - n) < 0.1
    assert np.count_nonzero(errors < ERROR) > SEEDS * 2 / 3


def test_too_few_liquidations_have_no_ratio() -> None:
    rng, times = np.random.default_rng(4), LiquidationTimes()
    at = (np.sort(rng.uniform(0, 3_600, EVENTS_MIN)) * SECOND_NS).astype(int).tolist()
    times.add((ts, "AB"[i % 2]) for i, ts in enumerate(at[:-1]))
    assert times.ratios(3_600 * SECOND_NS) == (None, {})
    times.add([(at[-1], "A")])
    of_venue, by_market = times.ratios(3_600 * SECOND_NS)
    assert of_venue is not None
    assert by_market == {}
    restored = LiquidationTimes()
    restored.restore(times.snapshot())
    assert restored.ratios(3_600 * SECOND_NS) == (of_venue, by_market)


def test_liquidations_of_one_moment_have_no_ratio() -> None:
    times = LiquidationTimes()
    times.add((SECOND_NS, "A") for _ in range(EVENTS_MIN))
    assert times.ratios(SECOND_NS) == (None, {})
