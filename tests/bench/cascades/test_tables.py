"""What the bench of cascades prints, on little data."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.bench.cascades.__main__ import part_lines
from tests.bench.cascades.days import market_rules
from tests.bench.cascades.exponent import fit_exponent
from tests.bench.cascades.october import Known, Setting, real_figures, simulated_figures
from tests.bench.cascades.population import (
    LONG_SHARES,
    SHORT_SHARES,
    WITHIN,
    Crowd,
    enter_crowd,
)
from tests.bench.cascades.state import FIRST_TRADER, START_TICKS
from tests.bench.cascades.steps import equity, maintenance
from tests.bench.cascades.tables import lead_lines, verdict
from tests.bench.cascades.trials import Trial
from tests.bench.cascades.venue import SimulatedVenue
from tests.support import SHARED, recording


def trial(**fields: object) -> Trial:
    return Trial(**{"seed": 1, "shock": 0.05} | fields)  # type: ignore[arg-type]


def test_a_power_law_is_recovered() -> None:
    rng = np.random.default_rng(1)
    volume = np.exp(rng.normal(0, 1, 400))
    fall = 0.02 * volume**0.875 * np.exp(rng.normal(0, 0.3, 400))
    gamma, error, explained = fit_exponent(volume.tolist(), fall.tolist())
    assert abs(gamma - 0.875) < 3 * error
    assert 0.01 < error < 0.02
    assert 0.8 < explained < 0.95


@pytest.mark.parametrize(
    ("true", "expected"), [(0.05, "nearer"), (0.06, "inside"), (0.0895, "inside"), (0.1, "further")]
)
def test_the_truth_is_nearer_inside_or_further(true: float, expected: str) -> None:
    one = trial(low=np.array([true]))
    assert verdict(one, lambda trial, market: (0.06, 0.0893), 0) == expected


def test_lead_is_counted_up_to_the_first_forced_fill() -> None:
    """An alarm 40 s before it, none, and a day without a cascade that is quieter than both."""
    looks = [870, 900, 915]
    first = trial(
        looks=looks, nearness=[[0.5] * 4, [1.5] * 4, [2.0] * 4], hour_move=[[0.01], [0.01], [0.02]],
        first_forced_s=940, low=np.array([0.1]), outside_low=np.array([0.05]),
    )  # fmt: skip
    second = trial(
        looks=looks, nearness=[[0.1] * 4] * 3, hour_move=[[0.02], [0.01], [0.01]],
        first_forced_s=880, low=np.array([0.1]), outside_low=np.array([0.05]),
    )  # fmt: skip
    quiet = trial(
        looks=looks, nearness=[[0.2] * 4] * 3, hour_move=[[0.015]] * 3,
        low=np.array([0.05]), outside_low=np.array([0.05]),
    )  # fmt: skip
    lines = list(lead_lines([first, second, quiet]))
    assert lines[0].startswith("2 days with a cascade, 1 without")
    assert lines[2].split()[-7:] == ["1", "1", "40", "40", "40", "0", "0"]
    assert lines[3].split()[-7:] == ["2", "1", "14", "18", "21", "0", "0"]


def test_notional_lies_as_far_from_liquidation_as_was_seen() -> None:
    rng = np.random.default_rng(3)
    usd = np.array([1e9])
    venue = SimulatedVenue.open(market_rules(usd, 1.0, 0.03), (0.0, 0.0), 8_000)
    enter_crowd(venue, Crowd(8_000, usd, 1.0, 1.0), rng)
    accounts = venue.accounts
    for sign, shares in ((1, LONG_SHARES), (-1, SHORT_SHARES)):
        rows = FIRST_TRADER + np.flatnonzero(accounts.quantity[FIRST_TRADER:, 0] * sign > 0)
        size = np.abs(accounts.quantity[rows, 0])
        for within, share in zip(WITHIN[2:], shares[2:], strict=True):
            marks = np.array([round(START_TICKS * (1 - sign * within))])
            due = [
                equity(a, accounts, marks) < maintenance(a, accounts, marks, venue.rules)
                for a in rows.tolist()
            ]
            assert size[due].sum() / size.sum() == pytest.approx(share, abs=0.04)


def test_the_day_of_october_is_of_the_order_of_the_real_one() -> None:
    for name in ("adl-2025-10-10", "perp-funding-oi-2025"):
        recording(name)
    known = Known.read(SHARED / "data")
    real, simulated = real_figures(known), simulated_figures(known, Setting(), 1)
    assert list(real) == list(simulated)
    assert simulated["BTC: ADL, M"] == pytest.approx(float(real["BTC: ADL, M"]), rel=1.0)
    assert 0.2 < simulated["BTC: ADL over liquidated"] < 0.8
    fall = "BTC: lowest mark below the first ADL price, %"
    assert math.log(simulated[fall] / float(real[fall])) == pytest.approx(0.0, abs=0.7)


def test_a_seed_gives_the_tables() -> None:
    lines = list(part_lines("range", 1, SHARED / "data"))
    assert lines[0].startswith("1 days with a shock")
    assert any(line.startswith("as the venue's rules say, together") for line in lines)
    assert any(line.startswith("critical shock, 0.1 of the book") for line in lines)
