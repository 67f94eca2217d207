"""How many of the records of the last minutes were refused, and why: for /readyz."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

SPAN_S = 120
"""What was read in so many seconds counts."""
RECORDS_MIN = 10
"""Of fewer records no share is taken."""

Reason = tuple[str, str]
"""Topic, and reason code."""


class RecentRefusals:
    """Counts of one session by second of wall time. It is written in the session's thread and read
    in another. `clock`: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, int, Counter[Reason]]] = deque(maxlen=SPAN_S + 1)
        """Second, records read in it, and those refused by reason."""

    def count(self, records: int, refused: Iterable[Reason]) -> None:
        """Add records that were read just now, and why some of them were refused."""
        second, reasons = int(self._clock()), Counter(refused)
        if self._seconds and self._seconds[-1][0] == second:
            _, before, so_far = self._seconds.pop()
            records, reasons = records + before, reasons + so_far
        self._seconds.append((second, records, reasons))

    def recent(self) -> tuple[int, Counter[Reason]]:
        """Records read lately, and those refused of them by reason."""
        since, records = int(self._clock()) - SPAN_S, 0
        reasons: Counter[Reason] = Counter()
        for second, count, refused in tuple(self._seconds):
            if second > since:
                records += count
                reasons += refused
        return records, reasons


def refusal_trouble(recent: Iterable[tuple[int, Counter[Reason]]]) -> str:
    """What is wrong where most records were refused lately, over all sessions; else empty."""
    records, reasons = 0, Counter[Reason]()
    for count, refused in recent:
        records += count
        reasons += refused
    total = reasons.total()
    if records < RECORDS_MIN or 2 * total <= records:
        return ""
    ((topic, reason), most), *_ = reasons.most_common(1)
    return (
        f"{total:,} of the {records:,} records of the last {SPAN_S // 60} minutes were refused, "
        f"most often as {reason} in {topic} ({most:,}): brinkwatch dlq list shows them"
    )
