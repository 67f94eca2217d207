"""Orders and cancels of 207 bytes for a live benchmark, at a pace and with bursts."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer

from monitor.config import Config

PARTITIONS = 4
RECORD_BYTES = 207
TEMPLATES = 32_000
"""Bodies of orders, and of cancels, that are made once for all markets and sent with other times:
making JSON is not what is measured."""
BATCH = 1_000
IN_FLIGHT = 16
TICK_S = 0.01
BURST = 8
"""A burst is so many times the cancels that a symbol has in a window."""

Row = tuple[bytes, bytes, bytes]
"""The key, and what comes before and after the record's time."""
Place = tuple[str, int]


def rows(kind: str, symbol: str, count: int, rng: random.Random) -> list[Row]:
    """Records of the contract without their time; each 207 bytes with it."""
    made = []
    for number in range(count):
        record = {
            "symbol": symbol,
            "seq": 1_000_000 + number,
            "account": f"acct-{rng.randrange(5_000):06d}",
            "order_id": f"order-{rng.randrange(10**16):016d}",
            "side": rng.choice(["buy", "sell"]),
            "price": f"{rng.randrange(100_000, 999_999) / 100:.2f}",
            "quantity": f"{rng.randrange(1, 9_999) / 1000:.3f}",
        }
        if kind == "order":
            record["action"] = "new"
        head = f'{{"kind":"{kind}","ts":'.encode()
        body = json.dumps(record, separators=(",", ":"))[1:-1]
        room = RECORD_BYTES - len(head) - 19 - len(body) - 2
        record["order_id"] = f"{record['order_id']}{'x' * room}"
        tail = "," + json.dumps(record, separators=(",", ":"))[1:]
        made.append((symbol.encode(), head, tail.encode()))
    return made


class LoadFeed:
    """Templates of each topic partition and of each symbol's cancels."""

    def __init__(self, config: Config, markets: int) -> None:
        rng = random.Random(1)
        self.symbols = [f"M{number:03d}-PERP" for number in range(markets)]
        self.places: list[tuple[Place, list[Row]]] = []
        self.bursts: list[tuple[Place, list[Row]]] = []
        for kind in ("order", "cancel"):
            for partition in range(PARTITIONS):
                at = config.topics[kind], partition
                both = []
                for symbol in self.symbols[partition::PARTITIONS]:
                    one = rows(kind, symbol, TEMPLATES // markets, rng)
                    both += one
                    if kind == "cancel":
                        self.bursts.append((at, one))
                rng.shuffle(both)
                self.places.append((at, both))


class Sender:
    """Batches to topic partitions, so many on their way at once."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._flying: list[asyncio.Future[object]] = []
        self.sent = 0

    async def send(self, at: Place, records: Iterator[tuple[bytes, bytes]]) -> None:
        batch = self._producer.create_batch()
        for key, value in records:
            if batch.append(timestamp=None, key=key, value=value) is None:
                await self._give(batch, at)
                batch = self._producer.create_batch()
                batch.append(timestamp=None, key=key, value=value)
            self.sent += 1
        if batch.record_count():
            await self._give(batch, at)

    async def _give(self, batch: object, at: Place) -> None:
        topic, partition = at
        self._flying.append(await self._producer.send_batch(batch, topic, partition=partition))
        while len(self._flying) > IN_FLIGHT:
            await self._flying.pop(0)

    async def end(self) -> None:
        while self._flying:
            await self._flying.pop(0)


def _records(
    rows: list[Row], first: int, count: int, ts: int, step_ns: int
) -> Iterator[tuple[bytes, bytes]]:
    size = len(rows)
    for i in range(count):
        key, head, tail = rows[(first + i) % size]
        yield key, b"%b%d%b" % (head, ts + i * step_ns, tail)


async def at_a_pace(
    producer: AIOKafkaProducer,
    feed: LoadFeed,
    window_ns: int,
    rate: float,
    seconds: float,
    every: int,
    learn_s: float,
) -> tuple[set[int], int, float]:
    """Event time is the wall clock's. After `learn_s` every `every`-th window brings one symbol
    many cancels. Returns the ends of those windows, ns, how many records were sent, and how far
    the sender came behind its own pace, s.
    """
    sender = Sender(producer)
    began = time.monotonic()
    first, ends, late_s, planted = 0, set(), 0.0, 0
    while (now := time.monotonic() - began) < seconds:
        due = int(rate * now / len(feed.places)) - first
        for at, rows in feed.places:
            await sender.send(at, _records(rows, first, due, time.time_ns(), 0))
        first += due
        window = time.time_ns() // window_ns
        if now > learn_s and window % every == 0 and (window + 1) * window_ns not in ends:
            usual = rate * window_ns / 1e9 / 2 / len(feed.symbols)
            at, rows = feed.bursts[planted % len(feed.bursts)]
            planted += 1
            ends.add((time.time_ns() // window_ns + 1) * window_ns)
            await sender.send(at, _records(rows, 0, int(usual * BURST), time.time_ns(), 0))
        spent = time.monotonic() - began - now
        late_s = max(late_s, spent - TICK_S)
        await asyncio.sleep(max(0.0, TICK_S - spent))
    await sender.end()
    return ends, sender.sent, late_s
