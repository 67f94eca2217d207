"""The base of all adapters: offsets, refusals with the venue's own bytes, options."""

from __future__ import annotations

import pytest

from monitor.venues.adapter import OptionError
from monitor.venues.bitstamp import Bitstamp
from tests.venues.feeds import T, created, read_lines, refused_from


def test_an_unreadable_line_takes_an_offset_of_its_kind_and_keeps_its_bytes() -> None:
    truncated, strange = f'{T} order_created {{"price":"5","am', "\ufeff?"
    batches = read_lines(Bitstamp(), created(T), truncated, created(T + 1), strange)
    orders, unknown = batches
    assert orders.offset.tolist() == [0, 2]
    assert [(r.topic, r.offset, r.reason, r.raw) for r in orders.refused] == [
        ("orders", 1, "not_json", truncated.encode())
    ]
    assert [(r.topic, r.offset, r.reason) for r in unknown.refused] == [
        ("unknown", 0, "wrong_type")
    ]


def test_a_record_that_the_contract_refuses_keeps_the_venues_own_bytes() -> None:
    line = created(T, amount="-1")
    (refused,) = refused_from(Bitstamp(), line)
    assert (refused.reason, refused.raw) == ("out_of_range", line.encode())


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
def test_no_content_of_a_line_makes_an_adapter_raise(line: bytes, reason: str) -> None:
    assert [r.reason for r in refused_from(Bitstamp(), line)] == [reason]


def test_offsets_continue_from_chunk_to_chunk() -> None:
    venue = Bitstamp()
    first, second = read_lines(venue, created(T), created(T + 1)), read_lines(venue, created(T + 2))
    assert [b.offset.tolist() for b in (*first, *second)] == [[0, 1], [2]]


def test_an_unknown_option_is_refused_with_the_names_of_the_options() -> None:
    assert Bitstamp({"symbol": "X"}).options == {"symbol": "X"}
    with pytest.raises(OptionError, match=r"no option 'date'; it has: symbol: the market"):
        Bitstamp({"date": "2012-06-21"})
