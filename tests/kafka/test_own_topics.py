"""Our own topics are input like any other: whatever lies in them is a value or a typed refusal."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.shard import Shard
from monitor.core.shard_report import ShardReport
from monitor.core.snapshot import SnapshotError, pack, unpack
from monitor.kafka import shard_report_topic
from monitor.kafka.chunking import DamagedError, Reassembler, split
from monitor.kafka.dead_letters import _origin, _read_headers
from monitor.kafka.messages import parse_controls
from monitor.kafka.snapshots import StoredSnapshot, messages
from monitor.live.owner_session import _read_metadata
from tests.theorems.days import FACTORIES, SETTINGS

FINGERPRINT = SETTINGS.fingerprint()
NAMES = st.sampled_from(["brinkwatch-word", "brinkwatch-chunk", "brinkwatch_topic",
                         "brinkwatch_partition", "x"])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
HEADER = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ["settings", "partition", "closed_ns", "latest_ns", "until", "high",
         "digest", "count", "index", "size"],
        JSON,
    ),
)  # fmt: skip
RAW = st.none() | st.binary(max_size=200) | HEADER.map(msgspec.json.encode)


@dataclass
class Record:
    """As a consumer hands it out."""

    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, Any]] = field(default_factory=list)
    topic: str = "t"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0


RECORDS = st.builds(
    Record,
    st.none() | st.sampled_from([b"word/0/0", b"", b"a"]) | st.binary(max_size=9),
    st.none() | st.binary(max_size=200),
    st.lists(st.tuples(NAMES, RAW), max_size=4),
)


def reports() -> list[Record]:
    """The records of one report."""
    report = Shard(0, 1, SETTINGS, FACTORIES).drain_report()
    chunks = shard_report_topic.messages(report, FINGERPRINT, 10**9)
    return [Record(m.key, m.value, list(m.headers)) for m in chunks]


@given(RECORDS)
@settings(max_examples=500, deadline=None)
def test_any_record_is_a_value_or_refused_in_words(record: Record) -> None:
    header = shard_report_topic.read_header(record, FINGERPRINT, 1)
    assert header is None or header.partition == 0
    with suppress(DamagedError):
        Reassembler().add_chunk(record)
    parse_controls([record])
    assert isinstance(_read_headers(record), dict)
    assert _origin(record, {"fills": 2}) in (None, ("fills", 0), ("fills", 1))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_record_among_the_chunks_of_a_value_disturbs_it_never(data: st.DataObject) -> None:
    values = [b"one value", b"x" * 5000]
    chunks = [Record(m.key, m.value, m.headers) for v in values for m in split("word/0", v)]
    strangers = data.draw(st.lists(RECORDS, max_size=4))
    for stranger in strangers:
        chunks.insert(data.draw(st.integers(0, len(chunks))), stranger)
    reassembler, whole = Reassembler(), []
    for chunk in chunks:
        try:
            whole.append(reassembler.add_chunk(chunk))
        except DamagedError:
            assert chunk in strangers
    assert [value for value in whole if value in values] == values


@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans())
@settings(max_examples=500, deadline=None)
def test_a_changed_byte_of_a_report_is_refused_or_the_report(at: int, byte: int, cut: bool) -> None:
    (record,) = reports()
    assert record.value is not None
    at %= len(record.value)
    raw = record.value[:at] + (b"" if cut else bytes([byte]) + record.value[at + 1 :])
    try:
        value = Reassembler().add_chunk(Record(record.key, raw, record.headers))
    except DamagedError:
        return
    assert raw == record.value
    assert value is not None
    ShardReport.unpack(value, FINGERPRINT)


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
@settings(max_examples=500, deadline=None)
def test_bytes_that_are_no_state_are_refused_in_words(at: int, change: bytes) -> None:
    """Even where somebody has given them the right digest."""
    report = Shard(0, 1, SETTINGS, FACTORIES).drain_report()
    raw = report.pack(FINGERPRINT, 10**9)
    at %= len(raw)
    for bad in (change, raw[:at] + change + raw[at + len(change) :]):
        with suppress(SnapshotError):
            assert isinstance(ShardReport.unpack(bad, FINGERPRINT), ShardReport)
        with suppress(msgspec.DecodeError):
            msgspec.msgpack.decode(bad, type=StoredSnapshot)


@pytest.mark.parametrize("state", [None, 7, [1], "x"])
def test_a_snapshot_without_a_state_is_refused(state: Any) -> None:
    with pytest.raises(SnapshotError):
        unpack(pack(state, FINGERPRINT), FINGERPRINT)


def test_a_value_that_claims_to_be_small_is_not_decompressed_further() -> None:
    (chunk,) = messages("a", b"0" * 10_000_000, {}, {})
    name, raw = chunk.headers[0]
    header = msgspec.json.decode(raw)
    small = msgspec.json.encode({**header, "size": 100})
    with pytest.raises(DamagedError, match="cannot be decompressed"):
        Reassembler().add_chunk(Record(chunk.key, chunk.value, [(name, small)]))
    large = msgspec.json.encode({**header, "size": 1 << 40})
    with pytest.raises(DamagedError, match="no chunk"):
        Reassembler().add_chunk(Record(chunk.key, chunk.value, [(name, large)]))


@pytest.mark.parametrize("text", [None, "", "[]", "nonsense", '{"alerts": "x"}', "[" * 10_000])
def test_metadata_that_somebody_else_has_set_are_none(text: str | None) -> None:
    from aiokafka.structs import OffsetAndMetadata

    assert _read_metadata(OffsetAndMetadata(5, text)) is None
