"""The contract of alerts: what one publication holds, and its line of JSON.

`monitor/core/alerts/build.py` makes alerts; the AsyncAPI document is generated from these types.
Fields may be added: a reader ignores those that it does not know.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, TypeAdapter

from monitor.core.contract.feature_catalogue import Layer

Ns = Annotated[int, Field(description="ns since 1970-01-01 UTC", ge=0, lt=2**63)]
Fraction = Annotated[float, Field(description="a fraction between 0 and 1", ge=0, le=1)]
Quote = Annotated[float, Field(description="quote currency", ge=0)]
Percent = Annotated[float, Field(description="percent of the mark", ge=0)]
Status = Literal["firing", "updated", "resolved"]
Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class AlertEvidence:
    """What one stream brings to an alert."""

    stream: str
    detector: str
    observed: Annotated[float, Field(description="since the change began, in `unit`")]
    expected: float
    ratio: Annotated[float | None, Field(description="null: nothing was expected")]
    unit: str
    p: Annotated[
        float | None, Field(description="chance of as much in one window; null: a rule decided")
    ]
    once_per_days: Annotated[
        float | None, Field(description="how rare that is, days; at most `seen_s`")
    ]
    share: Fraction
    symbol: Annotated[str | None, Field(description="where an alert has several")] = None
    reach_bps: Annotated[
        float | None,
        Field(description="of depth: how far the book goes, bps of the mid, where it ends before"),
    ] = None
    seen_s: Annotated[
        float | None,
        Field(description="seconds that `p` was learnt from; null: a rule decided", gt=0),
    ] = None


@dataclass(frozen=True, slots=True)
class Carrier:
    """An account and its share of what was observed."""

    account: str
    share: Fraction


@dataclass(frozen=True, slots=True)
class AlertZone:
    """One of the heaviest zones near the mark."""

    low: float
    high: float
    side: Literal["long", "short"]
    forced_notional: Quote


@dataclass(frozen=True, slots=True)
class StakeShock:
    """A shock from which forced flow carries a market on by itself, on one of its sides."""

    shock: Annotated[float, Field(description="fraction of the mark, negative where it falls")]
    jump: Annotated[float, Field(description="how much further the mark goes, log distance", ge=0)]
    forced_notional: Quote
    survives: Annotated[Fraction, Field(description="share of the book that is still there")]
    within_hour: Annotated[bool, Field(description="whether an hour's move may bring it")]


@dataclass(frozen=True, slots=True)
class Stake:
    """What would be forced near the mark, by the last bands before the alert."""

    forced_notional: Quote
    long: Quote
    short: Quote
    within_pct: Percent
    down: Annotated[StakeShock | None, Field(description="of falls")] = None
    up: Annotated[StakeShock | None, Field(description="of rises")] = None
    absorbed: Annotated[
        Fraction | None,
        Field(description="share of forced_notional that the last book takes; null: no book"),
    ] = None


class MarketStake(NamedTuple):
    """What one market's bands say in an alert."""

    at_stake: Stake
    zones: tuple[AlertZone, ...]


@dataclass(frozen=True, slots=True)
class Records:
    """Where the records lie that an alert rests on."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    first_offset: Annotated[int, Field(ge=0)]
    last_offset: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Abstention:
    """A stream that could not judge, and why."""

    detector: str
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one layer says in the walk through an incident."""

    layer: Layer
    says: str


@dataclass(frozen=True, slots=True)
class Versions:
    """Under what an alert was made."""

    engine: str
    config: Annotated[str, Field(description="fingerprint of the settings")]
    alerts_per_day: Annotated[float, Field(description="the budget of false alerts a day", gt=0)]
    detectors: Annotated[dict[str, str], Field(description="detector by stream")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One publication of an incident. No wall-clock time in it."""

    id: Annotated[str, Field(description="incident and number of its alert: equal in every run")]
    incident: Annotated[
        str, Field(description="stays while the incident fires, grows, is resolved and reopened")
    ]
    fingerprint: Annotated[str, Field(description="what it is about: incidents alike share it")]
    status: Status
    severity: Severity
    layer: Layer
    kind: str
    symbols: tuple[str, ...]
    ts: Annotated[Ns, Field(description="event time of the decision, ns")]
    since: Annotated[Ns, Field(description="when the change began, ns")]
    because: Annotated[
        str, Field(description="the condition that the severity follows from (docs/severity.md)")
    ] = ""
    summary: str
    look_at: Annotated[tuple[str, ...], Field(description="what to look at next")] = ()
    evidence: Annotated[tuple[AlertEvidence, ...], Field(min_length=1)]
    accounts: tuple[Carrier, ...]
    zones: tuple[AlertZone, ...]
    at_stake: Annotated[Stake | None, Field(description="once there are bands")] = None
    triage: Annotated[
        tuple[Step, ...] | None, Field(description="of evidence of several streams")
    ] = None
    records: tuple[Records, ...]
    abstained: tuple[Abstention, ...]
    reproduce: Annotated[str, Field(description="the command that shows it again")]
    versions: Versions
    returns: Annotated[
        int, Field(description="how often its evidence came back after it was quiet", ge=0)
    ] = 0
    end_reason: Annotated[
        str | None, Field(description="why it was closed although its evidence lasts")
    ] = None
    silenced_by: Annotated[
        str | None, Field(description="the silence that covers it: nobody need be notified")
    ] = None

    @property
    def is_opening(self) -> bool:
        """Whether it is the first of its incident."""
        return self.status == "firing" and self.returns == 0


_ADAPTER = TypeAdapter(Alert)


def alert_json(alert: Alert) -> bytes:
    """An alert as one line of JSON, the same in every run: keys sorted, no spaces.

    A field that has a default is left out where it has that value.
    """
    plain = _ADAPTER.dump_python(alert, exclude_defaults=True)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def parse_alert(line: str | bytes) -> Alert:
    """The alert of one line of JSON. Raises pydantic's `ValidationError` where it is none."""
    return _ADAPTER.validate_json(line)
