"""The level detector: the protocol, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.check import check_detector
from detectors.level import LevelDetector


def wandering(windows: int, seed: int, memory: float = 0.9, tail: float = 6.0) -> np.ndarray:
    """A log level around 0 with unit spread, autocorrelated, with heavy-tailed innovations."""
    rng = np.random.default_rng(seed)
    push = rng.standard_t(tail, windows) * np.sqrt((1 - memory**2) * (tail - 2) / tail)
    level = np.zeros(windows)
    for i in range(1, windows):
        level[i] = memory * level[i - 1] + push[i]
    return level


def scores(detector: LevelDetector, levels: np.ndarray) -> np.ndarray:
    out = []
    for level in levels.tolist():
        value = detector.judge_one({detector.feature: level}).value
        out.append(np.nan if value is None else value)
        detector.learn_one({detector.feature: level})
    return np.array(out)


def test_it_keeps_the_protocol() -> None:
    check_detector(LevelDetector, pause_windows=20_000)


@pytest.mark.parametrize("memory", [0.0, 0.6, 0.95])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_clean_levels_seldom_lift_the_score_as_the_law_of_cusums_says(
    memory: float, direction: str
) -> None:
    windows = 40_000
    level = 1e6 * np.exp(0.3 * wandering(windows, 3, memory))
    said = scores(LevelDetector(direction=direction), level)[300:]
    # Excursions above h are expected about exp(-h) times a window; of a hundred windows one.
    for h in (6.0, 8.0):
        above = said > h
        starts = int((above[1:] & ~above[:-1]).sum())
        assert starts <= 8 * np.exp(-h) * windows + 3


@pytest.mark.parametrize("memory", [0.3, 0.9])
def test_a_book_at_a_fifth_of_usual_is_found_within_seconds(memory: float) -> None:
    found = []
    for seed in range(20):
        level = 1e6 * np.exp(0.25 * wandering(1500, seed, memory))
        level[1400:1420] /= 5
        detector = LevelDetector("depth", direction="down")
        said = scores(detector, level)
        hits = np.flatnonzero(said[1400:1420] > 14)
        found.append(int(hits[0]) if len(hits) else 99)
    assert np.mean(np.array(found) < 20) >= 0.95
    assert np.median(found) <= 8


def test_the_other_direction_does_not_count() -> None:
    level = 1e6 * np.exp(0.25 * wandering(1500, 1))
    level[1400:1420] *= 8
    assert np.nanmax(scores(LevelDetector(direction="down"), level)[1400:1419]) < 8
    level[1400:1420] /= 64
    assert np.nanmax(scores(LevelDetector(direction="up"), level)[1400:1419]) < 8


def test_evidence_is_the_mean_level_beside_the_usual_since_the_step() -> None:
    level = 1e6 * np.exp(0.1 * wandering(1000, 5, 0.2))
    detector = LevelDetector("depth", direction="down")
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
    detector = LevelDetector("depth", direction="down", patience=200)
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
    assert detector.usual == pytest.approx(1e6 / 6, rel=0.2)


def test_nothing_but_zeros_is_no_scale() -> None:
    detector = LevelDetector("depth", direction="down", warm_up=10)
    for _ in range(40):
        detector.learn_one({"depth": 0.0})
    score = detector.judge_one({"depth": 0.0})
    assert score.value is None
    assert score.why is not None
    assert score.why.startswith("nothing but zeros")


def test_wrong_parameters_are_refused_with_words() -> None:
    for wrong in ({"direction": "left"}, {"sizes": (0.0,)}, {"warm_up": 2}, {"least": 0.5}):
        with pytest.raises(ValueError, match=r"direction|sizes|warm_up|least"):
            LevelDetector(**wrong)  # type: ignore[arg-type]
