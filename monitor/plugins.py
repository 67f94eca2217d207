"""Detectors by name: installed under the entry point `brinkwatch.detectors`, or river's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any

from monitor.core.contract.feature_catalogue import FEATURE_NAMES, VENUE_FEATURES
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.settings import StreamSettings
from monitor.errors import ConfigError, nearest_name

DETECTORS = "brinkwatch.detectors"


def _detector_maker(stream: StreamSettings) -> Callable[[], Any]:
    installed = entry_points(group=DETECTORS)
    if stream.detector in installed.names:
        load = installed[stream.detector].load()
        return lambda: load(**stream.parameters)
    if "." not in stream.detector:
        near = nearest_name(stream.detector, sorted(installed.names))
        raise ConfigError(f"no detector is called {stream.detector!r}: {near}")
    name = stream.detector.removeprefix("anomaly.")
    # River's detectors take over a second to import: only where one is asked for.
    from detectors.river_adapter import RiverDetector

    return lambda: RiverDetector(name, stream.input_features, options=dict(stream.parameters))


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
        reads = make().features
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        raise ConfigError(
            f"the detector {stream.detector!r} of the stream {stream.feature!r} cannot be made: "
            f"{error}"
        ) from error
    if len(reads) != len(stream.input_features):
        raise ConfigError(
            f"the detector {stream.detector!r} reads {len(reads)} numbers ({', '.join(reads)}), "
            f"and the stream {stream.feature!r} gives it {len(stream.input_features)}: set its "
            "`inputs`"
        )
    return make


def detector_factories(streams: Sequence[StreamSettings]) -> list[DetectorFactory]:
    """The factory of each stream's detector, in their order."""
    return [detector_factory(stream) for stream in streams]
