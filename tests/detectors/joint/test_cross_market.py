"""Evidence across markets: what it finds and names, and what it leaves alone."""

from __future__ import annotations

from math import erfc, sqrt

import numpy as np
import pytest

from detectors.joint.cross_market import (
    COMMON,
    COMMON_READY_WINDOWS,
    LASTING,
    MARKETS_LEAST,
    STATISTICS,
    STEP,
    CrossMarketStatistics,
)
from detectors.joint.fisher import FisherCombination

DAY = 17_280.0
MARKETS = 16


def chances(z: np.ndarray) -> np.ndarray:
    return np.array([0.5 * erfc(x * sqrt(0.5)) for x in z.ravel()]).reshape(z.shape)


def shaken(windows: int, seed: int, share: float) -> np.ndarray:
    """p-values of markets that have `share` of their variance in common, (windows, markets)."""
    rng = np.random.default_rng(seed)
    mood = rng.standard_normal((windows, 1))
    own = rng.standard_normal((windows, MARKETS))
    return chances(sqrt(share) * mood + sqrt(1 - share) * own)


def taught(
    share: float, windows: int = COMMON_READY_WINDOWS, markets: int = MARKETS
) -> CrossMarketStatistics:
    across = CrossMarketStatistics(DAY, markets)
    for p in shaken(windows, 1, share)[:, :markets]:
        across.judge(p)
        across.learn(False)
    return across


@pytest.fixture(scope="module")
def habit() -> dict[str, object]:
    return taught(0.4).snapshot()


def again(habit: dict[str, object]) -> CrossMarketStatistics:
    across = CrossMarketStatistics(DAY)
    across.restore({k: v.copy() if isinstance(v, np.ndarray) else v for k, v in habit.items()})
    return across


def said(
    across: CrossMarketStatistics, shift: np.ndarray, mood: float = 0.0, seed: int = 9
) -> np.ndarray:
    """The voices after two ordinary windows of this mood in which markets are `shift` higher."""
    rng = np.random.default_rng(seed)
    for _ in range(2):
        own = sqrt(0.6) * rng.standard_normal(MARKETS)
        scores = across.judge(chances(sqrt(0.4) * mood + own + shift))
        known = across.contributing_markets(STEP)
        across.learn(False)
    across.last = known  # type: ignore[attr-defined]
    return scores


def test_a_mood_of_all_is_common_and_no_market_stands_out(habit: dict[str, object]) -> None:
    scores = said(again(habit), np.zeros(MARKETS), mood=3.5)
    assert scores[COMMON] > 6
    assert scores[STEP] < 5
    assert scores[LASTING] < 5


def test_some_that_move_together_are_found_in_the_middle_of_the_mood_and_named(
    habit: dict[str, object],
) -> None:
    shift = np.where(np.arange(MARKETS) < 4, 2.2, 0.0)
    across = again(habit)
    scores = said(across, shift)
    assert scores[STEP] > 8
    assert scores[COMMON] < scores[STEP]
    windows, named = across.last  # type: ignore[attr-defined]
    assert windows == 2
    assert {n.market for n in named} <= {0, 1, 2, 3}
    assert len(named) >= 2


def test_one_market_however_loud_is_no_group(habit: dict[str, object]) -> None:
    shift = np.where(np.arange(MARKETS) == 5, 40.0, 0.0)
    told = [said(again(habit), shift, seed=seed)[STEP] > 10 for seed in range(200)]
    assert sum(told) <= 4
    three = np.where(np.isin(np.arange(MARKETS), (5, 6, 7)), 4.0, 0.0)
    told = [said(again(habit), three, seed=seed)[STEP] > 10 for seed in range(50)]
    assert sum(told) > 25


def test_what_moves_together_by_habit_is_rare_no_more_often_than_once_in_so_many_windows() -> None:
    across = taught(0.4)
    high = np.zeros(len(STATISTICS))
    windows = 6000
    for p in shaken(windows, 2, 0.4):
        high += across.judge(p) > np.log(200)
        across.learn(False)
    assert (high < 2.5 * windows / 200).all()
    assert high[COMMON] > 0.3 * windows / 200


def test_fewer_than_four_markets_abstain() -> None:
    across = taught(0.0, 400, markets=MARKETS_LEAST - 1)
    assert np.isnan(across.judge(np.full(MARKETS_LEAST - 1, 0.5))).all()
    enough = taught(0.0, 400, markets=MARKETS_LEAST)
    scores = enough.judge(np.full(MARKETS_LEAST, 0.5))
    assert not np.isnan(scores[[STEP, LASTING]]).any()
    assert np.isnan(scores[COMMON])


def test_a_market_that_is_silent_or_new_changes_nothing_for_the_others() -> None:
    across = taught(0.3)
    across.grow(MARKETS + 3)
    twin = taught(0.3)
    for p in shaken(50, 3, 0.3):
        more = np.concatenate((p, np.full(3, np.nan)))
        assert (across.judge(more) == twin.judge(p)).all()
        across.learn(False)
        twin.learn(False)


def test_what_is_reported_is_not_learnt(habit: dict[str, object]) -> None:
    across = again(habit)
    before = across.snapshot()["regressions"].copy()
    across.judge(chances(np.full(MARKETS, 3.0)))
    across.learn(True)
    assert (across.snapshot()["regressions"] == before).all()
    across.judge(shaken(1, 4, 0.4)[0])
    across.learn(False)  # the CUSUMs are at zero: over
    across.judge(shaken(1, 5, 0.4)[0])
    across.learn(False)
    assert (across.snapshot()["regressions"] != before).any()


def test_fishers_sum_by_its_own_ranks_is_uniform_though_streams_are_not_independent() -> None:
    rng = np.random.default_rng(6)
    fisher = FisherCombination(DAY, 2)
    seen = []
    for t in range(8000):
        shared = rng.standard_normal((2, 1))
        p = fisher.judge(chances(0.6 * shared + 0.8 * rng.standard_normal((2, 3))))
        if t > 4000:
            seen.append(p)
        fisher.learn(np.ones(2, bool))
    rare = np.mean(np.array(seen) < 0.01)
    assert 0.005 < rare < 0.015


def test_a_market_with_fewer_than_two_streams_has_no_chance_of_its_own() -> None:
    fisher = FisherCombination(DAY, 2)
    for _ in range(200):
        fisher.judge(np.array([[0.3, np.nan], [0.4, 0.6]]))
        fisher.learn(np.ones(2, bool))
    p = fisher.judge(np.array([[1e-9, np.nan], [0.01, 0.01]]))
    assert np.isnan(p[0])
    assert 0 < p[1] < 0.01
