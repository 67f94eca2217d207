"""Who carried the venue's streams in the last minutes, and where the records lie."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from monitor.core.finding import OffsetRange

CELLS_KEPT = 120
"""How far back evidence names accounts and records, in moments."""
ACCOUNTS_KEPT = 16
"""Accounts kept of each moment, market and stream: those that moved most."""
ACCOUNTS_SHOWN = 5


class AttributionEntry(NamedTuple):
    """What carried a stream of a market in one moment's cell."""

    end: int
    symbol: str
    stream: int
    accounts: list[tuple[str, float]]
    """By amount, in the stream's unit, the highest first."""
    records: list[tuple[str, int, int, int]]
    """Kind, partition, first and last offset."""

    @classmethod
    def from_records(
        cls, end: int, symbol: str, stream: int, rows: list[tuple[str, float, str, int, int]]
    ) -> AttributionEntry:
        """From records, each with its account, amount, kind, partition and offset."""
        accounts: dict[str, float] = {}
        offsets: dict[tuple[str, int], list[int]] = {}
        for account, amount, kind, partition, offset in rows:
            accounts[account] = accounts.get(account, 0.0) + amount
            offsets.setdefault((kind, partition), []).append(offset)
        records = [(*at, min(told), max(told)) for at, told in sorted(offsets.items())]
        return cls(end, symbol, stream, _rank(accounts)[:ACCOUNTS_KEPT], records)


class Attribution:
    """The notes of the last `CELLS_KEPT` moments."""

    def __init__(self, cell_ns: int) -> None:
        self._bands_interval_ns = cell_ns
        self._entries: deque[AttributionEntry] = deque()

    def add(self, note: AttributionEntry) -> None:
        """Notes come in the order of time."""
        self._entries.append(note)

    def forget(self, now: int) -> None:
        """Let go what no evidence reaches any more."""
        while self._entries and self._entries[0].end <= now - CELLS_KEPT * self._bands_interval_ns:
            self._entries.popleft()

    def shares_since(
        self, begin: int, symbol: str, stream: int
    ) -> tuple[list[tuple[str, float]], list[OffsetRange]]:
        """The accounts with most since `begin` (ns) with their share, and the records."""
        accounts: dict[str, float] = {}
        spans: dict[tuple[str, int], tuple[int, int]] = {}
        for note in self._entries:
            if note.end <= begin or (note.symbol, note.stream) != (symbol, stream):
                continue
            for name, amount in note.accounts:
                accounts[name] = accounts.get(name, 0.0) + amount
            for kind, where, first, last in note.records:
                low, high = spans.get((kind, where), (first, last))
                spans[kind, where] = min(low, first), max(high, last)
        total = sum(accounts.values())
        told = [(name, amount / total) for name, amount in _rank(accounts)[:ACCOUNTS_SHOWN]]
        return told, [
            OffsetRange(kind, *spans[kind, where], where) for kind, where in sorted(spans)
        ]

    def snapshot(self) -> list[Any]:
        return [list(note) for note in self._entries]

    def restore(self, state: list[Any]) -> None:
        self._entries = deque(
            AttributionEntry(
                end, symbol, stream, [tuple(a) for a in accounts], [tuple(r) for r in records]
            )
            for end, symbol, stream, accounts, records in state
        )


def _rank(accounts: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(accounts.items(), key=lambda pair: (-pair[1], pair[0]))
