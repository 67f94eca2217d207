"""What a record costs in Avro and Protobuf beside the same one in JSON, by the same map; and beside
the canonical record, which needs no map.

    python -m tests.bench.bench_formats
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from monitor.core.decode.codec import decode
from tests.sources.formats.test_same_records import (
    make_translators,
    write_avro,
    write_json,
    write_protobuf,
)

RECORDS = 20_000
BATCH = 1_000
ROUNDS = 5


def make_fills() -> list[dict[str, Any]]:
    chance = random.Random(1)
    return [
        {
            "at": 1_764_000_000_000_000 + 1_000 * number, "sym": chance.choice(["BTC", "ETH"]),
            "side": chance.choice("BS"), "px": chance.randrange(10**9, 10**11),
            "qty": chance.randrange(1, 10**6) / 1_000, "fee": chance.randrange(-8, 8) / 8,
            "acct": f"a{chance.randrange(500)}", "seq": number,
        }
        for number in range(RECORDS)
    ]  # fmt: skip


def seconds(work: Callable[[list[bytes]], Any], raws: list[bytes]) -> float:
    """The best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for low in range(0, len(raws), BATCH):
            work(raws[low : low + BATCH])
        best = min(best, time.perf_counter() - began)
    return best


def decode_canonical(raws: list[bytes]) -> None:
    batch = decode("fill", "fill", 0, np.arange(len(raws), dtype=np.int64), raws)
    assert len(batch) == len(raws)


def main() -> None:
    fills = make_fills()
    with tempfile.TemporaryDirectory() as folder:
        translators = make_translators(Path(folder))
    raws = {
        "json": [write_json(fill) for fill in fills],
        "avro": [write_avro(fill) for fill in fills],
        "protobuf": [write_protobuf(fill) for fill in fills],
    }
    canonical = [result.records[0][2] for result in translators["json"].translate(raws["json"])]
    spent = {"canonical, decoded": seconds(decode_canonical, canonical)}
    for form, translator in translators.items():
        spent[f"{form}, translated"] = seconds(translator.translate, raws[form])
    for name, took in spent.items():
        print(
            f"{name:22} {1e6 * took / RECORDS:6.2f} µs a record, "
            f"{took / spent['json, translated']:5.2f} of JSON translated"
        )


if __name__ == "__main__":
    main()
