"""The conformance suite detects each breach of the protocol, and says how to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from detectors.base import Score, read_number
from detectors.conformance import ConformanceError, check_detector
from tests.detectors.example_plugin.highest import AboveMean


class Eager(AboveMean):
    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        score = super().judge_one(x)
        return Score(0.0) if score.value is None else score


class Mute(AboveMean):
    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        return super().judge_one(x)._replace(why=None)


class Restless(AboveMean):
    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        self._mean += 1e-6
        return super().judge_one(x)


class Forgetful(AboveMean):
    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._mean = 0.0


class Gullible(AboveMean):
    """Averages whatever it is given."""

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        self._seen += 1
        self._mean += 0.01 * (float(x[self.feature]) - self._mean)


class Poisoned(AboveMean):
    """Starts all over at an outlier, for days."""

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        super().learn_one(x)
        if isinstance(read_number(x, self.feature), float) and x[self.feature] > 1e9:
            self._seen = -(10**6)


class Learner(AboveMean):
    def report_one(self, x: Mapping[Any, Any]) -> None:
        for _ in range(100):
            self.learn_one(x)


class Outdated(AboveMean):
    @property
    def raised(self) -> tuple[str, ...]:
        return ()


class Level(AboveMean):
    """Scores every window alike."""

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        score = super().judge_one(x)
        return score if score.value is None else score._replace(value=0.5)


class Ceiling(AboveMean):
    """A probability: what is far off has the score of what is merely rare."""

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        score = super().judge_one(x)
        return score if score.value is None else score._replace(value=min(score.value, 3.0))


class Silent(AboveMean):
    """Promises evidence and gives none."""

    explains = True

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        return super().judge_one(x)._replace(evidence=None)


class Hoarder(AboveMean):
    def __init__(self) -> None:
        super().__init__()
        self._all: list[float] = []

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        super().learn_one(x)
        self._all.append(float(len(self._all)))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (Eager, "judges before it has learnt anything"),
        (Mute, "abstains without a reason"),
        (Restless, "in two ways"),
        (Forgetful, "restored from its state"),
        (Gullible, "ignore it in learning"),
        (Poisoned, "after one count of 1e15"),
        (Learner, "do not learn in report_one"),
        (Outdated, "defines `raised`, which nothing calls. To mend it: call it `rising_features`"),
        (Level, "Level cannot alert: in 4 bursts of 10 times the usual"),
        (Ceiling, "and an alert needs once in 49,371"),
        (Silent, "it says that it explains its scores, but not those of 4 bursts"),
        (Hoarder, "bound what it keeps"),
    ],
)
def test_each_breach_is_named_and_the_error_says_how_to_mend_it(
    broken: type[AboveMean], says: str
) -> None:
    with pytest.raises(ConformanceError, match=says) as caught:
        check_detector(broken, pause_windows=1000)
    assert "To mend it: " in str(caught.value)


class Unexplained(AboveMean):
    """Leaves the evidence to its stream."""

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        return super().judge_one(x)._replace(evidence=None)


@pytest.mark.parametrize("sound", [AboveMean, Unexplained])
def test_a_detector_that_keeps_the_protocol_passes(sound: type[AboveMean]) -> None:
    check_detector(sound, pause_windows=1000)
