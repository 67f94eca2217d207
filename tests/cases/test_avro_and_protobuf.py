"""A venue's orders and fills in Avro or Protobuf files make the same day as in JSON and as
canonical records; an evolved schema goes on, and what it broke is refused in words.

Source: what platform teams export from their buses (Kafka Connect's Avro files, Java's delimited
Protobuf) and what they report of schemas that change under a reader. Read 2026-11.
"""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest
from google.protobuf.proto import serialize_length_prefixed

from replay.day.reader import Day
from tests.cases.front_door import START_NS, brinkwatch, replay_day
from tests.sources.formats.protobuf.schemas import message_class

MAP = """
[source.executions]
files = [{files}]
format = "{form}"
{schema}
kind = {{ field = "what", words = {{ PLACED = "order", TRADED = "fill" }} }}
[source.executions.fields]
ts = {{ field = "at", unit = "us" }}
symbol = "contract.name"
account = {{ fields = ["who.member", "who.sub"], join = "/" }}
side = {{ field = "side", words = {{ BID = "buy", OFFER = "sell" }} }}
price = "px"
quantity = {{ field = "lots", times = "0.001" }}
[source.executions.by_kind.order]
order_id = "id"
action = {{ value = "new" }}
[source.executions.by_kind.fill]
trade_id = "id"
"""
AVRO: dict[str, Any] = {
    "type": "record", "name": "Execution", "namespace": "oms", "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "what", "type": {"type": "enum", "name": "What",
                                  "symbols": ["PLACED", "TRADED", "EXPIRED"]}},
        {"name": "id", "type": "string"},
        {"name": "contract", "type": {"type": "record", "name": "Contract", "fields": [
            {"name": "name", "type": "string"}]}},
        {"name": "who", "type": ["null", {"type": "record", "name": "Who", "fields": [
            {"name": "member", "type": "string"}, {"name": "sub", "type": "int"}]}]},
        {"name": "side", "type": {"type": "enum", "name": "Side", "symbols": ["BID", "OFFER"]}},
        {"name": "px", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18,
                                "scale": 2}},
        {"name": "lots", "type": "long"},
    ],
}  # fmt: skip
PROTO = """
syntax = "proto3";
package oms;
import "google/protobuf/timestamp.proto";
message Execution {
  google.protobuf.Timestamp at = 1;
  enum What { NOTHING = 0; PLACED = 1; TRADED = 2; EXPIRED = 3; }
  What what = 2;
  string id = 3;
  message Contract { string name = 1; }
  Contract contract = 4;
  message Who { string member = 1; int32 sub = 2; }
  Who who = 5;
  enum Side { NEITHER = 0; BID = 1; OFFER = 2; }
  Side side = 6;
  string px = 7;
  int64 lots = 8;
}
"""


def make_rows(count: int) -> list[dict[str, Any]]:
    chance = random.Random(7)
    at, rows = START_NS // 1_000, []
    for number in range(count):
        at += chance.randrange(1, 400_000)
        rows.append({
            "at": at, "what": chance.choice(["PLACED", "TRADED", "EXPIRED"]), "id": f"x{number}",
            "contract": {"name": chance.choice(["BTC-PERP", "ETH-PERP"])},
            "who": {"member": "m", "sub": chance.randrange(4)},
            "side": chance.choice(["BID", "OFFER"]),
            "px": str(Decimal(chance.randrange(9_000, 11_000)).scaleb(-2)),
            "lots": chance.randrange(1, 5_000),
        })  # fmt: skip
    return rows


def canonical(row: dict[str, Any]) -> dict[str, Any] | None:
    """The record that the contract would have written, None for what the map leaves out."""
    if row["what"] == "EXPIRED":
        return None
    record = {
        "ts": row["at"] * 1_000, "symbol": row["contract"]["name"],
        "account": f"{row['who']['member']}/{row['who']['sub']}",
        "side": "buy" if row["side"] == "BID" else "sell", "price": row["px"],
        "quantity": str(Decimal(row["lots"]).scaleb(-3)),
    }  # fmt: skip
    if row["what"] == "PLACED":
        return {"kind": "order", "order_id": row["id"], "action": "new", **record}
    return {"kind": "fill", "trade_id": row["id"], **record}


def write_avro(path: Path, rows: list[dict[str, Any]], schema: Any = AVRO) -> None:
    with path.open("wb") as stream:
        written = [{**row, "px": Decimal(row["px"])} if "px" in row else row for row in rows]
        fastavro.writer(stream, fastavro.parse_schema(schema), written, codec="deflate")


