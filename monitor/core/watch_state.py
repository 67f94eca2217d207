"""What is watched, what still learns and until when, and what is not watched and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from monitor.core.alerts.formatting import format_iso, join_list
from monitor.core.contract.feature_catalogue import DRIFT_FEATURES, FEATURES
from monitor.core.detection.detector_group import StreamProgress
from monitor.core.settings import EngineSettings

SHORT_BOOKS_MAX = 100
"""Markets that `short_books` names."""


@dataclass(slots=True)
class StreamState:
    """One stream over all shards, counted in symbols."""

    symbols: int = 0
    """Those in which its number has come."""
    judging: int = 0
    learning: int = 0
    out: int = 0
    """Those in which it was taken out, because its detector could not go on."""
    until: int | None = None
    """When the last of those that learn will judge, if its number comes in every window: event
    time, ns. None where none learns."""
    why: str | None = None
    """Why it judges nowhere; None where it does."""


@dataclass(frozen=True, slots=True)
class ProgressSpan:
    """How far the streams of one shard, or of the venue stage, have come."""

    progress: list[StreamProgress]
    now_ns: int
    """Event time up to which they have judged."""
    interval_ns: int
    """How often they judge."""
    reach_bps: dict[str, float] = field(default_factory=dict)
    """By market whose book ends before `NEAR_DEPTH_BPS`: how far it goes, bps of the mid."""


def watch_state(settings: EngineSettings, spans: Iterable[ProgressSpan]) -> dict[str, StreamState]:
    """Every stream of the settings by its label, and those of drift, added up over `spans`."""
    inputs = {
        label: stream.input_features
        for label, stream in zip(settings.stream_labels, settings.streams, strict=True)
    }
    if settings.drift.budget_share:
        inputs |= {name: (name,) for name in DRIFT_FEATURES}
    states = [StreamState() for _ in inputs]
    for span in spans:
        for one in span.progress:
            state = states[one.stream]
            state.symbols += one.symbols
            state.judging += one.judging
            state.out += one.out
            state.learning += one.symbols - one.judging - one.out
            if one.windows_left:
                until = span.now_ns + one.windows_left * span.interval_ns
                state.until = max(until, state.until or 0)
    for names, state in zip(inputs.values(), states, strict=True):
        if not state.judging:
            state.why = _why_not(state, names)
    return dict(zip(inputs, states, strict=True))


def short_books(spans: Iterable[ProgressSpan]) -> dict[str, float]:
    """The markets whose books end before the depth that is watched, and where, bps of the mid: the
    shortest `SHORT_BOOKS_MAX` of them."""
    every = sorted((bps, symbol) for span in spans for symbol, bps in span.reach_bps.items())
    return {symbol: float(f"{bps:.3g}") for bps, symbol in every[:SHORT_BOOKS_MAX]}


def not_watched(states: dict[str, StreamState]) -> dict[str, str]:
    """The streams that judge in no symbol, and why."""
    return {label: state.why for label, state in states.items() if state.why is not None}


def describe(states: dict[str, StreamState]) -> list[str]:
    """The same for people, a line for each way a stream may be in."""
    learning = [
        f"{label} until {format_iso(state.until)}"
        for label, state in states.items()
        if state.until is not None
    ]
    groups = {
        "watched": [label for label, state in states.items() if state.judging],
        "still learning": learning,
        "not watched, for their numbers never came": [
            label for label, state in states.items() if not state.symbols
        ],
        "not watched any more, for their detectors could not go on": [
            label for label, state in states.items() if state.symbols and state.out == state.symbols
        ],
    }
    return [f"{what}: {', '.join(labels)}" for what, labels in groups.items() if labels]


def _why_not(state: StreamState, inputs: tuple[str, ...]) -> str:
    if state.until is not None:
        return f"learns until {format_iso(state.until)}"
    if state.out:
        return "taken out: its detector could not go on"
    kinds = dict.fromkeys(kind for name in inputs for kind in FEATURES[name].records)
    return f"its number never came: it is made of {join_list(list(kinds))} records"
