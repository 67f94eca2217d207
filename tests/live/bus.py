"""A venue's bus as it is: three topics of mixed kinds, unlike in partitions, keyed by order id."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
import zlib
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from monitor.config import Config, load
from monitor.core.decode.codec import decode, encode
from replay.day import Day
from tests.live.helpers import configuration, read_records

LAYOUT = {
    "marks": (1, ("mark",)),
    "flow": (4, ("order", "cancel", "fill")),
    "rest": (6, ("book", "leverage", "collateral", "reference")),
}
"""By topic: its partitions, and the kinds in it."""
STEP_S = 0.05
"""Of wall-clock time, between two sends."""


WORDS = {"order": "NEW", "cancel": "CXL", "fill": "TRADE"}
SIDES = {"buy": 1, "sell": 2}
CONTRACT = Decimal("0.001")
"""Base units of one contract."""
SOURCES: dict[str, dict[str, Any]] = {
    "marks": {
        "kind": "mark",
        "fields": {
            "ts": {"field": "t", "unit": "ns"},
            "symbol": "s",
            "mark": "m.price",
            "index": "m.index",
            **{name: name for name in ("last", "funding_rate", "funding_interval_s")},
            "open_interest": "oi",
            "sources": {
                "field": "sources",
                "each": {"name": "name", "price": "price", "ts": {"field": "ts", "unit": "ns"}},
            },
        },
    },
    "flow": {
        "kind": {"field": "type", "words": {word: kind for kind, word in WORDS.items()}},
        "fields": {
            "ts": {"field": "transact_time", "unit": "ns"},
            "symbol": "instrument.id",
            "side": {"field": "side", "words": {str(n): side for side, n in SIDES.items()}},
            "price": "px",
            "quantity": {"field": "contracts", "times": str(CONTRACT)},
            "account": "member",
            "order_id": "id",
        },
        "by_kind": {
            "order": {name: name for name in ("action", "replaces", "reduce_only")},
            "cancel": {"reason": "reason", "placed_ts": {"field": "placed_ts", "unit": "ns"}},
            "fill": {name: name for name in ("trade_id", "fee", "liquidity", "cause")},
        },
    },
    "rest": {"format": "canonical"},
}
"""The field maps: orders, cancels and fills in one topic and in the venue's own words."""


def in_own_words(record: dict[str, Any]) -> dict[str, Any]:
    """A canonical record as the venue writes it."""
    given = dict(record)
    kind = given["kind"]
    if kind == "mark":
        del given["kind"]
        price = {"price": given.pop("mark"), "index": given.pop("index", None)}
        at = {"t": str(given.pop("ts")), "s": given.pop("symbol"), "m": price}
        return {**at, "oi": given.pop("open_interest", None), **given}
    if kind not in WORDS:
        return given
    contracts = (Decimal(given.pop("quantity")) / CONTRACT).normalize()
    own = {
        "type": WORDS[given.pop("kind")],
        "transact_time": given.pop("ts"),
        "instrument": {"id": given.pop("symbol"), "currency": "USD"},
        "side": SIDES[given.pop("side")],
        "px": given.pop("price", None),
        "contracts": f"{contracts:f}",
        "member": given.pop("account"),
        "id": given.pop("order_id"),
    }
    return {**own, **given}


@dataclass(frozen=True)
class BusRecord:
    """A record of a day, as it lies on the bus. place: topic (of `LAYOUT`) and partition; raw: in
    the venue's words; canonical: in those of the contract."""

    ts: int
    kind: str
    place: tuple[str, int]
    key: bytes
    raw: bytes
    canonical: bytes


def bus_records(day: Day) -> list[BusRecord]:
    """The accepted records of a day in the order of event time, spread over the bus by a number."""
    rows = [
        (ts, batch.kind, raw)
        for batch in day.batches()
        if len(batch)
        for ts, raw in zip(batch.numbers["ts"].tolist(), encode(batch), strict=True)
    ]
    topic_of = {kind: (topic, n) for topic, (n, kinds) in LAYOUT.items() for kind in kinds}
    records = []
    for number, (ts, kind, raw) in enumerate(sorted(rows, key=lambda row: row[0])):
        topic, partitions = topic_of[kind]
        key = b"id-%d" % number
        own = json.dumps(in_own_words(json.loads(raw))).encode()
        records.append(BusRecord(ts, kind, (topic, zlib.crc32(key) % partitions), key, own, raw))
    return records


def with_bus(
    config: Config, own: str, kafka: dict[str, Any] | None = None, **sources: Any
) -> Config:
    """The same settings with these sources, whose topics begin with `own`, and input topics of its
    own; `kafka`: other settings of Kafka."""
    data = config.model_dump(exclude={"source"})
    data["kafka"] = kafka or data["kafka"]
    data["topics"] = {kind: f"{own}.in.{kind}" for kind in config.topics}
    return load(None, **data, source={n: {"topic": f"{own}.{n}", **s} for n, s in sources.items()})


def bus_configuration(address: str, **kafka: Any) -> tuple[str, Config]:
    """The prefix of the bus's topics, and settings that read it."""
    own = uuid.uuid4().hex[:8]
    config = configuration(address, silence_s=0.3, **kafka)
    return own, with_bus(config, own, **SOURCES)


async def create_bus(address: str, own: str) -> None:
    """The venue's topics, empty."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(f"{own}.{topic}", number, 1) for topic, (number, _) in LAYOUT.items()]
        )
    finally:
        await admin.close()


async def write_bus(
    address: str, own: str, records: list[BusRecord], speed: float | None = None
) -> None:
    """Send the records in their order; `speed`: seconds of event time in a second."""
    producer = AIOKafkaProducer(bootstrap_servers=address, linger_ms=5)
    await producer.start()
    try:
        began_s, first_ts, sent_s = time.monotonic(), records[0].ts, 0.0
        for record in records:
            due_s = 0.0 if speed is None else (record.ts - first_ts) / 1e9 / speed
            if due_s - sent_s > STEP_S:
                sent_s = due_s
                await asyncio.sleep(max(0.0, began_s + due_s - time.monotonic()))
            topic, partition = record.place
            await producer.send(f"{own}.{topic}", record.raw, key=record.key, partition=partition)
        await producer.flush()
    finally:
        await producer.stop()


async def rekeyed(address: str, config: Config) -> Counter[tuple[str, bytes]]:
    """Kind and canonical JSON of every record in the topics of the contract."""
    found: Counter[tuple[str, bytes]] = Counter()
    for kind, topic in config.topics.items():
        for partition in range(config.kafka.partitions):
            raws = [record.value for record in await read_records(address, topic, partition)]
            batch = decode(kind, topic, partition, np.arange(len(raws)), raws)
            found.update((kind, raw) for raw in encode(batch) if len(batch))
    return found
