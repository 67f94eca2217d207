"""One planted incident: the ground truth with which the alerts of a simulated day are compared.

What `size` means depends on the kind, as `INCIDENT_RULES` says. Some kinds are several others at
once: `PlantedIncident.parts` takes them apart, and only the parts are acted out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from monitor.core.contract.events import KINDS

IncidentKind = Literal[
    "cancel_burst", "layering", "leverage_surge", "thin_book", "joint", "thin_book_cluster",
    "depth_withdrawal", "index_fault", "feed_silence", "latency_flip", "crowded_funding",
    "price_shock", "cascade",
]  # fmt: skip
RecordKind = Literal["order", "cancel", "fill", "leverage", "book", "mark", "collateral"]
assert set(RecordKind.__args__) < set(KINDS)  # type: ignore[attr-defined]

NO_SIZE = 1.0
"""The size of a kind that has none."""


@dataclass(frozen=True, slots=True)
class IncidentRule:
    """What the fields of an incident mean in one kind."""

    size: str
    """What `size` is; empty where the kind has none."""
    low: float
    high: float
    """Its bounds."""
    is_signed: bool = False
    """Whether a negative size is the same thing to the other side."""
    fields: tuple[str, ...] = ()
    """Which of `accounts`, `symbols`, `records` and `side` it may give."""
    needs: tuple[str, ...] = ()
    """Which of them it must give."""


_TIMES = "times the usual rate of"
INCIDENT_RULES: dict[IncidentKind, IncidentRule] = {
    "cancel_burst": IncidentRule(
        f"{_TIMES} cancels; the accounts cancel", 1, 1000, False, ("accounts",)
    ),
    "layering": IncidentRule(
        "usual depths of one side within 25 bps; the accounts rest it on `side`, cancel it after "
        "four fifths of the time, and takers take the price through where it was",
        0.1, 100, False, ("accounts", "side"), ("side",),
    ),
    "leverage_surge": IncidentRule(
        f"{_TIMES} leverage changes; the accounts, else anybody, go to the highest leverage",
        1, 1000, False, ("accounts",),
    ),
    "thin_book": IncidentRule("makers keep 1/size of their depth, all at once", 1, 1000),
    "joint": IncidentRule(
        "a cancel burst, a leverage surge of anybody and a thin book of this size together",
        1, 1000, False, ("accounts",),
    ),
    "thin_book_cluster": IncidentRule(
        "a thin book of this size for 3 s in every 10 s", 1, 1000
    ),
    "depth_withdrawal": IncidentRule(
        "makers take their depth away little by little until half of the time has passed, and keep "
        "1/size of it until the end", 1, 1000,
    ),
    "index_fault": IncidentRule(
        "bps by which the index that the venue publishes, and the mark with it, is wrong; sources, "
        "books and trades stay right", 1, 5000, True,
    ),
    "feed_silence": IncidentRule("", 1, 1, False, ("records",), ("records",)),
    "latency_flip": IncidentRule(
        "ms by which these records are published later than usual", 1, 60_000, False,
        ("records",), ("records",),
    ),
    "crowded_funding": IncidentRule(
        "bps of the index by which the mark's premium rises, while takers buy (below 0: sell)",
        1, 500, True,
    ),
    "price_shock": IncidentRule(
        "percent by which the world's price moves (below 0: falls), while takers trade that way",
        0.1, 30, True, ("symbols",),
    ),
    "cascade": IncidentRule(
        "percent by which prices fall at last (below 0: rise); before that leverage builds up, "
        "depth is withdrawn and the accounts cancel in a burst", 0.1, 30, True,
        ("accounts", "symbols"),
    ),
}  # fmt: skip
"""In the order in which documents list them."""
WHOLE_VENUE_KINDS: tuple[IncidentKind, ...] = ("feed_silence", "latency_flip")
"""They may leave the market out: then they are of all markets."""

CASCADE_LEVERAGE, CASCADE_DEPTH, CASCADE_CANCELS = 8.0, 4.0, 6.0
"""Sizes of a cascade's surge, withdrawal and burst. A median event leaves 1/3.4 of the depth, and
leverage rises for longer and by more than a single surge (October 2025)."""
CASCADE_PHASES: dict[IncidentKind, tuple[float, float]] = {
    "leverage_surge": (0.0, 0.5),
    "depth_withdrawal": (0.3, 1.0),
    "cancel_burst": (0.6, 0.75),
    "price_shock": (0.75, 1.0),
}
"""Each part of a cascade: from which to which share of its time."""


LAYERS_REST = 0.8
"""The share of a layering's time after which its orders are cancelled."""


