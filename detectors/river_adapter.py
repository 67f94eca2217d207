"""Any detector of `river.anomaly`, by name, behind the guards that river leaves to its user.

Seen in river 0.26.1: NaN spoils some detectors for good, and makes their Rust parts panic in a way
that `except Exception` does not catch; half-space trees are blind without scaling, and after one
outlier behind a min-max scaler; new features are ignored and missing ones read as 0; the sign of
`OneClassSVM` is inverted; a detector that is not ready scores 0, like a normal window.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar

from detectors.arrays.state import Stateful
from detectors.base import (
    Detector,
    DetectorError,
    Score,
    learning_reason,
    read_numbers,
)
from detectors.interrupts import reraise_interrupts

SCALE_ALPHA = 0.003
"""Of the EW centre and spread by which inputs are scaled: a memory of 333 windows."""
OUTLIER = 6.0
"""Spreads beyond which an input moves centre and spread no further."""
INVERTED = frozenset({"OneClassSVM"})
REFUSED = {
    "QuantileFilter": "it wraps another detector and never forgets",
    "ThresholdFilter": "it wraps another detector and keeps it from learning",
    "PredictiveAnomalyDetection": "its score_one changes its state",
}
"""Names that would break the protocol, with the reason."""
ALLOWED_GLOBALS = {
    "builtins": {
        "object", "set", "frozenset", "dict", "list", "tuple", "bytearray", "range", "complex",
    },
    "collections": {"deque", "defaultdict", "Counter", "OrderedDict"},
    "copyreg": {"_reconstructor"},
    "functools": {"partial"},
    "numpy": {"ndarray", "dtype"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "random": {"Random"},
}  # fmt: skip
"""What river's detectors consist of, besides river's own classes."""


class RiverDetector(Stateful, Detector):
    """A river anomaly detector on named features, each squashed to [0, 1].

    An input is read as its distance from an EW centre, in EW mean absolute deviations, through a
    logistic curve. Supervised detectors (GaussianScorer) judge the first feature unsquashed.

    Parameters
    ----------
    name
        Class name in `river.anomaly`.
    inputs
        The keys it reads; a window that lacks one is not judged.
    warm_up
        Windows to learn before the first judgement, ≥ 1. Half-space trees score nothing in
        their first window_size (250).
    options
        Arguments of the river class. Where it takes a seed and none is given, the seed is 0:
        chance must not differ between a run and its replay.

    Examples
    --------
    >>> from detectors.river_adapter import RiverDetector
    >>> detector = RiverDetector("HalfSpaceTrees", inputs=("count",))
    >>> detector.judge_one({"count": 4}).why
    'learning: 0 of 600 windows seen'
    """

    STATE: ClassVar = ("_seen", "_centre", "_spread")

    def __init__(
        self,
        name: str = "HalfSpaceTrees",
        inputs: tuple[str, ...] = ("count",),
        warm_up: int = 600,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.inputs = inputs
        self.warm_up = warm_up
        self.options = options
        self._model = _make_model(name, dict(options or {}))
        self._supervised_model = bool(self._model._supervised)
        if not inputs:
            raise ValueError(f"{name} needs at least one input: name the features it reads")
        self._seen = 0
        self._centre = [0.0] * len(inputs)
        self._spread = [0.0] * len(inputs)

    @property
    def features(self) -> tuple[str, ...]:
        return self.inputs

    def _squash(self, values: list[float]) -> dict[str, float]:
        squashed = {}
        columns = zip(self.inputs, values, self._centre, self._spread, strict=True)
        for key, value, centre, spread in columns:
            distance = (value - centre) / (spread + 1e-9 * abs(centre) + 1e-12)
            squashed[key] = 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, distance / 2.0))))
        return squashed

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        values = read_numbers(x, self.inputs)
        if isinstance(values, str):
            return Score(None, values)
        if self._seen < self.warm_up:
            return Score(None, learning_reason(self._seen, self.warm_up))
        try:
            if self._supervised_model:
                score = float(self._model.score_one(None, self._clip_outlier(0, values[0])))
            else:
                score = float(self._model.score_one(self._squash(values)))
        except BaseException as error:
            reraise_interrupts(error)
            raise DetectorError(f"{self.name} failed: {type(error).__name__}") from error
        if not math.isfinite(score):
            return Score(None, f"{self.name} gave no finite score")
        return Score(-score if self.name in INVERTED else score)

    def _clip_outlier(self, i: int, value: float) -> float:
        """The value, at most `OUTLIER` spreads off the centre."""
        reach = OUTLIER * (self._spread[i] + 1e-9 * abs(self._centre[i]) + 1e-12)
        return max(self._centre[i] - reach, min(self._centre[i] + reach, value))

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        values = read_numbers(x, self.inputs)
        if isinstance(values, str):
            return
        self._seen += 1
        for i, value in enumerate(values):
            alpha = max(SCALE_ALPHA, 1.0 / self._seen)
            centre, spread = self._centre[i], self._spread[i]
            # After the first windows, an outlier moves them as a far but possible value would.
            reach = OUTLIER * spread + 1e-3 * abs(centre) + 1e-3
            off = value - centre
            if self._seen > 10:
                off = max(-reach, min(reach, off))
            self._centre[i] += alpha * off
            self._spread[i] += alpha * (abs(off) - spread)
        try:
            if self._supervised_model:
                self._model.learn_one(None, self._clip_outlier(0, values[0]))
            else:
                self._model.learn_one(self._squash(values))
        except BaseException as error:
            reraise_interrupts(error)
            raise DetectorError(f"{self.name} failed: {type(error).__name__}") from error

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"model": pickle.dumps(self._model, protocol=5)}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises `ValueError` when the state holds anything but river's own objects."""
        model = load_model(state["model"])
        if type(model) is not type(self._model):
            raise ValueError(f"this state is not of {self.name}: start the detector afresh")
        self._model = model
        super().restore(state)


def _make_model(name: str, options: dict[str, Any]) -> Any:
    if name in REFUSED:
        raise ValueError(f"river's {name} cannot be used here: {REFUSED[name]}")
    import inspect

    from river import anomaly, base  # takes more than a second: only when one is asked for

    usable = sorted(n for n in anomaly.__all__ if n not in REFUSED)
    if name not in usable:
        raise ValueError(f"river has no detector {name!r}; there are {', '.join(usable)}")
    kind = getattr(anomaly, name)
    parameters = inspect.signature(kind).parameters
    if "seed" in parameters:
        options.setdefault("seed", 0)
    unknown = sorted(options.keys() - parameters.keys())
    if unknown:
        takes = ", ".join(parameters)
        raise ValueError(f"{name} does not take {', '.join(unknown)}; it takes {takes}")
    model = kind(**options)
    assert isinstance(model, base.AnomalyDetector | base.SupervisedAnomalyDetector)
    return model


def load_model(data: bytes) -> Any:
    """The pickled object; `ValueError` where it holds anything but river's own objects."""
    return _RiverUnpickler(io.BytesIO(data)).load()


class _RiverUnpickler(pickle.Unpickler):
    """Reads objects of river's classes and plain containers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if name in ALLOWED_GLOBALS.get(module, ()):
            return super().find_class(module, name)
        if module.split(".")[0] == "river":
            member = super().find_class(module, name)
            # Classes, and the functions that make Rust parts; no other function.
            if isinstance(member, type) or module.startswith("river.stats."):
                return member
        raise ValueError(f"a detector's state may not hold {module}.{name}")
