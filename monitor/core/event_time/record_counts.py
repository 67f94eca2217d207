"""What came in, by kind and by fate. Counts of a set of records: their order cannot show."""

from __future__ import annotations

from collections import Counter
from typing import Any


class RecordCounts:
    """Counters of records; a record read twice (same partition and offset) counts once here."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        """Records that the contract accepts, by kind; late ones included."""
        self.late: Counter[str] = Counter()
        """Records that came too late to count, by kind."""
        self.refused: Counter[str] = Counter()
        """Records that were not accepted, by reason."""
        self.duplicates = 0
        """Records that had been read before: a fact of this run, not of the day."""

    def add(self, other: RecordCounts) -> None:
        """Count what another tally counted."""
        self.events += other.events
        self.late += other.late
        self.refused += other.refused
        self.duplicates += other.duplicates

    def reproducible_counts(self) -> dict[str, Any]:
        """What belongs to the day: the same for the same set of records."""
        parts = {"events": self.events, "late": self.late, "refused": self.refused}
        return {name: dict(sorted((+count).items())) for name, count in parts.items()}

    def snapshot(self) -> dict[str, Any]:
        return {**self.reproducible_counts(), "duplicates": self.duplicates}

    def restore(self, state: dict[str, Any]) -> None:
        self.events = Counter(state["events"])
        self.late = Counter(state["late"])
        self.refused = Counter(state["refused"])
        self.duplicates = state["duplicates"]
