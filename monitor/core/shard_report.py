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

import numpy as np

from monitor.core import snapshot
from monitor.core.decode.batch import Batch
from monitor.core.decode.batch_state import batch_from_state, batch_to_state
from monitor.core.detection.judge import BlockPValues
from monitor.core.finding import Finding
from monitor.core.marks.market_rows import uncrossed_books
from monitor.core.snapshot import from_state, to_state
from monitor.core.tables.interner import Interner

UNUSED_TEXTS = ("trade_id", "order_id", "replaces")
"""Text columns that the venue stage has no use for."""


@dataclass(slots=True)
class ShardReport:
    """What is new in one shard since its last report.

    It covers, by kind, the records from offset `low` to below `high`, but for those whose time
    nothing bears out yet: the last report left out those at the offsets `waited`, this one leaves
    out those at `waiting`. And it covers the windows of index `since` to below `until`. All windows
    that end by `closed_ns` are closed; `latest_ns` is the highest event time read, beyond which
    control records may close windows. `windows` (closed windows of a symbol), `chain` (the digest)
    and `tally` (`RecordCounts.snapshot`) are so far.
    """

    partition: int
    low: dict[str, int]
    high: dict[str, int]
    waited: dict[str, list[int]]
    waiting: dict[str, list[int]]
    since: int
    until: int
    closed_ns: int
    latest_ns: int
    windows: int
    chain: bytes
    tally: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    """Admitted records of the kinds that the venue stage reads."""
    block_p_values: list[BlockPValues] = field(default_factory=list)
    """For evidence across markets: one for each block that has closed."""

    def pack(self, fingerprint: str, book_ns: int) -> bytes:
        """As bytes. Of the books it holds only each symbol's last uncrossed one in each `book_ns`
        of event time. `fingerprint`: of the shard's settings.
        """
        state = to_state(dataclasses.replace(self, batches=[]))
        state["batches"] = [
            batch_to_state(last_books(b, book_ns) if b.kind == "book" else b, UNUSED_TEXTS)
            for b in self.batches
        ]
        return snapshot.pack(state, fingerprint)

    @classmethod
    def unpack(cls, raw: bytes, fingerprint: str) -> ShardReport:
        """The inverse. Raises `SnapshotError` for what is no report, and for one of another version
        or settings.
        """
        state = snapshot.unpack(raw, fingerprint)
        try:
            batches = [batch_from_state(batch) for batch in state.pop("batches")]
            return dataclasses.replace(from_state(cls, state), batches=batches)
        except Exception as error:  # the bytes may be anybody's, and break any step of it
            raise snapshot.SnapshotError(f"this is no shard report ({error})") from error


def last_books(batch: Batch, interval_ns: int) -> Batch:
    """The last uncrossed book of each symbol in each interval of event time."""
    batch = uncrossed_books(batch)
    symbol = Interner().intern(batch.texts["symbol"])
    ts = batch.numbers["ts"]
    interval = ts // interval_ns
    order = np.lexsort((batch.offset, ts, interval, symbol))
    group = np.stack((symbol[order], interval[order]))
    last = np.append((group[:, 1:] != group[:, :-1]).any(axis=0), True)
    return batch.select_rows(np.sort(order[last[: len(order)]]))
