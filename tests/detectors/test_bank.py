"""A bank says of each row what one detector by itself says, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import Bank, Detector, SequentialBank
from detectors.burst.detector import BurstDetector
from detectors.calibration.calibrator import BLOCK_WINDOWS, Calibrator, FalseAlarmRate
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.calibration.tail_prior import READY_BLOCKS
from detectors.contrib.comove import CoMoveDetector
from detectors.contrib.focus import FocusDetector
from detectors.level_shift.detector import LevelShiftDetector
from detectors.ratio.detector import RatioDetector
from detectors.record_high import LikelihoodDetector, RecordHighDetector

MAKERS: dict[str, Callable[[], Detector]] = {
    "burst": lambda: BurstDetector(warm_up=20, patience=15),
    "ratio": lambda: RatioDetector(warm_up=20, patience=15),
    "comove": lambda: CoMoveDetector(("a", "b"), warm_up=20, patience=15),
    "focus": lambda: FocusDetector(warm_up=20, patience=15),
    "level": lambda: LevelShiftDetector(warm_up=20, patience=15),
    "peak": lambda: RecordHighDetector(least=0.5),
    "likelihood": lambda: LikelihoodDetector(least=0.5, warm_up=20),
    "signed level": lambda: LevelShiftDetector(
        direction="both", signed=True, warm_up=20, patience=15
    ),
}
ROWS, WINDOWS = 5, 120


def banks(make: Callable[[], Detector]) -> list[Bank]:
    return [make().bank(), SequentialBank(make)]


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_banks_and_single_detectors_agree_bit_for_bit(name: str, seed: int) -> None:
    make, rng = MAKERS[name], np.random.default_rng(seed)
    singles = [make() for _ in range(ROWS)]
    keys = singles[0].features
    asked = banks(make)
    for bank in asked:
        bank.grow(ROWS)
    for window in range(WINDOWS):
        rows = rng.permutation(ROWS)[: rng.integers(1, ROWS + 1)].astype(np.int64)
        values = rng.poisson(4, (len(rows), len(keys))).astype(np.float64)
        values[rng.random(values.shape) < 0.05] *= 20
        if rng.random() < 0.03:
            values[0, 0] = rng.choice([-1.0, 1e15, 1e300])
        if window == WINDOWS // 2:
            asked = [restored(make, bank) for bank in asked]
        scores = [bank.judge(rows, values) for bank in asked]
        for i, row in enumerate(rows.tolist()):
            x = dict(zip(keys, values[i].tolist(), strict=True))
            single = singles[row].judge_one(x)
            for bank, score in zip(asked, scores, strict=True):
                if single.value is None:
                    assert math.isnan(score[i])
                    assert bank.why(row, values[i])
                else:
                    assert score[i] == single.value
                    assert bank.evidence(row, values[i]) == single.evidence
            if rng.random() < 0.1:
                singles[row].report_one(x)
                for bank in asked:
                    bank.report(row, values[i])
            else:
                singles[row].learn_one(x)
                for bank in asked:
                    bank.learn(rows[i : i + 1], values[i : i + 1])


def restored(make: Callable[[], Detector], bank: Bank) -> Bank:
    other = SequentialBank(make) if isinstance(bank, SequentialBank) else make().bank()
    other.restore(bank.snapshot(ROWS))
    return other


@pytest.mark.parametrize("name", MAKERS)
def test_learning_together_is_learning_one_by_one(name: str) -> None:
    make, rng = MAKERS[name], np.random.default_rng(3)
    together, apart = make().bank(), make().bank()
    rows = np.arange(ROWS)
    width = len(make().features)
    for bank in (together, apart):
        bank.grow(ROWS)
    for _ in range(200):
        values = rng.poisson(3, (ROWS, width)).astype(np.float64)
        assert np.array_equal(
            together.judge(rows, values), apart.judge(rows, values), equal_nan=True
        )
        together.learn(rows, values)
        for row in rng.permutation(ROWS):
            apart.learn(rows[row : row + 1], values[row : row + 1])
    assert np.array_equal(np.array(together.snapshot(ROWS)), np.array(apart.snapshot(ROWS)))


def test_a_state_of_other_sizes_is_refused() -> None:
    bank = BurstDetector(sizes=(2.0,)).bank()
    bank.grow(2)
    with pytest.raises(ValueError, match="same sizes"):
        BurstDetector().bank().restore(bank.snapshot(2))


@pytest.mark.parametrize("log_likelihood", [True, False])
def test_a_bank_of_calibrators_agrees_with_each_calibrator(log_likelihood: bool) -> None:
    rng = np.random.default_rng(5)
    most = FalseAlarmRate(400.0, 1.0).p_limit
    singles = [Calibrator(log_likelihood) for _ in range(3)]
    many = CalibratorBank(86400, most)
    for _ in singles:
        many.add(log_likelihood)
    rare = 0
    for window in range(BLOCK_WINDOWS * (READY_BLOCKS + 30)):
        rows = np.array([2, 0, 1])[rng.random(3) < 0.9]
        scores = np.round(rng.exponential(1.3, len(rows)), 3)
        scores[rng.random(len(rows)) < 0.02] = np.nan
        limit = most / rng.integers(1, 4)
        expected = []
        for i, (row, score) in enumerate(zip(rows.tolist(), scores.tolist(), strict=True)):
            if not math.isnan(score):
                # Only scores near the limit are worth asking for: the others take long.
                if score > 3.0 and singles[row].p_value(score) <= limit:
                    expected.append((i, singles[row].p_value(score)))
                singles[row].learn(score)
        assert many.rare_scores(rows, scores, limit) == expected
        rare += len(expected)
        many.learn(rows, scores)
        if window % 7777 == 7776:
            state = many.snapshot()
            assert state == [single.snapshot() for single in singles]
            many = CalibratorBank(86400, most)
            many.restore(state, log_likelihood)
            assert [many.why(row) for row in range(3)] == [single.why for single in singles]
    assert rare > 10
