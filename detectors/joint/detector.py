"""Many weak signs at once, of one symbol: `JointCusums` as a river estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Float64
from detectors.base import Detector, Evidence, Score, read_number
from detectors.joint.cusums import JointCusums


class JointDetector(Stateful, Detector):
    """The joint evidence of a few features of one symbol, as a river estimator.

    Parameters
    ----------
    streams
        The keys of the features, each a number of the window. The first is a count; its
        forecast is the market's pace.
    windows_per_day
        The memory of the p-values: 17,280 for 5 s windows.

    Examples
    --------
    >>> from detectors.joint.detector import JointDetector
    >>> detector = JointDetector(("cancels", "leverage"))
    >>> detector.judge_one({"cancels": 4.0, "leverage": 1.0}).why
    'learning: fewer than 2 of 2 streams have p-values yet'
    >>> for i in range(600):
    ...     detector.learn_one({"cancels": 3.0 + i % 3, "leverage": 1.0 + i * 7 % 5})
    >>> detector.judge_one({"cancels": 9.0, "leverage": 9.0}).value > 8
    True
    """

    log_likelihood: ClassVar[bool] = True
    STATE: ClassVar = ("_joint",)

    def __init__(
        self,
        streams: tuple[str, ...] = ("count", "other"),
        windows_per_day: float = 17_280.0,
    ) -> None:
        if len(streams) < 2:
            raise ValueError(f"joint evidence needs two streams or more, not {streams}")
        self.streams = streams
        self.windows_per_day = windows_per_day
        self._joint = JointCusums([1] * len(streams), windows_per_day, 1)

    @property
    def features(self) -> tuple[str, ...]:
        return self.streams

    def _values(self, x: Mapping[Any, Any]) -> Float64 | str:
        values = [read_number(x, name) for name in self.streams]
        wrong = next((v for v in values if isinstance(v, str)), None)
        return np.array([values], np.float64) if wrong is None else wrong

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        values = self._values(x)
        if isinstance(values, str):
            return Score(None, values)
        score = float(self._joint.judge(values, values[:, 0])[0])
        if self._joint.judging_streams[0] < 2:
            n = len(self.streams)
            return Score(None, f"learning: fewer than 2 of {n} streams have p-values yet")
        if score == 0.0:
            return Score(0.0)
        windows, parts = self._joint.evidence(0, values, self._joint.expected)
        seen = sum(p.observed for p in parts), sum(p.expected for p in parts)
        return Score(score, None, Evidence(seen[0] * windows, seen[1] * windows, "", windows))

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        self._learn_window(x, False)

    def report_one(self, x: Mapping[Any, Any]) -> None:
        self._learn_window(x, True)

    def _learn_window(self, x: Mapping[Any, Any], reported: bool) -> None:
        values = self._values(x)
        if isinstance(values, str):
            return
        self._joint.judge(values, values[:, 0])
        self._joint.learn(np.array([reported]), values, self._joint.expected)
