"""Joint evidence: what it finds and names, what it leaves alone, and what it is made of."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.calibration.calibrator import Calibrator, FalseAlarmRate
from detectors.calibration.conformal import P_MIN, READY_WINDOWS, ConformalPValues
from detectors.conformance import check_detector
from detectors.joint.cusums import BLOCK_WINDOWS, KAPPA, JointCusums
from detectors.joint.detector import JointDetector
from detectors.joint.whitening import YOUNG_WINDOWS, Whitener

DAY = 17_280.0
DRIFT = np.log(1 / KAPPA) / (1 - KAPPA)


def correlated(windows: int, seed: int, symbols: int = 4, streams: int = 3) -> np.ndarray:
    """Autoregressive streams that share a slow factor: (windows, symbols, streams)."""
    rng = np.random.default_rng(seed)
    shared, own = np.zeros(symbols), np.zeros((symbols, streams))
    out = np.empty((windows, symbols, streams))
    for t in range(windows):
        shared = 0.95 * shared + 0.31 * rng.standard_normal(symbols)
        own = 0.5 * own + 0.87 * rng.standard_normal((symbols, streams))
        out[t] = shared[:, None] + own
    return out


def teach(joint: JointCusums, data: np.ndarray) -> None:
    nobody = np.zeros(joint.symbols, bool)
    for x in data:
        joint.judge(x, np.ones(len(x)))
        joint.learn(nobody, x, joint.expected)


@pytest.fixture(scope="module")
def taught() -> JointCusums:
    joint = JointCusums([1, 1, 1], DAY, 4)
    teach(joint, correlated(4000, seed=1))
    return joint


def test_it_conforms() -> None:
    check_detector(JointDetector, pause_windows=500)


def test_whitened_residuals_depend_on_neither_the_past_nor_each_other() -> None:
    data = correlated(6000, seed=2, symbols=1)
    whitener = Whitener(3)
    residual = np.empty((len(data), 3))
    for t, x in enumerate(data):
        residual[t], _ = whitener.judge(x.ravel(), np.zeros(3))
        whitener.learn(np.ones(3, bool))
    raw, white = data[3000:, 0], residual[3000:]

    def dependence(x: np.ndarray) -> tuple[float, float]:
        past = np.corrcoef(x[1:].T, x[:-1].T)[:3, 3:].diagonal()
        return float(np.abs(past).max()), float(np.corrcoef(x.T)[0, 1])

    assert dependence(raw)[0] > 0.6
    assert dependence(white)[0] < 0.1
    assert dependence(white)[1] < dependence(raw)[1] / 2
    assert 0.9 < np.abs(white).mean() < 1.1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_cannot_be_read_is_no_value_and_changes_nothing(bad: float) -> None:
    whitener = Whitener(1)
    for i in range(100):
        whitener.judge(np.array([i % 5.0]), np.zeros(1))
        whitener.learn(np.ones(1, bool))
    before = copy.deepcopy(whitener.snapshot())
    residual, expected = whitener.judge(np.array([bad]), np.zeros(1))
    whitener.learn(np.ones(1, bool))
    assert np.isnan(residual).all()
    assert np.isnan(expected).all()
    assert all((whitener.snapshot()[name] == before[name]).all() for name in before)


@pytest.mark.parametrize("hurt", [[1e15], [1e15] * 10, [0.0] * 20_000, [5.0] * 3000])
def test_an_outlier_or_a_stop_leaves_the_scale_as_it_was(hurt: list[float]) -> None:
    rng = np.random.default_rng(3)
    whitener = Whitener(1)

    def scale(values: list[float]) -> float:
        off = [0.0]
        for value in values:
            off.append(abs(float(whitener.judge(np.array([value]), np.zeros(1))[0][0])))
            whitener.learn(np.ones(1, bool))
        return float(np.mean(off[-200:]))

    scale(rng.normal(5, 1, 2000).tolist())
    scale(hurt)
    assert 0.7 < scale(rng.normal(5, 1, 600).tolist()) < 1.4


def test_a_row_that_has_seen_little_abstains() -> None:
    whitener = Whitener(1)
    for i in range(YOUNG_WINDOWS):
        assert np.isnan(whitener.judge(np.array([float(i)]), np.zeros(1))[0][0])
        whitener.learn(np.ones(1, bool))
    assert not np.isnan(whitener.judge(np.array([1.0]), np.zeros(1))[0][0])


@pytest.mark.parametrize("law", ["normal", "student", "counts"])
def test_p_values_are_as_rare_as_they_say(law: str) -> None:
    rng = np.random.default_rng(4)
    make = {
        "normal": lambda n: rng.normal(size=n),
        "student": lambda n: rng.standard_t(3, n),
        "counts": lambda n: rng.poisson(0.3, n).astype(float),
    }[law]
    conformal = ConformalPValues(50, DAY)
    for _ in range(4000):
        conformal.learn(make(50), np.ones(50, bool))
    p = np.concatenate([conformal.p_values(make(50)) for _ in range(2000)])
    for level in (0.1, 0.01, 0.001):
        assert (p <= level).mean() <= 1.3 * level + 1e-4
    if law != "counts":
        assert (p <= 0.01).mean() >= 0.007
        assert (p <= 1e-5).mean() <= 1e-4


def test_equal_scores_count_against_a_score_and_too_few_give_no_p_value() -> None:
    conformal = ConformalPValues(1, DAY)
    for i in range(READY_WINDOWS):
        assert np.isnan(conformal.p_values(np.array([1.0]))[0])
        conformal.learn(np.array([float(i % 2)]), np.ones(1, bool))
    assert conformal.p_values(np.array([0.0]))[0] == pytest.approx(1.0)
    assert 0.3 < conformal.p_values(np.array([1.0]))[0] < 0.55


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_a_higher_score_is_never_more_likely(seed: int, asked: list[float]) -> None:
    rng = np.random.default_rng(seed)
    conformal = ConformalPValues(1, DAY)
    for value in rng.standard_t(3, 400):
        conformal.learn(np.array([value]), np.ones(1, bool))
    p = [conformal.p_values(np.array([score]))[0] for score in sorted(asked)]
    assert all(P_MIN <= b <= a * (1 + 0.05) <= 1.05 for a, b in pairwise(p))


def test_one_window_adds_minus_ln_p_less_the_drift_of_the_streams_that_judge(
    taught: JointCusums,
) -> None:
    joint = copy.deepcopy(taught)
    joint._total[:] = 0.0
    x = np.full((4, 3), 6.0)
    x[1, 2] = np.nan
    joint.judge(x, np.ones(4))
    for symbol, streams in ((0, 3), (1, 2)):
        p = joint.p[symbol][~np.isnan(joint.p[symbol])]
        assert len(p) == streams
        want = (1 - KAPPA) * (-np.log(p).sum() - DRIFT * streams)
        assert joint._after[symbol, 0] == pytest.approx(max(0.0, want))


def test_a_weak_rise_in_all_streams_is_evidence_and_each_has_its_share(taught: JointCusums) -> None:
    joint = copy.deepcopy(taught)
    quiet = joint.judge(np.zeros((4, 3)), np.ones(4))
    joint.learn(np.zeros(4, bool), np.zeros((4, 3)), joint.expected)
    data = np.zeros((4, 3))
    data[2] = 3.5
    score = joint.judge(data, np.ones(4))
    assert score[2] > 8 > 4 > max(quiet.max(), score[[0, 1, 3]].max())
    windows, parts = joint.evidence(2, data, joint.expected)
    assert windows <= 2
    assert sum(part.share for part in parts) == pytest.approx(1.0)
    assert all(part.is_named and part.observed > part.expected for part in parts)


def test_the_streams_that_moved_are_named_and_the_others_are_not(taught: JointCusums) -> None:
    joint = copy.deepcopy(taught)
    joint.judge(np.zeros((4, 3)), np.ones(4))
    data = joint.expected.copy()
    data[:, 1] += 6.0
    joint.judge(data, np.ones(4))
    for symbol in range(4):
        _, parts = joint.evidence(symbol, data, joint.expected)
        assert [part.stream for part in parts if part.is_named] == [1]
        assert parts[0].share > 0.7


def test_sides_say_what_speaks_of_an_attack(taught: JointCusums) -> None:
    low = JointCusums([1, -1, 0], DAY, 4)
    teach(low, correlated(1000, seed=1))
    low.judge(np.full((4, 3), -6.0), np.ones(4))
    assert (low.p[:, 0] > 0.5).all()
    assert (low.p[:, 1:] < 0.01).all()


def test_what_is_reported_is_not_learnt_until_it_is_over(taught: JointCusums) -> None:
    joint = copy.deepcopy(taught)
    before = joint._whitener.snapshot()["weight"].copy()
    weights = joint._conformal.weight.copy()
    data = np.full((4, 3), 8.0)
    for _ in range(5):
        joint.judge(data, np.ones(4))
        joint.learn(np.ones(4, bool), data, joint.expected)
        assert not joint._total.any()
    assert (joint._whitener.snapshot()["weight"] == before).all()
    assert (joint._conformal.weight == weights).all()
    teach(joint, correlated(80, seed=5))
    assert not joint._episode_windows.any()
    assert (joint._conformal.weight != weights).any()


def test_symbols_in_one_array_are_judged_as_each_alone() -> None:
    data = correlated(500, seed=6)
    together = JointCusums([1, 1, 1], DAY)
    together.grow(2)
    together.grow(4)
    alone = [JointCusums([1, 1, 1], DAY, 1) for _ in range(4)]
    nobody = np.zeros(4, bool)
    for x in data:
        score = together.judge(x, np.ones(4))
        for i, one in enumerate(alone):
            assert one.judge(x[i : i + 1], np.ones(1))[0] == score[i]
            one.learn(nobody[:1], x[i : i + 1], one.expected)
        together.learn(nobody, x, together.expected)


def test_it_goes_on_from_its_state_bit_for_bit(taught: JointCusums) -> None:
    whole = copy.deepcopy(taught)
    restored = JointCusums([1, 1, 1], DAY)
    restored.restore(copy.deepcopy(whole.snapshot()))
    for x in correlated(50, seed=7):
        assert (whole.judge(x, np.ones(4)) == restored.judge(x, np.ones(4))).all()
        for one in (whole, restored):
            one.learn(x[:, 0] > 2, x, one.expected)


def test_the_budget_is_kept_on_streams_that_share_a_factor() -> None:
    data = correlated(28_000, seed=8, symbols=24)
    joint = JointCusums([1, 1, 1], DAY, 24)
    calibrators = [Calibrator(True, DAY, BLOCK_WINDOWS) for _ in range(24)]
    limit = FalseAlarmRate(1.0, 5.0).p_limit
    reports, last = 0, np.full(24, -99)
    for t, x in enumerate(data):
        score = joint.judge(x, np.ones(24)).tolist()
        p = np.array([c.p_value(s) for c, s in zip(calibrators, score, strict=True)])
        alarm = p <= limit
        if t >= DAY:
            reports += int((alarm & (t - last > 12)).sum())
        last[alarm] = t
        joint.learn(alarm, x, joint.expected)
        for calibrator, value in zip(calibrators, score, strict=True):
            calibrator.learn(value)
    days = 24 * (len(data) - DAY) / DAY
    assert 0.4 <= reports / days <= 1.7
