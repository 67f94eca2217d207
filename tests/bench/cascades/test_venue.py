"""The simulated venue: nothing is lost, seeds repeat, marks and orders follow the rules by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.arrays.types import Int64
from tests.bench.cascades.days import CALM_S, SimulatedDay, draw_day
from tests.bench.cascades.state import (
    FIRST_TRADER,
    LEVEL_TICKS,
    LOT_USD,
    MAKERS,
    START_TICKS,
    UNITS_PER_USD,
    VAULTS,
    History,
    Rules,
)
from tests.bench.cascades.steps import COOLDOWN_S, PREMIUM_S
from tests.bench.cascades.venue import SimulatedVenue

TRADER = FIRST_TRADER


@pytest.fixture(scope="module")
def fallen() -> tuple[SimulatedDay, SimulatedDay, History]:
    """A day with a cascade: as it began, as it ended, and what happened."""
    day = draw_day(4, shocked=True)
    after = draw_day(4, shocked=True)
    return day, after, after.venue.advance(after.outside)


def one_market(traders: int, depth_usd: float = 20e6, resilience: float = 0.0) -> SimulatedVenue:
    """Maintenance 5 % (10 % above 100 M), 1 M lies on each level when `depth_usd` is 20 M."""
    rules = Rules(
        *(np.array([value]) for value in (0.05, 0.1, 1e8 * UNITS_PER_USD, depth_usd / LOT_USD)),
        *(np.array([value]) for value in (1.0, 1e-3, resilience)), np.array([0]),
    )  # fmt: skip
    return SimulatedVenue.open(rules, (1e6, 1e6), traders)


def still(venue: SimulatedVenue, seconds: int, price: float = 1.0) -> Int64:
    return np.full((seconds, len(venue.market.mark)), round(START_TICKS * price))


def test_money_and_quantity_are_conserved_to_the_last_unit(
    fallen: tuple[SimulatedDay, SimulatedDay, History],
) -> None:
    before, after, history = fallen
    assert history.deleveraged.sum() > 0
    assert history.taken.sum() > 0
    assert history.sold.sum() > 0
    for old, new in zip(before.venue.accounts[::2], after.venue.accounts[::2], strict=True):
        assert old.sum(axis=0).tolist() == new.sum(axis=0).tolist()
    traders = after.venue.accounts.cash[FIRST_TRADER:]
    flat = ~after.venue.accounts.quantity[FIRST_TRADER:].any(axis=1)
    assert np.all(traders[flat] >= 0)


def test_a_seed_gives_one_day(fallen: tuple[SimulatedDay, SimulatedDay, History]) -> None:
    day, after, history = fallen
    again = day.copy_venue()
    pieces = [again.advance(part) for part in np.split(day.outside, [CALM_S, CALM_S + 7])]
    joined = pieces[0].joined(pieces[1]).joined(pieces[2])
    for one, other in zip(history, joined, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.accounts.cash, after.venue.accounts.cash)
    assert not np.array_equal(draw_day(5, shocked=True).outside, day.outside)


def test_the_mark_follows_the_book_by_an_average_of_150_seconds() -> None:
    """With no refill a sale holds the book's middle down; outside perps stand still."""
    venue = one_market(1)
    venue.enter(TRADER, 0, round(10e6 / LOT_USD), 0.46e6)
    history = venue.advance(still(venue, 1))
    # 460 k of equity are less than maintenance and more than two thirds: a fifth is sold.
    assert history.sold[0, 0] / UNITS_PER_USD == pytest.approx(2e6, rel=2e-3)
    assert int(history.low[0, 0]) == START_TICKS - 2 * LEVEL_TICKS
    venue.advance(still(venue, 27))
    bid, ask = (int(np.flatnonzero(book[0])[k]) for book, k in
                ((venue.market.bid, -1), (venue.market.ask, 0)))  # fmt: skip
    gap = (bid + ask) / 2 * LEVEL_TICKS - START_TICKS
    expected = START_TICKS + gap * (1 - math.exp(-27 / PREMIUM_S))
    assert gap < 0
    assert int(venue.market.mark[0]) == pytest.approx(expected, abs=1.5)


def test_the_rest_is_sent_after_the_cooldown() -> None:
    venue = one_market(1)
    venue.enter(TRADER, 0, round(4e6 / LOT_USD), 0.15e6)
    history = venue.advance(still(venue, COOLDOWN_S + 6))
    sold = history.sold[:, 0] / UNITS_PER_USD
    assert np.flatnonzero(sold).tolist() == [0, COOLDOWN_S]
    assert sold[0] == pytest.approx(0.8e6, rel=2e-3)
    assert venue.accounts.quantity[TRADER, 0] == 0
    assert venue.accounts.cash[[TRADER, MAKERS]].sum() == round(0.15e6 * UNITS_PER_USD)


def test_below_two_thirds_of_maintenance_the_vault_takes_it_over() -> None:
    venue = one_market(1)
    lots = round(1e6 / LOT_USD)
    venue.enter(TRADER, 0, lots, 33_000.0)
    history = venue.advance(still(venue, 1))
    assert history.sold.sum() == 0
    assert history.taken[0, 0] == lots * START_TICKS
    assert venue.accounts.quantity[[TRADER, VAULTS], 0].tolist() == [0, lots]
    assert venue.accounts.cash[TRADER] == 0
    vault = int(venue.accounts.cash[VAULTS]) + lots * START_TICKS
    assert vault == round(1_033_000.0 * UNITS_PER_USD)


def test_below_zero_the_ranked_other_side_is_deleveraged_at_the_mark_before() -> None:
    """Shorts with 10 times and 2 times: the first has its position closed, the second not."""
    venue = one_market(3)
    lots = round(1e6 / LOT_USD)
    venue.enter(TRADER, 0, lots, 60_000.0)
    venue.enter(TRADER + 1, 0, -lots, 500_000.0)
    venue.enter(TRADER + 2, 0, -2 * lots, 200_000.0)
    before = int(venue.accounts.cash.sum())
    history = venue.advance(still(venue, 1))
    assert history.total().sum() == 0
    history = venue.advance(np.concatenate((still(venue, 2), still(venue, 1, 0.93))))
    assert history.adl_fills.sum() == 1
    assert history.deleveraged[2, 0] == lots * int(venue.market.previous_mark[0])
    assert venue.accounts.quantity[TRADER:, 0].tolist() == [0, -lots, -lots]
    assert int(venue.accounts.cash.sum()) == before


def test_makers_withdraw_in_turmoil_and_come_back() -> None:
    venue = one_market(1)
    venue.rules = venue.rules._replace(
        survives=np.array([0.1]), turmoil=np.array([3e-4]), resilience=np.array([0.1])
    )
    fall = np.rint(START_TICKS * np.exp(-4e-4 * np.arange(120.0)))[:, None].astype(np.int64)
    history = venue.advance(fall)
    depth = history.depth_bid[:, 0] / history.depth_bid[0, 0]
    assert depth[-1] == pytest.approx(0.1, abs=0.05)
    calm = venue.advance(np.repeat(fall[-1:], 200, axis=0))
    assert calm.depth_bid[-1, 0] / history.depth_bid[0, 0] > 0.9
