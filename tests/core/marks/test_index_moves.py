"""Correlations, betas and following, recovered from indices that the test makes."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.arrays.types import Float64, Int64
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import from_e8
from monitor.core.marks.index_moves import READY_RETURNS, STEP_S, IndexMoves

E8 = 10**8


def codes(prices: Float64) -> Int64:
    return from_e8(np.rint(prices * E8).astype(np.int64))


def read_all(
    moves: IndexMoves, index: Float64, mark: Float64 | None = None, first: int = 0
) -> None:
    """One row of prices (steps, markets) a step of the grid."""
    for k, row in enumerate(index, first):
        end = round((k + 1) * STEP_S * SECOND_NS)
        marks = np.full((len(row), 4), ABSENT)
        marks[:, 1] = codes(row)
        if mark is not None:
            marks[:, 0] = codes(mark[k - first])
        moves.read(end, marks, np.full((len(row), 2), end - SECOND_NS))


def factor_walks(
    rng: np.random.Generator, steps: int, loadings: list[float], own: float
) -> Float64:
    returns = np.multiply.outer(rng.normal(0, 1e-3, steps), loadings)
    returns += rng.normal(0, own * 1e-3, returns.shape)
    return 100.0 * np.exp(np.cumsum(returns, axis=0))


def test_betas_are_recovered_and_their_weighted_mean_is_one() -> None:
    rng, loadings = np.random.default_rng(1), [0.5, 1.0, 1.5, 2.0]
    moves, weight = IndexMoves(), np.array([1.0, 4.0, 1.0, 2.0])
    read_all(moves, factor_walks(rng, 800, loadings, 0.2))
    found = moves.estimate(np.arange(4))
    betas = found.betas(weight)
    assert weight @ betas / weight.sum() == pytest.approx(1.0)
    expected = np.array(loadings) / (weight @ loadings / weight.sum())
    assert betas == pytest.approx(expected, rel=0.1)
    assert found.slopes()[3, 1] == pytest.approx(2.0, rel=0.1)
    assert found.shrinkage < 0.05


def test_markets_that_have_nothing_in_common_are_shrunk_apart() -> None:
    rng, errors = np.random.default_rng(2), []
    for _ in range(20):
        moves = IndexMoves()
        read_all(moves, factor_walks(rng, READY_RETURNS + 1, [0.0] * 8, 1.0))
        given = moves.estimate(np.arange(8))
        slopes = given.slopes()
        np.fill_diagonal(slopes, 0.0)
        raw = slopes / (1.0 - given.shrinkage) if given.shrinkage < 1.0 else slopes
        errors.append((np.sum(slopes**2), np.sum(raw**2)))
        assert given.shrinkage > 0.5
    shrunk, plain = np.mean(errors, axis=0)
    assert shrunk < plain / 4


def test_what_is_new_or_stands_still_is_not_known() -> None:
    rng, moves = np.random.default_rng(3), IndexMoves()
    walks = factor_walks(rng, READY_RETURNS + 1, [1.0, 1.0, 0.0], 0.1)
    walks[:, 2] = 100.0
    read_all(moves, walks[:-1, :1])
    read_all(moves, walks[-1:], first=READY_RETURNS)
    estimate = moves.estimate(np.array([2, 0, 7]))
    assert estimate.ready.tolist() == [False, True, False]
    betas = estimate.betas(np.ones(3))
    assert np.isnan(betas).tolist() == [True, False, True]
    assert betas[1] == pytest.approx(1.0)
    assert not estimate.follow.any()


def test_a_gap_gives_no_return() -> None:
    moves = IndexMoves()
    read_all(moves, np.full((3, 1), 100.0))
    read_all(moves, np.full((2, 1), 200.0), first=30)
    assert moves.estimate(np.array([0])).covariance.tolist() == [[0.0]]
    assert moves.snapshot()["returns"].tolist() == [3]


def test_following_is_seen_where_an_index_takes_up_the_premium() -> None:
    rng, steps, share = np.random.default_rng(4), 600, 0.4
    index = np.empty((steps, 2))
    premium = rng.normal(0, 2e-3, (steps, 2))
    level = np.log(np.full(2, 100.0))
    for k in range(steps):
        if k:
            level = level + rng.normal(0, 1e-4, 2) + np.array([share, 0.0]) * premium[k - 1]
        index[k] = np.exp(level)
    moves = IndexMoves()
    read_all(moves, index, index * np.exp(premium))
    follow = moves.estimate(np.arange(2)).follow
    assert follow[0] == pytest.approx(share, abs=0.05)
    assert follow[1] < 0.01


def test_it_goes_on_from_a_snapshot() -> None:
    rng = np.random.default_rng(5)
    walks = factor_walks(rng, 200, [1.0, 2.0], 0.5)
    whole, first, second = IndexMoves(), IndexMoves(), IndexMoves()
    read_all(whole, walks)
    read_all(first, walks[:90])
    second.restore(first.snapshot())
    read_all(second, walks[90:], first=90)
    numbers = np.arange(2)
    assert (second.estimate(numbers).covariance == whole.estimate(numbers).covariance).all()
