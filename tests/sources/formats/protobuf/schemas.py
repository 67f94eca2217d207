"""Schemas of Protobuf for the tests, and messages of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.message_factory import GetMessageClass

from monitor.sources.formats.protobuf.compiler import load_schema
from monitor.sources.formats.schemas import Schema

ORDERS = """
syntax = "proto3";
package venue;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
import "confluent/type/decimal.proto";

enum Side { SIDE_UNKNOWN = 0; BUY = 1; SELL = 2; }
message Level { double px = 1; string qty = 2; Level next = 3; }
message Order {
  string symbol = 1;
  int64 i64 = 2; uint64 u64 = 3; sint64 s64 = 4; fixed64 f64 = 5; sfixed32 sf32 = 6; bool flag = 7;
  double d = 8; float f = 9; bytes raw = 10; Side side = 11;
  optional int64 seq = 12;
  google.protobuf.Timestamp at = 13; google.protobuf.Duration every = 14;
  google.protobuf.StringValue account = 15; google.protobuf.FloatValue fee = 16;
  confluent.type.Decimal price = 17;
  Level best = 18; repeated Level bids = 19; repeated float floats = 20;
  map<string, Level> levels = 21; map<bool, sint32> flags = 22;
  oneof body { Level new = 23; string cancel = 24; }
  message Inner { message Deepest { int32 x = 1; } int32 y = 1; }
}
message Trade { string symbol = 1; }
"""


def message_class(text: str, name: str) -> Any:
    """The class of one message of a schema, by its full name."""
    pool, _ = load_schema(Schema("PROTOBUF", text.encode()))
    return GetMessageClass(pool.FindMessageTypeByName(name))


def classes(text: str = ORDERS) -> dict[str, Any]:
    """The classes of a schema's messages, and of one within others, by name without package."""
    pool, file = load_schema(Schema("PROTOBUF", text.encode()))
    names = [message.name for message in file.message_type]
    names += ["Order.Inner.Deepest"] * (text == ORDERS)
    prefix = f"{file.package}." if file.package else ""
    return {n: GetMessageClass(pool.FindMessageTypeByName(prefix + n)) for n in names}


def write(folder: Path, name: str, text: str = ORDERS) -> str:
    (folder / name).write_text(text)
    return str(folder / name)
