"""What reads bytes from outside: good inputs to begin from, and the refusals it may give."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from monitor import config
from monitor.commands import margin_prices
from monitor.console import Console
from monitor.core import snapshot
from monitor.core.decode.codec import UNKNOWN, decode, encode, kind_of
from monitor.errors import ConfigError
from monitor.venues.adapter import LineAdapter, VenueAdapter
from replay.day.feed_files import LineReader
from tests.fuzz.schema_targets import schema_targets
from tests.fuzz.target import Target
from tests.support import SHARED

TS = 1_764_000_000_000_000_000
BATCH = 16
"""Inputs that a decoder or an adapter is given at once."""


CANONICAL: dict[str, list[dict[str, Any]]] = {
    "order": [
        {"kind": "order", "ts": TS, "symbol": "X", "side": "buy", "quantity": "1", "action": "new"},
        {
            "kind": "order", "ts": TS, "symbol": "X", "seq": 7, "order_id": "o", "account": "a",
            "side": "sell", "price": 10.5, "quantity": "40", "action": "replace", "replaces": "p",
            "reduce_only": True,
        },
    ],
    "cancel": [
        {
            "kind": "cancel", "ts": TS, "symbol": "X", "order_id": "o", "account": "a",
            "side": "buy", "price": "1", "quantity": "0", "placed_ts": TS - 1, "reason": "user",
        },
    ],
    "fill": [
        {
            "kind": "fill", "ts": TS, "symbol": "X", "trade_id": "t", "account": "a", "side": "buy",
            "price": "1", "quantity": "2", "fee": "-0.1", "liquidity": "taker",
            "cause": "liquidation",
        },
    ],
    "leverage": [
        {
            "kind": "leverage", "ts": TS, "symbol": "X", "account": "a", "leverage": "20",
            "previous": "5", "margin_mode": "cross",
        },
    ],
    "book": [
        {
            "kind": "book", "ts": TS, "symbol": "X", "bids": [["9", "1"], ["8", "2"]],
            "asks": [["10", "1"], ["11", "3"]],
        },
    ],
    "mark": [
        {
            "kind": "mark", "ts": TS, "symbol": "X", "mark": "1", "index": "1", "last": "1",
            "funding_rate": "0.0001", "funding_interval_s": 3600, "open_interest": "10",
            "sources": [{"name": "n", "price": "1", "ts": TS}],
        },
    ],
    "collateral": [
        {
            "kind": "collateral", "ts": TS, "account": "a", "amount": "-5.5", "cause": "funding",
            "symbol": "X",
        },
    ],
    "reference": [
        {
            "kind": "reference", "ts": TS, "symbol": "X", "about": "market", "regime": "bybit",
            "tick": "0.1", "lot": "1",
            "tiers": [{"lower_bound": "0", "maintenance_rate": "0.01", "initial_rate": "0.02"}],
        },
        {
            "kind": "reference", "ts": TS, "symbol": "X", "about": "position", "account": "a",
            "quantity": "-5", "entry_price": "9", "margin_mode": "isolated", "leverage": "3",
            "isolated_margin": "4",
        },
        {"kind": "reference", "ts": TS, "about": "insurance_fund", "amount": "9"},
    ],
}  # fmt: skip

MARGIN: list[dict[str, Any]] = [
    {
        "regime": regime, "tiers": tiers,
        "pool": {"mode": mode, "equity": "5000"},
        "positions": [
            {
                "symbol": symbol, "quantity": "-1.5", "entry": "60000", "mark": "61000",
                "leverage": "10", "margin": "900",
            },
            {"symbol": "B-PERP", "quantity": "10", "mark": "3000", "tiers": 0.02},
        ],
    }
    for regime, symbol, mode, tiers in (
        ("hyperliquid", "A", "isolated", 0.05),
        ("binance", "BTCUSDT", "cross", [[0, 0.004, 0], [50_000, 0.005, 50]]),
        ("bybit", "BTCUSD", "isolated", [{"lower_bound": 0, "maintenance_rate": "0.005"}]),
        ("okx", "BTC-USDT-SWAP", "cross", [{"lower_bound": 0, "maintenance_rate": "0.004"}]),
        ("dydx", "BTC-USD", "cross", {"lower_bound": 0, "maintenance_rate": 0.03}),
        ("generic", "X", "cross", [{"max_leverage": 20}]),
    )
]  # fmt: skip

CONFIG = b"""
[time]
window_ms = 1000
[kafka]
bootstrap_servers = "localhost:9092"
[[streams]]
feature = "cancels"
detector = "burst"
[alerts]
per_day = 10.0
[topics]
order = "orders"
"""

LINES: dict[str, tuple[bytes, ...]] = {
    "dydx": (
        b'{"ts_ms":1700000000000,"block":1,"exec_mode":0,"kind":"place","owner":"d","sub":2,'
        b'"client_id":7,"flags":0,"pair":"ETH-USD","side":"BUY","size":1.5,"price":3377.3,"tif":2,'
        b'"reduce_only":false,"snapshot":false}',
        b'{"ts_ms":1700000000001,"block":1,"exec_mode":0,"kind":"remove","owner":"d","sub":2,'
        b'"client_id":7,"flags":0,"pair":"ETH-USD","reason":0,"removal_status":1}',
    ),
    "bitstamp": (
        b'1700000000000 order_created {"price":"5","amount":"2","datetime":"0","id":1,'
        b'"order_type":0}',
        b'1700000000001 order_deleted {"price":"5","amount":"1","datetime":"0","id":1,'
        b'"order_type":0}',
    ),
    "lobster": (b"34200.004241176,1,16113575,18,5853300,1", b"34201.5,3,16113575,18,5853300,1"),
    "databento": (
        b"ts_event,action,side,price,size,order_id,flags,symbol",
        b"1718539204000000000,A,B,5411750000000,3,42,128,ESU4",
        b"1718539205000000000,C,B,5411750000000,3,42,128,ESU4",
        b'{"hd":{"ts_event":"2024-06-16T12:00:04Z","instrument_id":5},"action":"T","side":"A",'
        b'"price":"5411.75","size":1,"order_id":"0","flags":128}',
    ),
}
RECORDINGS = {
    "dydx": "dydx-full-node-2024-06-29/*.gz",
    "bitstamp": "bitstamp-l3-2015-05-01/*.xz",
    "binance": "binance-usdm-btcusdt-2023-04-05/*.gz",
    "hyperliquid": "hyperliquid-node-fills-2025-10-27/*.gz",
}
"""Where real lines lie, beside the project, if they do."""
OPTIONS = {"lobster": {"date": "2012-06-21"}}


def _decoder(kind: str) -> Target:
    def read(inputs: list[bytes]) -> None:
        if kind == UNKNOWN:
            inputs = [raw for raw in inputs if kind_of(raw) not in CANONICAL]
        offsets = np.arange(len(inputs), dtype=np.int64)
        batch = decode(kind, kind, 0, offsets, inputs)
        assert len(batch) + len(batch.refused) == len(inputs), "a record is lost"
        again = encode(batch) if len(batch) else []
        if again:
            same = decode(kind, kind, 0, batch.offset, again)
            assert not same.refused, "what was accepted is refused when written out"

    good = CANONICAL.get(kind) or [record for kind in CANONICAL for record in CANONICAL[kind]]
    return Target(f"decode {kind}", [json.dumps(record).encode() for record in good], read)


def _adapter(name: str, make: Callable[..., VenueAdapter]) -> Target:
    options = OPTIONS.get(name)

    def read(inputs: list[bytes]) -> None:
        venue = make(options)
        venue.begin_file("feed")
        lines = [line for raw in inputs for line in raw.split(b"\n")]
        venue.read(lines)
        venue.finish()

    seeds = [*LINES.get(name, ())]
    for path in sorted((SHARED / "data").glob(RECORDINGS.get(name, "none/*"))):
        lines = itertools.chain.from_iterable(LineReader(path))
        seeds += [line for line in itertools.islice(lines, 200) if len(line) < 5_000]
    if name == "canonical":
        seeds = [json.dumps(r).encode() for rows in CANONICAL.values() for r in rows]
    return Target(f"import {name}", seeds, read)


def _margin() -> Target:
    console = Console(json_asked=True)

    def read(inputs: list[bytes]) -> None:
        console.rich.file = io.StringIO()
        for raw in inputs:
            stdin = io.TextIOWrapper(io.BytesIO(raw), "utf-8")
            with mock.patch.object(sys, "stdin", stdin), contextlib.suppress(ConfigError):
                json.dumps(margin_prices.run("-", console))

    return Target("margin", [json.dumps(document).encode() for document in MARGIN], read)


def _config(folder: Path) -> Target:
    path = folder / "brinkwatch.toml"

    def read(inputs: list[bytes]) -> None:
        for raw in inputs:
            path.write_bytes(raw)
            with contextlib.suppress(ConfigError):
                config.load(path)

    return Target("config", [CONFIG], read)


def _snapshot() -> Target:
    good = snapshot.pack({"rows": np.arange(6).reshape(2, 3), "names": ["a", "b"], "n": 1}, "f")

    def read(inputs: list[bytes]) -> None:
        for raw in inputs:
            with contextlib.suppress(snapshot.SnapshotError):
                snapshot.unpack(raw, "f")

    return Target("snapshot", [good], read)


def all_targets(folder: Path) -> Iterator[Target]:
    """Every target; `folder`: where files may be written."""
    yield from (_decoder(kind) for kind in (*CANONICAL, UNKNOWN))
    for entry in sorted(entry_points(group="brinkwatch.venues"), key=lambda e: e.name):
        make = entry.load()
        if issubclass(make, LineAdapter) or entry.name == "canonical":
            target = _adapter(entry.name, make)
            if target.seeds:
                yield target
    yield _margin()
    yield _config(folder)
    yield _snapshot()
    yield from schema_targets(folder)
