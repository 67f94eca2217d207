"""Whether the windows that somebody committed are right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tests.bench.others.feed import KINDS


class CommittedWindows(NamedTuple):
    """Windows that are right, that have another count than the records, and that came again; and
    how many events are counted in them."""

    right: int
    wrong: int
    repeated: int
    events: int

    def __str__(self) -> str:
        faults = [
            f"{n:,} {name}" for name, n in (("wrong", self.wrong), ("repeated", self.repeated)) if n
        ]
        return ", ".join([f"{self.right:,} windows of {self.events:,} events", *faults])


def check_windows(
    values: Iterable[bytes], truth: Mapping[tuple[str, str, int], int]
) -> CommittedWindows:
    """Compare windows with the counts of events by kind, symbol and window's end (ms)."""
    right = events = 0
    times: Counter[tuple[str, int]] = Counter()
    for value in values:
        window = json.loads(value)
        at = window["symbol"], window["end_ms"]
        times[at] += 1
        counts = {kind: window[f"{kind}s"] for kind in KINDS}
        events += sum(counts.values())
        right += times[at] == 1 and all(truth.get((k, *at), 0) == n for k, n in counts.items())
    return CommittedWindows(right, len(times) - right, times.total() - len(times), events)
