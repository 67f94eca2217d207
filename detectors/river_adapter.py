"""Any detector of `river.anomaly`, by name, behind the guards that river leaves to its user.

Seen in river 0.26.1: NaN spoils some detectors for good, and makes their Rust parts panic in a way
that `except Exception` does not catch; half-space trees are blind without scaling, and after one
outlier behind a min-max scaler; new features are ignored and missing ones read as 0; a detector
that is not ready scores 0, like a normal window.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from detectors.arrays.state import Stateful
from detectors.base import (
    Detector,
    DetectorError,
    Score,
    learning_reason,
    read_numbers,
)
from detectors.interrupts import reraise_interrupts
from detectors.usual_values import OUTLIER, Usual

SIGMA_MIN = 0.1
"""The least standard deviation of a Gaussian of distances: of a constant stream it is 0."""
DISTANCE_MAX = 1000.0
"""Spreads off the centre beyond which all distances are alike. On a curve that flattens sooner
(a logistic one) trees cannot part what is far off from what is only rare, and never alert."""
MASS_MIN = 1e-9
"""The least mass of half-space trees."""
SIDES = {"up": 1.0, "down": -1.0, "both": 0.0}
REFUSED = {
    "QuantileFilter": "it wraps another detector and never forgets",
    "ThresholdFilter": "it wraps another detector and keeps it from learning",
    "PredictiveAnomalyDetection": "its score_one changes its state",
    "LODA": "beyond what it has seen all its scores are alike, so that it cannot alert",
    "OneClassSVM": "it is a straight line: the further a number falls, the more usual it finds it",
    "LocalOutlierFactor": "a score takes it 1 to 14 ms, which a hundred symbols do not have",
}
"""Names that would break the protocol or never alert, with the reason."""
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
    """A river anomaly detector on named features, each on its own scale.

    An input is read as its distance from its EW centre, in EW mean absolute deviations. Detectors
    that judge one number against its distribution (river calls them supervised: GaussianScorer,
    StandardAbsoluteDeviation) get this distance; the others get its logarithm, in [0, 1]. What is
    reported is not learnt, until it has been for `usual_values.PATIENCE_WINDOWS`.

    Parameters
    ----------
    name
        Class name in `river.anomaly`.
    inputs
        The keys it reads; a window that lacks one is not judged.
    warm_up
        Windows to learn before the first judgement, ≥ 1; at least the `window_size` of half-space
        trees, which score nothing before.
    direction
        "up" or "down": only windows in which the first input lies above (below) its centre have a
        score above the least. "both": all windows.
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

    STATE: ClassVar = ("_usual",)

    def __init__(
        self,
        name: str = "HalfSpaceTrees",
        inputs: tuple[str, ...] = ("count",),
        warm_up: int = 600,
        direction: Literal["up", "down", "both"] = "both",
        options: dict[str, Any] | None = None,
    ) -> None:
        if direction not in SIDES:
            raise ValueError(f"direction is up, down or both, not {direction!r}")
        if not isinstance(warm_up, int) or warm_up < 1:
            raise ValueError(f"warm_up is a whole number of windows, at least 1, not {warm_up!r}")
        self.name = name
        self.inputs = inputs
        self.warm_up = warm_up
        self.direction = direction
        self.options = options
        self._model = _make_model(name, dict(options or {}))
        self._judges_one = bool(self._model._supervised)
        if not inputs or (self._judges_one and len(inputs) > 1):
            several = "one input" if self._judges_one else "at least one input"
            raise ValueError(
                f"{name} reads {several}, not {len(inputs)}: set the stream's `inputs`"
            )
        self._windows_needed = max(warm_up, getattr(self._model, "window_size", None) or 0)
        self._usual = Usual(len(inputs))

    @property
    def features(self) -> tuple[str, ...]:
        return self.inputs

    @property
    def falling_features(self) -> tuple[str, ...]:
        return self.inputs[:1] if self.direction == "down" else ()

    @property
    def windows_left(self) -> int:
        return max(0, self._windows_needed - self._usual.seen)

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        values = read_numbers(x, self.inputs)
        if isinstance(values, str):
            return Score(None, values)
        if self.windows_left:
            return Score(None, learning_reason(self._usual.seen, self._windows_needed))
        distances = self._usual.distances(values)
        if distances[0] * SIDES[self.direction] < 0.0:
            return Score(0.0)
        score = self._guard(self._score, distances)
        if not math.isfinite(score):
            return Score(None, f"{self.name} gave no finite score")
        return Score(score)

    def _score(self, distances: list[float]) -> float:
        """River's score, on a scale without a ceiling where its own has one.

        The order is the same. But a Gaussian's chance of 8.5 standard deviations is as near to 0 as
        that of 80, and of half-space trees the small numbers are those that tell: the mass beside.
        """
        if self.name == "GaussianScorer":
            gaussian = self._model.gaussian
            return abs(distances[0] - float(gaussian.mu)) / max(SIGMA_MIN, float(gaussian.sigma))
        if self._judges_one:
            return float(self._model.score_one(None, distances[0]))
        score = float(self._model.score_one(self._squash(distances)))
        if self.name == "HalfSpaceTrees":
            return -math.log(max(MASS_MIN, 1.0 - score))
        return score

    def _squash(self, distances: list[float]) -> dict[str, float]:
        """Each distance within 0 and 1; 0.5 is the centre, and `DISTANCE_MAX` is 0 or 1."""
        squashed = {}
        for name, distance in zip(self.inputs, distances, strict=True):
            half = 0.5 * math.log1p(min(abs(distance), DISTANCE_MAX)) / math.log1p(DISTANCE_MAX)
            squashed[name] = 0.5 + math.copysign(half, distance)
        return squashed

    def _learn(self, distances: list[float]) -> None:
        if self._judges_one:
            bounded = max(-OUTLIER, min(OUTLIER, distances[0]))
            self._model.learn_one(None, bounded)
        else:
            self._model.learn_one(self._squash(distances))

    def _guard(self, call: Callable[[list[float]], Any], distances: list[float]) -> Any:
        """The result of a call to the model; its Rust parts raise what is no `Exception`."""
        try:
            return call(distances)
        except BaseException as error:
            reraise_interrupts(error)
            raise DetectorError(f"{self.name} failed: {type(error).__name__}") from error

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        values = read_numbers(x, self.inputs)
        if isinstance(values, str):
            return
        # On the scale as it was when the window was judged; the first window makes the scale.
        if self._usual.seen:
            self._guard(self._learn, self._usual.distances(values))
        self._usual.learn(values)

    def report_one(self, x: Mapping[Any, Any]) -> None:
        values = read_numbers(x, self.inputs)
        if isinstance(values, str):
            return
        distances = self._usual.distances(values)
        if self._usual.report(values):
            self._guard(self._learn, distances)

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"model": pickle.dumps(self._model, protocol=5)}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises `ValueError` when the state holds anything but river's own objects."""
        model = load_model(state["model"])
        if type(model) is not type(self._model):
            raise ValueError(f"this state is not of {self.name}: start the detector afresh")
        self._model = model
        super().restore(state)


def river_names() -> list[str]:
    """The detectors of `river.anomaly`, without those of which no use can be made."""
    from river import anomaly

    return sorted(name for name in anomaly.__all__ if name not in REFUSED)


def _make_model(name: str, options: dict[str, Any]) -> Any:
    if name in REFUSED:
        others = ", ".join(river_names())
        raise ValueError(f"river's {name} cannot be used: {REFUSED[name]}; take one of {others}")
    import inspect

    from river import anomaly, base  # takes more than a second: only when one is asked for

    if name not in river_names():
        raise ValueError(f"river has no detector {name!r}; there are {', '.join(river_names())}")
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
