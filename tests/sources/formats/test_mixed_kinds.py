"""Several kinds in one topic: by the name of the record's type, or by the branch that is there."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro

from monitor.sources.settings import SourceSettings
from monitor.sources.translators import make_translator
from tests.sources.formats.protobuf.schemas import message_class

PROTO = """
syntax = "proto3";
package oms;
message Event {
  int64 at = 1;
  oneof body { Placed placed = 2; Trade trade = 3; string note = 4; }
}
message Placed { string sym = 1; string px = 2; string qty = 3; Side side = 4; }
message Trade { string sym = 1; string px = 2; string qty = 3; Side side = 4; }
enum Side { SIDE_UNKNOWN = 0; BUY = 1; SELL = 2; }
"""
FIELDS = [{"name": name, "type": "string"} for name in ("sym", "px", "qty", "side")]
PLACED = {"type": "record", "name": "oms.Placed", "fields": FIELDS}
TRADE = {"type": "record", "name": "oms.Trade", "fields": FIELDS}
AVRO = {
    "type": "record", "name": "oms.Event", "fields": [
        {"name": "at", "type": "long"}, {"name": "body", "type": ["null", PLACED, TRADE]},
    ],
}  # fmt: skip
BODY = {"sym": "B", "px": "9", "qty": "1", "side": "BUY"}
OUT = [("order", "B"), ("fill", "B"), ("skipped", "note")]


def rules(at: str) -> dict[str, Any]:
    names = {"symbol": "sym", "price": "px", "quantity": "qty", "side": "side"}
    return {field: f"{at}{name}" for field, name in names.items()}


def outcomes(settings: dict[str, Any], raws: list[bytes]) -> list[tuple[str, str]]:
    results = make_translator("s", SourceSettings(topic="t", **settings)).translate(raws)
    assert not any(result.refused for result in results), results
    return [
        (r.records[0][0], r.records[0][1]) if r.records else ("skipped", str(r.skipped))
        for r in results
    ]


def test_a_oneof_of_protobuf_tells_kinds_apart(tmp_path: Path) -> None:
    (tmp_path / "e.proto").write_text(PROTO)
    event = message_class(PROTO, "oms.Event")
    raws = [
        event(at=1, **body).SerializeToString()
        for body in ({"placed": BODY}, {"trade": BODY}, {"note": "closed"})
    ]
    settings = {
        "format": "protobuf", "schema_file": str(tmp_path / "e.proto"), "message": "Event",
        "kind": {"field": "body", "words": {"placed": "order", "trade": "fill"}},
        "fields": {"ts": "at"},
        "by_kind": {
            "order": {**rules("placed."), "action": {"value": "new"}}, "fill": rules("trade."),
        },
    }  # fmt: skip
    assert outcomes(settings, raws) == OUT


def test_a_union_of_avro_tells_kinds_apart(tmp_path: Path) -> None:
    (tmp_path / "e.avsc").write_text(json.dumps(AVRO))
    raws = []
    for body in (("oms.Placed", BODY), ("oms.Trade", BODY)):
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, fastavro.parse_schema(AVRO), {"at": 1, "body": body})
        raws.append(stream.getvalue())
    settings = {
        "format": "avro", "schema_file": str(tmp_path / "e.avsc"),
        "kind": {"field": "body.@type", "words": {"oms.Placed": "order", "oms.Trade": "fill"}},
        "fields": {"ts": "at", **rules("body.")},
        "by_kind": {"order": {"action": {"value": "new"}}},
    }  # fmt: skip
    assert outcomes(settings, raws) == OUT[:2]


def test_schemas_of_one_topic_tell_kinds_apart(tmp_path: Path) -> None:
    (tmp_path / "e.proto").write_text(
        PROTO.replace("string sym = 1;", "string sym = 1; int64 at = 9;")
    )
    placed, trade, event = (
        message_class((tmp_path / "e.proto").read_text(), f"oms.{name}")
        for name in ("Placed", "Trade", "Event")
    )
    raws = [
        b"\x00\x00\x00\x00\x05" + place + message.SerializeToString()
        for place, message in (
            (b"\x02\x02", placed(at=1, **BODY)), (b"\x02\x04", trade(at=1, **BODY)),
            (b"\x00", event(note="note")),
        )
    ]  # fmt: skip
    settings = {
        "format": "protobuf", "schema_file": {"5": str(tmp_path / "e.proto")},
        "kind": {"field": "@type", "words": {"oms.Placed": "order", "oms.trade": "fill"}},
        "fields": {"ts": "at", **rules("")},
        "by_kind": {"order": {"action": {"value": "new"}}},
    }  # fmt: skip
    assert outcomes(settings, raws) == [*OUT[:2], ("skipped", "oms.Event")]
