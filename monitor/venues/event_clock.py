"""Event times of a feed beside the times of receipt: neither clock is believed alone.

A venue's event time and the recorder's time of receipt normally differ by the same amount from line
to line. An event time that leaves its neighbours is believed where the time of receipt moved with
it (the feed paused), or where `CONFIRMATIONS` lines in a row differ from it by the same amount (a
clock was set). Otherwise it is a jump, and the record takes the time of receipt less the difference
that its neighbours have. Where the first two lines contradict each other, the smaller difference
is believed.
"""

from __future__ import annotations

from monitor.core.contract.units import SECOND_NS

JUMP_NS = 10 * SECOND_NS
"""Queues and networks delay a line by less. A jump moves an event time by more."""
CONFIRMATIONS = 5
"""Lines in a row after which a new difference between the clocks is believed."""


class EventClock:
    """The believed difference between both clocks, and the last event time that was believed."""

    def __init__(self) -> None:
        self._last_ts = 0
        self._delay: int | None = None
        """Time of receipt less event time, ns; None before the first line."""
        self._is_proven = False
        """Whether a second line in a row had that difference."""
        self._other_delay = 0
        self._agreeing = 0
        """How many lines in a row had `_other_delay`."""

    def place(self, ts: int, received: int) -> int:
        """The event time to use for a line with event time `ts`, received at `received`, both ns.

        It differs from `ts` where that jumps.
        """
        delay = received - ts
        if self._delay is None or self._is_confirmed(delay):
            self._is_proven = self._delay is not None
            self._delay = delay
        elif not self._is_proven and abs(delay) < abs(self._delay):
            self._delay = delay
        elif abs(ts - self._last_ts) > JUMP_NS:
            ts = received - self._delay
        self._last_ts = ts
        return ts

    def _is_confirmed(self, delay: int) -> bool:
        assert self._delay is not None
        if abs(delay - self._delay) <= JUMP_NS:
            self._agreeing = 0
            return True
        same = abs(delay - self._other_delay) <= JUMP_NS
        self._agreeing = self._agreeing + 1 if same else 1
        self._other_delay = delay
        return self._agreeing >= CONFIRMATIONS

    def event_time(self, received: int) -> int:
        """The event time (ns) of a line that has none: as its neighbours', or the receipt's own
        where no line had one yet."""
        return received if self._delay is None else received - self._delay
