"""Accounts are those of the ordered day with each record once: whatever comes late, or again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.contract.events import KINDS, TOPICS, Control
from monitor.core.decode.batch import Batch
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from tests.theorems.cases import CASES, EXAMPLES, SEEDS
from tests.theorems.days import START, Feed, slices

SECOND = 10**9
PARTITIONS = 2
DAY_S = 20
ACCOUNT_KINDS = ("fill", "leverage", "collateral", "reference")
SETTINGS = EngineSettings(streams=(), accounts={"bands_every_s": 0.5})
Records = list[tuple[int, dict[str, Any]]]
"""Records, each with its partition."""


def records(rng: np.random.Generator, count: int = 60) -> Records:
    """What accounts did in a day, in order; marks, a book and rules; a mark at the end. In every
    other day one of the markets settles in coin."""
    day: Records = []
    for i, symbol in enumerate(("s-0", "s-1")):
        rules = [{"lower_bound": 0, "maintenance_rate": "0.02"}]
        base = {"symbol": symbol, "ts": START + i}
        reference = {"kind": "reference", "about": "market", "tiers": rules, **base}
        if i == 1 and rng.integers(2):
            reference["contract"] = {"type": "inverse", "size": "0.5", "settles_in": "S"}
        day.append((i, reference))
        book = {"bids": [["99", "500"]], "asks": [["101", "500"]]}
        day.append((i, {"kind": "book", **base, **book}))
        for second in (1, DAY_S):
            mark = {"kind": "mark", "symbol": symbol, "ts": START + second * SECOND + i}
            day.append((i, {**mark, "mark": "100"}))
    for n in range(count):
        at = int(rng.integers(2))
        record = {"account": f"a-{rng.integers(4)}", "symbol": f"s-{at}"}
        record["ts"] = START + int(rng.integers(1, (DAY_S - 1) * 100)) * SECOND // 100
        kind = ("fill", "fill", "fill", "leverage", "collateral", "reference")[rng.integers(6)]
        mode = ("cross", "isolated")[rng.integers(2)]
        if kind == "fill":
            record |= {"trade_id": f"t-{n}", "side": ("buy", "sell")[rng.integers(2)]}
            record |= {"price": int(rng.integers(90, 111)), "quantity": int(rng.integers(1, 9))}
            record |= {"fee": "0.01", "cause": ("trade", "liquidation")[int(rng.random() < 0.1)]}
        elif kind == "leverage":
            record |= {"leverage": int(rng.integers(1, 30)), "margin_mode": mode}
        elif kind == "collateral":
            causes = ("deposit", "isolated_in", "isolated_out", "funding", "rebate", "adjustment")
            record |= {"amount": int(rng.integers(1, 900)), "cause": causes[rng.integers(6)]}
        else:
            record |= {"about": "position", "quantity": int(rng.integers(-9, 10))}
            record |= {"entry_price": 100, "margin_mode": mode, "isolated_margin": 20}
        day.append((at, {"kind": kind, **record}))
    return sorted(day, key=lambda pair: pair[1]["ts"])


def disordered(rng: np.random.Generator, day: Records, late_s: float) -> Records:
    """The same records: those of accounts come late, some of them again, with repeats last. What
    a contract is comes in time: it must be there before its first entry."""
    out: list[tuple[float, int, dict[str, Any]]] = []
    for at, record in day:
        times = 1
        if record["kind"] in ACCOUNT_KINDS and rng.random() < 0.3:
            times = int(rng.integers(2, 4))
        for _ in range(times):
            is_late = record["kind"] in ACCOUNT_KINDS and rng.random() < 0.5
            is_late &= "contract" not in record
            out.append((record["ts"] + is_late * rng.random() * late_s * SECOND, at, record))
    return [(at, record) for _, at, record in sorted(out, key=lambda row: row[:2])]


def feed(day: Records) -> Feed:
    parts, controls = [], []
    for kind in KINDS:
        for partition in range(PARTITIONS):
            raws = [
                json.dumps(record).encode()
                for at, record in day
                if at == partition and record["kind"] == kind
            ]
            batch = decode(kind, TOPICS[kind], partition, np.arange(len(raws)), raws)
            assert not batch.refused
            parts.append(batch)
            source = {"topic": batch.topic, "partition": partition, "offset": len(raws)}
            controls.append(Control(**source, ts=START + (DAY_S + 30) * SECOND))
    return Feed(parts, controls, PARTITIONS)


def accounts_and_bands(day: Feed, pieces: list[Batch], restart_at: int = -1) -> Any:
    """The accounts and the last bands; optionally with a restart."""
    engine = Engine(SETTINGS, [], PARTITIONS)
    engine.control(day.controls)
    bands = []
    for i, piece in enumerate(pieces):
        if i == restart_at:
            state = engine.snapshot()
            engine = Engine(SETTINGS, [], PARTITIONS)
            engine.restore(state)
            assert engine.snapshot() == state
        bands += engine.step(piece).bands
    bands += engine.finish().bands
    parts = [part for market in bands[-1].markets for part in market.digest_parts()]
    return engine.venue.ledger.digest(), bands[-1].ts, parts, engine


@CASES
@given(SEEDS, st.sampled_from([0.2, 3.0, 15.0]))
def test_late_and_repeated_records_give_the_accounts_of_the_ordered_day(
    seed: int, late_s: float
) -> None:
    rng = np.random.default_rng(seed)
    ordered = records(rng)
    plain, mixed = feed(ordered), feed(disordered(rng, ordered, late_s))
    digest, ts, bands, _ = accounts_and_bands(plain, plain.parts)
    for size in (1, 20):
        pieces = slices(mixed, rng, size)
        at = int(rng.integers(len(pieces)))
        again = accounts_and_bands(mixed, pieces, at)
        assert again[:3] == (digest, ts, bands)


def test_generated_days_have_late_and_repeated_records_of_each_kind() -> None:
    rng = np.random.default_rng(1)
    mixed = feed(disordered(rng, records(rng, 300), 3.0))
    *_, engine = accounts_and_bands(mixed, mixed.parts)
    counts = engine.tally()
    for kind in ACCOUNT_KINDS:
        assert counts.late[kind] > 5
        assert counts.repeated[kind] > 5
    assert engine.venue.ledger.late["in_order"] > 20


@settings(CASES, max_examples=max(5, EXAMPLES // 3))
@given(SEEDS)
def test_every_band_of_a_day_with_late_and_repeated_records_is_reproducible(seed: int) -> None:
    """Not only the last: each moment shows what the logs say had come by then."""
    rng = np.random.default_rng(seed)
    mixed = feed(disordered(rng, records(rng), 5.0))
    digests = set()
    for pieces in (mixed.parts, slices(mixed, rng, 1), slices(mixed, rng, 9)):
        *_, engine = accounts_and_bands(mixed, pieces)
        digests.add(engine.digest())
    assert len(digests) == 1