class PlantedIncident(BaseModel):
    """One incident."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: Annotated[str, Field(min_length=1)]
    kind: IncidentKind
    symbol: str = ""
    """The market; empty: all markets."""
    start_ts: Annotated[int, Field(strict=True)]
    """Event time, ns UTC, inclusive."""
    end_ts: Annotated[int, Field(strict=True)]
    """Event time, ns UTC, exclusive."""
    size: Annotated[float, Field(allow_inf_nan=False)] = NO_SIZE
    """What it is depends on the kind."""
    accounts: list[str] = []
    """Who acts; where nobody is named, one account drawn at random, or anybody."""
    symbols: list[str] = []
    """Further markets in which the same happens."""
    records: list[RecordKind] = []
    """The kinds of records that are silent or slow."""
    side: Literal["buy", "sell"] | None = None
    """Of the orders that a layering account rests."""

    @field_validator("size")
    @classmethod
    def _check_size(cls, size: float, info: ValidationInfo) -> float:
        rule = INCIDENT_RULES.get(info.data.get("kind", ""))
        if rule and not rule.size and size != NO_SIZE:
            raise ValueError(f"a {info.data['kind']} has none: leave it out")
        if rule and not rule.low <= (abs(size) if rule.is_signed else size) <= rule.high:
            raise ValueError(f"{size:g}, {rule.size}: give {_span(rule)}")
        return size

    @model_validator(mode="after")
    def _check_fields(self) -> PlantedIncident:
        rule = INCIDENT_RULES[self.kind]
        if self.end_ts <= self.start_ts:
            raise ValueError("end_ts must be later than start_ts")
        if rule.size and "size" not in self.model_fields_set:
            raise ValueError(f"a {self.kind} needs size: {rule.size}")
        if not self.symbol and self.kind not in WHOLE_VENUE_KINDS:
            raise ValueError(f"a {self.kind} is of one market: name it as symbol")
        for name in ("accounts", "symbols", "records", "side"):
            if getattr(self, name) and name not in rule.fields:
                raise ValueError(f"a {self.kind} has no {name}: leave it out")
            if name in rule.needs and not getattr(self, name):
                raise ValueError(f"a {self.kind} needs {name}")
        return self

    @property
    def markets(self) -> list[str]:
        """The markets in which it happens; empty: all."""
        return [self.symbol, *self.symbols] if self.symbol else []

    @property
    def layers_end_ts(self) -> int:
        """When the orders of a layering are cancelled, all within a second, ns."""
        return self.start_ts + int((self.end_ts - self.start_ts) * LAYERS_REST)

    @property
    def part_kinds(self) -> frozenset[IncidentKind]:
        """The kinds of its parts."""
        return frozenset(part.kind for part in self.parts())

    @property
    def needs_accounts(self) -> bool:
        """Whether somebody has to act who is named."""
        return not self.part_kinds.isdisjoint(("cancel_burst", "layering"))

    def parts(self) -> Iterator[PlantedIncident]:
        """What is acted out: one market each, no kind that is several others at once."""
        if self.kind == "joint":
            yield self._part("cancel_burst", accounts=self.accounts)
            yield self._part("leverage_surge")
            yield self._part("thin_book")
        elif self.kind == "cascade":
            for market in self.markets:
                yield from self._cascade_parts(market)
        elif self.symbols:
            for market in self.markets:
                yield self._part(self.kind, symbol=market)
        else:
            yield self

    def _cascade_parts(self, market: str) -> Iterator[PlantedIncident]:
        sizes = {
            "leverage_surge": CASCADE_LEVERAGE,
            "depth_withdrawal": CASCADE_DEPTH,
            "cancel_burst": CASCADE_CANCELS,
            "price_shock": -self.size,
        }
        long_ns = self.end_ts - self.start_ts
        for kind, (first, last) in CASCADE_PHASES.items():
            yield self._part(
                kind,
                symbol=market,
                start_ts=self.start_ts + int(long_ns * first),
                end_ts=self.start_ts + int(long_ns * last),
                size=sizes[kind],
                accounts=self.accounts if kind == "cancel_burst" else [],
            )

    def _part(self, kind: IncidentKind, **changes: Any) -> PlantedIncident:
        part = {"accounts": [], "symbols": [], "kind": kind, **changes}
        return self.model_copy(update=part)


def _span(rule: IncidentRule) -> str:
    span = f"{rule.low:g} to {rule.high:g}"
    return f"{span} or {-rule.high:g} to {-rule.low:g}" if rule.is_signed else span
