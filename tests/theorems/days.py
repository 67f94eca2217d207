"""Small random days with records of all kinds, and the orders in which they can arrive."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitor.core.contract import stepped
from monitor.core.contract.alert import alert_json
from monitor.core.contract.events import TOPICS, Control
from monitor.core.decode.batch import ABSENT, COLUMNS, Batch, Ladder, RefusedRecord, TextColumn
from monitor.core.decode.stepped_kernels import from_e8
from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings, StreamSettings, TimeSettings
from monitor.plugins import detector_factories
from replay.day.columns import slice_batch

START = 1_764_000_000_000_000_000
WINDOW_MS = 100
SETTINGS = EngineSettings(
    time=TimeSettings(window_ms=WINDOW_MS, lateness_ms=30),
    streams=(
        StreamSettings(feature="cancels", parameters={"warm_up": 8}),
        StreamSettings(feature="orders", parameters={"warm_up": 8}),
        StreamSettings(feature="leverage_raises", parameters={"warm_up": 8}),
        StreamSettings(
            feature="depth_25bps_least",
            detector="level",
            parameters={"warm_up": 10, "direction": "down"},
        ),
        *(
            StreamSettings(feature=name, parameters={"warm_up": 4})
            for name in ("raised_notional", "opened_high_to_depth", "unexplained")
        ),
        StreamSettings(feature="forced_to_depth", detector="peak"),
        # Its state, and how far it has come, stand in what alerts say of those that abstain.
        StreamSettings(
            feature="spread_bps", detector="anomaly.GaussianScorer", parameters={"warm_up": 4}
        ),
    ),
    alerts={"per_day": 20_000.0, "quiet_s": 0.3, "venue_share": 0.15},
    joint={
        "window_s": 0.1,
        "streams": ("orders", "cancels", "leverage_raises", "spread_bps"),
        "warm_up": 10,
        "across_share": 0.1,
    },
    account_bursts={"most": 7, "warm_up": 8, "budget_share": 0.35},
    accounts={"most": 4, "positions": 7, "idle_s": 0.2, "bands_every_s": 0.25},
)
FACTORIES = detector_factories(SETTINGS.streams)
KINDS = tuple(TOPICS)


AHEAD_OF_ALL_NS = (12_000_000_000, 7_200_000_000_000, 10**18)
"""Some records claim a time so far ahead of their log."""


@dataclass
class Feed:
    """A set of records: one batch for each topic partition, and the control records."""

    parts: list[Batch]
    controls: list[Control]
    partitions: int


def _numbers(rng: np.random.Generator, column: Any, n: int) -> np.ndarray:
    if column.type == "enum":
        values = [column.code(word) for word in column.values]
        numbers = rng.choice(values, n)
    elif column.type == "flag":
        numbers = rng.integers(0, 2, n)
    elif column.type == "time":
        numbers = START + rng.integers(0, 4_000_000_000, n)
    elif column.type == "price":
        numbers = from_e8(rng.integers(99, 102, n) * 100_000_000)
    elif column.type == "quantity":
        numbers = from_e8(rng.integers(max(1, column.low), 10**9, n))
        huge = rng.random(n) < 0.1
        numbers[huge] = stepped.COARSE_FROM + rng.integers(0, 10**9, huge.sum())
    else:
        numbers = rng.integers(max(1, column.low), 10**9, n)
    numbers = numbers.astype(np.int64)
    if not column.required:
        numbers[rng.random(n) < 0.3] = ABSENT
    return numbers


def _texts(
    rng: np.random.Generator, name: str, n: int, required: bool, symbols: int = 2
) -> TextColumn:
    size = 40 if name.endswith("id") else symbols if name == "symbol" else 5
    pool = [f"{name[0]}-{i}" for i in range(size)]
    texts: list[str | None] = [pool[i] for i in rng.integers(0, len(pool), n)]
    if not required:
        texts = [None if rng.random() < 0.2 else w for w in texts]
    return TextColumn.from_strings(texts)


def _one_for(accounts: TextColumn, mine: np.ndarray) -> TextColumn:
    """The account a-0 for the records in `mine`."""
    texts = accounts.to_strings()
    return TextColumn.from_strings(
        ["a-0" if own else text for text, own in zip(texts, mine, strict=True)]
    )


def _ladder(rng: np.random.Generator, n: int, side: int) -> Ladder:
    offset = np.concatenate(([0], np.cumsum(rng.integers(0, 4, n)))).astype(np.int64)
    level = np.arange(offset[-1]) - np.repeat(offset[:-1], np.diff(offset))
    price = from_e8(10_000_000_000 + side * (level + 1) * 1_000_000)
    return Ladder(offset, price, from_e8(rng.integers(1, 10**10, offset[-1])))


TABLES = (
    [{"lower_bound": 0, "maintenance_rate": "0.0125"}],
    [
        {"lower_bound": 0, "maintenance_rate": "0.02"},
        {"lower_bound": 500, "maintenance_rate": "0.05"},
    ],
    [{"lower_bound": 3, "maintenance_rate": "0.02"}],  # not valid: it begins above 0
)


def _rules(rng: np.random.Generator, ts: np.ndarray) -> TextColumn:
    """Reference records: tier tables, positions, insurance funds, and some that are not valid."""
    texts: list[str | None] = []
    for at in ts.tolist():
        record: dict[str, Any] = {"kind": "reference", "ts": at, "symbol": f"s-{rng.integers(2)}"}
        draw = rng.integers(4)
        if draw == 0:
            record |= {"about": "market", "regime": "hyperliquid"}
            record["tiers"] = TABLES[rng.integers(3)]
        elif draw == 1:
            record |= {"about": "position", "account": f"a-{rng.integers(5)}"}
            record |= {"quantity": int(rng.integers(-5, 6)), "entry_price": 100}
            record |= {"margin_mode": "isolated" if rng.random() < 0.3 else "cross"}
            record |= {"leverage": 10, "isolated_margin": int(rng.integers(50))}
            record |= _shown(np.random.default_rng(at))
        elif draw == 2:
            record |= {"about": "insurance_fund", "amount": int(rng.integers(1000))}
        texts.append(json.dumps(record))
    return TextColumn.from_strings(texts)


def _shown(rng: np.random.Generator) -> dict[str, Any]:
    """What a venue shows of a position, or a part of it."""
    values = {"mark": 100, "max_leverage": int(rng.choice([3, 20, 40]))}
    values["liquidation_price"] = int(rng.integers(60, 140))
    return {name: value for name, value in values.items() if rng.random() < 0.5}


def _sources(rng: np.random.Generator, ts: np.ndarray) -> TextColumn:
    """The sources of each mark's index: some stale, some outlying; some records have none."""
    texts: list[str | None] = []
    for at in ts.tolist():
        sources = [
            {
                "name": f"x-{i}",
                "price": str(100 + int(rng.integers(-3, 4))),
                "ts": at - int(rng.integers(0, 40) * 10**9),
            }
            for i in range(int(rng.integers(1, 5)))
        ]
        texts.append(None if rng.random() < 0.4 else json.dumps(sources))
    return TextColumn.from_strings(texts)


