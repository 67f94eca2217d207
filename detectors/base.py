"""What a detector is: numbers in, a score with its evidence out.

A detector is a river estimator, so it clones, pickles and composes in anybody's river pipeline.
River has no word for "I do not know yet": there, what is not ready scores 0 like what is normal.
`judge_one` has one, and the engine listens only to `judge_one`.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from river.base import AnomalyDetector

from detectors.bank import Bank, SequentialBank

NUMBER_MAX = 2.0**63
"""Larger inputs cannot come from a 64-bit count; they are refused like NaN."""


class Evidence(NamedTuple):
    """What a score rests on: the stretch of windows since the change is thought to have begun.

    Parameters
    ----------
    observed
        What was seen in the stretch, summed over its windows, the judged one included.
    expected
        What the detector expected in the same windows, summed likewise.
    unit
        What the two are: "events", counted and summed over the stretch; or "value", a mean over
        it in the feature's own unit.
    windows
        Length of the stretch in windows, ≥ 1. The change began with the first of them.
    trials
        Of a share: out of how many events `observed` (and `expected`) are, summed alike.
    scale
        Of a value: one ordinary standard deviation of such a mean, in the feature's unit.
    feature
        Which of the detector's features speaks loudest, by its place in `features`.
    """

    observed: float
    expected: float
    unit: str
    windows: int
    trials: float | None = None
    scale: float | None = None
    feature: int = 0


class Score(NamedTuple):
    """A detector's word on one window.

    Parameters
    ----------
    value
        The higher, the less like what was learnt; finite. None: the detector abstains.
    why
        Why it abstains, in words a person can act on; None when it does not.
    evidence
        None when it abstains or nothing has changed.
    """

    value: float | None
    why: str | None = None
    evidence: Evidence | None = None


class Detector(AnomalyDetector):
    """The protocol. A new detector writes `judge_one`, `learn_one`, `snapshot` and `restore`.

    The engine judges each closed window first; then it calls `report_one` when that window is
    part of an alert, else `learn_one`. Parameters are given to `__init__` and kept under their
    own names, as river asks.
    """

    log_likelihood: ClassVar[bool] = False
    """True when the score is a CUSUM of log-likelihood ratios, which clean data lift above h
    about exp(-h) times a window: such a score has a threshold before anything is learnt."""

    @property
    @abc.abstractmethod
    def features(self) -> tuple[str, ...]:
        """The keys this detector reads. Others may be there and are ignored."""

    @property
    def rising_features(self) -> tuple[str, ...]:
        """The features that rise in what it looks for. A share has others, which stay."""
        return self.features

    @property
    def bank_key(self) -> Any:
        """Streams whose detectors are of one class and equal in this may share a bank; None: each
        stream has its own. Anything hashable but the name of the feature belongs in it."""
        return None

    def bank(self) -> Bank:
        """Rows of detectors like this one, as it was made. As it stands here they are asked one
        after the other; a detector that has arrays for its rows says so here."""
        return SequentialBank(self.clone)

    @abc.abstractmethod
    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        """Judge one window by what was learnt before it. Never changes the state."""

    @abc.abstractmethod
    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Learn one window that was judged and not reported. What cannot be read is ignored."""

    @abc.abstractmethod
    def snapshot(self) -> dict[str, Any]:
        """Everything learnt, as plain numbers, texts, bytes, lists and dicts of them."""

    @abc.abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Continue, bit for bit, where the detector that gave `snapshot` stood."""

    def score_one(self, x: Mapping[Any, Any]) -> float:
        """River's reading of `judge_one`: 0 where it abstains, for river knows nothing else."""
        value = self.judge_one(x).value
        return 0.0 if value is None else value

    def report_one(self, x: Mapping[Any, Any]) -> None:
        """Take note that this window was reported: it is not learnt as normal, and evidence
        starts anew after it. As it stands here, the window is simply not learnt."""


def read_number(x: Mapping[Any, Any], feature: str) -> float | str:
    """Read a finite number, or say in words why there is none.

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
