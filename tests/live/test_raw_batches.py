"""Whole record batches of a real Kafka say the same as aiokafka's records, and give the same."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from structlog.testing import capture_logs

from monitor.kafka.record_batches.columns import RecordColumns
from monitor.kafka.record_batches.raw_batch import RawBatch
from monitor.kafka.record_batches.raw_fetch import hand_out_batches
from tests.live.helpers import (
    configuration,
    read_records,
    replay_to_file,
    run_sidecar,
    send,
    wait_for_digest,
    write_day,
)

Row = tuple[int, int, bool, bytes]
CODECS = (None, "gzip", "snappy", "lz4", "zstd")


async def fill(address: str, topic: str) -> None:
    """Every codec, each in a plain batch, a committed transaction and an aborted one; tombstones,
    headers, values from nothing to 200 kB, and the first records deleted."""
    rng = random.Random(1)
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    for codec in CODECS:
        plain = AIOKafkaProducer(
            bootstrap_servers=address, compression_type=codec, linger_ms=20,
            max_batch_size=512 << 10, max_request_size=1 << 20,
        )  # fmt: skip
        own = AIOKafkaProducer(
            bootstrap_servers=address, compression_type=codec, transactional_id=uuid.uuid4().hex
        )
        for producer in (plain, own):
            await producer.start()
        try:
            for outcome in ("plain", "commit", "abort", "plain", "abort", "commit"):
                producer = plain if outcome == "plain" else own
                if outcome != "plain":
                    await producer.begin_transaction()
                # Of both kinds at once: the batches of a transaction lie between others.
                await asyncio.gather(
                    *[await send_one(producer, topic, rng, outcome) for _ in range(60)],
                    *[await send_one(plain, topic, rng, "between") for _ in range(3)],
                )
                if outcome == "commit":
                    await producer.commit_transaction()
                elif outcome == "abort":
                    await producer.abort_transaction()
        finally:
            await asyncio.gather(plain.stop(), own.stop())
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=17)})
    await admin.close()


async def send_one(
    producer: AIOKafkaProducer, topic: str, rng: random.Random, name: str
) -> asyncio.Future[Any]:
    size = rng.choice([0, 1, 200, 200, 200, 200_000 if rng.random() < 0.03 else 50])
    value = None if rng.random() < 0.1 else name.encode() + rng.randbytes(size)
    headers = [("name", b"x" * n) for n in range(rng.choice([0, 0, 18]))]
    key = b"key" if value is None else rng.choice([None, b"key"])
    sent: asyncio.Future[Any] = await producer.send(
        topic, value, key=key, partition=0, headers=headers
    )
    return sent


async def read(
    address: str, topic: str, first: int, raw: bool, most: int | None
) -> tuple[list[Row], int, Any]:
    """All columns from an offset on as rows, the tombstones, and the last record."""
    at = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, isolation_level="read_committed", enable_auto_commit=False
    )
    await consumer.start()
    if raw:
        hand_out_batches(consumer, [topic])
    consumer.assign([at])
    consumer.seek(at, first)
    rows: list[Row] = []
    tombstones, last = 0, None
    try:
        end = (await consumer.end_offsets([at]))[at]
        while await consumer.position(at) < end:
            for fetched in (await consumer.getmany(timeout_ms=100, max_records=most)).values():
                assert all(isinstance(item, RawBatch) is raw for item in fetched)
                columns = RecordColumns.from_fetched(fetched)
                times = columns.timestamps_ms.tolist(), columns.is_append.tolist()
                rows += zip(columns.offsets.tolist(), *times, columns.raws, strict=True)
                tombstones += columns.tombstones
                last = columns.last or last
    finally:
        await consumer.stop()
    return rows, tombstones, last


def test_batches_are_what_getmany_reads(kafka: str) -> None:
    topic = f"{uuid.uuid4().hex[:8]}.mixed"
    asyncio.run(fill(kafka, topic))
    whole, tombstones, last = asyncio.run(read(kafka, topic, 17, False, None))
    assert len(whole) > 800
    assert tombstones > 50
    assert {raw[:5] for *_, raw in whole} == {b"plain", b"commi", b"betwe"}
    gaps = {b - a for (a, *_), (b, *_) in pairwise(whole)}
    assert max(gaps) > 60
    assert asyncio.run(read(kafka, topic, 17, True, None)) == (whole, tombstones, last)
    for first, most in ((18, 1), (whole[500][0] + 1, 7), (whole[-1][0], 2)):
        expected = asyncio.run(read(kafka, topic, first, False, most))
        assert asyncio.run(read(kafka, topic, first, True, most)) == expected


def test_with_another_aiokafka_records_are_read_one_by_one_and_the_digest_is_the_same(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aiokafka, "__version__", "9.9.9")
    config = configuration(kafka)
    day = write_day(tmp_path, config, odd=True)
    digest, alerts = replay_to_file(day, config, tmp_path / "alerts")
    send(day, config)

    async def watched() -> dict[str, Any]:
        async with run_sidecar(config) as sidecar:
            await wait_for_digest(sidecar, digest)
            assert sidecar.registry.get_sample_value("brinkwatch_fetch_info", {"mode": "getmany"})
            return await sidecar.state()

    with capture_logs() as lines:
        state = asyncio.run(watched())
    assert state["fetch"] == "getmany"
    warnings = [line for line in lines if line["event"] == "record by record"]
    assert len(warnings) == 1
    assert "9.9.9" in warnings[0]["why"]
    published = asyncio.run(read_records(kafka, config.kafka.alerts_topic))
    assert [record.value for record in published] == alerts
    assert json.loads(alerts[0])["id"]
