"""Where the log of a topic partition goes on as another one, or after records that are missing.

A person accepts such a gap (`brinkwatch run --accept-gap TOPIC`), and a control record says it from
then on. Like lateness it is a property of the log: whoever reads the records and control records of
the topic partition finds the same gaps, however they are sliced.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64

_NO_RECORD = 2**62
"""An offset that no record has."""


class LogGap(NamedTuple):
    """Records from offset `missing_from` on are missing, and the log goes on at `offset`.

    `ts`: event time that had passed in the topic partition, ns. `log_offset`: Kafka's own offset of
    the record at `offset`. Where the log is another one, its first record takes a place behind the
    last one read, and nobody knows how many are missing.
    """

    missing_from: int
    offset: int
    log_offset: int
    ts: int
    is_new_log: bool


class LogGaps(Stateful):
    """The gaps of one topic partition. One counts once, and where records before it were read: a
    reader who begins behind it misses nothing that it had.
    """

    STATE = "_waiting", "passed", "_newest", "_first_offset"

    def __init__(self) -> None:
        self._waiting: list[LogGap] = []
        """Those that reading has not come to."""
        self.passed: list[LogGap] = []
        """Those that are new; whoever takes them empties the list."""
        self._newest = -1
        """`missing_from` of the last one that reading has come to."""
        self._first_offset = _NO_RECORD
        """The lowest offset read."""

    def add(self, gap: LogGap, position: int) -> None:
        """Take a gap in; one that was taken in before changes nothing. `position`: of reading."""
        if gap.missing_from > self._newest:
            self._waiting = sorted({*self._waiting, gap})
            self.advance(position)

    def note_read(self, offsets: Int64) -> None:
        """Records at these offsets, which rise, were read."""
        if len(offsets):
            self._first_offset = min(self._first_offset, int(offsets[0]))

    def advance(self, position: int) -> None:
        """Everything below offset `position` was read."""
        while self._waiting and self._waiting[0].missing_from <= position:
            gap = self._waiting.pop(0)
            if gap.missing_from > self._newest and self._first_offset < gap.missing_from:
                self.passed.append(gap)
            self._newest = gap.missing_from

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._waiting = [LogGap(*gap) for gap in self._waiting]
        self.passed = [LogGap(*gap) for gap in self.passed]
