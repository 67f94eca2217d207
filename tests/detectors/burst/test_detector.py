"""The burst detector: what it detects, what it ignores, and what a new level becomes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from river import checks

from detectors.burst import kernel
from detectors.burst.detector import BurstDetector
from detectors.calibration.calibrator import Calibrator, FalseAlarmRate
from detectors.conformance import check_detector
from detectors.stats.nnls import nnls
from tests.bench.backgrounds import DAY, Counts, hawkes, poisson

LIMIT = FalseAlarmRate(1.0, 1.0).p_limit


def alarms(counts: Counts, detector: BurstDetector | None = None) -> list[int]:
    """The windows that are reported at one false alarm a day, as the engine would."""
    detector = detector or BurstDetector()
    calibrator = Calibrator(detector.log_likelihood, DAY)
    reported = []
    for i, count in enumerate(counts.tolist()):
        x = {"count": count}
        value = detector.judge_one(x).value
        if value is not None and calibrator.p_value(value) <= LIMIT:
            reported.append(i)
            detector.report_one(x)
        else:
            detector.learn_one(x)
        if value is not None:
            calibrator.learn(value)
    return reported


def episodes(reported: list[int]) -> int:
    return sum(1 for a, b in zip([-DAY, *reported], reported, strict=False) if b - a > 60)


def test_it_conforms() -> None:
    check_detector(BurstDetector)


def labelled_counts() -> list[tuple[dict[str, float], bool]]:
    counts = poisson(0.01, 4, seed=1)
    burst = np.zeros(len(counts), bool)
    for start in (500, 700):
        counts[start : start + 10] += 20
        burst[start : start + 10] = True
    return [({"count": float(c)}, bool(b)) for c, b in zip(counts, burst, strict=True)]


def rivers_checks() -> list[Callable[[Any], None]]:
    """River's own, those on data on labelled counts (its data set would have to be fetched)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "_yield_datasets", lambda model, scale=1: iter([labelled_counts()]))
        every = list(checks.yield_checks(BurstDetector()))
    # This one needs scikit-learn; the next test does the same without it.
    return [check for check in every if check.__name__ != "check_roc_auc"]


@pytest.mark.parametrize("check", rivers_checks(), ids=lambda check: str(check.__name__))
def test_it_passes_rivers_own_checks(check: Callable[[Any], None]) -> None:
    check(BurstDetector())


def test_it_ranks_bursts_above_ordinary_windows() -> None:
    detector = BurstDetector()
    scores: dict[bool, list[float]] = {False: [], True: []}
    for x, burst in labelled_counts():
        scores[burst].append(detector.score_one(x))
        detector.learn_one(x)
    pairs = [(a > b) + (a == b) / 2 for a in scores[True] for b in scores[False]]
    assert sum(pairs) / len(pairs) > 0.9


@pytest.mark.parametrize("seed", [101, 102])
@pytest.mark.parametrize("background", [poisson, hawkes])
def test_a_clean_day_has_at_most_three_alarms(
    background: Callable[[float, float, int], Counts], seed: int
) -> None:
    assert episodes(alarms(background(1.0, 4.0, seed))) <= 3


@pytest.mark.parametrize("background", [poisson, hawkes])
def test_a_strong_burst_is_detected_within_its_first_seconds(
    background: Callable[[float, float, int], Counts],
) -> None:
    counts = background(0.1, 4.0, 103)
    counts[6000:6020] += 40
    reported = [i for i in alarms(counts) if 6000 <= i < 6020]
    assert reported
    assert reported[0] <= 6002


def test_its_evidence_is_the_sums_since_the_change_began() -> None:
    detector = BurstDetector()
    for i in range(3000):
        detector.learn_one({"count": 3 + i % 3})
    for _ in range(3):
        detector.learn_one({"count": 20})
    evidence = detector.judge_one({"count": 30}).evidence
    assert evidence is not None
    assert (evidence.observed, evidence.windows) == (90.0, 4)
    assert 10 < evidence.expected < 60


def test_after_a_report_the_evidence_starts_anew() -> None:
    detector = BurstDetector()
    for i in range(3000):
        detector.learn_one({"count": 3 + i % 3})
    before = detector.judge_one({"count": 30}).evidence
    detector.report_one({"count": 30})
    after = detector.judge_one({"count": 30}).evidence
    assert after == before


def test_a_new_level_is_reported_for_a_bounded_time_only() -> None:
    """Later reports are chance: in five times .2 of a day, as many as in a day of one level."""
    shift, later = int(0.1 * DAY), 0
    end = shift + 2 * BurstDetector().patience + 10
    for seed in range(5):
        counts = np.concatenate([poisson(0.1, 4, 104 + seed), poisson(0.2, 40, 105 + seed)])
        reported = alarms(counts)
        assert any(shift <= i < shift + 3 for i in reported)
        later += episodes([i for i in reported if i > end])
    assert later <= 3


def test_a_burst_on_a_new_level_is_detected() -> None:
    counts = np.concatenate([poisson(0.1, 4, 104), poisson(0.1, 40, 105)])
    place = int(0.1 * DAY) + 5000
    counts[place : place + 10] += 100
    assert any(place <= i < place + 3 for i in alarms(counts))


