"""The same record in JSON, Avro and Protobuf makes the same bytes by the same map."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.contract.events import TS_MAX
from monitor.sources.formats.numbers import decimal_text
from monitor.sources.settings import SourceSettings
from monitor.sources.translators import make_translator
from tests.sources.formats.protobuf.schemas import classes

AVRO = {
    "type": "record", "name": "Fill", "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "inst", "type": {"type": "record", "name": "Inst", "fields": [
            {"name": "sym", "type": "string"}]}},
        {"name": "side", "type": {"type": "enum", "name": "Side", "symbols": ["B", "S"]}},
        {"name": "px", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18,
                                "scale": 6}},
        {"name": "qty", "type": "double"},
        {"name": "fee", "type": ["null", "float"]},
        {"name": "acct", "type": ["null", "string"]},
        {"name": "seq", "type": "long"},
    ],
}  # fmt: skip
PROTO = """
syntax = "proto3";
import "google/protobuf/timestamp.proto";
import "confluent/type/decimal.proto";
message Fill {
  google.protobuf.Timestamp at = 1;
  message Inst { string sym = 1; }
  Inst inst = 2;
  enum Side { B = 0; S = 1; }
  Side side = 3;
  confluent.type.Decimal px = 4;
  double qty = 5;
  optional float fee = 6;
  optional string acct = 7;
  sint64 seq = 8;
}
"""
FIELDS: dict[str, Any] = {
    "ts": {"field": "at", "unit": "us"}, "symbol": "inst.sym", "price": "px",
    "side": {"field": "side", "words": {"b": "buy", "s": "sell"}},
    "quantity": {"field": "qty", "times": "0.001"}, "fee": "fee", "account": "acct", "seq": "seq",
}  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
FILLS = st.fixed_dictionaries({
    "at": st.integers(1, TS_MAX // 1_000 - 1),
    "sym": TEXT,
    "side": st.sampled_from("BS"),
    "px": st.integers(-(10**17), 10**17),
    "qty": st.floats(0, 1e15, allow_subnormal=False),
    "fee": st.none() | st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    "acct": st.none() | TEXT,
    "seq": st.integers(0, 2**63 - 1),
})  # fmt: skip
FILL = classes(PROTO)["Fill"]


def make_translators(folder: Path) -> dict[str, Any]:
    """A translator of each form, by the one map; the schemas are in `folder` while it is made."""
    (folder / "fill.avsc").write_text(json.dumps(AVRO))
    (folder / "fill.proto").write_text(PROTO)
    schemas: dict[str, dict[str, str]] = {
        "json": {},
        "avro": {"schema_file": str(folder / "fill.avsc")},
        "protobuf": {"schema_file": str(folder / "fill.proto"), "message": "Fill"},
    }
    return {
        form: make_translator(
            "s", SourceSettings(format=form, topic="t", kind="fill", fields=FIELDS, **extra)
        )
        for form, extra in schemas.items()
    }


@pytest.fixture(scope="module")
def translators(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_translators(tmp_path_factory.mktemp("schemas"))


def write_json(fill: dict[str, Any]) -> bytes:
    fee = fill["fee"]
    row = {
        **fill, "inst": {"sym": fill["sym"]}, "px": decimal_text(fill["px"], 6),
        "fee": None if fee is None else "%",
    }  # fmt: skip
    text = json.dumps(row)
    # The shortest text of a float of 32 bits, which Python's own writer does not give.
    return text.replace('"fee": "%"', "" if fee is None else f'"fee": {_shortest(fee)}').encode()


def _shortest(fee: float) -> str:
    digits = next(n for n in range(1, 10) if float_of_32(float(f"{fee:.{n}g}")) == fee)
    return f"{fee:.{digits}g}"


def float_of_32(value: float) -> float:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, "float", value)
    stream.seek(0)
    result = fastavro.schemaless_reader(stream, "float", None)
    assert isinstance(result, float)
    return result


def write_avro(fill: dict[str, Any]) -> bytes:
    units = fill["px"]
    plain = json.loads(json.dumps(AVRO))
    plain["fields"][0]["type"], plain["fields"][3]["type"] = "long", "bytes"
    row = {
        **fill, "inst": {"sym": fill["sym"]},
        "px": units.to_bytes(units.bit_length() // 8 + 1, signed=True),
    }  # fmt: skip
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(plain), row)
    return stream.getvalue()


def write_protobuf(fill: dict[str, Any]) -> bytes:
    units = fill["px"]
    price = {"value": units.to_bytes(units.bit_length() // 8 + 1, signed=True), "scale": 6}
    at = {"seconds": fill["at"] // 10**6, "nanos": fill["at"] % 10**6 * 1_000}
    names = ("side", "qty", "fee", "acct", "seq")
    rest = {name: fill[name] for name in names if fill[name] is not None}
    raw: bytes = FILL(at=at, inst={"sym": fill["sym"]}, px=price, **rest).SerializeToString()
    return raw


@given(fills=st.lists(FILLS, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_record_makes_the_same_canonical_bytes_in_every_form(
    translators: dict[str, Any], fills: list[dict[str, Any]]
) -> None:
    made = {}
    for form, write in (("json", write_json), ("avro", write_avro), ("protobuf", write_protobuf)):
        results = translators[form].translate([write(fill) for fill in fills])
        made[form] = [numbers_read(r.records, r.refused and r.refused.reason) for r in results]
    assert made["avro"] == made["json"]
    assert made["protobuf"] == made["json"]


def numbers_read(records: Any, refused: Any) -> Any:
    """Numbers exactly, however they are written (1e-05 is 0.00001); the rest to the letter."""
    records = [(kind, key, json.loads(raw, parse_float=Decimal)) for kind, key, raw in records]
    return records, refused
