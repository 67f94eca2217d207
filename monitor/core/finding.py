"""A finding: the evidence of one window against one stream of one symbol, as data.

A judge makes a finding when a detector's p-value is below its limit. Findings become incidents, and
incidents alerts (`monitor/core/alerts`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

JOINT = "joint"
"""The detector that a finding of joint evidence names."""
ACCOUNT_BURST = "account_burst"
"""The detector that compares accounts with their own history; it names a few accounts."""
DRIFT = "drift"
"""The detector that compares hours with what is usual for the hour of the day."""
P_MIN = 1e-300
"""A smaller p-value counts as this one, so that its logarithm and its inverse stay finite."""
PartKey = tuple[str, str, bool]
"""Symbol, stream, and whether a few accounts did it: their numbers and the market's do not mix."""


class _Observation:
    """What was observed, beside what was expected."""

    __slots__ = ()

    observed: float
    expected: float

    @property
    def ratio(self) -> float | None:
        """Observed over expected; None where nothing was expected."""
        return self.observed / self.expected if self.expected > 0 else None

    @property
    def excess(self) -> float:
        """How far the observed lies from the expected, in either direction."""
        return abs(self.observed - self.expected)


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
    """What one stream of one symbol adds to evidence of several streams.

    `since`: index of the window in which the stream's change began. `observed`: as
    `Finding.observed`; from joint evidence, a stream that does not add up over windows (a level, a
    share) has its mean here. `p`: chance of as much evidence in this stream alone. `share`: the
    stream's -ln p over the sum of all streams that judged, 0 to 1.
    """

    symbol: str
    stream: str
    detector: str
    since: int
    observed: float
    expected: float
    p: float
    share: float
    windows: int = 1
    """How many windows the change has lasted."""
    seen: int = 0
    """As `Finding.seen`."""
    reach_bps: float | None = None
    """Of depth near the mid, where the book ends before: how far it goes, bps of the mid."""

    @property
    def by_account(self) -> bool:
        """Whether the numbers are of a few accounts, and not of the whole market."""
        return self.detector == ACCOUNT_BURST

    @property
    def key(self) -> PartKey:
        """What distinguishes it from the other parts of an incident."""
        return self.symbol, self.stream, self.by_account


@dataclass(slots=True)
class Finding(_Observation):
    """Evidence against one stream of one symbol, or (with `parts`) against several.

    It was decided in the window of index `window`, and the change began in that of `since`.
    `stream` is the feature that was watched. `observed`: the sum over these windows, in the
    feature's unit. `p`: chance of as much evidence in one window of ordinary data.
    """

    window: int
    since: int
    partition: int
    symbol: str
    """Empty: of the whole venue."""
    stream: str
    detector: str
    observed: float
    expected: float
    p: float
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
    """What a sentence needs beside the numbers: of a rule's finding, which has no p-value, and of
    drift. Empty: a detector decided."""
    is_end: bool | None = None
    """For a condition that lasts (a silent feed): whether this finding ends it. None: the incident
    ends when it has been quiet."""
    reach_bps: float | None = None
    """As of `FindingPart`."""
    parts: list[FindingPart] = field(default_factory=list)
    """The streams of joint or merged evidence, the highest share first. Empty: `stream` alone."""
    seen: int = 0
    """How many windows the chance `p` was learnt from: nothing that they say is rarer than once in
    all of them. 0: from none, a rule decided."""

    @property
    def by_rule(self) -> bool:
        """Whether a rule decided it, and no chance."""
        return bool(self.facts) and self.detector != DRIFT

    @property
    def windows(self) -> int:
        """How many windows it covers."""
        return self.window - self.since + 1

    @property
    def symbols(self) -> list[str]:
        """All symbols that it is about, its own first."""
        return list(dict.fromkeys([self.symbol, *(part.symbol for part in self.parts)]))

    @property
    def own_part(self) -> FindingPart:
        """The evidence of `stream`, as the only part."""
        numbers = self.since, self.observed, self.expected, self.p
        length = self.windows, self.seen, self.reach_bps
        return FindingPart(self.symbol, self.stream, self.detector, *numbers, 1.0, *length)

    @property
    def all_parts(self) -> list[FindingPart]:
        """Its parts; for evidence of one stream, that one."""
        return self.parts or [self.own_part]
