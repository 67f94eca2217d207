"""JSON records: every number as it was written, and refusals as the contract has them."""

from __future__ import annotations

import json

import pytest

from monitor.core.decode.validate import validate_record
from monitor.sources.formats.json_lines import JsonLines
from monitor.sources.settings import SourceSettings
from monitor.venues.parse import UnreadableError

FORMAT = JsonLines(SourceSettings())


def test_numbers_keep_their_text_or_are_exact_integers() -> None:
    raw = b'{"a": 1.50, "b": [0.1e-7, 12345678901234567890123], "c": {"d": -0.0}, "e": null}'
    row = {"a": "1.50", "b": ["0.1e-7", 12345678901234567890123], "c": {"d": "-0.0"}, "e": None}
    assert FORMAT.read([raw]) == [row]


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"  ", b"x", b"{", b'{"a": NaN}', b"[1]", b"7", b'{"a": 1, "a": 2}', b"\xff",
        b'{"a": {"b": 1, "b": 2}}', b'{"a": "\xff"}', b"[" * 100_000, b'{"a":' * 5_000,
        b'{"a":"' + b"x" * (1 << 20) + b'"}', b'{"a": 1} x', b'{"a": ' + b"9" * 5_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_for_the_contracts_reason(raw: bytes) -> None:
    (row,) = FORMAT.read([raw])
    judged = validate_record(raw, "order")
    assert isinstance(judged, tuple)
    if judged[0] == "missing_field":  # the contract keeps integers of any length as text
        assert isinstance(row, UnreadableError) == (len(raw) > 4_000)
    else:
        assert isinstance(row, UnreadableError)
        assert row.reason == judged[0]


def test_a_text_that_looks_like_keys_is_no_duplicate() -> None:
    row = {"a": '{"b":1,"b":2}', "c": {"a": '":'}}
    assert FORMAT.read([json.dumps(row).encode()]) == [row]


def test_json_with_confluents_frame_is_read_without_its_schema() -> None:
    assert FORMAT.read([b'\x00\x00\x00\x00\x07{"px": 0.1}']) == [{"px": "0.1"}]
