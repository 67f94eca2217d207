"""/readyz names what keeps records from counting."""

from __future__ import annotations

import numpy as np

from monitor.core.event_time.watermark import PartitionClock
from monitor.health import time_trouble

SECOND = 1_000_000_000


def clock_of(seconds: list[float]) -> PartitionClock:
    clock = PartitionClock(SECOND)
    ts = 1_764_000_000 * SECOND + (np.array(seconds) * SECOND).astype(np.int64)
    clock.admit(np.arange(len(ts)), ts)
    return clock


def test_mostly_late_is_not_ready_and_a_record_that_waits_is_named() -> None:
    ordinary = clock_of([i / 10 for i in range(300)])
    assert time_trouble({("orders", 0): ordinary}) == (True, "ready")
    waits = clock_of([*(i / 10 for i in range(300)), 7_200.0])
    assert time_trouble({("orders", 0): ordinary, ("marks", 1): waits}) == (
        True,
        "ready; records far ahead of their log wait for a witness: marks/1 1",
    )
    late = clock_of([t for i in range(300) for t in (i / 10, i / 10 - 5, i / 10 - 6)])
    ready, why = time_trouble({("fills", 2): late})
    assert not ready
    assert why.startswith("fills/2: 67% of the last minutes' records came too late to count")
