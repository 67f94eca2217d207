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

    silence_s: a topic partition that was read to its end and has brought nothing for so long, while
    others went on, is silent. After a pause of all of them each has that long to speak again: who
    is heard first is chance. window_ns: silence is told once a window, not with every record of the
    others.
    """

    def __init__(self, silence_s: float, window_ns: int, ahead_ns: int, now_s: float) -> None:
        self._silence_s = silence_s
        self._window_ns = window_ns
        self._ahead_ns = ahead_ns
        self._any_s = self._resumed_s = now_s
        self._others_ns = NEVER
        self._heard_s: dict[At, float] = {}

    def heard(self, at: At, now_s: float) -> None:
        """Records came from this topic partition."""
        self._heard_s[at] = now_s
        self._goes_on(now_s)

    def _goes_on(self, now_s: float) -> None:
        if now_s - self._any_s >= self._silence_s:
            self._resumed_s = now_s
        self._any_s = now_s

    def silent(
        self, parts: Mapping[At, Stand], lag: Mapping[At, int], now_s: float, others_ns: int = NEVER
    ) -> list[Control]:
        """Control records for those that are silent while others go on: nothing before the time
        that all the others have passed counts there any more.

        `others_ns`: where all of `parts` are silent, the time that passed elsewhere.
        """
        if others_ns > self._others_ns:
            self._others_ns = others_ns
            self._goes_on(now_s)
        quiet: list[tuple[At, Stand]] = []
        awake: list[tuple[At, Stand]] = []
        for at, part in parts.items():
            since_s = now_s - max(self._heard_s.get(at, NEVER), self._resumed_s)
            ended = lag.get(at) == 0
            (quiet if ended and since_s >= self._silence_s else awake).append((at, part))
        passed = min((part.watermark for _, part in awake), default=others_ns)
        if passed == NEVER or (awake and not any(at in self._heard_s for at, _ in awake)):
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

    def ahead(
        self, parts: Mapping[At, Stand], lag: Mapping[At, int], others_ns: int | None = None
    ) -> set[At]:
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