def write_protobuf(path: Path, rows: list[dict[str, Any]]) -> None:
    execution = message_class(PROTO, "oms.Execution")
    with path.open("wb") as stream:
        for row in rows:
            at = {"seconds": row["at"] // 10**6, "nanos": row["at"] % 10**6 * 1_000}
            serialize_length_prefixed(execution(**{**row, "at": at}), stream)


def write_map(folder: Path, form: str, *files: str, schema: str = "") -> Path:
    names = ", ".join(f'"{file}"' for file in files)
    path = folder / f"{form}.toml"
    path.write_text(MAP.format(files=names, form=form, schema=schema))
    return path


def import_by(map_file: Path, day: Path) -> Any:
    return brinkwatch("import", "map", day, "--map", map_file, "--json")


def test_avro_protobuf_json_and_canonical_records_make_one_digest(tmp_path: Path) -> None:
    rows = make_rows(600)
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_avro(tmp_path / "x.avro", rows)
    write_protobuf(tmp_path / "x.binpb", rows)
    (tmp_path / "oms.proto").write_text(PROTO)
    schema = 'schema_file = "oms.proto"\nmessage = "Execution"'
    maps = {
        "json": write_map(tmp_path, "json", "x.jsonl"),
        "avro": write_map(tmp_path, "avro", "x.avro"),
        "protobuf": write_map(tmp_path, "protobuf", "x.binpb", schema=schema),
    }
    digests = {}
    for form, map_file in maps.items():
        done = import_by(map_file, tmp_path / form)
        assert done.returncode == 0, done.stderr
        digests[form] = replay_day(tmp_path / form).report["digest"]
    lines = [json.dumps(record) + "\n" for row in rows if (record := canonical(row))]
    (tmp_path / "canonical.jsonl").write_text("".join(lines))
    done = brinkwatch("import", "canonical", tmp_path / "canonical.jsonl", tmp_path / "canonical")
    assert done.returncode == 0, done.stderr
    digests["canonical"] = replay_day(tmp_path / "canonical").report["digest"]
    assert len(set(digests.values())) == 1, digests
    assert len(lines) > 300


def test_a_field_that_is_added_goes_on_and_one_that_is_gone_is_refused_by_name(
    tmp_path: Path,
) -> None:
    rows = make_rows(90)
    added, broken, other = (json.loads(json.dumps(AVRO)) for _ in range(3))
    added["fields"].append({"name": "venue", "type": "string", "default": "X"})
    del broken["fields"][6]  # px, which a fill must have and an order need not
    other["fields"][7]["type"] = {"type": "array", "items": "long"}
    write_avro(tmp_path / "1.avro", rows[:30])
    write_avro(tmp_path / "2.avro", [{**row, "venue": "Y"} for row in rows[30:60]], added)
    write_avro(tmp_path / "3.avro", rows[60:75], broken)
    write_avro(tmp_path / "4.avro", [{**row, "lots": [1]} for row in rows[75:]], other)
    done = import_by(write_map(tmp_path, "avro", "*.avro"), tmp_path / "day")
    assert done.returncode == 0, done.stderr
    kinds = [row["what"] for row in rows]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["records"]["fill"] == kinds[:60].count("TRADED")
    assert report["records"]["order"] == kinds[:75].count("PLACED")
    assert report["refused"] == {
        "missing_field": kinds[60:75].count("TRADED"),
        "wrong_type": 15 - kinds[75:].count("EXPIRED"),
    }
    words = {r.detail.partition(", record")[0] for r in Day(tmp_path / "day").refused_records()}
    assert words == {
        "price: 'px' is absent; 3.avro",
        "quantity: 'lots' is [1], no single value; 4.avro",
    }


def test_what_is_refused_keeps_the_bytes_that_it_had_in_the_file(tmp_path: Path) -> None:
    rows = make_rows(40)
    (tmp_path / "oms.proto").write_text(PROTO)
    write_protobuf(tmp_path / "x.binpb", rows)
    noise = b"\x0a\xff\xff"
    with (tmp_path / "x.binpb").open("ab") as stream:
        stream.write(bytes([len(noise)]) + noise)
    schema = 'schema_file = "oms.proto"\nmessage = "Execution"'
    map_file = write_map(tmp_path, "protobuf", "x.binpb", schema=schema)
    done = import_by(map_file, tmp_path / "day")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["refused"] == {"not_of_schema": 1}
    [refused] = Day(tmp_path / "day").refused_records()
    assert (refused.raw, refused.reason) == (noise, "not_of_schema")


@pytest.mark.parametrize(
    ("form", "file", "schema", "says"),
    [
        ("avro", "x.jsonl", "", "x.jsonl is no Avro file"),
        ("protobuf", "x.jsonl", "", "set [schema_registry] url, or schema_file"),
        ("protobuf", "x.jsonl", 'schema_file = "none.proto"', "none.proto cannot be read"),
        ("protobuf", "x.jsonl", 'schema_file = "oms.proto"\nmessage = "Executon"',
         "did you mean Execution?"),
        ("protobuf", "x.jsonl", 'schema_file = "oms.proto"\nmessage = "Execution"',
         "or is no file of Protobuf messages"),
    ],
)  # fmt: skip
def test_a_wrong_file_or_schema_ends_in_one_sentence(
    tmp_path: Path, form: str, file: str, schema: str, says: str
) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps(make_rows(1)[0]) + "\n")
    (tmp_path / "oms.proto").write_text(PROTO)
    done = import_by(write_map(tmp_path, form, file, schema=schema), tmp_path / "day")
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "day").exists()
