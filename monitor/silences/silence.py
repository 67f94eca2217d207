"""Silences: which alerts nobody need be notified of, and when.

A silence hides nothing: the alert is decided, published and kept as ever, with the name of the
silence in it. Whether one covers an alert follows from the alert and the silence alone, by the
event time at which the alert was decided; so a replay says the same as the sidecar did.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from monitor.core.contract.alert import Alert, Severity
from monitor.core.contract.feature_catalogue import FEATURES, Layer
from monitor.core.contract.units import DAY_NS, SECOND_NS
from monitor.core.finding import ACCOUNT_BURST, JOINT
from monitor.core.settings import EngineSettings, StrictModel
from monitor.errors import nearest_name

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EPOCH_DAY = 3
"""The first of January 1970 was a Thursday."""
WEEKLY = re.compile(
    rf"(?P<day>{'|'.join(DAYS)}) (?P<low>([01]\d|2[0-3]):[0-5]\d)"
    r"-(?P<high>([01]\d|2[0-3]):[0-5]\d|24:00)"
)
MINUTE_NS, WEEK_NS = 60 * SECOND_NS, 7 * DAY_NS
MATCHERS = ("kind", "symbol", "layer", "severity", "incident")
"""The keys of a silence that say which alerts it covers."""
INCIDENT = "incident"
"""The kind of an alert about several streams."""


def _moment_text(value: Any) -> Any:
    """TOML has moments of its own; a variable of the environment has texts."""
    return value.isoformat() if isinstance(value, datetime) else value


def moment_ns(text: str) -> int:
    """A moment of RFC 3339, in ns. Raises `ValueError`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is no moment with its zone: write 2026-01-06T02:00:00Z")
    seconds = int(moment.replace(microsecond=0).timestamp())
    return seconds * SECOND_NS + moment.microsecond * 1000


def moment_text(ns: int) -> str:
    """The inverse of `moment_ns`, to the second."""
    return datetime.fromtimestamp(ns // SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Moment = Annotated[str, BeforeValidator(_moment_text)]
Patterns = tuple[Annotated[str, Field(min_length=1, max_length=256)], ...]


class AlertSilence(StrictModel):
    """Alerts of which nobody need be notified, by what they are about and when they are decided:
    while something is mended, in a maintenance window, or where a nuisance has a name.

    An alert is covered where each list that is not empty has a pattern that fits it: a name, or one
    with * and ?.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    """Stands in each alert that it covers, as `silenced_by`."""
    kind: Patterns = ()
    """Kinds of alert, as "thin_book" or "stale_*"; none: any kind."""
    symbol: Patterns = ()
    """Markets, as "BTC-*"; each market of the alert must fit one. None: any, and the venue."""
    layer: tuple[Layer, ...] = ()
    """Layers; none: any."""
    severity: tuple[Severity, ...] = ()
    """Severities; none: any."""
    incident: Patterns = ()
    """Ids of incidents; none: any."""
    start: Moment = ""
    """From this moment of event time on, RFC 3339; empty: from ever."""
    end: Moment = ""
    """Up to this moment of event time, RFC 3339; empty only with `weekly`."""
    weekly: str = ""
    """Only within this window of each week, UTC, as "Sun 02:00-04:00"; one that ends before it
    begins ends on the next day."""
    reason: Annotated[str, Field(max_length=1_000)] = ""
    """Why, in your own words."""

    @model_validator(mode="after")
    def _check_time(self) -> Self:
        if not self.end and not self.weekly:
            raise ValueError(
                f"the silence {self.name} never ends: give it an end, or a weekly window as "
                '"Sun 02:00-04:00"'
            )
        if self.weekly and WEEKLY.fullmatch(self.weekly) is None:
            raise ValueError(f'{self.weekly!r} is no window of a week: write "Sun 02:00-04:00"')
        start, end = self.span_ns
        if start >= end:
            raise ValueError(f"the silence {self.name} ends before it begins: mend start or end")
        return self

    @cached_property
    def span_ns(self) -> tuple[int, int]:
        """Event times between which it holds, the second excluded."""
        start = moment_ns(self.start) if self.start else 0
        return start, moment_ns(self.end) if self.end else 2**63

    @cached_property
    def _week_ns(self) -> tuple[int, int]:
        """Where in the week its window begins, from Monday on, and how long it is."""
        fits = WEEKLY.fullmatch(self.weekly)
        if fits is None:
            return 0, WEEK_NS
        low, high = _clock_ns(fits["low"]), _clock_ns(fits["high"])
        return DAYS.index(fits["day"]) * DAY_NS + low, (high - low - 1) % DAY_NS + 1

    def is_in_force(self, ts: int) -> bool:
        """Whether it covers what is decided at this event time (ns)."""
        start, end = self.span_ns
        low, length = self._week_ns
        in_week = (ts + EPOCH_DAY * DAY_NS - low) % WEEK_NS < length
        return start <= ts < end and in_week

    def covers(self, alert: Alert) -> bool:
        """Whether nobody need be notified of the alert. A resolution is never covered: it ends what
        somebody may have been notified of."""
        return (
            alert.status != "resolved"
            and self.is_in_force(alert.ts)
            and _fits(self.kind, alert.kind)
            and _fits(self.incident, alert.incident)
            and (not self.layer or alert.layer in self.layer)
            and (not self.severity or alert.severity in self.severity)
            and (
                not self.symbol
                or (bool(alert.symbols) and all(_fits(self.symbol, s) for s in alert.symbols))
            )
        )

    def describe(self) -> str:
        """What it covers, in one line."""
        lists = ((name, getattr(self, name)) for name in MATCHERS)
        return "; ".join(f"{name} {', '.join(of)}" for name, of in lists if of) or "all alerts"


def _clock_ns(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    return (60 * hours + minutes) * MINUTE_NS


def _fits(patterns: Collection[str], name: str) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


class Silences:
    """All silences of a run. Of two that cover an alert the first one is named."""

    def __init__(self, silences: Iterable[AlertSilence] = ()) -> None:
        self.every = tuple(silences)

    def mark(self, alert: Alert) -> Alert:
        """The alert, with the name of the silence that covers it."""
        for silence in self.every:
            if silence.covers(alert):
                return replace(alert, silenced_by=silence.name)
        return alert

    def joined_with(self, others: Iterable[AlertSilence]) -> Silences:
        """With those of other names; of several with one name, the last."""
        names = {silence.name for silence in self.every}
        by_name = {silence.name: silence for silence in others}
        return Silences((*self.every, *(s for n, s in by_name.items() if n not in names)))


def alert_kinds(settings: EngineSettings) -> list[str]:
    """The kinds of alert that there can be under these settings."""
    named = [spec.kind for spec in FEATURES.values() if spec.kind is not None]
    detectors = [stream.detector for stream in settings.streams]
    return sorted({*named, *detectors, JOINT, ACCOUNT_BURST, INCIDENT})


def check_kinds(silences: Iterable[AlertSilence], kinds: list[str]) -> None:
    """Raise `ValueError` where a silence has a pattern that fits none of the `kinds` of alert."""
    for silence in silences:
        check_patterns(f"the silence {silence.name}", silence.kind, kinds)


def check_patterns(owner: str, patterns: Collection[str], kinds: list[str]) -> None:
    """Raise `ValueError` where one of the patterns of `owner` fits none of the `kinds` of alert."""
    for pattern in patterns:
        if not any(fnmatchcase(kind, pattern) for kind in kinds):
            raise ValueError(
                f"{owner}: no kind of alert is called {pattern}; " + nearest_name(pattern, kinds)
            )
