"""The contract's own format: JSON lines, kinds mixed, each line a record."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from monitor.core.decode import codec
from monitor.core.decode.batch import Batch
from monitor.venues.adapter import VenueAdapter


class Canonical(VenueAdapter):
    """Validates the lines as they are."""

    NAME = "canonical"

    def read(self, chunk: Sequence[bytes]) -> list[Batch]:
        rows = [(codec.kind_of(raw) or codec.UNKNOWN, raw, raw) for raw in chunk]
        self.source_counts.update(kind for kind, _, _ in rows)
        batches, accepted = self.build_batches(rows)
        for raw in compress(chunk, accepted.tolist()):
            self.anomalies.observe_line(raw)
        return batches
