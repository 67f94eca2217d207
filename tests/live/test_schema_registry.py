"""Avro with a schema registry on a bus: while it is away no record is lost and none refused."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path

from aiokafka import AIOKafkaProducer

from monitor.sources.registry import SchemaRegistrySettings
from replay.day import Day
from replay.field_map.importer import import_map
from replay.run import replay
from tests.live.bus import with_bus
from tests.live.helpers import FACTORIES, configuration, run_sidecar, wait_for_digest, wait_until
from tests.live.test_source_formats import AVRO, SCHEMA_ID, SOURCE, venue_rows, written
from tests.schema_registry import StandIn


def test_while_the_registry_is_away_records_wait_and_readyz_says_so(
    kafka: str, tmp_path: Path
) -> None:
    registry = StandIn(json.dumps(AVRO))
    registry.has(SCHEMA_ID, code=503)
    rows, own = venue_rows(), uuid.uuid4().hex[:8]
    base = configuration(kafka, silence_s=0.3)
    (tmp_path / "orders.jsonl").write_bytes(b"\n".join(written("json", rows)) + b"\n")
    sources = with_bus(base, own, orders={**SOURCE, "files": ["*.jsonl"]}).source
    import_map(sources, [], tmp_path / "day", tmp_path)
    config = with_bus(base, own, orders={**SOURCE, "format": "avro"})
    settings = SchemaRegistrySettings(url=registry.url)
    config = config.model_copy(update={"schema_registry": settings})
    digest = replay(Day(tmp_path / "day"), config.engine(), FACTORIES).digest

    async def watch() -> None:
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            for raw in written("avro", rows):
                await producer.send(f"{own}.orders", raw)
        async with run_sidecar(config) as sidecar:

            async def says_so() -> bool:
                ready, why = sidecar.ready()
                return not ready and f"answered 503 to /schemas/ids/{SCHEMA_ID}" in why

            await wait_until(says_so)
            registry.has(SCHEMA_ID)
            await wait_for_digest(sidecar, digest)
            assert sidecar.ready()[0]

    asyncio.run(watch())
    registry.close()
