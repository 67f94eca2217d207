"""The level-shift detector: the protocol, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.conformance import check_detector
from detectors.level_shift.detector import LevelShiftDetector


def wandering(windows: int, seed: int, memory: float = 0.9, tail: float = 6.0) -> np.ndarray:
    """A log level around 0 with unit spread, autocorrelated, with heavy-tailed innovations."""
    rng = np.random.default_rng(seed)
    push = rng.standard_t(tail, windows) * np.sqrt((1 - memory**2) * (tail - 2) / tail)
    level = np.zeros(windows)
    for i in range(1, windows):
        level[i] = memory * level[i - 1] + push[i]
    return level


def scores(detector: LevelShiftDetector, levels: np.ndarray) -> np.ndarray:
    out = []
    for level in levels.tolist():
        value = detector.judge_one({detector.feature: level}).value
        out.append(np.nan if value is None else value)
        detector.learn_one({detector.feature: level})
    return np.array(out)


def test_it_keeps_the_protocol() -> None:
    check_detector(LevelShiftDetector, pause_windows=20_000)


@pytest.mark.parametrize("memory", [0.0, 0.6, 0.95])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_clean_levels_lift_the_score_as_seldom_as_theory_says(
    memory: float, direction: str
) -> None:
    windows = 40_000
    level = 1e6 * np.exp(0.3 * wandering(windows, 3, memory))
    said = scores(LevelShiftDetector(direction=direction), level)[300:]
    # Excursions above h are expected about exp(-h) times a window; of a hundred windows one.
    for h in (6.0, 8.0):
        above = said > h
        starts = int((above[1:] & ~above[:-1]).sum())
        assert starts <= 8 * np.exp(-h) * windows + 3


@pytest.mark.parametrize(("memory", "median_s"), [(0.3, 8), (0.9, 13)])
def test_a_book_at_a_fifth_of_its_usual_depth_is_detected_within_seconds(
    memory: float, median_s: int
) -> None:
    delays = []
    for seed in range(20):
        level = 1e6 * np.exp(0.25 * wandering(1500, seed, memory))
        level[1400:1420] /= 5
        detector = LevelShiftDetector("depth", direction="down")
        said = scores(detector, level)
        hits = np.flatnonzero(said[1400:1420] > 14)
        delays.append(int(hits[0]) if len(hits) else 99)
    assert np.mean(np.array(delays) < 20) >= 0.9
    assert np.median(delays) <= median_s


def dipping(windows: int, seed: int, every: int) -> np.ndarray:
    """A log depth that falls by ln 5 for 5 to 30 windows, about once in `every`, and stands still
    in nine of ten windows."""
    rng = np.random.default_rng(seed)
    noise = 0.1 * wandering(windows, seed)
    level = noise[np.maximum.accumulate(np.where(rng.random(windows) < 0.1, np.arange(windows), 0))]
    for at in np.flatnonzero(rng.random(windows) < 1 / every).tolist():
        level[at : at + int(rng.integers(5, 31))] = level[at] - np.log(5) - 0.05 * rng.random()
    return level


def windows_reported(detector: LevelShiftDetector, levels: np.ndarray, least: float) -> list[int]:
    """The windows whose score is above `least`; those are reported, and the others learnt."""
    reports = []
    for t, level in enumerate(levels.tolist()):
        x = {detector.feature: level}
        value = detector.judge_one(x).value
        if value is not None and value > least:
            reports.append(t)
            detector.report_one(x)
        else:
            detector.learn_one(x)
    return reports


def test_a_book_that_often_thins_for_a_while_is_soon_ordinary() -> None:
    early = late = dips = 0
    for seed in range(8):
        level = 1e6 * np.exp(dipping(7200, seed, 120))
        reports = np.array(windows_reported(LevelShiftDetector(direction="down"), level, 14.0))
        early += int((reports < 1800).sum())
        late += int((reports >= 1800).sum())
        dips += int((np.diff(level[1800:]) < -3e5).sum())
    assert dips > 300
    assert late <= 0.02 * dips
    assert early <= 8 * 3


def test_a_level_that_stands_still_adds_no_evidence() -> None:
    level = 1e6 * np.exp(0.1 * wandering(1500, 2))
    detector = LevelShiftDetector(direction="down")
    scores(detector, level)
    detector.learn_one({"level": 3e5})
    first = detector.judge_one({"level": 3e5}).value
    for _ in range(50):
        detector.learn_one({"level": 3e5})
    assert first is not None
    assert first > 0.0
    assert detector.judge_one({"level": 3e5}).value == first


def test_evidence_ends_where_the_level_is_back_at_its_usual() -> None:
    level = 1e6 * np.exp(0.1 * wandering(1500, 2))
    detector = LevelShiftDetector(direction="down")
    scores(detector, level)
    for depth in (2.0e5, 2.1e5, 1.9e5):
        detector.learn_one({"level": depth})
    assert (detector.judge_one({"level": 2.0e5}).value or 0.0) > 5.0
    assert detector.judge_one({"level": 1.3e6}).value == 0.0


def test_reported_steps_do_not_become_ordinary() -> None:
    level = 1e6 * np.exp(0.1 * wandering(4000, 4, 0.5))
    for at in range(1000, 4000, 300):
        level[at : at + 20] /= 6
    detector = LevelShiftDetector(direction="down")
    reports = np.array(windows_reported(detector, level, 14.0))
    assert [any((reports >= at) & (reports < at + 20)) for at in range(1000, 4000, 300)] == [
        True
    ] * 10
    assert detector._row.usual_level(0) == pytest.approx(1e6, rel=0.15)


def test_too_few_moves_are_not_enough_to_judge_by() -> None:
    detector = LevelShiftDetector(direction="down", warm_up=10)
    for i in range(400):
        detector.learn_one({"level": 1e6 + 1e5 * (i % 100 == 0)})
    score = detector.judge_one({"level": 1e5})
    assert score.value is None
    assert score.why is not None
    assert score.why.endswith("of 30 moves seen")


def test_the_other_direction_does_not_count() -> None:
    level = 1e6 * np.exp(0.25 * wandering(1500, 1))
    level[1400:1420] *= 8
    assert np.nanmax(scores(LevelShiftDetector(direction="down"), level)[1400:1419]) < 8
    level[1400:1420] /= 64
    assert np.nanmax(scores(LevelShiftDetector(direction="up"), level)[1400:1419]) < 8


def test_evidence_is_the_mean_level_beside_the_usual_since_the_step() -> None:
    level = 1e6 * np.exp(0.1 * wandering(1000, 5, 0.2))
    detector = LevelShiftDetector("depth", direction="down")
    scores(detector, level)
    for depth in (2.2e5, 1.8e5):
        detector.learn_one({"depth": depth})
    evidence = detector.judge_one({"depth": 2e5}).evidence
    assert evidence is not None
    assert evidence.observed == pytest.approx(2e5)
    assert evidence.expected == pytest.approx(1e6, rel=0.15)
    assert (evidence.windows, evidence.unit) == (3, "value")


def test_a_lasting_step_is_the_new_level_after_patience() -> None:
    level = 1e6 * np.exp(0.1 * wandering(3000, 5, 0.5))
    level[1000:] /= 6
    detector = LevelShiftDetector("depth", direction="down", patience=200)
    reports = []
    for i, depth in enumerate(level.tolist()):
        value = detector.judge_one({"depth": depth}).value
        if value is not None and value > 12:
            reports.append(i)
            detector.report_one({"depth": depth})
        else:
            detector.learn_one({"depth": depth})
    assert reports
    assert reports[0] < 1010
    assert max(reports) < 1250
    assert detector._row.usual_level(0) == pytest.approx(1e6 / 6, rel=0.2)


@pytest.mark.parametrize("outlier", [1e15, -1e15, 2.0**63])
def test_an_absurd_level_has_a_finite_score_and_is_soon_forgotten(outlier: float) -> None:
    levels = np.random.default_rng(3).normal(0.0, 1e-3, 4000)
    detector = LevelShiftDetector(direction="both", signed=True)
    scores(detector, levels)
    for _ in range(3):
        value = detector.judge_one({"level": outlier}).value
        assert value is not None
        assert 14.0 < value < 2000.0
        detector.learn_one({"level": outlier})
    said = scores(detector, levels)
    assert np.isfinite(said).all()
    assert said[1000:].max() < 14.0


def test_what_is_nearer_to_the_usual_than_to_the_least_step_is_no_evidence() -> None:
    """A level with a floor hardly moves: by its own law any difference would be a wonder."""
    detector = LevelShiftDetector("spread", direction="up", least=2.5)
    usual = [1.0 if i % 50 else 1.1 for i in range(2000)]
    for level in usual:
        detector.learn_one({"spread": level})
    assert detector.judge_one({"spread": 1.5}).value == 0.0
    far = detector.judge_one({"spread": 3.0})
    assert far.value is not None
    assert far.value > 5.0


def test_a_level_of_nothing_but_zeros_has_no_scale() -> None:
    detector = LevelShiftDetector("depth", direction="down", warm_up=10)
    for _ in range(40):
        detector.learn_one({"depth": 0.0})
    score = detector.judge_one({"depth": 0.0})
    assert score.value is None
    assert score.why is not None
    assert score.why.startswith("nothing but zeros")


def test_wrong_parameters_are_refused_with_a_reason() -> None:
    for wrong in ({"direction": "left"}, {"sizes": (0.0,)}, {"warm_up": 2}, {"least": 0.5}):
        with pytest.raises(ValueError, match=r"direction|sizes|warm_up|least"):
            LevelShiftDetector(**wrong)  # type: ignore[arg-type]
