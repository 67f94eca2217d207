"""What indices add to a system, from what is known of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.core.cascade.graph.index_links import IndexLinks
from monitor.core.marks.index_moves import CommonMoves
from tests.core.cascade.graph.test_system import RandomVenue

NAMES = ["A", "B", "C"]


def moves(follow: list[float], ready: tuple[bool, ...] = (True, True, True)) -> CommonMoves:
    """Indices of standard deviations 1, 2 and 1; A and B move together, C against them."""
    covariance = np.array([[1.0, 1.8, -0.5], [1.8, 4.0, -0.5], [-0.5, -0.5, 1.0]])
    there = np.array(ready)
    return CommonMoves(there, covariance * np.outer(there, there), 0.0, np.array(follow))


def test_a_book_carries_as_far_as_indices_follow_it_and_each_other() -> None:
    system = RandomVenue(np.random.default_rng(0), 3).system()
    system = replace(system, kappa=np.array([0.25, 0.5, 1.0]))
    links = IndexLinks.find(moves([0.2, 0.0, 0.0]), np.arange(3), system)
    assert links.index_carry == pytest.approx(
        np.array([[0.2 * 0.75, 0.2 * 1.8, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    )
    assert IndexLinks.find(moves([0.0] * 3), np.arange(3), system).index_carry is None


def test_what_is_not_known_is_said_and_taken_to_be_the_factors() -> None:
    venue = RandomVenue(np.random.default_rng(0), 3)
    venue.held = [{0: 1.0, 1: 1.0, 2: 0.01}]
    venue.equity = [100.0]
    system = venue.system()
    links = IndexLinks.find(moves([0.0] * 3), np.arange(3), system)
    assert links.betas[2] is not None
    assert links.betas[2] < 0.0
    assert links.beta[2] == 0.0
    assert links.beta[:2] @ system.open_notional[:2] > system.open_notional.sum()
    assert [line.split(":")[0] for line in links.unknown(NAMES)] == ["C"]
    new = IndexLinks.find(moves([0.0] * 3, (True, False, False)), np.arange(3), system)
    assert new.beta.tolist() == [1.0, 1.0, 1.0]
    assert new.betas == [pytest.approx(1.0), None, None]
    (line,) = new.unknown(NAMES)
    assert line.startswith("B, C: how far the index moves")
