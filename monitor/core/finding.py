"""A finding: the evidence of one window against one stream of one symbol, as data.

A judge makes a finding when a detector's p-value is below its limit. Findings become incidents, and
incidents alerts (`monitor/core/alerts`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

JOINT = "joint"
"""The detector that a finding of joint evidence names."""
ACCOUNT_BURST = "account_burst"
"""The detector that compares accounts with their own history; it names a few accounts."""


class _Observation:
    """What was observed, beside what was expected."""

    __slots__ = ()

    observed: float
    expected: float

    @property
    def ratio(self) -> float | None:
        """Observed over expected; None where nothing was expected."""
        return self.observed / self.expected if self.expected > 0 else None


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Records of one kind: the lowest and the highest offset, both included."""

    kind: str
    first: int
    last: int
    partition: int | None = None
    """None: the partition of the finding."""


@dataclass(slots=True)
class FindingPart(_Observation):
    """What one stream of one symbol adds to evidence of several streams."""

    symbol: str
    stream: str
    detector: str
    since: int
    """Index of the window in which the stream's change began."""
    observed: float
    """As `Finding.observed`. From joint evidence, a stream that does not add up over windows (a
    level, a share) has its mean here."""
    expected: float
    p: float
    """Chance of as much evidence in this stream alone."""
    share: float
    """The stream's -ln p over the sum of all streams that judged, 0 to 1."""

    @property
    def by_account(self) -> bool:
        """Whether the numbers are of a few accounts, and not of the whole market."""
        return self.detector == ACCOUNT_BURST


@dataclass(slots=True)
class Finding(_Observation):
    """Evidence against one stream of one symbol, or (with `parts`) against several."""

    window: int
    """Index of the window in which it was decided."""
    since: int
    """Index of the window in which the change began."""
    partition: int
    symbol: str
    """Empty: of the whole venue."""
    stream: str
    """The feature that was watched."""
    detector: str
    observed: float
    """The sum over the windows from `since` to `window`, in the feature's unit."""
    expected: float
    p: float
    """Chance of as much evidence in one window of ordinary data."""
    accounts: list[tuple[str, float]] = field(default_factory=list)
    """The accounts behind it, each with its share of `observed`."""
    accounts_of: str = ""
    """The stream that the accounts' shares refer to; empty: `stream`."""
    accounts_by: str = ""
    """The detector that named the accounts; empty: `detector`."""
    records: list[OffsetRange] = field(default_factory=list)
    """Where the records lie that the evidence rests on."""
    abstained: list[tuple[str, str]] = field(default_factory=list)
    """Streams of the symbol that could not judge, and why."""
    facts: dict[str, float | int | str | None] = field(default_factory=dict)
    """The numbers of a price in doubt (`monitor/core/marks/mark_filter.py`). A rule decided it, so
    there is no p-value. Empty: a detector decided."""
    is_end: bool | None = None
    """For a condition that lasts (a silent feed): whether this finding ends it. None: the incident
    ends when it has been quiet."""
    parts: list[FindingPart] = field(default_factory=list)
    """The streams of joint or merged evidence, the highest share first. Empty: `stream` alone."""

    @property
    def windows(self) -> int:
        """How many windows it covers."""
        return self.window - self.since + 1


def finding_from_state(state: dict[str, Any]) -> Finding:
    """The finding that `dataclasses.asdict` turned into `state`."""
    return msgspec.convert(state, Finding)
