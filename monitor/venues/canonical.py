"""The contract's own format: JSON lines, kinds mixed, each line a record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.core.decode import codec
from monitor.core.decode.batch import Batch
from monitor.venues.adapter import VenueAdapter


class Canonical(VenueAdapter):
    """Validates the lines as they are."""

    NAME = "canonical"

    def read(self, chunk: Sequence[bytes]) -> list[Batch]:
        rows: dict[str, list[int]] = {}
        for i, raw in enumerate(chunk):
            rows.setdefault(codec.kind_of(raw) or codec.UNKNOWN, []).append(i)
        times = np.full(len(chunk), -1, np.int64)
        batches = []
        for kind, lines in rows.items():
            self.source_counts[kind] += len(lines)
            topic, offset = self.assign_offsets(kind, len(lines))
            batch = codec.decode(kind, topic, 0, offset, [chunk[i] for i in lines])
            if len(batch):
                times[np.array(lines)[batch.offset - offset[0]]] = batch.numbers["ts"]
            batches.append(batch)
        accepted = times >= 0
        for i in np.flatnonzero(accepted).tolist():
            self.anomalies.observe_line(chunk[i])
        self.anomalies.observe_times(times[accepted])
        return batches
