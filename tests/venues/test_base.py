"""What all adapters share: offsets, refusals with the venue's own bytes, oddities of time."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.venues.base import MS, FeedAnomalies, OptionError, UnreadableError, epoch_ns
from monitor.venues.bitstamp import Bitstamp
from monitor.venues.canonical import Canonical
from tests.venues.feeds import read_lines, records_from, refused_from

T = 1_700_000_000_000


def created(ms: int, amount: str = "2") -> str:
    return (
        f'{ms} order_created {{"price":"5","amount":"{amount}","datetime":"0",'
        '"id":1,"order_type":0}'
    )


def test_the_unit_of_a_time_is_told_by_its_digits() -> None:
    assert epoch_ns("1680652700") == 1_680_652_700 * 1_000_000_000
    assert epoch_ns("1680652700423") == 1_680_652_700_423 * MS
    assert epoch_ns("1680652700423575") == 1_680_652_700_423_575_000
    assert epoch_ns("1680652700423575123") == 1_680_652_700_423_575_123
    for wrong in ("", "12", "168065270042357x", "١٦٨٠٦٥٢٧٠٠"):
        with pytest.raises(UnreadableError):
            epoch_ns(wrong)


def test_a_line_that_cannot_be_read_takes_an_offset_of_its_kind_and_keeps_its_bytes() -> None:
    broken, strange = f'{T} order_created {{"price":"5","am', "\ufeff?"
    batches = read_lines(Bitstamp(), created(T), broken, created(T + 1), strange)
    orders, unknown = batches
    assert orders.offset.tolist() == [0, 2]
    assert [(r.topic, r.offset, r.reason, r.raw) for r in orders.refused] == [
        ("orders", 1, "not_json", broken.encode())
    ]
    assert [(r.topic, r.offset, r.reason) for r in unknown.refused] == [
        ("unknown", 0, "wrong_type")
    ]


def test_a_record_that_the_contract_refuses_keeps_the_venues_own_bytes() -> None:
    line = created(T, amount="-1")
    (found,) = refused_from(Bitstamp(), line)
    assert (found.reason, found.raw) == ("out_of_range", line.encode())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xfe 1 2", "not_utf8"),
        (f"{T} order_created []".encode(), "not_object"),
        (f"{T} order_created {'[' * 100_000}".encode(), "not_json"),
        (f'{T} order_created {{"price": NaN}}'.encode(), "not_json"),
        (f"{T} order_created {{}}".encode(), "missing_field"),
        (f'{T} order_created {{"id":1,"order_type":"0","amount":"1"}}'.encode(), "wrong_type"),
        (created(T, amount="9" * 60).encode(), "out_of_range"),
        (created(T, amount="\\ud800").encode(), "wrong_type"),
    ],
)
def test_nothing_that_a_line_holds_makes_an_adapter_fail(line: bytes, reason: str) -> None:
    assert [r.reason for r in refused_from(Bitstamp(), line)] == [reason]


def test_offsets_run_on_from_chunk_to_chunk() -> None:
    venue = Bitstamp()
    first, second = read_lines(venue, created(T), created(T + 1)), read_lines(venue, created(T + 2))
    assert [b.offset.tolist() for b in (*first, *second)] == [[0, 1], [2]]


def test_repeats_jumps_back_and_breaks_are_counted_and_kept() -> None:
    venue = Bitstamp()
    lines = [created(T), created(T), created(T - 7), created(T + 60_001)]
    assert len(records_from(venue, *lines)) == 4
    facts = venue.anomalies.facts()
    assert facts["repeated_lines"] == 1
    assert (facts["jumps_back"], facts["jump_back_ns_max"]) == (1, 7 * MS)
    assert facts["longest_breaks_listed"] == [{"from": T * MS, "to": (T + 60_001) * MS}]


def test_oddities_do_not_hang_on_the_chunks() -> None:
    ts = np.array([5, 3, 9, 8, 200, 1], np.int64) * 1_000_000_000
    whole, parts = FeedAnomalies(), FeedAnomalies()
    whole.observe_times(ts)
    for i in range(len(ts)):
        parts.observe_times(ts[i : i + 1])
    assert whole == parts
    assert (whole.back_count, whole.back_ns_max) == (3, 199_000_000_000)
    assert whole.break_count == 1


def test_an_option_that_a_venue_has_not_is_refused_with_those_it_has() -> None:
    assert Bitstamp({"symbol": "X"}).options == {"symbol": "X"}
    with pytest.raises(OptionError, match=r"no option 'date'; it has: symbol: the market"):
        Bitstamp({"date": "2012-06-21"})


def test_canonical_lines_take_the_offset_of_their_kinds_topic() -> None:
    order = '{"kind":"order","ts":%d,"symbol":"X","side":"buy","quantity":"1","action":"new"}'
    cancel = '{"kind":"cancel","ts":%d,"symbol":"X"}'
    bad = '{"kind":"order","ts":5,"symbol":"X"}'
    venue = Canonical()
    lines = [order % (T * MS), cancel % (T * MS - 1), bad, "{", order % (T * MS + 1)]
    batches = {b.kind: b for b in read_lines(venue, *lines)}
    assert batches["order"].offset.tolist() == [0, 2]
    assert [(r.offset, r.reason) for r in batches["order"].refused] == [(1, "out_of_range")]
    assert batches["cancel"].offset.tolist() == [0]
    assert [(r.topic, r.offset) for r in batches["unknown"].refused] == [("unknown", 0)]
    assert venue.source_counts == {"order": 3, "cancel": 1, "unknown": 1}
    assert venue.anomalies.back_count == 1
