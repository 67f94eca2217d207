"""What a simulated day is made to contain: planted incidents, the ground truth of its judgement.

An incident multiplies what its market does anyway: `size` times the usual rate of cancels
(`cancel_burst`) or of leverage changes (`leverage_surge`), `1/size` of the usual depth
(`thin_book`), or all three at once (`joint`). Bursts are made by the accounts named (by one drawn
by lot where none is); a surge of leverage by the accounts named, or by anybody.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

SECOND_NS = 1_000_000_000
SYMBOL_SHARE = 0.5
"""Default incidents are planted in this share of the markets, the busiest: where nearly nothing
happens, a multiple of it is nothing either."""
SPACING_S = 75
"""One default incident in every stretch of this length."""
QUIET_SHARE = 0.25
"""The first part of the day is left alone, for whoever has to learn what is usual."""

IncidentKind = Literal["cancel_burst", "leverage_surge", "thin_book", "joint"]


class PlantedIncident(BaseModel):
    """One planted episode: market time in ns UTC, `start_ts` inclusive, `end_ts` exclusive."""

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
        """Does it raise the rate of cancels?"""
        return self.kind in ("cancel_burst", "joint")

    @property
    def raises_leverage(self) -> bool:
        """Does it raise the rate of leverage changes?"""
        return self.kind in ("leverage_surge", "joint")

    @property
    def thins_book(self) -> bool:
        """Does it thin the book?"""
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
    rng: np.random.Generator, symbols: list[str], accounts: list[str], start_ts: int, end_ts: int
) -> list[PlantedIncident]:
    """Every kind in turn, evenly over the day after its quiet beginning.

    `symbols` come busiest first. Raises nothing: a day too short for one incident has none.
    """
    first = start_ts + int((end_ts - start_ts) * QUIET_SHARE)
    few = symbols[: max(1, int(len(symbols) * SYMBOL_SHARE))]
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
                symbol=few[int(rng.integers(len(few)))],
                start_ts=at,
                end_ts=at + duration_s * SECOND_NS,
                size=round(float(rng.uniform(low, high)), 1),
                accounts=[accounts[c] for c in chosen],
            )
        )
    return plan


def read_plan(path: Path) -> list[PlantedIncident]:
    """Incidents from a JSON list, in the form of a day's own `incidents.json`.

    Raises `ValueError` that names the entry and field to mend.
    """
    try:
        return _PLAN.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(f"{path}: {where}: {first['msg']}") from error


def check_plan(
    plan: list[PlantedIncident], symbols: list[str], accounts: list[str], start_ts: int, end_ts: int
) -> None:
    """Raise `ValueError` for an incident that the day cannot hold, saying what it could."""
    known = frozenset(accounts)
    seen: dict[str, int] = {}
    for incident in plan:
        seen[incident.id] = seen.get(incident.id, 0) + 1
        if seen[incident.id] > 1:
            raise ValueError(f"incident {incident.id}: give every incident an id of its own")
        if incident.symbol not in symbols:
            raise ValueError(
                f"incident {incident.id}: no market {incident.symbol!r}; the day has {symbols}"
            )
        if not start_ts <= incident.start_ts < incident.end_ts <= end_ts:
            raise ValueError(
                f"incident {incident.id}: lies outside the day, {start_ts} to {end_ts} ns"
            )
        alien = [a for a in incident.accounts if a not in known]
        if alien:
            raise ValueError(
                f"incident {incident.id}: no account {alien[0]!r}; the day has "
                f"{accounts[0]!r} to {accounts[-1]!r}"
            )


def encode_plan(plan: list[PlantedIncident]) -> bytes:
    """The ground truth as it stands in a day's `incidents.json`."""
    rows: list[dict[str, Any]] = [i.model_dump() for i in sorted(plan, key=lambda i: i.start_ts)]
    return json.dumps(rows, indent=1).encode() + b"\n"
