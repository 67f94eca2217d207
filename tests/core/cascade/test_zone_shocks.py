"""The pass over zones against the pass over positions, on random venues."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from detectors.arrays.types import Float64, Int64
from monitor.core.bands.cascades import (
    FORCED,
    HOUR_MOVES,
    HOUR_OF_YEAR,
    JUMP,
    NEAR_BOOK,
    NEAR_FORCED,
    NEAR_JUMP,
    NEAR_SHOCK,
    NEAR_ZONES,
    RATE,
    SHOCK,
    SURVIVES,
    CascadeColumns,
    CascadeInputs,
)
from monitor.core.bands.inputs import BookImpact
from monitor.core.bands.kernels.arrays import PRICE_LIQUIDATION, PositionArrays
from monitor.core.bands.layout import AWAITING_PAUSE, BIN_WIDTH
from monitor.core.bands.refresh import BandArrays
from monitor.core.cascade.all_shocks import BookLevels, ForcedSteps, ShockAnswers
from monitor.core.cascade.market_stress import JUMP_MIN, RATE_SPAN, REACH
from monitor.core.cascade.zone_shocks import pass_zones
from monitor.core.contract.units import ZONE_BINS
from monitor.core.decode.stepped_kernels import from_e8, to_floats
from monitor.core.marks.market_rows import BEST_ASK, BEST_BID, BOOK_WIDTH, LEVELS
from tests.core.bands.position_arrays import by_stage, by_zone, pools_of, price_positions, refresh
from tests.core.bands.test_refresh import MARK, RULES, raw, sort_positions

VENUES = 20
ZONES = np.arange(ZONE_BINS + 1)
EDGES = [-np.log1p(-ZONES * BIN_WIDTH), np.log1p(ZONES * BIN_WIDTH)]
"""By side: the log distance of each zone's near edge."""


class RandomVenue(NamedTuple):
    """Positions, books (rows as `MARK`) and what the pass takes beside them."""

    positions: PositionArrays
    books: Int64
    inputs: CascadeInputs
    bands: BandArrays

    @property
    def answers(self) -> CascadeColumns:
        return pass_zones(["X"] * len(self.inputs.symbol), self.inputs, self.books, self.bands)


def random_venue(seed: int, pools: int = 400) -> RandomVenue:
    rng = np.random.default_rng(seed)
    markets = len(MARK)
    books = np.zeros((markets, BOOK_WIDTH), np.int64)
    for best, sign in ((BEST_BID, -1), (BEST_ASK, 1)):
        for m in range(markets):
            levels = int(rng.integers(1, LEVELS))
            away = np.sort(rng.uniform(1e-4, 0.02, levels))
            size = np.exp(rng.uniform(8, 15, levels)) / MARK[m]
            price = np.rint(MARK[m] * (1 + sign * away) * 1e8).astype(int)
            books[m, best : best + levels] = from_e8(price)
            books[m, best + LEVELS : best + LEVELS + levels] = from_e8(
                np.rint(size * 1e8).astype(int)
            )
    order = rng.permutation(markets)[: markets - 1]
    inputs = CascadeInputs(
        order, rng.choice([0.0, 0.2, 0.6, 1.0], markets, p=[0.1, 0.2, 0.2, 0.5])[order],
        MARK[order], rng.uniform(0.5, 8.0, markets),
        np.where(rng.random(markets) < 0.3, np.nan, rng.uniform(0.01, 1.0, markets)),
    )  # fmt: skip
    positions = sort_positions(**raw(pools, seed))
    impact = BookImpact.from_books(MARK, np.arange(markets), books)
    bands = refresh(positions, RULES, MARK, impact, order=order)
    return RandomVenue(positions, books, inputs, bands)


def levels_of(venue: RandomVenue, k: int, side: int) -> BookLevels:
    """The same book as the pass over positions takes it, in notional at the mark."""
    best = (BEST_BID, BEST_ASK)[side]
    row, mark = venue.books[venue.inputs.symbol[k]], venue.inputs.mark[k]
    size = to_floats(row[best + LEVELS : best + 2 * LEVELS])
    price = to_floats(row[best : best + LEVELS])[size > 0]
    away = np.abs(np.log(mark / price))
    return BookLevels(np.array([0, len(away)]), away, np.cumsum(size[size > 0]) * mark)


def answer(steps: list[tuple[float, float, float]], levels: BookLevels, kappa: float,
           survives: float) -> ShockAnswers:  # fmt: skip
    """Of steps (distance, notional, of it sent at once), the first one empty at 0."""
    distance, total, sent = (
        np.array(column) for column in zip((0.0, 0.0, 0.0), *sorted(steps), strict=True)
    )
    forced = ForcedSteps(np.array([0, len(distance)]), distance, np.cumsum(total), np.cumsum(sent))
    return ShockAnswers.find(forced, levels, np.array([kappa]), survives)


def zone_steps(venue: RandomVenue, k: int, side: int) -> list[tuple[float, float, float]]:
    forced = by_zone(venue.bands, side, k) / 1e6
    waits = by_stage(venue.bands, side, k)[:, AWAITING_PAUSE] / 1e6
    sent = forced - waits
    there = np.flatnonzero(forced)
    return [(EDGES[side][z], forced[z], sent[z]) for z in there.tolist()]


