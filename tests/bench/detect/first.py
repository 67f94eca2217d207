"""First bursts: streams that have been silent for half an hour while their feeds ran.

Protocol. One engine at its defaults (ten false alerts a day for everything), markets with an order
and a fill each five seconds on the average, accounts named, orders numbered. Nothing else comes in
a market for half an hour; then the first burst of its kind, 40 to 400 events in 3 to 20 s (both
log-uniform; missing numbers: at once), in one market after the other, 20 s apart. It is found when
an alert names the market and the kind's stream up to 5 s after its end; the delay counts from its
beginning. Beside that, how often streams that hardly ever act are reported on their first day where
one false alarm a day is allowed, and days without incidents through the whole engine. Markets and
streams that are made have fixed seeds.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from detectors.burst.detector import BurstDetector
from monitor.config import load
from monitor.core.contract.alert import Alert
from monitor.core.contract.events import TOPICS, Control
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine
from monitor.plugins import detector_factories
from replay import ground_truth
from replay.day import Day
from replay.run import replay
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import START_TS, simulate
from tests.bench.backgrounds import hawkes, poisson
from tests.bench.detect import budget

SEED = 900
SILENT_S, SPACING_S, AFTER_S = 1800, 20, 5
RATE = 0.2
"""Orders, and fills, of a market a second."""
LATE_S = 60
"""So far behind the others of its topic partition lies a late record."""
KINDS = {
    "cancels": "cancels",
    "liquidations": "liquidations",
    "leverage raises": "leverage_raises",
    "first high": "leverage_first_high",
    "mode switches": "mode_switches",
    "missing": "missing",
    "late": "late",
}
"""The stream that each kind of burst moves."""
SPARSE = {"Poisson": poisson, "hawkes": hawkes}
SPARSE_RATES = (0.1, 0.01, 0.001)
"""Events a second of streams that hardly ever act."""

Record = dict[str, Any]


class Burst(NamedTuple):
    """The first burst of one market; times in s since the beginning."""

    symbol: str
    kind: str
    begin: float
    end: float
    events: int


def bursts(each: int, rng: np.random.Generator) -> list[Burst]:
    """`each` of every kind, one after the other."""
    made = []
    for number in range(each * len(KINDS)):
        kind = list(KINDS)[number % len(KINDS)]
        begin = float(SILENT_S + SPACING_S * number)
        events = round(float(np.exp(rng.uniform(np.log(40), np.log(400)))))
        lasts = 0.0 if kind == "missing" else float(np.exp(rng.uniform(np.log(3), np.log(20))))
        made.append(Burst(f"M{number}-PERP", kind, begin, begin + lasts, events))
    return made


def records(burst: Burst, until: float, rng: np.random.Generator) -> Iterator[tuple[float, Record]]:
    """Of one market, each with the time at which it comes."""
    fill = {"kind": "fill", "side": "buy", "price": "100", "quantity": "1", "liquidity": "taker"}
    order = {"kind": "order", "side": "buy", "price": "99", "quantity": "1", "action": "new"}

    def one(at: float, base: Record, behind_s: float = 0.0, **more: Any) -> tuple[float, Record]:
        account = f"a{rng.integers(50)}"
        ts = START_TS + round((at - behind_s) * SECOND_NS)
        return at, {"ts": ts, "symbol": burst.symbol, "account": account, **base, **more}

    for base in (fill, order):
        times = rng.uniform(0.0, until, rng.poisson(RATE * until)).tolist()
        # An order just after the beginning shows that those before it are missing.
        for number, at in enumerate(sorted([*times, burst.begin + 0.5])):
            lost = burst.events if burst.kind == "missing" and at > burst.begin else 0
            yield one(at, base, **({"seq": 1 + number + lost} if base is order else {}))
    for number, at in enumerate(np.sort(rng.uniform(burst.begin, burst.end, burst.events))):
        change = {"kind": "leverage", "account": f"b{number}", "margin_mode": "cross"}
        match burst.kind:
            case "cancels":
                yield one(at, {"kind": "cancel", "side": "buy", "quantity": "1"})
            case "liquidations":
                yield one(at, fill, cause="liquidation")
            case "leverage raises":
                yield one(at, change, leverage="10", previous="5")
            case "first high":
                yield one(at, change, leverage="25")
            case "mode switches":
                yield one(at - 0.1, change, leverage="5", previous="5")
                yield one(at, {**change, "margin_mode": "isolated"}, leverage="5", previous="5")
            case "late":
                yield one(at, fill, LATE_S)


def alerts_of(planted: list[Burst], rng: np.random.Generator) -> list[Alert]:
    """What the engine tells of a run of all markets."""
    until = planted[-1].end + 60.0
    stream = [one for burst in planted for one in records(burst, until, rng)]
    by_kind: dict[str, list[bytes]] = {kind: [] for kind in TOPICS}
    for _, record in sorted(stream, key=lambda pair: pair[0]):
        by_kind[record["kind"]].append(json.dumps(record).encode())
    config = load()
    engine = Engine(config.engine(), detector_factories(config.streams))
    end = START_TS + round(until * SECOND_NS)
    engine.control(
        [
            Control(topic=TOPICS[kind], partition=0, offset=len(raws), ts=end)
            for kind, raws in by_kind.items()
        ]
    )
    alerts = []
    for kind, raws in by_kind.items():
        if raws:
            batch = decode(kind, TOPICS[kind], 0, np.arange(len(raws)), raws)
            alerts += engine.step(batch).alerts
    return alerts + engine.finish().alerts


def delay_s(burst: Burst, alerts: list[Alert]) -> float | None:
    """From the beginning of a burst to the first alert that tells it; None: none does."""
    for alert in alerts:
        at = (alert.ts - START_TS) / SECOND_NS
        symbols = {
            e.symbol or alert.symbols[0] for e in alert.evidence if e.stream == KINDS[burst.kind]
        }
        if burst.begin <= at <= burst.end + AFTER_S + 1 and burst.symbol in symbols:
            return at - burst.begin
    return None


def recall_rows(each: int) -> Iterator[dict[str, Any]]:
    """One row for each kind, `each` bursts of it."""
    rng = np.random.default_rng(SEED)
    planted = bursts(each, rng)
    alerts = alerts_of(planted, rng)
    for kind in KINDS:
        delays = [delay_s(burst, alerts) for burst in planted if burst.kind == kind]
        found = [delay for delay in delays if delay is not None]
        yield {
            "table": "first bursts after half an hour of silence, ten false alerts a day allowed",
            "background": f"{len(planted)} markets",
            "detector": kind,
            "recall_at_1": len(found) / each,
            "delay_p50_s": float(np.median(found)) if found else None,
            "delay_p95_s": float(np.percentile(found, 95)) if found else None,
            "note": f"{len(found)} of {each}",
        }


def sparse_rows(streams: int) -> Iterator[dict[str, Any]]:
    """False alarms of the first day of streams that hardly ever act."""
    for name, make in SPARSE.items():
        for rate in SPARSE_RATES:
            counts = np.stack([make(1, rate, SEED + i) for i in range(streams)], axis=1)
            number = budget.number(budget.alarms(counts, BurstDetector()), budget.FIRST)
            yield budget.row(f"{name} {rate:g}/s", budget.FIRST, number, streams)


def quiet_row(hours: int) -> dict[str, Any]:
    """False alarms of a first day without incidents, through the whole engine."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "day"
        simulate(out, SimulationSettings(SEED, 60 * hours, 4, 300, 16.0, "none"))
        config, alerts = load(), list[Alert]()
        streams = detector_factories(config.streams)
        replay(Day(out), config.engine(), streams, on_alert=alerts.append)
    false = len(ground_truth.lifecycles(alerts))
    return {
        "table": "false alarms of a first day through the whole engine, ten a day allowed",
        "background": f"simulated, {hours} h",
        "detector": "all",
        "false_a_day": 24 * false / hours,
        "note": f"{false} in {hours} h",
    }


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    """Recall by kind, then false alarms of sparse streams and of quiet days."""
    yield from recall_rows(4 if quick else 20)
    yield from sparse_rows(4 if quick else 24)
    if not quick:
        yield quiet_row(24)
