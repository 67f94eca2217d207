"""What the contract makes of translated records, with the source's own bytes and places."""

from __future__ import annotations

import json

from monitor.core.event_time.clock_state import NEVER
from monitor.sources.acceptance import SourceBatch, judge
from monitor.sources.canonical import CanonicalTranslator
from monitor.sources.translation import Translation
from monitor.venues.parse import UnreadableError

TS = 1_764_000_000_000_000_000


def cancel(**changes: object) -> bytes:
    return json.dumps({"kind": "cancel", "ts": TS, "symbol": "X-PERP", **changes}).encode()


def batch_of(*raws: bytes) -> SourceBatch:
    return SourceBatch("oms", 3, range(40, 40 + len(raws)), raws, [7] * len(raws))


def test_each_record_is_accepted_skipped_or_refused_with_its_own_bytes() -> None:
    batch = batch_of(b"one", b"two", b"three", b"four")
    made = [
        Translation((("cancel", "X-PERP", cancel()),)),
        Translation(skipped="PING"),
        Translation(refused=UnreadableError("not_json", "at character 0")),
        Translation((("cancel", "X-PERP", cancel(ts=12)),)),
    ]
    first, second, third, fourth = judge(batch, made, lambda kind, field: f"{kind}'s {field}")
    assert (first.offset, first.ts, first.refused) == (40, TS, None)
    assert [(e.kind, e.key, e.raw) for e in first.events] == [("cancel", "X-PERP", cancel())]
    assert (second.skipped, second.ts, second.events) == ("PING", NEVER, [])
    assert third.refused is not None
    assert fourth.refused is not None
    assert (third.refused.reason, third.refused.raw) == ("not_json", b"three")
    place = fourth.refused.topic, fourth.refused.partition, fourth.refused.offset
    assert (place, fourth.refused.raw) == (("oms", 3, 43), b"four")
    assert fourth.refused.detail.endswith("(from cancel's ts)")


def test_of_a_record_that_makes_several_those_that_are_good_go_on() -> None:
    good, bad = ("cancel", "X-PERP", cancel(ts=TS + 1)), ("cancel", "X-PERP", cancel(ts="soon"))
    (record,) = judge(batch_of(b"group"), [Translation((bad, good))])
    assert record.ts == TS + 1
    assert len(record.events) == 1
    assert record.refused is not None
    assert record.refused.raw == b"group"


def test_canonical_records_keep_their_bytes_and_get_their_key() -> None:
    deposit = {"kind": "collateral", "ts": TS, "account": "a-1", "amount": "5", "cause": "deposit"}
    raws = [cancel(), json.dumps(deposit).encode(), b"{half", b'{"kind":"weather"}']
    records = judge(batch_of(*raws), CanonicalTranslator(None).translate(raws))
    assert [(e.key, e.raw) for r in records for e in r.events] == [
        ("X-PERP", raws[0]),
        ("a-1", raws[1]),
    ]
    assert [r.refused.reason for r in records if r.refused] == ["not_json", "unknown_kind"]


def test_a_canonical_source_of_one_kind_refuses_others() -> None:
    records = judge(batch_of(cancel()), CanonicalTranslator("order").translate([cancel()]))
    assert [r.refused.reason for r in records if r.refused] == ["wrong_kind"]
