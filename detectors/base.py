"""What a detector is: numbers in, a score with its evidence out.

A detector is a river estimator, so it clones, pickles and composes in anybody's river pipeline.
River cannot say "I do not know yet": a detector that is not ready scores 0 there, like a normal
window. `judge_one` can, and the engine uses `judge_one` only.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from river.base import AnomalyDetector

from detectors.arrays.types import Float64, Int64
from detectors.interrupts import reraise_interrupts
from detectors.stats.limits import NUMBER_MAX
from detectors.usual_values import ReportedEvents, Usual


class DetectorError(Exception):
    """A detector cannot go on. The message says why, and is the same in every run."""


class RowFaults(Exception):
    """Rows of a bank that raised, and what; the others are done."""

    def __init__(self, faults: list[tuple[int, BaseException]]) -> None:
        super().__init__(faults)
        self.faults = faults


class Evidence(NamedTuple):
    """What a score rests on: the stretch of windows since the change is thought to have begun.

    Parameters
    ----------
    observed, expected
        What was seen in the stretch, the judged window included, and what the detector expected.
    unit
        What the two are: "events", counted and summed over the stretch; or "value", a mean over
        it in the feature's own unit.
    windows
        Length of the stretch in windows, ≥ 1. The change began with the first of them.
    trials
        Of a share: the events of which `observed` (and `expected`) are a part, summed likewise.
    scale
        Of a value: one ordinary standard deviation of such a mean, in the feature's unit.
    feature
        The feature with the most evidence, as its place in the detector's `features`.
    """

    observed: float
    expected: float
    unit: str
    windows: int
    trials: float | None = None
    scale: float | None = None
    feature: int = 0


class Score(NamedTuple):
    """A detector's judgement of one window.

    `value`: the higher, the less like what was learnt; finite. None: the detector abstains. `why`:
    the reason, in terms a person can act on; None when it does not abstain. `evidence`: None when
    it abstains or nothing has changed.
    """

    value: float | None
    why: str | None = None
    evidence: Evidence | None = None


class Bank(abc.ABC):
    """Detectors of one kind and with the same `Detector.bank_key`, one a row, numbered from 0.

    The engine watches thousands of streams, and a call for each would cost more than what is
    computed in it; so all streams of a window are judged and learnt in one call. What a bank says
    of a row is what one detector by itself would say, bit for bit.

    `values` are float64 of shape (rows asked, features), finite, in the order of the detector's
    `features`. No row is asked twice in one call.
    """

    log_likelihood: bool = False
    """See `Detector.log_likelihood`."""

    def windows_left(self, rows: Int64) -> Int64:
        """`Detector.windows_left` of each row."""
        return np.zeros(len(rows), np.int64)

    @abc.abstractmethod
    def grow(self, rows: int) -> None:
        """Have at least so many rows; a new row is a detector that has seen nothing."""

    def adopt(self, row: int, detector: Detector) -> None:  # noqa: B027  (most have nothing)
        """Let a row have the parameters of its detector that `Detector.bank_key` leaves out.

        Called before a new row is asked, and before `restore`."""

    @abc.abstractmethod
    def judge(self, rows: Int64, values: Float64) -> Float64:
        """Scores as of `judge_one`, (rows,); NaN: the detector abstains. Changes no state."""

    @abc.abstractmethod
    def why(self, row: int, value: Float64) -> str:
        """Why the row abstains on these features."""

    @abc.abstractmethod
    def evidence(self, row: int, value: Float64) -> Evidence | None:
        """The evidence of `judge_one`; asked where it is wanted, before the window is learnt."""

    @abc.abstractmethod
    def learn(self, rows: Int64, values: Float64) -> None:
        """`learn_one` of each row. May raise `RowFaults`, once all other rows have learnt."""

    @abc.abstractmethod
    def report(self, row: int, value: Float64) -> None:
        """`report_one` of a row."""

    def renew(self, row: int) -> None:  # noqa: B027  (numbers in an array may stay as they are)
        """Forget a row that raised, and is not asked again, where it could harm a snapshot."""

    @abc.abstractmethod
    def snapshot(self, rows: int) -> Any:
        """Everything learnt by the first `rows` rows, as plain values and arrays."""

    @abc.abstractmethod
    def restore(self, state: Any) -> None:
        """Continue, bit for bit, where the bank that gave `snapshot` stood. May raise `RowFaults`,
        once all other rows are restored."""


class Detector(AnomalyDetector):
    """The protocol. A new detector writes `judge_one`, `learn_one`, `snapshot` and `restore`.

    The engine judges each closed window first; then it calls `report_one` when that window is
    part of an alert, else `learn_one`. Parameters are given to `__init__` and kept under their
    own names, as river asks.
    """

    log_likelihood: ClassVar[bool] = False
    """Whether the score is a CUSUM of log-likelihood ratios: clean data lift it above h in about
    exp(-h) of the windows, so it has a threshold before anything is learnt."""
    is_moment: ClassVar[bool] = False
    """Whether its streams report the most extreme moments of a day, none of which is chance. They
    spend nothing of the budget of false alerts."""
    explains: ClassVar[bool] = False
    """Whether a score without evidence is not to be reported: the detector gives evidence for all
    that is. Otherwise the stream does: the input that is farthest from its usual value."""

    @property
    @abc.abstractmethod
    def features(self) -> tuple[str, ...]:
        """The keys this detector reads. Others may be there and are ignored."""

    @property
    def rising_features(self) -> tuple[str, ...]:
        """Those of the features that rise in an attack; of a share, only the part watched."""
        return tuple(name for name in self.features if name not in self.falling_features)

    @property
    def falling_features(self) -> tuple[str, ...]:
        """Those whose fall is what is looked for, as the depth of a book."""
        return ()

    @property
    def windows_left(self) -> int:
        """Windows that it has yet to learn before it judges; 0 once it does, or where it cannot
        say."""
        return 0

    @property
    def bank_key(self) -> Any:
        """All parameters but the names of features and what `Bank.adopt` reads, hashable. Streams
        whose detectors are of one class and equal in this share a bank; None: each stream has a
        bank of its own."""
        return None

    def matters(self, value: Float64) -> bool:
        """Whether a window with these `features`, however rare, is worth a report. Streams that
        share a bank may differ in this."""
        return True

    def bank(self) -> Bank:
        """A bank without rows, for detectors with these parameters. By default its detectors are
        asked one after the other; a detector with arrays for many rows overrides this."""
        return SequentialBank(self.clone)

    @abc.abstractmethod
    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        """Judge one window by what was learnt before it. Never changes the state."""

    @abc.abstractmethod
    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Learn one window that was judged and not reported. What cannot be read is ignored."""

    @abc.abstractmethod
    def snapshot(self) -> dict[str, Any]:
        """Everything learnt: numbers, texts, bytes, arrays, and lists and dicts of them."""

    @abc.abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Continue, bit for bit, where the detector that gave `snapshot` stood."""

    def score_one(self, x: Mapping[Any, Any]) -> float:
        """The score as river wants it: 0 where the detector abstains."""
        value = self.judge_one(x).value
        return 0.0 if value is None else value

    def report_one(self, x: Mapping[Any, Any]) -> None:
        """Note that this window was reported: it is not learnt as normal, and evidence starts anew
        after it. By default the window is not learnt at all."""


class SequentialBank(Bank):
    """Detectors without arrays of their own, asked one after the other.

    Where they bring no evidence (`Detector.explains`), their inputs do: the one that is farthest
    from its usual value. Then a score that only repeats what was reported minutes ago has none.
    """

    def __init__(self, factory: Callable[[], Detector]) -> None:
        self._factory = factory
        self._detectors: list[Detector] = []
        self._usual: list[Usual] = []
        self._events: list[ReportedEvents] = []
        detector = factory()
        self._keys = detector.features
        self._explains = detector.explains
        self.log_likelihood = detector.log_likelihood

    def windows_left(self, rows: Int64) -> Int64:
        return np.array([self._detectors[row].windows_left for row in rows.tolist()], np.int64)

    def grow(self, rows: int) -> None:
        more = range(len(self._detectors), rows)
        self._detectors += [self._factory() for _ in more]
        self._usual += [Usual(len(self._keys)) for _ in more]
        self._events += [ReportedEvents() for _ in more]

    def _features(self, value: Float64) -> dict[str, float]:
        return dict(zip(self._keys, value.tolist(), strict=True))

    def judge(self, rows: Int64, values: Float64) -> Float64:
        scores = [
            self._detectors[row].judge_one(self._features(value)).value
            for row, value in zip(rows.tolist(), values, strict=True)
        ]
        return np.array([np.nan if score is None else score for score in scores])

    def why(self, row: int, value: Float64) -> str:
        return self._detectors[row].judge_one(self._features(value)).why or "no reason given"

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        score = self._detectors[row].judge_one(self._features(value))
        if score.evidence is not None or self._explains or score.value is None:
            return score.evidence
        if self._events[row].is_repeat(score.value):
            return None
        feature, observed, expected, windows = self._usual[row].farthest(value.tolist())
        return Evidence(observed, expected, "value", windows, feature=feature)

    def learn(self, rows: Int64, values: Float64) -> None:
        faults: list[tuple[int, BaseException]] = []
        for row, value in zip(rows.tolist(), values, strict=True):
            try:
                self._detectors[row].learn_one(self._features(value))
            except BaseException as error:
                reraise_interrupts(error)
                faults.append((row, error))
            self._usual[row].learn(value.tolist())
            self._events[row].learn()
        if faults:
            raise RowFaults(faults)

    def report(self, row: int, value: Float64) -> None:
        score = self._detectors[row].judge_one(self._features(value)).value
        if score is not None:
            self._events[row].report(score)
        self._detectors[row].report_one(self._features(value))
        self._usual[row].report(value.tolist())

    def renew(self, row: int) -> None:
        self._detectors[row] = self._factory()

    def snapshot(self, rows: int) -> dict[str, Any]:
        """Of the detectors, None stands for one that has no state to give: it raised."""
        states: list[dict[str, Any] | None] = []
        for detector in self._detectors[:rows]:
            try:
                states.append(detector.snapshot())
            except BaseException as error:
                reraise_interrupts(error)
                states.append(None)
        return {
            "detectors": states,
            "usual": [usual.snapshot() for usual in self._usual[:rows]],
            "events": [events.snapshot() for events in self._events[:rows]],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._detectors, self._usual, self._events = [], [], []
        self.grow(len(state["detectors"]))
        for usual, one in zip(self._usual, state["usual"], strict=True):
            usual.restore(one)
        for events, one in zip(self._events, state["events"], strict=True):
            events.restore(one)
        faults: list[tuple[int, BaseException]] = []
        for row, one in enumerate(state["detectors"]):
            try:
                if one is None:
                    raise DetectorError("its state could not be written")
                self._detectors[row].restore(one)
            except BaseException as error:
                reraise_interrupts(error)
                faults.append((row, error))
        if faults:
            raise RowFaults(faults)


def learning_reason(seen: float, warm_up: int) -> str:
    """Why a detector abstains that has learnt `seen` of the `warm_up` windows that it needs.

    >>> learning_reason(3, 300)
    'learning: 3 of 300 windows seen'
    """
    return f"learning: {int(seen)} of {warm_up} windows seen"


def read_number(x: Mapping[Any, Any], feature: str) -> float | str:
    """A finite number of the window, or why there is none.

    >>> read_number({"count": 3}, "count")
    3.0
    >>> read_number({"count": float("nan")}, "count")
    'count is not finite'
    """
    value = x.get(feature)
    if value is None:
        return f"{feature} is missing"
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return f"{feature} is not a number"
    if not math.isfinite(number):
        return f"{feature} is not finite"
    if abs(number) > NUMBER_MAX:
        return f"{feature} is beyond 64 bits"
    return number


def read_numbers(x: Mapping[Any, Any], features: Iterable[str]) -> list[float] | str:
    """Finite numbers of the window, or why one of them is not there."""
    numbers = []
    for feature in features:
        number = read_number(x, feature)
        if isinstance(number, str):
            return number
        numbers.append(number)
    return numbers