def position_steps(
    venue: RandomVenue, k: int, side: int, prices: Float64, due: np.ndarray
) -> list[tuple[float, float, float]]:
    """Position by position, of those whose liquidation price lies within 50 % of the mark."""
    p, m = venue.positions, int(venue.inputs.symbol[k])
    steps, partial = [], RULES.partial
    for i in np.flatnonzero((p.market == m) & ((p.quantity > 0) == (side == 0))).tolist():
        notional, x = abs(p.quantity[i]) * MARK[m], prices[i] / MARK[m]
        if due[i]:
            away = 0.0
        elif x == x and 0.5 < x < 1.5 and (x < 1) == (side == 0):
            away = abs(math.log(x))
        else:
            continue
        share = float(partial.first_share[m])
        large = notional * 1e6 >= partial.from_units[m]
        steps.append((away, notional, notional * share if large else notional))
    return steps


def critical(
    one: ShockAnswers, above: float = -1.0, reach: float = REACH
) -> tuple[float, float, float] | None:
    """Shock, jump and forced notional of the longest jump above `above` and up to `reach`."""
    jumps = [j for j in one.jumps(0, reach) if j.length >= JUMP_MIN and j.shock > above]
    if not jumps:
        return None
    best = max(jumps, key=lambda jump: jump.length)
    step, _ = one.rest(0, best.shock)
    return best.shock, best.length, float(one.steps.total[step])


def test_the_pass_over_zones_is_that_of_all_shocks_with_each_zone_at_its_near_edge() -> None:
    compared = near_ones = 0
    for seed in range(VENUES):
        venue = random_venue(seed)
        answers = venue.answers
        for side in (0, 1):
            for k in range(len(venue.inputs.symbol)):
                kappa, shown = float(venue.inputs.kappa[k]), float(answers.shown[k])
                levels, steps = levels_of(venue, k, side), zone_steps(venue, k, side)
                shares = [*SURVIVES, shown]
                for share, mine in zip(shares, answers.answers[side, k], strict=True):
                    if share != share:
                        assert np.isnan(mine[SHOCK:]).all()
                        continue
                    one = answer(steps, levels, kappa, share)
                    edge = EDGES[side][round(RATE_SPAN / BIN_WIDTH)]
                    rate = (one.moved_at(0, edge) - one.moved_at(0, 0.0)) / RATE_SPAN
                    assert mine[RATE] == pytest.approx(rate, abs=1e-9)
                    expected = critical(one)
                    if expected is None:
                        assert np.isnan(mine[SHOCK : FORCED + 1]).all()
                    else:
                        assert mine[[SHOCK, JUMP, FORCED]] == pytest.approx(expected, rel=1e-6)
                        compared += 1
                near = answers.near[side, k]
                share = 1.0 if shown != shown else shown
                hour = HOUR_OF_YEAR * venue.inputs.sigma[venue.inputs.symbol[k]]
                one = answer(steps, levels, kappa, share)
                expected = critical(one, 0.0, HOUR_MOVES * hour)
                if expected is None:
                    assert np.isnan(near).all()
                    continue
                near_ones += 1
                got = near[[NEAR_SHOCK, NEAR_JUMP, NEAR_FORCED]]
                assert got == pytest.approx(expected, rel=1e-6)
                reached = sum(z[1] for z in steps if z[0] < EDGES[side][int(near[NEAR_ZONES])])
                assert reached == pytest.approx(expected[2], rel=1e-9)
                seen = levels.total[levels.distance <= expected[0]]
                within = max(seen.max(initial=0.0), levels.total[0]) * share
                if expected[0] <= levels.distance[-1]:
                    assert near[NEAR_BOOK] == pytest.approx(within, rel=1e-9)
                else:
                    assert near[NEAR_BOOK] >= within * (1 - 1e-9)
        assert answers.inside == np.count_nonzero(answers.near[..., NEAR_JUMP] >= answers.hour)
    assert compared > 300
    assert near_ones > 50


def test_zones_and_positions_agree_within_the_width_of_a_zone() -> None:
    """No nearer than position by position, and no further than for a shock a zone larger."""
    compared = moved = 0
    for seed in range(VENUES // 2):
        venue = random_venue(seed, 150)
        priced = price_positions(venue.positions, RULES, MARK)
        pool = pools_of(venue.positions)
        due = priced.due[pool]
        prices = priced.prices[PRICE_LIQUIDATION]
        for side in (0, 1):
            width = max(b - a for a, b in pairwise(EDGES[side].tolist())) * (1 + 1e-9)
            for k in range(len(venue.inputs.symbol)):
                levels, kappa = levels_of(venue, k, side), float(venue.inputs.kappa[k])
                by_zones = answer(zone_steps(venue, k, side), levels, kappa, 0.3)
                by_position = answer(
                    position_steps(venue, k, side, prices, due), levels, kappa, 0.3
                )
                for shock in (0.0, 0.003, 0.01, 0.03, 0.1, 0.3):
                    _, coarse = by_zones.rest(0, shock)
                    _, least = by_position.rest(0, shock)
                    _, most = by_position.rest(0, shock + width)
                    assert least * (1 - 1e-6) - 1e-12 <= coarse <= most * (1 + 1e-6) + 1e-12
                    compared += 1
                    moved += least > shock + 0.01
    assert compared > 500
    assert moved > 50
