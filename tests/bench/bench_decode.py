"""Decoding, µs an event: ours to columns, pydantic, msgspec and orjson on the same bytes, in turn.

pydantic and msgspec read into plain structs with strings for decimals: less than ours, which
checks bounds, text and duplicates and reads numbers to the grid.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
from pydantic import BaseModel

from monitor.core.contract import fixed_point
from monitor.core.decode.codec import decode
from tests.bench.figures import Figure

CASES = {
    "full": ({"orders": 40_000, "books": 4_000, "turns": 5},),
    "quick": ({"orders": 10_000, "books": 1_000, "turns": 3},),
    "tiny": ({"orders": 100, "books": 10, "turns": 1},),
}
TS = 1_764_000_000_000_000_000


class PlainOrder(BaseModel):
    kind: str
    ts: int
    symbol: str
    side: str
    quantity: str
    action: str
    seq: int | None = None
    order_id: str | None = None
    account: str | None = None
    price: str | None = None


class PlainBook(BaseModel):
    kind: str
    ts: int
    symbol: str
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    seq: int | None = None


class StructOrder(msgspec.Struct):
    kind: str
    ts: int
    symbol: str
    side: str
    quantity: str
    action: str = "new"
    seq: int | None = None
    order_id: str | None = None
    account: str | None = None
    price: str | None = None


class StructBook(msgspec.Struct):
    kind: str
    ts: int
    symbol: str
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    seq: int | None = None


def _decimal(rng: random.Random, low: int, high: int, scale: int) -> str:
    return fixed_point.format_decimal(
        rng.randrange(low, high) * (fixed_point.SCALE // scale), fixed_point.SCALE
    )


def make_orders(count: int) -> list[bytes]:
    """Orders of about 207 bytes, one in ten of them a market order."""
    rng = random.Random(1)
    out = []
    for i in range(count):
        record = {
            "kind": "order",
            "ts": TS + i * 1_000_003,
            "symbol": rng.choice(["BTC-PERP", "ETH-PERP", "SOL-PERP"]),
            "seq": 1_000_000 + i,
            "account": f"acct-{rng.randrange(16**12):012x}/{rng.randrange(9)}",
            "order_id": f"order-{rng.randrange(10**16):016d}",
            "side": rng.choice(["buy", "sell"]),
            "price": _decimal(rng, 1_000_000, 9_999_999, 100),
            "quantity": _decimal(rng, 1, 99_999, 1000),
            "action": "new",
        }
        if i % 10 == 0:
            del record["price"]
        out.append(json.dumps(record, separators=(",", ":")).encode())
    return out


def make_books(count: int) -> list[bytes]:
    """Books of 20 levels a side."""
    rng = random.Random(2)
    out = []
    for i in range(count):
        mid = rng.randrange(1_000_000, 9_000_000)
        sides = {
            name: [
                [
                    fixed_point.format_decimal((mid + sign * k) * 10**6, fixed_point.SCALE),
                    _decimal(rng, 1, 99999, 100),
                ]
                for k in range(1, 21)
            ]
            for name, sign in (("bids", -1), ("asks", 1))
        }
        record = {"kind": "book", "ts": TS + i, "symbol": "BTC-PERP", "seq": i, **sides}
        out.append(json.dumps(record, separators=(",", ":")).encode())
    return out


def each(read: Callable[[bytes], Any]) -> Callable[[list[bytes]], Any]:
    """A reader of many records, made from one of a single record."""

    def run(raws: list[bytes]) -> None:
        for raw in raws:
            read(raw)

    return run


def measure_kind(
    kind: str, raws: list[bytes], model: Any, struct: Any, turns: int
) -> Iterator[Figure]:
    """What each decoder takes for the records, a batch of 2,000 at a time for ours."""
    offset = np.arange(len(raws))
    slices = [slice(i, i + 2_000) for i in range(0, len(raws), 2_000)]

    def ours(every: list[bytes]) -> None:
        for part in slices:
            batch = decode(kind, "t", 0, offset[part], every[part])
            assert not batch.refused

    contenders = {
        "ours, to columns": ours,
        "msgspec struct": each(msgspec.json.Decoder(struct).decode),
        "orjson alone": each(orjson.loads),
        "pydantic model": each(model.model_validate_json),
    }
    for _ in range(turns):
        for name, run in contenders.items():
            began = time.process_time()
            run(raws)
            cost = (time.process_time() - began) / len(raws) * 1e6
            yield Figure(f"{kind}: {name}", cost, "µs a record", len(raws))


def measure(scratch: Path, orders: int, books: int, turns: int) -> Iterator[Figure]:
    yield from measure_kind("order", make_orders(orders), PlainOrder, StructOrder, turns)
    yield from measure_kind("book", make_books(books), PlainBook, StructBook, turns)
