"""Logs of one topic partition, and what the rule of time says of each record."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from monitor.core.decode.batch import Batch, TextColumn
from monitor.core.event_time.admission import AdmissionControl, RecordCounts
from monitor.core.event_time.clock_state import TimeNotice
from monitor.core.event_time.watermark import PartitionClock

SECOND = 1_000_000_000
START = 1_764_000_000 * SECOND
CEILING = SECOND


@dataclass
class Log:
    """Seconds after `START` of each record, and of its append time (None: there is none)."""

    seconds: list[float]
    keys: list[str] | None = None
    appended: list[float] | None = None
    controls: list[tuple[int, float]] = field(default_factory=list)
    """Offset and time of each control record."""

    def batch(self, low: int, high: int) -> Batch:
        """Records `low` up to `high`; their offsets are their indices."""
        rows = slice(low, high)
        ts = START + np.round(np.array(self.seconds[rows]) * SECOND).astype(np.int64)
        keys = self.keys or [f"s-{i % 3}" for i in range(len(self.seconds))]
        texts = {"symbol": TextColumn.from_strings(keys[rows])}
        stamps = None
        if self.appended is not None:
            stamps = START + np.round(np.array(self.appended[rows]) * SECOND).astype(np.int64)
        offset = np.arange(low, high)
        return Batch("order", "orders", 0, offset, {"ts": ts}, texts, append_ts=stamps)


@dataclass
class Fates:
    """What became of each record, by offset; one is in one of these only."""

    admitted: dict[int, int] = field(default_factory=dict)
    """How far it ran behind, ns."""
    late: dict[int, int] = field(default_factory=dict)
    """The watermark that it met, ns."""
    refused: dict[int, int] = field(default_factory=dict)
    """The offset at which that was decided."""
    waiting: list[int] = field(default_factory=list)
    high: int = 0
    watermark: int = 0
    notices: list[TimeNotice] = field(default_factory=list)
    counts: dict[str, object] = field(default_factory=dict)


def judge(
    log: Log, cuts: list[int] | None = None, restart: bool = False, early: bool = True,
    end: bool = False, ceiling: int = CEILING,
) -> Fates:  # fmt: skip
    """The log in pieces that end at `cuts`; with `restart` each by another clock, from a snapshot.

    `early`: control records are there before all records; otherwise each comes when the log has
    come to its offset (a piece ends there). `end`: the log is read to its end.
    """
    control, tally, fates = AdmissionControl(("order",), ceiling), RecordCounts(), Fates()

    def take(admissions: list) -> None:
        for a in admissions:
            for name, rows, times in (
                ("admitted", a.admitted, a.behind_ns),
                ("late", a.late, a.late_watermark_ns),
                ("refused", a.jumped, a.decided_at),
            ):
                for offset, value in zip(rows.offset.tolist(), times.tolist(), strict=True):
                    everything = {**fates.admitted, **fates.late, **fates.refused}
                    assert offset not in everything, "a record is judged once"
                    getattr(fates, name)[offset] = value

    def apply(due: list[tuple[int, float]]) -> None:
        clock = control.clocks["order"]
        for offset, second in due:
            clock.add_controls([(offset, START + round(second * SECOND))])
            before = clock.watermark
            take(control.settle(tally))
            assert clock.watermark >= before

    n = len(log.seconds)
    ends = sorted({*(c for c in cuts or [] if 0 < c < n), n})
    if early:
        apply(log.controls)
    else:
        ends = sorted({*ends, *(o for o, _ in log.controls if 0 < o < n)})
        apply([c for c in log.controls if c[0] == 0])
    low = 0
    for high in ends:
        before = control.watermark
        take([control.admit(log.batch(low, high), tally)])
        assert control.watermark >= before
        if restart:
            state = control.snapshot()
            control = AdmissionControl(("order",), ceiling)
            control.restore(state)
        if not early:
            apply([c for c in log.controls if c[0] == high])
        low = high
    if end:
        take(control.settle(tally, end=True))
    clock: PartitionClock = control.clocks["order"]
    fates.waiting, fates.high, fates.watermark = clock.waiting_offsets, clock.high, clock.watermark
    fates.notices, fates.counts = clock.notices, tally.reproducible_counts()
    judged = [*fates.admitted, *fates.late, *fates.refused, *fates.waiting]
    assert sorted(judged) == list(range(n)), "nothing is lost"
    return fates
