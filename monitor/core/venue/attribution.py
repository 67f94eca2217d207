"""Which accounts carried the venue's streams in the last minutes, and where their records lie."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from monitor.core.finding import OffsetRange
from monitor.core.snapshot import from_state, to_state

CELLS_KEPT = 120
"""How far back a finding names accounts and records, in intervals of the bands."""
ACCOUNTS_KEPT = 16
"""Accounts kept of each interval, market and stream: those with the largest amounts."""
ACCOUNTS_SHOWN = 5
"""Accounts that a finding names."""

AccountAmount = tuple[str, float]
"""An account and its amount, in the stream's unit; or its share of the whole."""


@dataclass(frozen=True, slots=True)
class AttributionEntry:
    """What carried a stream of a market in the interval of the bands that ends at `end` (ns).

    `accounts`: by amount, the highest first.
    """

    end: int
    symbol: str
    stream: int
    accounts: list[AccountAmount]
    records: list[OffsetRange]


class Attribution:
    """The entries of the last `CELLS_KEPT` intervals of the bands, each `interval_ns` long."""

    def __init__(self, interval_ns: int) -> None:
        self._kept_ns = CELLS_KEPT * interval_ns
        self._entries: deque[AttributionEntry] = deque()

    def add(
        self,
        end: int,
        symbol: str,
        stream: int,
        amounts: Iterable[AccountAmount],
        records: Iterable[OffsetRange],
    ) -> None:
        """What counted to a stream in the interval up to `end` (ns), which is the last so far."""
        accounts = _rank(_add_up(amounts))[:ACCOUNTS_KEPT]
        self._entries.append(AttributionEntry(end, symbol, stream, accounts, _join_ranges(records)))

    def forget(self, now: int) -> None:
        """Drop what is too old at event time `now`, ns."""
        while self._entries and self._entries[0].end <= now - self._kept_ns:
            self._entries.popleft()

    def shares_since(
        self, begin: int, symbol: str, stream: int
    ) -> tuple[list[AccountAmount], list[OffsetRange]]:
        """The accounts with most since `begin` (ns), each with its share, and the records."""
        entries = [
            entry
            for entry in self._entries
            if entry.end > begin and (entry.symbol, entry.stream) == (symbol, stream)
        ]
        amounts = _add_up(pair for entry in entries for pair in entry.accounts)
        total = sum(amounts.values())
        shares = [(name, amount / total) for name, amount in _rank(amounts)[:ACCOUNTS_SHOWN]]
        return shares, _join_ranges(range_ for entry in entries for range_ in entry.records)

    def snapshot(self) -> Any:
        return to_state(list(self._entries))

    def restore(self, state: Any) -> None:
        self._entries = deque(from_state(list[AttributionEntry], state))


def _add_up(pairs: Iterable[AccountAmount]) -> dict[str, float]:
    amounts: dict[str, float] = {}
    for name, amount in pairs:
        amounts[name] = amounts.get(name, 0.0) + amount
    return amounts


def _rank(amounts: dict[str, float]) -> list[AccountAmount]:
    """The highest amount first, then by name."""
    return sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0]))


def _join_ranges(ranges: Iterable[OffsetRange]) -> list[OffsetRange]:
    """One range for each kind and partition, in their order."""
    joined: dict[tuple[str, int], OffsetRange] = {}
    for r in ranges:
        assert r.partition is not None
        other = joined.get((r.kind, r.partition), r)
        first, last = min(r.first, other.first), max(r.last, other.last)
        joined[r.kind, r.partition] = OffsetRange(r.kind, first, last, r.partition)
    return [joined[key] for key in sorted(joined)]
