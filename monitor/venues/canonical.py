"""The contract's own form: JSON lines, kinds mixed; every line is a record of its kind's topic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.core.decode import codec
from monitor.core.decode.batch import Batch
from monitor.venues.base import VenueAdapter


class Canonical(VenueAdapter):
    """Lines of the contract, judged as they are."""

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
            made = codec.decode(kind, topic, 0, offset, [chunk[i] for i in lines])
            if len(made):
                times[np.array(lines)[made.offset - offset[0]]] = made.numbers["ts"]
            batches.append(made)
        accepted = times >= 0
        for i in np.flatnonzero(accepted).tolist():
            self.anomalies.observe_line(chunk[i])
        self.anomalies.observe_times(times[accepted])
        return batches
