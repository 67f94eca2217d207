"""What every judge of closed windows has in common, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from detectors.arrays.types import Float64
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.features.compute import FEATURE_COLUMN, Features
from monitor.core.finding import Finding, FindingPart
from monitor.core.windows.closed_windows import ClosedWindows

_REACH = [FEATURE_COLUMN[f"reach_{side}_bps"] for side in ("bid", "ask")]


@dataclass(slots=True)
class PassedTime:
    """Event time that has passed."""

    until: int
    """Every window with an index below this one is closed."""


@dataclass(slots=True)
class ClosedSpan(PassedTime):
    """Windows `low` up to `until` (indices) of a shard, closed and measured together."""

    low: int
    names: dict[int, str]
    """The name of every symbol number in `windows` and `features`."""
    windows: ClosedWindows
    features: Features
    findings: list[Finding] = field(default_factory=list)
    """Of the judges so far."""


def add_reach(closed: ClosedSpan, findings: list[Finding]) -> None:
    """Note in evidence of depth how far the book goes, where it ends before what is watched."""
    numbers = {name: symbol for symbol, name in closed.names.items()}
    symbols = len(closed.features.symbol) // (closed.until - closed.low)
    for finding in findings:
        evidence: list[Finding | FindingPart] = [finding, *finding.parts]
        for one in evidence:
            spec = FEATURES.get(one.stream)
            if spec is None or spec.within_bps is None:
                continue
            begin = (finding.window - closed.low) * symbols
            here = closed.features.symbol[begin : begin + symbols] == numbers[one.symbol]
            row = begin + int(here.argmax())
            reach_bps = float(closed.features.values[row, _REACH].min())
            if reach_bps < spec.within_bps:
                one.reach_bps = reach_bps


class _Dated(Protocol):
    """Something that was noticed at an event time."""

    @property
    def ts(self) -> int:
        """Event time at which it was certain, ns."""


Noted = TypeVar("Noted", bound=_Dated)


def split_passed(
    waiting: list[Noted], closed: PassedTime, window_ns: int
) -> tuple[list[Noted], list[Noted]]:
    """What lies in windows that have closed, and what waits on; each in its order."""
    passed = [note for note in waiting if note.ts // window_ns < closed.until]
    return passed, [note for note in waiting if note.ts // window_ns >= closed.until]


Passed = TypeVar("Passed", bound=PassedTime, contravariant=True)


class Judge(Protocol[Passed]):
    """Judges what has closed, in the order of time, and learns each window after it was judged.

    A judge in a shard takes a `ClosedSpan`, one in the venue stage a `VenueMoment`; one that needs
    only the time takes `PassedTime` and may stand in either. Its findings must not depend on how
    many windows it is given at once.
    """

    def judge(self, closed: Passed) -> list[Finding]:
        """What is too rare in these windows, given the budget of this kind of evidence."""

    def snapshot(self) -> Any:
        """All state, as plain values and arrays."""

    def restore(self, state: Any) -> None:
        """Go on from a snapshot."""


@dataclass(slots=True)
class BlockPValues:
    """How rare one block is in each market of a shard."""

    window: int
    """Index of the block's last window."""
    partition: int
    symbols: list[str]
    p: Float64
    """(symbols,): how rare the block is in this market alone; uniform in ordinary blocks."""
    streams: Float64
    """(symbols, streams, `EVIDENCE_COLUMNS`), as from `stream_evidence`."""
