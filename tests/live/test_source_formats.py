"""Orders and cancels in JSON, Avro and Protobuf on a bus: the output of `import map` and replay."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from pathlib import Path
from typing import Any

import fastavro
from aiokafka import AIOKafkaProducer

from monitor.core.decode.codec import encode
from replay.day import Day
from replay.field_map.importer import import_map
from replay.run import replay
from tests.live.bus import with_bus
from tests.live.helpers import (
    configuration,
    run_sidecar,
    simulated_day,
    wait_for_digest,
)
from tests.sources.formats.protobuf.schemas import classes
from tests.theorems.days import FACTORIES

NAMES = {"id": "order_id", "acct": "account", "px": "price", "qty": "quantity"}
AVRO = {
    "type": "record", "name": "Event", "fields": [
        {"name": "type", "type": {"type": "enum", "name": "Type", "symbols": ["NEW", "CXL"]}},
        {"name": "at", "type": "long"},
        {"name": "inst", "type": {"type": "record", "name": "Inst", "fields": [
            {"name": "sym", "type": "string"}]}},
        {"name": "side", "type": {"type": "enum", "name": "Side", "symbols": ["B", "S"]}},
        *({"name": name, "type": ["null", "string"]} for name in NAMES),
    ],
}  # fmt: skip
PROTO = """
syntax = "proto3";
message Event {
  enum Type { NEW = 0; CXL = 1; }
  Type type = 1;
  int64 at = 2;
  message Inst { string sym = 1; }
  Inst inst = 3;
  enum Side { B = 0; S = 1; }
  Side side = 4;
  optional string id = 5;
  optional string acct = 6;
  optional string px = 7;
  optional string qty = 8;
}
"""
BURST = 200
"""Cancels within a fifth of a millisecond."""
SCHEMA_ID = 7
FRAME = b"\0" + SCHEMA_ID.to_bytes(4, "big")
"""Confluent's."""
SOURCE: dict[str, Any] = {
    "kind": {"field": "type", "words": {"NEW": "order", "CXL": "cancel"}},
    "fields": {
        "ts": {"field": "at", "unit": "ns"},
        "symbol": "inst.sym",
        "side": {"field": "side", "words": {"b": "buy", "s": "sell"}},
        **{field: name for name, field in NAMES.items()},
    },
    "by_kind": {"order": {"action": {"value": "new"}}},
}


def venue_rows() -> list[dict[str, Any]]:
    """Orders and cancels of a simulated day in the venue's words, by time, with a burst."""
    rows = []
    for batch in simulated_day().batches():
        if batch.kind not in ("order", "cancel") or not len(batch):
            continue
        for raw in encode(batch):
            record = json.loads(raw)
            row = {"type": {"order": "NEW", "cancel": "CXL"}[batch.kind], "at": record["ts"]}
            row |= {"inst": {"sym": record["symbol"]}, "side": record["side"][0].upper()}
            rows.append(row | {name: record.get(field) for name, field in NAMES.items()})
    rows.sort(key=lambda row: row["at"])
    first = next(row for row in rows[len(rows) // 2 :] if row["type"] == "CXL")
    burst = [{**first, "id": f"burst-{n}", "at": first["at"] + n * 1_000} for n in range(BURST)]
    return sorted(rows + burst, key=lambda row: row["at"])


def written(form: str, rows: list[dict[str, Any]]) -> list[bytes]:
    if form == "json":
        return [json.dumps(row).encode() for row in rows]
    if form == "avro":
        schema = fastavro.parse_schema(AVRO)
        streams = [io.BytesIO() for _ in rows]
        for stream, row in zip(streams, rows, strict=True):
            fastavro.schemaless_writer(stream, schema, row)
        return [FRAME + stream.getvalue() for stream in streams]
    event = classes(PROTO)["Event"]
    given = ({name: v for name, v in row.items() if v is not None} for row in rows)
    return [FRAME + b"\0" + event(**row).SerializeToString() for row in given]


def source_of(form: str, folder: Path) -> dict[str, Any]:
    if form == "json":
        return SOURCE
    text = json.dumps(AVRO) if form == "avro" else PROTO
    file = folder / ("event.avsc" if form == "avro" else "event.proto")
    file.write_text(text)
    return {**SOURCE, "format": form, "schema_file": {str(SCHEMA_ID): str(file)}}


def test_live_it_is_what_import_and_replay_make_of_the_same_lines(
    kafka: str, tmp_path: Path
) -> None:
    rows = venue_rows()
    base = configuration(kafka, silence_s=0.3)
    (tmp_path / "orders.jsonl").write_bytes(b"\n".join(written("json", rows)) + b"\n")
    sources = with_bus(base, "x", orders={**SOURCE, "files": ["*.jsonl"]}).source
    import_map(sources, [], tmp_path / "day", tmp_path)

    async def watch(form: str) -> None:
        own = uuid.uuid4().hex[:8]
        config = with_bus(
            configuration(kafka, silence_s=0.3), own, orders=source_of(form, tmp_path)
        )
        summary = replay(Day(tmp_path / "day"), config.engine(), FACTORIES)
        assert summary.alerts
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        await producer.start()
        for raw in written(form, rows):
            await producer.send(f"{own}.orders", raw)
        await producer.flush()
        await producer.stop()
        async with run_sidecar(config) as sidecar:
            await wait_for_digest(sidecar, summary.digest)

    async def watch_all() -> None:
        await asyncio.gather(*map(watch, ("json", "avro", "protobuf")))

    asyncio.run(watch_all())
