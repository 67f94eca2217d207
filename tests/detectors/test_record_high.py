"""Record highs: no p-value at first, then what was never seen is rare."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.calibration.calibrator import Calibrator, FalseAlarmRate
from detectors.conformance import check_detector
from detectors.record_high import LikelihoodDetector, MomentDetector, RecordHighDetector

DAY = 86_400


def test_it_conforms() -> None:
    check_detector(RecordHighDetector, pause_windows=20_000)


def test_the_evidence_that_comes_with_a_level_is_its_score() -> None:
    detector = LikelihoodDetector("levels", "nats", least=5.0, warm_up=1)
    detector.learn_one({"levels": 1.0, "nats": 0.5})
    score = detector.judge_one({"levels": 18.0, "nats": 44.0})
    assert score.evidence is not None
    assert (score.value, score.evidence.observed, score.evidence.expected) == (44.0, 18.0, 1.0)
    # Little evidence, however high the level: and none of a level that matters to nobody.
    assert detector.judge_one({"levels": 40.0, "nats": 0.1}).value == 0.1
    assert detector.judge_one({"levels": 4.0, "nats": 44.0}).evidence is None
    assert LikelihoodDetector.log_likelihood


def test_streams_with_different_least_levels_share_a_bank_and_stay_themselves() -> None:
    singles = [RecordHighDetector(least=least) for least in (0.5, 3.0, 25.0)]
    assert len({one.bank_key for one in singles}) == 1
    bank, rows = singles[0].bank(), np.arange(3)
    bank.grow(3)
    for row, one in enumerate(singles):
        bank.adopt(row, one)
    rng = np.random.default_rng(6)
    for window in range(200):
        if window == 100:
            state, bank = bank.snapshot(3), singles[0].bank()
            for row, one in enumerate(singles):
                bank.adopt(row, one)
            bank.restore(state)
        values = rng.pareto(0.7, (3, 1))
        scores = bank.judge(rows, values)
        for row, one in enumerate(singles):
            score = one.judge_one({"level": float(values[row, 0])})
            assert (score.value is None) == np.isnan(scores[row])
            assert score.evidence == bank.evidence(row, values[row])
            one.learn_one({"level": float(values[row, 0])})
        bank.learn(rows, values)


def test_a_moment_has_a_score_beyond_chance_and_a_level_that_matters() -> None:
    detector = MomentDetector("bps", "sd", least=2.0, score_least=8.0)
    check_detector(lambda: MomentDetector("bps", "sd", least=2.0), pause_windows=20_000)
    detector.learn_one({"bps": 1.0, "sd": 0.5})
    evidence = {
        (bps, sd): detector.judge_one({"bps": bps, "sd": sd}).evidence
        for bps, sd in ((20.0, 9.0), (20.0, 7.0), (1.0, 9.0))
    }
    assert [pair for pair, one in evidence.items() if one is not None] == [(20.0, 9.0)]
    assert detector.judge_one({"bps": 20.0, "sd": 7.0}).value == 7.0
    assert MomentDetector.is_moment
    with pytest.raises(ValueError, match="score_least"):
        MomentDetector(score_least=-1.0)


def test_a_level_beyond_the_days_before_is_rare_and_one_within_them_is_not() -> None:
    rng = np.random.default_rng(5)
    jumps = np.repeat(rng.pareto(2.5, DAY // 600) * 0.1, 600)  # a new level every ten minutes
    calibrator, detector = (
        Calibrator(RecordHighDetector.log_likelihood),
        RecordHighDetector(least=0.5),
    )
    for level in jumps:
        x = {"level": float(level)}
        score = detector.judge_one(x).value
        if score is not None:
            calibrator.learn(score)
        detector.learn_one(x)
    limit = FalseAlarmRate(0.1, 1.0).p_limit
    assert calibrator.p_value(float(np.quantile(jumps, 0.99))) > limit
    assert calibrator.p_value(50 * float(jumps.max())) <= limit


def test_calm_levels_are_no_evidence() -> None:
    detector = RecordHighDetector("share", least=1.0)
    detector.learn_one({"share": 0.01})
    assert detector.judge_one({"share": 0.9}).evidence is None
    evidence = detector.judge_one({"share": 1.1}).evidence
    assert evidence is not None
    assert (evidence.observed, evidence.expected) == (1.1, 0.01)


def test_a_level_below_zero_is_refused() -> None:
    detector = RecordHighDetector()
    detector.learn_one({"level": 1.0})
    assert detector.judge_one({"level": -1.0}).value is None
    with pytest.raises(ValueError, match="above 0"):
        RecordHighDetector(least=0.0)
