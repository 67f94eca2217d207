"""What a field map costs: µs of CPU a record to read and translate, beside decoding canonical JSON.

The same orders in each format, as many as an import translates at once.
"""

from __future__ import annotations

import io
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.core.decode.codec import decode
from monitor.sources.field_map.translator import FieldMapTranslator
from monitor.sources.formats.base import make_format
from monitor.sources.formats.csv_lines import CsvLines
from monitor.sources.formats.parquet_tables import read_file
from monitor.sources.settings import SourceSettings
from tests.bench.figures import Figure
from tests.sources.formats.protobuf.schemas import message_class

CASES = {
    "full": ({"records": 2_048, "turns": 20},),
    "quick": ({"records": 2_048, "turns": 5},),
    "tiny": ({"records": 64, "turns": 1},),
}
AT_MS = 1_764_000_000_000
FIELDS = {
    "ts": {"field": "time", "unit": "ms"},
    "symbol": "market",
    "side": {"field": "side", "words": {"1": "buy", "2": "sell"}},
    "price": "px",
    "quantity": {"field": "lots", "times": "0.001"},
    "account": "trader",
    "order_id": "order",
    "action": {"value": "new"},
}


def make_rows(rng: random.Random, records: int) -> list[dict[str, Any]]:
    return [
        {
            "time": AT_MS + 7 * n,
            "market": f"M{rng.randint(0, 20)}-USD",
            "side": rng.choice("12"),
            "px": f"{rng.randint(10_000, 99_999) / 100:.2f}",
            "lots": rng.randint(1, 2_000),
            "trader": f"account-{rng.randint(0, 2_000)}",
            "order": f"order-{n}",
        }
        for n in range(records)
    ]


AVRO = {
    "type": "record", "name": "Order", "fields": [
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "lots", "type": "int"},
        *({"name": name, "type": "string"} for name in ("market", "side", "px", "trader", "order")),
    ],
}  # fmt: skip
PROTO = """
syntax = "proto3";
import "google/protobuf/timestamp.proto";
message Order {
  google.protobuf.Timestamp time = 1; int32 lots = 2; string market = 3; string side = 4;
  string px = 5; string trader = 6; string order = 7;
}
"""


def write_avro(row: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    plain = {"type": "record", "name": "Order", "fields": [*AVRO["fields"]]}
    plain["fields"][0] = {"name": "time", "type": "long"}
    fastavro.schemaless_writer(stream, fastavro.parse_schema(plain), row)
    return stream.getvalue()


def write_protobuf(order: Any, row: dict[str, Any]) -> bytes:
    at_ms = row["time"]
    at = {"seconds": at_ms // 1_000, "nanos": at_ms % 1_000 * 1_000_000}
    raw: bytes = order(**{**row, "time": at}).SerializeToString()
    return raw


def schema_readers(rows: list[dict[str, Any]]) -> dict[str, Callable[[], Any]]:
    """Readers of the rows in forms that need a schema."""
    order = message_class(PROTO, "Order")
    avro, protobuf = [write_avro(r) for r in rows], [write_protobuf(order, r) for r in rows]
    with tempfile.TemporaryDirectory() as folder:
        files = {"avro": Path(folder, "order.avsc"), "protobuf": Path(folder, "order.proto")}
        files["avro"].write_text(json.dumps(AVRO))
        files["protobuf"].write_text(PROTO)
        read_avro, read_protobuf = (
            make_format(SourceSettings(format=form, schema_file=str(path))).read
            for form, path in files.items()
        )
    return {"avro": lambda: [read_avro(avro)], "protobuf": lambda: [read_protobuf(protobuf)]}


def cpu_us(work: Callable[[], int]) -> tuple[float, int]:
    """µs of processor a record, and how many records `work` says that it has done."""
    began = time.process_time()
    records = work()
    return (time.process_time() - began) / records * 1e6, records


def measure(scratch: Path, records: int, turns: int) -> Iterator[Figure]:
    rows = make_rows(random.Random(7), records)
    translator = FieldMapTranslator("x", SourceSettings(kind="order", fields=FIELDS))
    lines = [json.dumps(row).encode() for row in rows]
    cells = [",".join(map(str, row.values())).encode() for row in rows]
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), table)
    csv_rows = CsvLines(SourceSettings(format="csv"), [*rows[0]])
    readers: dict[str, Callable[[], Any]] = {
        "json": lambda: [translator.record_format().read(lines)],
        "csv": lambda: [csv_rows.read(cells)],
        "parquet": lambda: [*read_file(io.BytesIO(table.getvalue()), "UTC")],
        **schema_readers(rows),
    }
    offsets = np.arange(records)
    canonical = [result.records[0][2] for result in translator.translate(lines)]

    def decode_canonical() -> int:
        return len(decode("order", "orders", 0, offsets, canonical))

    def translate(read: Callable[[], Any]) -> int:
        return sum(len(translator.translate_rows(some)) for some in read())

    decode_canonical()
    for _ in range(turns):
        yield Figure("decode canonical JSON", *_cost(*cpu_us(decode_canonical)))
        for name, read in readers.items():
            cost = cpu_us(lambda read=read: translate(read))
            yield Figure(f"read and translate {name}", *_cost(*cost))


def _cost(us: float, records: int) -> tuple[float, str, int]:
    return us, "µs a record", records
