"""The contract's own JSON lines, imported as they are."""

from __future__ import annotations

from monitor.venues.canonical import Canonical
from tests.venues.feeds import NS, read_lines


def test_each_line_takes_the_next_offset_of_its_kind() -> None:
    order = '{"kind":"order","ts":%d,"symbol":"X","side":"buy","quantity":"1","action":"new"}'
    cancel = '{"kind":"cancel","ts":%d,"symbol":"X"}'
    bad = '{"kind":"order","ts":5,"symbol":"X"}'
    venue = Canonical()
    lines = [
        order % (NS),
        cancel % (NS - 1),
        bad,
        "{",
        order % (NS + 1),
    ]
    batches = {b.kind: b for b in read_lines(venue, *lines)}
    assert batches["order"].offset.tolist() == [0, 2]
    assert [(r.offset, r.reason) for r in batches["order"].refused] == [(1, "out_of_range")]
    assert batches["cancel"].offset.tolist() == [0]
    assert [(r.topic, r.offset) for r in batches["unknown"].refused] == [("unknown", 0)]
    assert venue.source_counts == {"order": 3, "cancel": 1, "unknown": 1}
    assert venue.anomalies.facts()["jumps_back"] == 0  # each kind is a log of its own
