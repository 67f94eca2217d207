"""Which topic partitions hold the others up, and which run too far ahead of them."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.core.contract.events import Control
from monitor.core.event_time.clock_state import NEVER
from monitor.kafka.partitions import PartitionKey, PartitionProgress


class FlowControl:
    """Turns silence into control records, and says whom to pause.

    A topic partition is silent when it was read to its end and has brought nothing for `silence_s`
    while others went on. When all of them have paused, each gets `silence_s` anew: which one is
    read first after a pause is chance.

    window_ns: control records speak of whole windows: one a window, not one for each record of the
        others. ahead_ns: whoever is further ahead of the slowest, in event time, is paused.
    now_s: monotonic time, as in all methods.
    """

    def __init__(self, silence_s: float, window_ns: int, ahead_ns: int, now_s: float) -> None:
        self._silence_s = silence_s
        self._window_ns = window_ns
        self._ahead_ns = ahead_ns
        self._last_activity_s = self._resumed_s = now_s
        self._elsewhere_ns = NEVER
        self._last_arrival_s: dict[PartitionKey, float] = {}

    def note_arrival(self, at: PartitionKey, now_s: float) -> None:
        """Records came from this topic partition."""
        self._last_arrival_s[at] = now_s
        self._note_activity(now_s)

    def _note_activity(self, now_s: float) -> None:
        if now_s - self._last_activity_s >= self._silence_s:
            self._resumed_s = now_s
        self._last_activity_s = now_s

    def silence_controls(
        self,
        clocks: Mapping[PartitionKey, PartitionProgress],
        lag: Mapping[PartitionKey, int],
        now_s: float,
        elsewhere_ns: int = NEVER,
    ) -> list[Control]:
        """Control records that move the silent ones up to the time that all others have passed.

        lag: records that wait in each; one that is missing was not asked yet, so it is not silent.
        elsewhere_ns: where all of `clocks` are silent, the event time that passed elsewhere.
        """
        if elsewhere_ns > self._elsewhere_ns:
            self._elsewhere_ns = elsewhere_ns
            self._note_activity(now_s)
        silent: dict[PartitionKey, PartitionProgress] = {}
        for at, clock in clocks.items():
            since_s = now_s - max(self._last_arrival_s.get(at, NEVER), self._resumed_s)
            if lag.get(at) == 0 and since_s >= self._silence_s:
                silent[at] = clock
        awake = {at: clock for at, clock in clocks.items() if at not in silent}
        passed_ns = min((clock.watermark for clock in awake.values()), default=elsewhere_ns)
        nobody_spoke = not any(at in self._last_arrival_s for at in awake)
        if passed_ns == NEVER or (awake and nobody_spoke):
            return []
        if awake:
            # The end of a day may be known beforehand; then the watermark is ahead of all records.
            passed_ns = min(passed_ns, max(clock.high for clock in clocks.values()))
        ts = passed_ns // self._window_ns * self._window_ns
        return [
            Control(topic=at[0], partition=at[1], offset=clock.position, ts=ts)
            for at, clock in silent.items()
            if clock.watermark < ts
        ]

    def partitions_ahead(
        self,
        clocks: Mapping[PartitionKey, PartitionProgress],
        lag: Mapping[PartitionKey, int],
        slowest_elsewhere_ns: int | None = None,
    ) -> set[PartitionKey]:
        """Those more than `ahead_ns` ahead of the slowest that still has records waiting.

        Reading them on would only fill memory. slowest_elsewhere_ns: how far the slowest that is
        not among `clocks` has come.
        """
        behind = [clock.watermark for at, clock in clocks.items() if lag.get(at) != 0]
        if slowest_elsewhere_ns is not None:
            behind.append(slowest_elsewhere_ns)
        slowest_ns = min(behind, default=NEVER)
        if slowest_ns == NEVER:
            return set()
        return {at for at, clock in clocks.items() if clock.high > slowest_ns + self._ahead_ns}
