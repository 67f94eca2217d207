"""What a detector's judgement becomes when it is rare enough: a finding, evidence as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.core.windows.recent_windows import OffsetRange

JOINT = "joint"
"""The detector of joint evidence, as findings name it."""
ACCOUNT_BURST = "account_burst"
"""The detector that judges accounts by their own habits; its findings are about few accounts."""


@dataclass(slots=True)
class FindingPart:
    """What one stream of one symbol brings to evidence of several."""

    symbol: str
    stream: str
    detector: str
    since: int
    """Index of the window with which its change began."""
    observed: float
    """As of a `Finding`; from joint evidence, the mean of a window for what does not add up."""
    expected: float
    p: float
    """Chance of as much evidence in this stream alone."""
    share: float
    """Its -ln p over that of all streams that judged."""

    @property
    def ratio(self) -> float | None:
        """Observed over expected; None where nothing was expected."""
        return self.observed / self.expected if self.expected > 0 else None

    @property
    def by_account(self) -> bool:
        """Whether its numbers are those of few accounts, and not of the market."""
        return self.detector == ACCOUNT_BURST


@dataclass(slots=True)
class Finding:
    """One window's evidence against one stream of one symbol."""

    window: int
    """Index of the window in which it was decided."""
    since: int
    """Index of the window with which the change began."""
    partition: int
    symbol: str
    stream: str
    """The feature that was watched."""
    detector: str
    observed: float
    """Summed over the windows from `since` to `window`, in the feature's unit."""
    expected: float
    p: float
    """Chance of as much evidence in one window of ordinary data."""
    accounts: list[tuple[str, float]] = field(default_factory=list)
    """The accounts that carry it, with their share of `observed`."""
    accounts_of: str = ""
    """The stream whose numbers these are shares of; empty: `stream`."""
    accounts_by: str = ""
    """The detector that named them; empty: `detector`."""
    records: list[OffsetRange] = field(default_factory=list)
    abstained: list[tuple[str, str]] = field(default_factory=list)
    """Streams of the symbol that could not judge, and why."""
    facts: dict[str, float | int | str | None] = field(default_factory=dict)
    """What else its sentence tells, where a rule and no chance decided (`monitor/core/marks/mark_filter.py`)."""
    is_end: bool | None = None
    """Of what lasts until its end is told: whether this is the end. None: it ends when it is
    quiet."""
    parts: list[FindingPart] = field(default_factory=list)
    """Of evidence of several streams: each stream's, the highest share first. Empty: it is all of
    `stream`."""

    @property
    def windows(self) -> int:
        return self.window - self.since + 1

    @property
    def ratio(self) -> float | None:
        """Observed over expected; None where nothing was expected."""
        return self.observed / self.expected if self.expected > 0 else None
