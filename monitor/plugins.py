"""Detectors by name: installed under the entry point `brinkwatch.detectors`, or river's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any

from detectors.base import Detector
from detectors.conformance import ConformanceError, check_detector, quick_check
from detectors.interrupts import reraise_interrupts
from monitor.core.contract.feature_catalogue import FEATURE_NAMES, VENUE_FEATURES
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.settings import Parameter, StreamSettings
from monitor.errors import ConfigError, nearest_name

DETECTORS = "brinkwatch.detectors"
PAUSE_WINDOWS = 3600
"""The stop that a detector is tried with when a configuration is checked; the suite's own is longer
than anybody would wait for."""


OURS = "detectors."
"""Where our own detectors lie; the project's tests try them."""
RIVER_OWN = ("warm_up", "direction")
"""Parameters of a stream that are those of `RiverDetector`; the rest are river's."""


def _detector_maker(stream: StreamSettings) -> Callable[[], Any]:
    installed = entry_points(group=DETECTORS)
    if stream.detector in installed.names:
        load = installed[stream.detector].load()
        return lambda: load(**stream.parameters)
    # River's detectors take over a second to import: only where one is asked for.
    from detectors.river_adapter import REFUSED, RiverDetector, river_names

    name = stream.detector.removeprefix("river.").removeprefix("anomaly.")
    if name not in river_names() and name not in REFUSED:
        names = [*sorted(installed.names), *(f"anomaly.{name}" for name in river_names())]
        raise ConfigError(
            f"no detector is called {stream.detector!r}: {nearest_name(stream.detector, names)}"
        )
    own: dict[str, Any] = {
        key: value for key, value in stream.parameters.items() if key in RIVER_OWN
    }
    options = {key: value for key, value in stream.parameters.items() if key not in RIVER_OWN}
    return lambda: RiverDetector(name, stream.input_features, **own, options=options)


def detector_factory(stream: StreamSettings) -> DetectorFactory:
    """The function that makes the detector of a stream, from an entry point or from river.

    Raises `ConfigError` where there is none, or where its parameters do not fit.
    """
    names = [*FEATURE_NAMES, *VENUE_FEATURES]
    for name in (stream.feature, *stream.inputs):
        if name not in names:
            raise ConfigError(f"no feature is called {name!r}: {nearest_name(name, names)}")
        if (name in VENUE_FEATURES) != (stream.feature in VENUE_FEATURES):
            raise ConfigError(
                f"the stream {stream.feature!r} cannot read {name!r}: one is of a shard's windows, "
                "the other of the venue's accounts"
            )
    try:
        make = _detector_maker(stream)
        detector = make()
        reads = detector.features
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        raise ConfigError(f"{_called(stream)} cannot be made: {error}") from error
    if not isinstance(detector, Detector):
        raise ConfigError(
            f"{_called(stream)} is no detector: derive its class from detectors.base.Detector "
            "(docs/detectors.md)"
        )
    if len(reads) != len(stream.input_features):
        raise ConfigError(
            f"{_called(stream)} reads {len(reads)} numbers ({', '.join(reads)}), and the stream "
            f"gives it {len(stream.input_features)}: set its `inputs`"
        )
    return make


def detector_factories(
    streams: Sequence[StreamSettings],
    thorough: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[DetectorFactory]:
    """The factory of each stream's detector, in their order.

    Detectors that are not ours are tried first: that they keep the protocol and can alert, in a
    second or two each; `thorough`: the whole conformance suite. `say` is called before each.
    Raises `ConfigError` with what fails.
    """
    factories = [detector_factory(stream) for stream in streams]
    ours = {point.name for point in entry_points(group=DETECTORS) if point.value.startswith(OURS)}
    tried: list[tuple[str, dict[str, Parameter], int]] = []
    for stream, factory in zip(streams, factories, strict=True):
        like = stream.detector, stream.parameters, len(stream.input_features)
        if stream.detector not in ours and like not in tried:
            tried.append(like)
            if say is not None:
                say(f"trying the detector {stream.detector}: a few seconds")
            _try_detector(stream, factory, thorough)
    return factories


def _try_detector(stream: StreamSettings, factory: DetectorFactory, thorough: bool) -> None:
    try:
        if thorough:
            check_detector(factory, PAUSE_WINDOWS)
        else:
            quick_check(factory)
    except ConformanceError as error:
        raise ConfigError(f"{_called(stream)} cannot be used: {error}") from error
    except BaseException as error:
        reraise_interrupts(error)
        raise ConfigError(
            f"{_called(stream)} raises {error!r} on counts of about 4 a window: mend it "
            "(docs/detectors.md has the test that finds it)"
        ) from error


def _called(stream: StreamSettings) -> str:
    return f"the detector {stream.detector!r} of the stream {stream.feature!r}"
