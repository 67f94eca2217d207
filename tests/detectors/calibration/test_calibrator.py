"""Scores become p-values, and p-values keep the budget."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.calibration.calibrator import (
    BLOCK_WINDOWS,
    READY_BLOCKS,
    Calibrator,
    FalseAlarmRate,
)

DAY = 86400


def trained(log_likelihood: bool, scores: list[float]) -> Calibrator:
    calibrator = Calibrator(log_likelihood, DAY)
    for score in scores:
        calibrator.learn(score)
    return calibrator


def test_the_budget_is_shared_alike_by_streams_and_windows() -> None:
    assert FalseAlarmRate(24.0, 3600.0).p_limit == 1.0
    assert math.isclose(FalseAlarmRate(1.0, 1.0, streams=4).p_limit, 1 / 86400 / 4)


@pytest.mark.parametrize("wrong", [(0.0, 1.0, 1), (1.0, 0.0, 1), (1.0, 1.0, 0)])
def test_an_impossible_budget_is_refused(wrong: tuple[float, float, int]) -> None:
    with pytest.raises(ValueError, match="a false alarm rate is"):
        FalseAlarmRate(*wrong)


def test_a_log_likelihood_has_p_values_by_theory_from_the_start() -> None:
    calibrator = Calibrator(log_likelihood=True)
    assert calibrator.why is None
    assert calibrator.p_value(0.0) == 1.0
    assert math.exp(-11.0) < calibrator.p_value(11.0) < 20 * math.exp(-11.0)


def test_other_scores_have_no_p_value_before_six_hours_and_say_so() -> None:
    scores = np.random.default_rng(1).normal(size=READY_BLOCKS * BLOCK_WINDOWS).tolist()
    calibrator = trained(False, scores[:-1])
    assert calibrator.p_value(100.0) == 1.0
    assert calibrator.why == "calibrating: 5.9 of the first 6 h of its scores seen"
    assert calibrator.windows_left == 1
    calibrator.learn(scores[-1])
    assert calibrator.why is None
    assert calibrator.windows_left == 0
    assert calibrator.p_value(100.0) < 1e-4


@pytest.mark.parametrize("law", ["normal", "pareto", "steps"])
def test_by_rank_scores_that_were_seen_are_as_rare_as_their_rank(law: str) -> None:
    """Whatever the law: what ten blocks of a day exceed is reported at twelve a day."""
    rng = np.random.default_rng(7)
    sample = {
        "normal": rng.normal(size=DAY), "pareto": rng.pareto(1.0, DAY),
        "steps": np.repeat(rng.pareto(0.5, DAY // 3600), 3600),
    }[law]  # fmt: skip
    calibrator = Calibrator(False, DAY, by_rank=True)
    for score in sample.tolist():
        calibrator.learn(score)
    tops = np.sort(sample[: DAY // 300 * 300].reshape(-1, 300).max(axis=1))
    if law != "steps":
        assert calibrator.p_value(float(tops[-11])) <= FalseAlarmRate(12.5, 1.0).p_limit
        assert calibrator.p_value(float(tops[-11])) > FalseAlarmRate(8.0, 1.0).p_limit
    scores = np.linspace(0.0, 3.0 * float(tops[-1]), 400).tolist()
    p_values = [calibrator.p_value(score) for score in scores]
    assert all(after <= before for before, after in pairwise(p_values))


def test_by_rank_a_storm_is_one_event_and_not_as_many_as_its_blocks() -> None:
    """Four storms of half an hour exceed what comes next, and not their 28 blocks."""
    calm = np.random.default_rng(8).uniform(1.0, 2.0, 24).tolist()
    blocks = 4 * [*calm, 8.1, 8.2, 8.3, 9.0, 8.9, 8.5, 8.4, *calm]
    calibrator = Calibrator(False, DAY, by_rank=True)
    for height in blocks:
        calibrator.close_block(height)
    share = calibrator.p_value(8.0) * BLOCK_WINDOWS
    assert share == pytest.approx(5.0 / (len(blocks) + 1), rel=0.02)


def reports_per_day(sample: np.ndarray, log_likelihood: bool) -> float:
    """Reports a day at a budget of one, after two days of learning."""
    calibrator = Calibrator(log_likelihood, DAY)
    limit = FalseAlarmRate(1.0, 1.0).p_limit
    reports = 0
    for i, score in enumerate(sample.tolist()):
        reports += i >= 2 * DAY and calibrator.p_value(score) <= limit
        calibrator.learn(score)
    return reports / (len(sample) / DAY - 2)


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.5])
def test_the_budget_is_kept_whatever_the_slope_of_the_tail(scale: float) -> None:
    rng = np.random.default_rng(2)
    assert 0.3 <= reports_per_day(rng.exponential(scale, 12 * DAY), True) <= 2.0


@pytest.mark.parametrize("law", ["normal", "pareto"])
def test_the_budget_is_not_overspent_on_light_or_heavy_tails(law: str) -> None:
    rng = np.random.default_rng(3)
    sample = rng.normal(size=12 * DAY) if law == "normal" else rng.pareto(3.0, 12 * DAY)
    assert reports_per_day(sample, False) <= 2.0


scores = st.floats(-1e3, 1e3) | st.floats(0, 30)


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.integers(0, 2**32), st.lists(scores, min_size=2, max_size=20))
def test_a_higher_score_is_never_less_rare(
    log_likelihood: bool, seed: int, asked: list[float]
) -> None:
    rng = np.random.default_rng(seed)
    learnt = np.round(rng.exponential(2.0, BLOCK_WINDOWS * 80), 2)[:: rng.integers(1, 30)]
    calibrator = trained(log_likelihood, learnt.tolist())
    p = [calibrator.p_value(score) for score in sorted(asked)]
    assert all(0.0 <= b <= a * (1 + 1e-9) <= 1.0 + 1e-9 for a, b in pairwise(p))


def test_an_attack_does_not_raise_later_p_values() -> None:
    calm = np.random.default_rng(4).exponential(1.0, 2 * DAY).tolist()
    before = trained(True, calm).p_value(16.0)
    attacked = trained(True, [*calm, *[1e15] * 10])
    assert attacked.p_value(16.0) < 5 * before


def blocks(tops: list[float], steepest: float = math.inf) -> Calibrator:
    calibrator = Calibrator(True, DAY, tail_slope_max=steepest)
    for top in tops:
        calibrator.close_block(min(top, calibrator.cap))
    return calibrator


@pytest.mark.parametrize("attacks", [2, 4, 12])
def test_attacks_in_a_row_do_not_raise_the_p_values_of_a_young_stream(attacks: int) -> None:
    calm = [4.0, 5.0, 6.0, 7.0] * 9
    attacked = blocks([*calm, *[1e3] * attacks])
    assert blocks(calm).p_value(14.0) < 0.01 / DAY
    assert attacked.p_value(14.0) < 0.01 / DAY


def test_attacks_do_not_move_the_theory_of_a_young_stream() -> None:
    attacked = blocks([4.0, 1e3, 4.0, 1e3, 1e3])
    # Blocks that are left out say nothing: theory counts a little more.
    assert attacked.p_value(30.0) < 5 * blocks([4.0] * 5).p_value(30.0)


def test_a_day_of_attacks_does_not_raise_later_p_values() -> None:
    """Reported scores exceed the threshold by little, for evidence starts anew after a report."""
    rng = np.random.default_rng(6)
    calm = rng.gumbel(6.0, 1.0, 288).tolist()
    attacked = blocks([*calm, *[20.0, 5.0] * 35])
    assert blocks(calm).p_value(18.0) < 0.01 / DAY
    assert attacked.p_value(18.0) < 0.01 / DAY
    assert blocks([*calm, *[20.0] * 150]).p_value(18.0) > 1 / DAY


def test_what_every_other_block_does_is_a_habit() -> None:
    habit = blocks([4.0, 1e3] * 40)
    assert habit.p_value(30.0) > 1 / DAY
    assert blocks([4.0] * 80).p_value(30.0) < 0.01 / DAY


def test_a_tail_steeper_than_is_believed_is_not_steeper() -> None:
    rng = np.random.default_rng(8)
    tops = rng.gumbel(6.0, 0.4, 288).tolist()
    free, bound = blocks(tops), blocks(tops, steepest=1.0)
    assert free.p_value(14.0) < 0.1 * bound.p_value(14.0)
    # A nat further out is then a factor of e, but for what is not known of the tail.
    assert 0.9 < bound.p_value(14.0) / bound.p_value(15.0) / np.e < 1.0


def test_high_scores_of_a_young_stream_move_its_theory() -> None:
    assert blocks([10.0] * 4).p_value(16.0) > 3 * blocks([5.0] * 4).p_value(16.0)
    assert blocks([2.0] * 4).p_value(16.0) == blocks([5.0] * 4).p_value(16.0)


def test_equal_scores_are_never_rare() -> None:
    calibrator = trained(False, [0.5] * BLOCK_WINDOWS * READY_BLOCKS)
    assert calibrator.p_value(0.5) == 1.0


def test_a_level_that_is_nearly_always_0_keeps_the_budget_by_its_few_other_scores() -> None:
    """Such as sweeps of a market that has a dozen a day."""
    limit, reports = 0.5 / DAY, 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        calibrator = Calibrator(False)
        for _ in range(2 * 288):
            sweeps = rng.exponential(20.0, rng.poisson(12 / 288))
            top = float(sweeps.max(initial=0.0))
            reports += calibrator.p_value(top) <= limit
            calibrator.close_block(min(top, calibrator.cap))
    assert reports <= 2 * 0.5 * 24


def test_a_restored_calibrator_continues_bit_for_bit() -> None:
    stream = np.random.default_rng(5).exponential(1.0, DAY).tolist()
    whole = trained(True, stream[:40000])
    restored = Calibrator(True, DAY)
    restored.restore(whole.snapshot())
    for score in stream[40000:]:
        assert restored.p_value(score) == whole.p_value(score)
        restored.learn(score)
        whole.learn(score)
    assert restored.snapshot() == whole.snapshot()


def test_what_is_not_finite_is_not_learnt() -> None:
    calibrator = trained(True, [1.0])
    before = calibrator.snapshot()
    for bad in (math.nan, math.inf, -math.inf):
        calibrator.learn(bad)
    assert calibrator.snapshot() == before