def part(
    rng: np.random.Generator, kind: str, partition: int, n: int, span_ms: int, symbols: int = 2
) -> Batch:
    """Records of one topic partition: mostly in order of time, some refused, with a burst."""
    ts = np.sort(rng.integers(0, span_ms * 1_000_000, n))
    # A burst, so that there is something to alert on.
    burst = (ts > 0.7 * span_ms * 1e6) & (ts < 0.8 * span_ms * 1e6)
    ts = np.sort(np.concatenate((ts, np.repeat(ts[burst], 12))))
    n = len(ts)
    ts = START + ts - (rng.random(n) < 0.1) * rng.integers(0, 80_000_000, n)
    offset = np.cumsum(rng.integers(1, 3, n)).astype(np.int64)
    bad = rng.random(n) < 0.05
    batch = Batch(kind, TOPICS[kind], partition, offset[~bad])
    for column in COLUMNS[kind]:
        count = int((~bad).sum())
        if column.type in ("text", "json"):
            batch.texts[column.name] = _texts(rng, column.name, count, column.required, symbols)
            if column.name == "account":
                flurry = ts[~bad] - START
                mine = (flurry > 0.7 * span_ms * 1e6) & (flurry < 0.8 * span_ms * 1e6)
                batch.texts["account"] = _one_for(batch.texts["account"], mine)
        elif column.type == "ladder":
            side = -1 if column.name == "bids" else 1
            batch.ladders[column.name] = _ladder(rng, count, side)
        else:
            batch.numbers[column.name] = _numbers(rng, column, count)
    batch.numbers["ts"] = ts[~bad].astype(np.int64)
    if rng.random() < 0.5:
        # The broker stamps this one; up to now its log may be behind the broker.
        stamps = batch.numbers["ts"] + rng.integers(0, 20_000_000, len(batch))
        batch.append_ts = stamps + (rng.random() < 0.3) * 10**15
    odd = rng.random(len(batch)) < (rng.random() < 0.5) * 0.03
    batch.numbers["ts"][odd] += rng.choice(AHEAD_OF_ALL_NS)
    if kind == "mark":
        # Some marks far away from the others.
        wild = (rng.random(len(batch.offset)) < 0.1) & (batch.numbers["mark"] != ABSENT)
        batch.numbers["mark"][wild] = stepped.quantise("151.5")
        batch.texts["sources"] = _sources(rng, batch.numbers["ts"])
    if kind == "reference":
        batch.texts["payload"] = _rules(rng, batch.numbers["ts"])
    batch.refused = [
        RefusedRecord(batch.topic, partition, int(o), "not_json", "", b"?") for o in offset[bad]
    ]
    return batch


