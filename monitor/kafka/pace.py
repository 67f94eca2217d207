"""Which topic partitions hold the others up, and which run ahead: judged from where each stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from monitor.core.events import Control
from monitor.core.watermark import NEVER

At = tuple[str, int]


class Stand(Protocol):
    """Time in one topic partition (`watermark.Partition`)."""

    @property
    def position(self) -> int: ...
    @property
    def high(self) -> int: ...
    @property
    def watermark(self) -> int: ...


class Pace:
    """Silence becomes a record; haste is held back.

    silence_s: a topic partition that was read to its end and has brought nothing for so long is
    silent. window_ns: silence is told once a window, not with every record of the others.
    """

    def __init__(self, silence_s: float, window_ns: int, ahead_ns: int, now_s: float) -> None:
        self._silence_s = silence_s
        self._window_ns = window_ns
        self._ahead_ns = ahead_ns
        self._began_s = now_s
        self._heard_s: dict[At, float] = {}

    def heard(self, at: At, now_s: float) -> None:
        """Records came from this topic partition."""
        self._heard_s[at] = now_s

    def silent(
        self, parts: Mapping[At, Stand], lag: Mapping[At, int], now_s: float
    ) -> list[Control]:
        """Control records for those that are silent while others go on: nothing before the time
        that all the others have passed counts there any more.
        """
        quiet: list[tuple[At, Stand]] = []
        awake: list[tuple[At, Stand]] = []
        for at, part in parts.items():
            heard = self._heard_s.get(at, self._began_s)
            ended = lag.get(at) == 0
            (quiet if ended and now_s - heard >= self._silence_s else awake).append((at, part))
        passed = min((part.watermark for _, part in awake), default=NEVER)
        if passed == NEVER or not any(at in self._heard_s for at, _ in awake):
            return []
        ts = passed // self._window_ns * self._window_ns
        return [
            Control(topic=at[0], partition=at[1], offset=part.position, ts=ts)
            for at, part in quiet
            if part.watermark < ts
        ]

    def ahead(self, parts: Mapping[At, Stand], lag: Mapping[At, int]) -> set[At]:
        """Those so far ahead of the slowest that still has records waiting that to read them on
        would only fill memory.
        """
        behind = [part.watermark for at, part in parts.items() if lag.get(at) != 0]
        slowest = min(behind, default=NEVER)
        if slowest == NEVER:
            return set()
        return {at for at, part in parts.items() if part.high > slowest + self._ahead_ns}
