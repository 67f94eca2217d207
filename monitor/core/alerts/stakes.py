"""What is at stake in each market, remembered until the alerts of that time are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.core.contract.alert import MarketStake
from monitor.core.event_time.clock_state import NEVER
from monitor.core.snapshot import from_state, to_state

_Moments = list[tuple[int, Mapping[str, MarketStake]]]


class StakeHistory:
    """The stakes of all markets, as of each moment that has bands, in the order of time."""

    def __init__(self) -> None:
        self._moments: _Moments = [(NEVER, {})]

    def add(self, ts: int, stakes: Mapping[str, MarketStake]) -> None:
        """Remember the stakes by symbol as of `ts` (ns), which is later than all before."""
        self._moments.append((ts, stakes))

    def find(self, symbol: str, ts: int) -> MarketStake | None:
        """The stake of a market by the last bands up to `ts`; None where those have none."""
        for moment, stakes in reversed(self._moments):
            if moment <= ts:
                return stakes.get(symbol)
        return None

    def forget(self) -> None:
        """Keep the last moment only: every later alert has later bands, or those."""
        self._moments = self._moments[-1:]

    def snapshot(self) -> Any:
        """All that is remembered, as plain values."""
        return to_state([(ts, dict(stakes)) for ts, stakes in self._moments])

    def restore(self, state: Any) -> None:
        """Continue from a snapshot."""
        self._moments = [*from_state(list[tuple[int, dict[str, MarketStake]]], state)]
