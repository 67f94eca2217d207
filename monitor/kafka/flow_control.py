"""Which topic partitions hold the others up, and which run ahead: judged from where each stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from monitor.core.contract.events import Control
from monitor.core.event_time.watermark import NEVER

PartitionKey = tuple[str, int]


class PartitionProgress(Protocol):
    """Time in one topic partition (`watermark.PartitionClock`)."""

    @property
    def position(self) -> int: ...
    @property
    def high(self) -> int: ...
    @property
    def watermark(self) -> int: ...


class FlowControl:
    """Silence becomes a record; haste is held back.

    silence_s: a topic partition that was read to its end and has brought nothing for so long, while
    others went on, is silent. After a pause of all of them each has that long to speak again: who
    is heard first is chance. window_ns: silence is told once a window, not with every record of the
    others.
    """

    def __init__(self, silence_s: float, window_ns: int, ahead_ns: int, now_s: float) -> None:
        self._silence_s = silence_s
        self._window_ns = window_ns
        self._ahead_ns = ahead_ns
        self._last_activity_s = self._resumed_s = now_s
        self._others_ns = NEVER
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
        parts: Mapping[PartitionKey, PartitionProgress],
        lag: Mapping[PartitionKey, int],
        now_s: float,
        others_ns: int = NEVER,
    ) -> list[Control]:
        """Control records for those that are silent while others go on: nothing before the time
        that all the others have passed counts there any more.

        `others_ns`: where all of `parts` are silent, the time that passed elsewhere.
        """
        if others_ns > self._others_ns:
            self._others_ns = others_ns
            self._note_activity(now_s)
        quiet: list[tuple[PartitionKey, PartitionProgress]] = []
        awake: list[tuple[PartitionKey, PartitionProgress]] = []
        for at, part in parts.items():
            since_s = now_s - max(self._last_arrival_s.get(at, NEVER), self._resumed_s)
            ended = lag.get(at) == 0
            (quiet if ended and since_s >= self._silence_s else awake).append((at, part))
        passed = min((part.watermark for _, part in awake), default=others_ns)
        if passed == NEVER or (awake and not any(at in self._last_arrival_s for at, _ in awake)):
            return []
        if awake:
            # The end of a day may be known beforehand; it is not now.
            passed = min(passed, max(part.high for part in parts.values()))
        ts = passed // self._window_ns * self._window_ns
        return [
            Control(topic=at[0], partition=at[1], offset=part.position, ts=ts)
            for at, part in quiet
            if part.watermark < ts
        ]

    def partitions_ahead(
        self,
        parts: Mapping[PartitionKey, PartitionProgress],
        lag: Mapping[PartitionKey, int],
        others_ns: int | None = None,
    ) -> set[PartitionKey]:
        """Those so far ahead of the slowest that still has records waiting that to read them on
        would only fill memory. `others_ns`: how far the slowest elsewhere has come.
        """
        behind = [part.watermark for at, part in parts.items() if lag.get(at) != 0]
        if others_ns is not None:
            behind.append(others_ns)
        slowest = min(behind, default=NEVER)
        if slowest == NEVER:
            return set()
        return {at for at, part in parts.items() if part.high > slowest + self._ahead_ns}
