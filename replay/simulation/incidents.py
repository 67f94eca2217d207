"""Incidents planted in a simulated day: the ground truth with which its alerts are compared.

An incident multiplies the usual activity of its market: `size` times the usual rate of cancels
(cancel_burst) or of leverage changes (leverage_surge), `1/size` of the usual depth (thin_book), or
all three at once (joint). The cancels of a burst come from the accounts named (from one drawn at
random where none is), the changes of a leverage surge from the accounts named, else from anybody.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from monitor.core.contract.units import SECOND_NS
from replay.simulation.market import Population, Rng, SimulatedMarkets, Stretch

SYMBOL_SHARE = 0.5
"""Default incidents are planted in this share of the markets, the busiest: a multiple of hardly any
activity is not visible."""
SPACING_S = 75
"""One default incident starts in every interval of this length."""
QUIET_SHARE = 0.25
"""No default incident starts in this first part of the day: detectors learn what is usual."""

IncidentKind = Literal["cancel_burst", "leverage_surge", "thin_book", "joint"]


class PlantedIncident(BaseModel):
    """One incident: event times in ns UTC, `start_ts` inclusive, `end_ts` exclusive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(min_length=1)]
    kind: IncidentKind
    symbol: str
    start_ts: Annotated[int, Field(strict=True)]
    end_ts: Annotated[int, Field(strict=True)]
    size: Annotated[float, Field(gt=1, le=1000, allow_inf_nan=False)]
    accounts: list[str] = []

    @model_validator(mode="after")
    def _check_duration(self) -> PlantedIncident:
        if self.end_ts <= self.start_ts:
            raise ValueError("end_ts must be later than start_ts")
        return self

    @property
    def raises_cancels(self) -> bool:
        return self.kind in ("cancel_burst", "joint")

    @property
    def raises_leverage(self) -> bool:
        return self.kind in ("leverage_surge", "joint")

    @property
    def thins_book(self) -> bool:
        return self.kind in ("thin_book", "joint")


_PLAN = TypeAdapter(list[PlantedIncident])


DEFAULT_MIX: tuple[tuple[IncidentKind, int, float, float, tuple[int, ...]], ...] = (
    ("cancel_burst", 1, 5, 9, (5, 10, 20)),
    ("leverage_surge", 0, 8, 15, (10, 20, 40)),
    ("cancel_burst", 3, 5, 9, (5, 10, 20)),
    ("thin_book", 0, 4, 8, (10, 20, 40)),
    ("joint", 3, 4, 7, (10, 20, 30)),
)
"""Kind, number of accounts, lowest and highest size, durations in seconds."""


def default_plan(
    rng: Rng, symbols: list[str], accounts: list[str], start_ts: int, end_ts: int
) -> list[PlantedIncident]:
    """Every kind in turn, evenly over the day after its quiet first part.

    `symbols` come busiest first. A day too short for an incident has none.
    """
    first = start_ts + int((end_ts - start_ts) * QUIET_SHARE)
    busiest = symbols[: max(1, int(len(symbols) * SYMBOL_SHARE))]
    plan = []
    for number in range((end_ts - first) // (SPACING_S * SECOND_NS)):
        kind, crowd, low, high, durations = DEFAULT_MIX[number % len(DEFAULT_MIX)]
        duration_s = int(rng.choice(durations))
        room_s = SPACING_S - max(durations) - 10
        at = first + (number * SPACING_S + int(rng.integers(room_s))) * SECOND_NS
        chosen = sorted(rng.choice(len(accounts), crowd, replace=False).tolist())
        plan.append(
            PlantedIncident(
                id=f"i-{number + 1}",
                kind=kind,
                symbol=busiest[int(rng.integers(len(busiest)))],
                start_ts=at,
                end_ts=at + duration_s * SECOND_NS,
                size=round(float(rng.uniform(low, high)), 1),
                accounts=[accounts[c] for c in chosen],
            )
        )
    return plan


def make_plan(
    source: str,
    rng: Rng,
    markets: SimulatedMarkets,
    population: Population,
    start_ts: int,
    end_ts: int,
) -> list[PlantedIncident]:
    """The incidents of the day (`SimulationSettings.incidents`), busiest markets first.

    A burst of a file that names no accounts gets one drawn at random. Raises `ValueError` that
    names the entry of the file and the field to mend.
    """
    if source == "none":
        return []
    names, accounts = markets.names, population.names
    if source == "default":
        return default_plan(rng, names, accounts, start_ts, end_ts)
    try:
        plan = _PLAN.validate_json(Path(source).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(f"{Path(source)}: {where}: {first['msg']}") from error
    _check_plan(plan, names, accounts, start_ts, end_ts)
    drawn = population.draw(rng, len(plan)).tolist()
    return [
        i.model_copy(update={"accounts": [accounts[a]]})
        if i.raises_cancels and not i.accounts
        else i
        for i, a in zip(plan, drawn, strict=True)
    ]


def _check_plan(
    plan: list[PlantedIncident], symbols: list[str], accounts: list[str], start_ts: int, end_ts: int
) -> None:
    """Raise `ValueError` for an incident that the day cannot hold, with what it can."""
    names, ids = frozenset(accounts), set[str]()
    for incident in plan:
        alien = [a for a in incident.accounts if a not in names]
        if incident.id in ids:
            problem = "give every incident an id of its own"
        elif incident.symbol not in symbols:
            problem = f"no market {incident.symbol!r}; the day has {symbols}"
        elif not start_ts <= incident.start_ts < incident.end_ts <= end_ts:
            problem = f"lies outside the day, {start_ts} to {end_ts} ns"
        elif alien:
            problem = f"no account {alien[0]!r}; the day has {accounts[0]!r} to {accounts[-1]!r}"
        else:
            ids.add(incident.id)
            continue
        raise ValueError(f"incident {incident.id}: {problem}")


def encode_plan(plan: list[PlantedIncident]) -> bytes:
    """The content of a day's `incidents.json`."""
    rows: list[dict[str, Any]] = [i.model_dump() for i in sorted(plan, key=lambda i: i.start_ts)]
    return json.dumps(rows, indent=1).encode() + b"\n"


def thin_books(stretch: Stretch, plan: list[PlantedIncident], markets: SimulatedMarkets) -> Stretch:
    """`stretch`, changed in place: books thinner and spreads wider during incidents."""
    for incident in plan:
        first = (incident.start_ts - stretch.start_ts) // SECOND_NS
        last = -((stretch.start_ts - incident.end_ts) // SECOND_NS)
        if incident.thins_book and first < stretch.seconds and last > 0:
            seconds, symbol = slice(max(first, 0), last), markets.names.index(incident.symbol)
            stretch.depth[seconds, symbol] /= incident.size
            stretch.spread[seconds, symbol] += round(incident.size / 2)
    return stretch