def test_the_evidence_of_an_unreported_burst_ends_with_the_burst() -> None:
    detector = BurstDetector()
    for count in poisson(0.05, 4, 106).tolist():
        detector.learn_one({"count": count})
    for _ in range(60):
        detector.learn_one({"count": 400.0})
    for count in poisson(0.01, 4, 107).tolist():
        detector.learn_one({"count": count})
    assert detector.score_one({"count": 4.0}) < 5


def test_a_restored_detector_must_be_of_the_same_sizes() -> None:
    with pytest.raises(ValueError, match="same sizes"):
        BurstDetector(sizes=(2.0,)).restore(BurstDetector().snapshot())


@pytest.mark.parametrize("wrong", [{"sizes": ()}, {"sizes": (1.0,)}, {"warm_up": 0}])
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"sizes|windows"):
        BurstDetector(**wrong)


@pytest.mark.parametrize("seed", range(20))
def test_nnls_meets_the_conditions_of_the_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(30, 4))
    target = data @ rng.normal(size=4) + rng.normal(size=30)
    gram, moment, weights = data.T @ data, data.T @ target, np.zeros(4)
    nnls(gram[np.triu_indices(4)], moment, weights)
    gradient = gram @ weights - moment
    assert (weights >= 0).all()
    assert (gradient > -1e-4).all()
    assert math.isclose(float(abs(gradient * weights).max()), 0.0, abs_tol=1e-4)


def test_bursts_that_were_reported_do_not_teach_that_events_follow_each_other() -> None:
    """What was learnt of a burst before its report is taken back: after five bursts of six times
    the rate, a weak one scores nearly as high as in a detector that never saw any."""
    rng = np.random.default_rng(4)
    quiet = rng.poisson(0.5, 3600).astype(float)
    loud = quiet.copy()
    for begin in range(600, 3100, 500):
        loud[begin : begin + 30] += rng.poisson(2.5, 30)
    weak = rng.poisson(1.7, 40).astype(float)

    def peak(before: Counts) -> float:
        detector = BurstDetector()
        for count in before:
            x = {"count": count}
            score = detector.judge_one(x).value or 0.0
            (detector.report_one if score > 20.0 else detector.learn_one)(x)
        scores = []
        for count in weak:
            scores.append(detector.judge_one({"count": count}).value or 0.0)
            detector.learn_one({"count": count})
        return max(scores)

    assert peak(loud) > 0.8 * peak(quiet) > 8.0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rate", [0.6, 12.0])
def test_a_burst_that_began_in_a_lull_is_not_reported_after_its_end(rate: float, seed: int) -> None:
    """From the report on the forecast must follow the stream again, for minutes later the market is
    in another mood."""
    rng = np.random.default_rng(seed)
    # Slow moods, so that the forecast has learnt to follow them.
    mood = np.repeat(np.tile([1.3, 0.7], 30), 60)
    usual = rng.poisson(rate * mood).astype(float)
    lull = rng.poisson(0.3 * rate, 40).astype(float)
    burst = rng.poisson(6 * rate + 2, 20).astype(float)
    after = rng.poisson(1.3 * rate, 240).astype(float)
    detector = BurstDetector()
    reported = []
    for i, count in enumerate(np.concatenate((usual, lull, burst, after)).tolist()):
        x = {"count": count}
        score = detector.judge_one(x).value or 0.0
        if score > 20.0:
            reported.append(i - len(usual) - len(lull))
            detector.report_one(x)
        else:
            detector.learn_one(x)
    assert reported
    assert min(reported) >= 0
    assert max(reported) < len(burst) + 5


@pytest.mark.parametrize("rate", [0.6, 12.0])
def test_a_burst_in_pieces_is_one_burst_and_teaches_nothing(rate: float) -> None:
    """An episode goes on through windows of the burst that are not reported, even quiet ones: the
    weights of the forecast are as if there had been no burst."""
    rng = np.random.default_rng(3)
    usual = rng.poisson(rate, 3000).astype(float)
    loud = usual.copy()
    for begin in range(600, 2900, 300):
        loud[begin : begin + 40] += rng.poisson(6 * rate, 40) * (np.arange(40) % 4 > 0)

    def weights(counts: Counts) -> Counts:
        detector = BurstDetector()
        for count in counts:
            x = {"count": count}
            score = detector.judge_one(x).value or 0.0
            (detector.report_one if score > 20.0 else detector.learn_one)(x)
        return np.array(detector.snapshot()["row"][kernel.WEIGHT : kernel.WEIGHT + kernel.MEANS])

    assert abs(weights(loud) - weights(usual)).max() < 0.15


@pytest.mark.parametrize("seed", range(6))
def test_a_forecast_that_is_too_low_does_not_keep_itself_so(seed: int) -> None:
    """Two events in the warm-up, then one in eight windows for ever: evidence that lasts longer
    than any burst is learnt."""
    rng = np.random.default_rng(seed)
    begin = np.zeros(320)
    begin[[0, 150]] = 1.0
    counts = np.concatenate((begin, rng.poisson(0.12, 3600)))
    detector = BurstDetector()
    reported = []
    for i, count in enumerate(counts.tolist()):
        x = {"count": count}
        if (detector.judge_one(x).value or 0.0) > 20.0:
            reported.append(i)
            detector.report_one(x)
        else:
            detector.learn_one(x)
    assert not [i for i in reported if i > 1800]
    forecast = detector.forecast_one({"count": 0.0})
    assert not isinstance(forecast, str)
    assert 0.06 < forecast[1] < 0.24
