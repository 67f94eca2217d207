"""The incidents of a day: the default ones, those of a file, and the file that keeps them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from monitor.core.contract.units import SECOND_NS
from replay.simulation.incidents.planted import IncidentKind, PlantedIncident, RecordKind

SYMBOL_SHARE = 0.5
"""Default incidents are planted in this share of the markets, the busiest: a multiple of hardly any
activity is not visible."""
SPACING_S = 60
"""One default incident starts in every interval of this length."""
QUIET_SHARE = 0.25
"""No default incident starts in this first part of the day: detectors learn what is usual."""
CASCADE_MARKETS = 3
"""A default cascade is in so many markets at most."""


@dataclass(frozen=True, slots=True)
class DefaultIncident:
    """What default incidents of one kind are drawn from."""

    kind: IncidentKind
    accounts: int
    """How many act."""
    low: float
    high: float
    """Bounds of the size."""
    durations_s: tuple[int, ...]
    records: tuple[RecordKind, ...] = ()


DEFAULT_MIX = (
    DefaultIncident("cancel_burst", 1, 5, 9, (5, 10, 20)),
    DefaultIncident("leverage_surge", 0, 8, 15, (10, 20, 40)),
    DefaultIncident("cancel_burst", 3, 5, 9, (5, 10, 20)),
    DefaultIncident("thin_book", 0, 4, 8, (10, 20, 40)),
    DefaultIncident("layering", 1, 3, 6, (20, 30, 40)),
    DefaultIncident("index_fault", 0, 150, 300, (20, 30, 40)),
    DefaultIncident("joint", 3, 4, 7, (10, 20, 30)),
    DefaultIncident("depth_withdrawal", 0, 4, 8, (30, 40)),
    DefaultIncident("thin_book_cluster", 0, 6, 10, (40,)),
    DefaultIncident("feed_silence", 0, 1, 1, (30, 40), ("book",)),
    DefaultIncident("crowded_funding", 0, 15, 40, (150,)),
)
"""In this order; a day that is long enough has all of them, again and again."""
CASCADE = DefaultIncident("cascade", 1, 4, 4, (240,))
"""The last default incident. On 10 October 2025 BTC fell by 5 percent within 182 s."""
LATENCY_FLIP = DefaultIncident("latency_flip", 0, 800, 2000, (150,), ("fill",))
"""No default: when a broker got a record differs from broker to broker, and a day may be published
to another one."""


def make_plan(
    source: str,
    rng: np.random.Generator,
    symbols: list[str],
    accounts: list[str],
    start_ts: int,
    end_ts: int,
) -> list[PlantedIncident]:
    """The incidents of the day (`SimulationSettings.incidents`); `symbols` come busiest first.

    A burst of a file that names no accounts gets one drawn at random. Raises `ValueError` that
    names the entry of the file and the field to mend.
    """
    if source == "none":
        return []
    if source == "default":
        return default_plan(rng, symbols, accounts, start_ts, end_ts)
    plan = read_plan(Path(source))
    _check_plan(plan, symbols, accounts, start_ts, end_ts)
    drawn = rng.integers(len(accounts), size=len(plan)).tolist()
    return [
        i.model_copy(update={"accounts": [accounts[a]]})
        if i.needs_accounts and not i.accounts
        else i
        for i, a in zip(plan, drawn, strict=True)
    ]


def default_plan(
    rng: np.random.Generator, symbols: list[str], accounts: list[str], start_ts: int, end_ts: int
) -> list[PlantedIncident]:
    """Every kind in turn, evenly over the day after its quiet first part, and at its end a cascade.

    `symbols` come busiest first. A day too short for an incident has none.
    """
    first = start_ts + int((end_ts - start_ts) * QUIET_SHARE)
    spacing_ns = SPACING_S * SECOND_NS
    last = end_ts - CASCADE.durations_s[0] * SECOND_NS
    slots = max(0, last - first) // spacing_ns
    busiest = symbols[: max(1, int(len(symbols) * SYMBOL_SHARE))]
    plan = []
    for number in range(slots):
        drawn = DEFAULT_MIX[number % len(DEFAULT_MIX)]
        at = first + number * spacing_ns + int(rng.integers(1, 10)) * SECOND_NS
        plan.append(draw_incident(rng, drawn, f"i-{number + 1}", at, busiest, accounts))
    if slots:
        plan.append(draw_incident(rng, CASCADE, f"i-{slots + 1}", last, busiest, accounts))
    return [i.model_copy(update={"end_ts": min(i.end_ts, end_ts)}) for i in plan]


def draw_incident(
    rng: np.random.Generator,
    drawn: DefaultIncident,
    name: str,
    start_ts: int,
    symbols: list[str],
    accounts: list[str],
) -> PlantedIncident:
    """One incident in one of `symbols`; a cascade begins in the first of them."""
    duration_s, crowd = int(rng.choice(drawn.durations_s)), drawn.accounts
    chosen = sorted(rng.choice(len(accounts), crowd, replace=False).tolist())
    market = symbols[int(rng.integers(len(symbols)))]
    is_cascade = drawn.kind == "cascade"
    return PlantedIncident(
        id=name,
        kind=drawn.kind,
        symbol="" if drawn.records else symbols[0] if is_cascade else market,
        symbols=symbols[1:CASCADE_MARKETS] if is_cascade else [],
        start_ts=start_ts,
        end_ts=start_ts + duration_s * SECOND_NS,
        size=round(float(rng.uniform(drawn.low, drawn.high)), 1),
        accounts=[accounts[c] for c in chosen],
        records=list(drawn.records),
        side="buy" if drawn.kind == "layering" else None,
    )


def read_plan(file: Path) -> list[PlantedIncident]:
    """The incidents of a file. Raises `ValueError` that names the entry and the field to mend."""
    try:
        return _PLAN.validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(f"{file}: {where}: {first['msg']}") from error


def plan_schema() -> dict[str, Any]:
    """The JSON Schema of a file of incidents."""
    return _PLAN.json_schema()


def encode_plan(plan: list[PlantedIncident]) -> bytes:
    """The content of a day's `incidents.json`; what an incident leaves out is left out."""
    ordered = sorted(plan, key=lambda i: i.start_ts)
    rows = [i.model_dump(exclude_defaults=True) for i in ordered]
    return json.dumps(rows, indent=1).encode() + b"\n"


def _check_plan(
    plan: list[PlantedIncident], symbols: list[str], accounts: list[str], start_ts: int, end_ts: int
) -> None:
    """Raise `ValueError` for an incident that the day cannot hold, with what it can."""
    names, ids = frozenset(accounts), set[str]()
    for incident in plan:
        alien = [a for a in incident.accounts if a not in names]
        absent = [symbol for symbol in incident.markets if symbol not in symbols]
        if incident.id in ids:
            problem = "give every incident an id of its own"
        elif absent:
            problem = f"no market {absent[0]!r}; the day has {symbols}"
        elif not start_ts <= incident.start_ts < incident.end_ts <= end_ts:
            problem = f"lies outside the day, {start_ts} to {end_ts} ns"
        elif alien:
            problem = f"no account {alien[0]!r}; the day has {accounts[0]!r} to {accounts[-1]!r}"
        else:
            ids.add(incident.id)
            continue
        raise ValueError(f"incident {incident.id}: {problem}")


_PLAN = TypeAdapter(list[PlantedIncident])
