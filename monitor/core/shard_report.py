"""What a shard tells the venue stage, as an object and as bytes.

A report covers a range of each topic (the offsets from `low` up to `high`) and a range of windows
(from `since` up to `until`). The venue stage skips what it has already, and notices when a report
is missing before this one. So a report may arrive twice, overlap others after a crash, or come both
through memory and through Kafka.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from monitor.core import snapshot
from monitor.core.decode.batch import Batch
from monitor.core.decode.batch_state import batch_from_state, batch_to_state, last_books
from monitor.core.detection.block_p_values import BlockPValues
from monitor.core.finding import Finding
from monitor.core.snapshot import from_state, to_state


@dataclass(slots=True)
class ShardReport:
    """What is new in one shard since its last report."""

    partition: int
    low: dict[str, int]
    """By kind: the offset of the first record that this report covers."""
    high: dict[str, int]
    """By kind: the offset behind the last one."""
    since: int
    """Index of the first window covered."""
    until: int
    """Index of the window behind the last one that is closed."""
    closed_ns: int
    """All windows that end by this event time are closed."""
    latest_ns: int
    """Highest event time read; windows may be closed beyond it, where control records say that a
    topic has nothing more."""
    windows: int
    """Windows of a symbol closed so far."""
    chain: bytes
    """The shard's digest so far."""
    tally: dict[str, Any]
    """What came in so far (`RecordCounts.snapshot`)."""
    findings: list[Finding] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    """Admitted records of the kinds that the venue stage reads."""
    block_p_values: list[BlockPValues] = field(default_factory=list)
    """For evidence across markets: one for each block that has closed."""

    def pack(self, fingerprint: str, book_ns: int) -> bytes:
        """As bytes. Of the books it holds only each symbol's last in each `book_ns` of event time.

        `fingerprint`: of the shard's settings.
        """
        state = to_state(dataclasses.replace(self, batches=[]))
        state["batches"] = [
            batch_to_state(last_books(b, book_ns) if b.kind == "book" else b) for b in self.batches
        ]
        return snapshot.pack(state, fingerprint)

    @classmethod
    def unpack(cls, raw: bytes, fingerprint: str) -> ShardReport:
        """The inverse. Raises `SnapshotError` for a report of another version or settings."""
        state = snapshot.unpack(raw, fingerprint)
        batches = [batch_from_state(batch) for batch in state.pop("batches")]
        return dataclasses.replace(from_state(cls, state), batches=batches)
