"""Bursts by account as a river estimator, for the conformance suite: the counts of one market."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from detectors.account_burst.columns import WindowActivity
from detectors.account_burst.detector import AccountBurstDetector
from detectors.arrays.state import Stateful
from detectors.base import Detector, Evidence, Score, read_number


class AccountBurstEstimator(Stateful, Detector):
    """`AccountBurstDetector` on one market; each key of a window is an account.

    Parameters
    ----------
    most, warm_up, patience
        As of `AccountBurstDetector`.

    Examples
    --------
    >>> from tests.detectors.account_burst.river_face import AccountBurstEstimator
    >>> detector = AccountBurstEstimator()
    >>> for i in range(2700):
    ...     detector.learn_one({"maker": 20 if i % 9 == 0 else 0, "taker": i % 2})
    >>> round(detector.judge_one({"maker": 20}).value)
    1
    >>> round(detector.judge_one({"maker": 20, "taker": 20}).value)
    7
    """

    log_likelihood: ClassVar[bool] = True
    STATE: ClassVar = ("_detector", "_next")

    def __init__(self, most: int = 1_000_000, warm_up: int = 1800, patience: int = 300) -> None:
        self.most = most
        self.warm_up = warm_up
        self.patience = patience
        self._detector = AccountBurstDetector(most, warm_up, patience)
        self._next = 0

    @property
    def features(self) -> tuple[str, ...]:
        """None by name: every key is an account, its number the account's events."""
        return ()

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        acts = activity_from_counts(x)
        if isinstance(acts, str):
            return Score(None, acts)
        verdict = self._detector.judge(self._next, acts)
        if verdict.value is None or not verdict.actors:
            return Score(verdict.value, verdict.why)
        since = min(actor.since for actor in verdict.actors)
        observed = sum(actor.observed for actor in verdict.actors)
        expected = sum(actor.expected for actor in verdict.actors)
        evidence = Evidence(observed, expected, "events", self._next - since + 1)
        return Score(verdict.value, None, evidence)

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        acts = activity_from_counts(x)
        if not isinstance(acts, str):
            self._detector.learn(self._next, acts)
            self._next += 1

    def report_one(self, x: Mapping[Any, Any]) -> None:
        acts = activity_from_counts(x)
        if not isinstance(acts, str):
            self._detector.report(self._next, acts)
            self._next += 1


def activity_from_counts(x: Mapping[Any, Any]) -> WindowActivity | str:
    """The acts of a window of one market from counts by account, or why they cannot be read.

    >>> activity_from_counts({"a": 2, "b": 0}).events.tolist()
    [2.0]
    >>> activity_from_counts({"a": -2})
    'a is below zero, and a count is not'
    """
    counts = {}
    for name in x:
        number = read_number(x, name)
        if isinstance(number, str):
            return number
        if number < 0:
            return f"{name} is below zero, and a count is not"
        if number > 0:
            counts[account_key(name)] = number
    keys = sorted(counts)
    return WindowActivity(
        np.array(keys, np.uint64),
        np.zeros(len(keys), np.int64),
        np.array([counts[key] for key in keys], np.float64),
    )


def account_key(name: Any) -> int:
    """A key of 64 bits for an account's name."""
    return int.from_bytes(hashlib.blake2b(str(name).encode(), digest_size=8).digest(), "big")
