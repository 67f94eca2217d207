"""Records of several partitions of a venue's bus, put into one order by event time.

Records of one account may lie in several partitions. Read one after the other, as a backlog is,
they would come so far out of order that most are late. So the earliest record goes first, and a
partition that is known to have more records is waited for until they are here. One that was read to
its end is not: what comes to it later comes as late as the venue sent it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from monitor.core.contract.units import SECOND_NS
from monitor.core.event_time.clock_state import NEVER
from monitor.sources.acceptance import SourceRecord

AHEAD_NS = 10 * SECOND_NS
"""A time further ahead of its partition has to be borne out by the records that follow it."""
LOOK_AHEAD = 3
"""So many records that follow bear it out, or the fewer that there are."""

Place = tuple[str, int]
"""Topic and partition."""


class TimeMerge:
    """Queues of records, by partition of the source. The order inside a partition stays."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._queues: dict[Place, deque[SourceRecord]] = {place: deque() for place in places}
        self._times = dict.fromkeys(self._queues, NEVER)
        """The event time that each partition had come to with its last record that went, ns."""
        self._claims = dict.fromkeys(self._queues, 0)
        """How many of its last records lay far ahead of that."""
        self.high_ns = NEVER
        """The highest of these."""

    def add(self, place: Place, records: Iterable[SourceRecord]) -> None:
        """The next records of a partition."""
        self._queues[place].extend(records)

    def first_offset(self, place: Place) -> int | None:
        """The offset of the first record of a partition that waits; None where none does."""
        queue = self._queues[place]
        return queue[0].offset if queue else None

    def sizes(self) -> dict[Place, int]:
        """How many records wait, by partition."""
        return {place: len(queue) for place, queue in self._queues.items()}

    def release(self, coming: Collection[Place], most: int) -> Iterator[tuple[Place, SourceRecord]]:
        """Records in the order of event time, `most` at most.

        coming: the partitions that have more records than were added: the merge stops where the
        next one of these is needed.
        """
        heads: list[tuple[int, Place]] = []
        for place, queue in self._queues.items():
            ts = self._head_time(place, place in coming)
            if ts is not None:
                heads.append((ts, place))
            elif queue or place in coming:
                return
        heapq.heapify(heads)
        for _ in range(most):
            if not heads:
                return
            ts, place = heads[0]
            self._advance(place, ts)
            yield place, self._queues[place].popleft()
            following = self._head_time(place, place in coming)
            if following is not None:
                heapq.heapreplace(heads, (following, place))
            elif self._queues[place] or place in coming:
                return
            else:
                heapq.heappop(heads)

    def _head_time(self, place: Place, is_coming: bool) -> int | None:
        """The event time by which the first record of a partition takes its turn; None where there
        is no record, or one that needs more records behind it.

        A record without a time takes its turn at once, and so does one whose time is far ahead and
        contradicted by what follows: the log's own clock will judge it.
        """
        queue, reached_ns = self._queues[place], self._times[place]
        if not queue:
            return None
        ts = queue[0].ts
        if ts <= reached_ns + AHEAD_NS:
            return max(ts, reached_ns)
        timed = (record.ts for record in islice(queue, 1, None) if record.ts != NEVER)
        following = list(islice(timed, LOOK_AHEAD))
        if len(following) < LOOK_AHEAD and is_coming:
            return None
        is_odd = any(later < ts - AHEAD_NS for later in following)
        return reached_ns if is_odd else ts

    def _advance(self, place: Place, ts: int) -> None:
        """A record has taken its turn at `ts`. One far ahead alone moves no time."""
        is_far = ts > self._times[place] + AHEAD_NS
        self._claims[place] = self._claims[place] + 1 if is_far else 0
        if not is_far or self._claims[place] >= LOOK_AHEAD:
            self._times[place] = ts
            self._claims[place] = 0
            self.high_ns = max(self.high_ns, ts)
