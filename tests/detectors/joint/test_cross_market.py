"""Evidence across markets: what it detects and names, and what it ignores."""

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


def p_values_with_mood(windows: int, seed: int, share: float) -> np.ndarray:
    """p-values of markets that have `share` of their variance in common, (windows, markets)."""
    rng = np.random.default_rng(seed)
    mood = rng.standard_normal((windows, 1))
    own = rng.standard_normal((windows, MARKETS))
    return chances(sqrt(share) * mood + sqrt(1 - share) * own)


def trained(
    share: float, windows: int = COMMON_READY_WINDOWS, markets: int = MARKETS
) -> CrossMarketStatistics:
    across = CrossMarketStatistics(DAY, markets)
    for p in p_values_with_mood(windows, 1, share)[:, :markets]:
        across.judge(p)
        across.learn(False)
    return across


@pytest.fixture(scope="module")
def habit() -> dict[str, object]:
    return trained(0.4).snapshot()


def restored(habit: dict[str, object]) -> CrossMarketStatistics:
    across = CrossMarketStatistics(DAY)
    across.restore({k: v.copy() if isinstance(v, np.ndarray) else v for k, v in habit.items()})
    return across


def scores_after(
    across: CrossMarketStatistics, shift: np.ndarray, mood: float = 0.0, seed: int = 9
) -> np.ndarray:
    """The statistics after two windows of this mood in which markets are `shift` higher."""
    rng = np.random.default_rng(seed)
    for _ in range(2):
        own = sqrt(0.6) * rng.standard_normal(MARKETS)
        scores = across.judge(chances(sqrt(0.4) * mood + own + shift))
        evidence = across.contributing_markets(STEP)
        across.learn(False)
    across.last = evidence  # type: ignore[attr-defined]
    return scores


def test_a_mood_of_all_markets_is_common_and_names_none(habit: dict[str, object]) -> None:
    scores = scores_after(restored(habit), np.zeros(MARKETS), mood=3.5)
    assert scores[COMMON] > 6
    assert scores[STEP] < 5
    assert scores[LASTING] < 5


def test_some_markets_that_move_together_are_detected_and_named_despite_the_mood(
    habit: dict[str, object],
) -> None:
    shift = np.where(np.arange(MARKETS) < 4, 2.2, 0.0)
    across = restored(habit)
    scores = scores_after(across, shift)
    assert scores[STEP] > 8
    assert scores[COMMON] < scores[STEP]
    windows, named = across.last  # type: ignore[attr-defined]
    assert windows == 2
    assert {n.market for n in named} <= {0, 1, 2, 3}
    assert len(named) >= 2


def test_one_market_is_no_group_however_high_its_score(habit: dict[str, object]) -> None:
    shift = np.where(np.arange(MARKETS) == 5, 40.0, 0.0)
    loud = [scores_after(restored(habit), shift, seed=seed)[STEP] > 10 for seed in range(200)]
    assert sum(loud) <= 4
    three = np.where(np.isin(np.arange(MARKETS), (5, 6, 7)), 4.0, 0.0)
    loud = [scores_after(restored(habit), three, seed=seed)[STEP] > 10 for seed in range(50)]
    assert sum(loud) > 25


def test_the_false_alarm_rate_is_kept_where_markets_always_move_together() -> None:
    across = trained(0.4)
    high = np.zeros(len(STATISTICS))
    windows = 6000
    for p in p_values_with_mood(windows, 2, 0.4):
        high += across.judge(p) > np.log(200)
        across.learn(False)
    assert (high < 2.5 * windows / 200).all()
    assert high[COMMON] > 0.3 * windows / 200


def test_fewer_than_four_markets_abstain() -> None:
    across = trained(0.0, 400, markets=MARKETS_LEAST - 1)
    assert np.isnan(across.judge(np.full(MARKETS_LEAST - 1, 0.5))).all()
    enough = trained(0.0, 400, markets=MARKETS_LEAST)
    scores = enough.judge(np.full(MARKETS_LEAST, 0.5))
    assert not np.isnan(scores[[STEP, LASTING]]).any()
    assert np.isnan(scores[COMMON])


def test_a_silent_or_new_market_changes_nothing_for_the_others() -> None:
    across = trained(0.3)
    across.grow(MARKETS + 3)
    twin = trained(0.3)
    for p in p_values_with_mood(50, 3, 0.3):
        more = np.concatenate((p, np.full(3, np.nan)))
        assert (across.judge(more) == twin.judge(p)).all()
        across.learn(False)
        twin.learn(False)


def test_what_is_reported_is_not_learnt(habit: dict[str, object]) -> None:
    across = restored(habit)
    before = across.snapshot()["regressions"].copy()
    across.judge(chances(np.full(MARKETS, 3.0)))
    across.learn(True)
    assert (across.snapshot()["regressions"] == before).all()
    across.judge(p_values_with_mood(1, 4, 0.4)[0])
    across.learn(False)  # the CUSUMs are at zero: over
    across.judge(p_values_with_mood(1, 5, 0.4)[0])
    across.learn(False)
    assert (across.snapshot()["regressions"] != before).any()


def test_fishers_p_values_by_rank_are_uniform_though_streams_are_not_independent() -> None:
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


def test_a_market_with_fewer_than_two_streams_has_no_p_value() -> None:
    fisher = FisherCombination(DAY, 2)
    for _ in range(200):
        fisher.judge(np.array([[0.3, np.nan], [0.4, 0.6]]))
        fisher.learn(np.ones(2, bool))
    p = fisher.judge(np.array([[1e-9, np.nan], [0.01, 0.01]]))
    assert np.isnan(p[0])
    assert 0 < p[1] < 0.01
