"""What came in, by kind and by fate. Counts of a set of records: their order cannot show."""

from __future__ import annotations

from collections import Counter
from typing import Any

from detectors.arrays.state import Stateful


class RecordCounts(Stateful):
    """Counters of records; a record read twice (same partition and offset) counts once here."""

    STATE = ("events", "late", "refused", "duplicates")

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        """Records that the contract accepts, by kind; late ones included."""
        self.late: Counter[str] = Counter()
        """Records that came too late to count, by kind."""
        self.refused: Counter[str] = Counter()
        """Records that were not accepted, by reason."""
        self.duplicates = 0
        """Records that had been read before: they depend on this run, not on the day."""

    def add(self, other: RecordCounts) -> None:
        """Add the counts of another stage."""
        self.events += other.events
        self.late += other.late
        self.refused += other.refused
        self.duplicates += other.duplicates

    def reproducible_counts(self) -> dict[str, Any]:
        """The counts that are the same for the same set of records, however it is read."""
        parts = {"events": self.events, "late": self.late, "refused": self.refused}
        return {name: dict(sorted((+count).items())) for name, count in parts.items()}