def feed(
    seed: int, per_part: int = 120, partitions: int = 2, span_ms: int = 4_000, symbols: int = 2
) -> Feed:
    """A day of all kinds; control records declare some silences and the end."""
    rng = np.random.default_rng(seed)
    parts, controls = [], []
    for partition in range(partitions):
        for kind in KINDS:
            n = int(rng.integers(0, per_part))
            batch = part(rng, kind, partition, n, span_ms, symbols)
            parts.append(batch)
            end = int(max([*batch.offset.tolist(), *(r.offset for r in batch.refused), -1])) + 1
            if end > 3 and rng.random() < 0.5:
                # Silence is declared here; some records after it are older, so they are late.
                at = int(rng.integers(1, end))
                when = START + int(rng.integers(0, span_ms * 1_000_000))
                controls.append(Control(topic=batch.topic, partition=partition, offset=at, ts=when))
            stop = START + span_ms * 1_000_000
            controls.append(Control(topic=batch.topic, partition=partition, offset=end, ts=stop))
    return Feed(parts, controls, partitions)


def feed_of_many_markets(seed: int) -> Feed:
    """A day of enough markets, and long enough, for evidence across markets."""
    return feed(seed, per_part=400, span_ms=8_000, symbols=4)


def sparse_feed(seed: int) -> Feed:
    """A day of half a minute with so few records that its shards rest between them."""
    return feed(seed, per_part=6, span_ms=30_000)


def slice_offsets(batch: Batch, low: int, high: int) -> Batch:
    """The records with offsets from `low` up to `high`, as views."""
    first, last = np.searchsorted(batch.offset, [low, high]).tolist()
    out = slice_batch(batch, first, last)
    out.refused = [r for r in batch.refused if low <= r.offset < high]
    return out


def end_offset(batch: Batch) -> int:
    """The offset after the last record."""
    return int(max([*batch.offset.tolist(), *(r.offset for r in batch.refused), -1])) + 1


@dataclass
class Result:
    """Everything that must not depend on the order of arrival."""

    digest: str
    alerts: list[bytes]
    facts: dict[str, Any]
    windows: int


def engine(partitions: int) -> Engine:
    return Engine(SETTINGS, FACTORIES, partitions)


def result(machine: Engine, alerts: list[dict[str, Any]]) -> Result:
    alerts = alerts + machine.finish().alerts
    lines = [alert_json(alert) for alert in alerts]
    return Result(machine.digest(), lines, machine.tally().reproducible_counts(), machine.windows)


def run_in_order(day: Feed) -> Result:
    """Run the day with one batch for each topic partition, one after the other."""
    return run_pieces(engine(day.partitions), day, day.parts)


def run_pieces(machine: Engine, day: Feed, pieces: list[Batch]) -> Result:
    """Run the day's control records, then the pieces."""
    alerts = list(machine.control(day.controls).alerts)
    for batch in pieces:
        alerts += machine.step(batch).alerts
    return result(machine, alerts)


def run_with_restart(day: Feed, pieces: list[Batch], at: int, hold: int = 0) -> Result:
    """The same by one engine up to piece `at`, and from there by another, from its snapshot."""
    machine = Engine(SETTINGS, FACTORIES, day.partitions, hold)
    alerts = list(machine.control(day.controls).alerts)
    for batch in pieces[:at]:
        alerts += machine.step(batch).alerts
    state = machine.snapshot()
    machine = Engine(SETTINGS, FACTORIES, day.partitions, hold)
    machine.restore(state)
    assert machine.snapshot() == state
    for batch in pieces[at:]:
        alerts += machine.step(batch).alerts
    return result(machine, alerts)


def slices(day: Feed, rng: np.random.Generator, size_max: int) -> list[Batch]:
    """Every topic partition cut in pieces of random size, interleaved at random."""
    waiting = []
    for batch in day.parts:
        low, end, pieces = 0, end_offset(batch), []
        while low < end:
            high = low + int(rng.integers(1, size_max + 1))
            pieces.append(slice_offsets(batch, low, high))
            low = high
        waiting.append(pieces[::-1])
    order = []
    while any(waiting):
        alive = [pieces for pieces in waiting if pieces]
        order.append(alive[int(rng.integers(len(alive)))].pop())
    return order
