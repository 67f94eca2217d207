"""The contract: what goes out. Alerts and bands as the models of the AsyncAPI document.

They describe what `monitor/core/alerts/wording.py` and `monitor/core/bands/records.py` write; a test holds the two together. Fields
may be added: who reads ignores what it does not know.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from monitor.core.contract.units import ZONE_BINS

Ns = Annotated[int, Field(description="ns since 1970-01-01 UTC", ge=0)]
Fraction = Annotated[float, Field(description="a fraction between 0 and 1", ge=0, le=1)]
Quote = Annotated[float, Field(description="quote currency", ge=0)]
Percent = Annotated[float, Field(description="percent of the mark", ge=0)]
Zone = Annotated[int, Field(ge=0, lt=ZONE_BINS)]
ModeName = Literal["cross", "isolated"]
Status = Literal["firing", "updated", "resolved"]
Severity = Literal["info", "warning", "critical"]
Layer = Literal["data", "pricing", "margin", "execution", "post_trade"]


class _OutputModel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class AlertEvidence(_OutputModel):
    """What one stream brings to an alert."""

    stream: str
    detector: str
    observed: Annotated[float, Field(description="since the change began, in `unit`")]
    expected: float
    ratio: Annotated[float | None, Field(description="null: nothing was expected")]
    unit: str
    p: Annotated[
        float | None, Field(description="chance of as much in one window; null: a rule decided")
    ]
    once_per_days: Annotated[float | None, Field(description="how rare that is, days")]
    share: Fraction
    symbol: Annotated[str | None, Field(description="where an alert has several")] = None


class Carrier(_OutputModel):
    """An account and its share of what was observed."""

    account: str
    share: Fraction


class AlertZone(_OutputModel):
    """One of the heaviest zones near the mark."""

    low: float
    high: float
    side: Literal["long", "short"]
    forced_notional: Quote


class Stake(_OutputModel):
    """What would be forced near the mark, by the last bands before the alert."""

    forced_notional: Quote
    long: Quote
    short: Quote
    within_pct: Percent


class Records(_OutputModel):
    """Where the records lie that an alert rests on."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    first_offset: Annotated[int, Field(ge=0)]
    last_offset: Annotated[int, Field(ge=0)]


class Abstention(_OutputModel):
    """A stream that could not judge, and why."""

    detector: str
    why: str


class Step(_OutputModel):
    """What one layer says in the walk through an incident."""

    layer: Layer
    says: str


class Versions(_OutputModel):
    """Under what an alert was made."""

    engine: str
    config: Annotated[str, Field(description="fingerprint of the settings")]
    detectors: Annotated[dict[str, str], Field(description="detector by stream")]


class Alert(_OutputModel):
    """A publication of an alert: its lifecycle has one fingerprint. No wall-clock time in it."""

    id: Annotated[str, Field(description="fingerprint and sequence: equal in every run")]
    fingerprint: str
    status: Status
    severity: Severity
    layer: Layer
    kind: str
    symbols: list[str]
    ts: Annotated[Ns, Field(description="event time of the decision, ns")]
    since: Annotated[Ns, Field(description="when the change began, ns")]
    summary: str
    evidence: list[AlertEvidence]
    accounts: list[Carrier]
    zones: list[AlertZone]
    at_stake: Annotated[Stake | None, Field(description="once there are bands")] = None
    triage: Annotated[list[Step] | None, Field(description="of evidence of several streams")] = None
    records: list[Records]
    abstained: list[Abstention]
    reproduce: Annotated[str, Field(description="the command that shows it again")]
    versions: Versions


class LiquidationPath(_OutputModel):
    """How the venue closes what is due."""

    steps: list[str]
    first_share: Annotated[Fraction, Field(description="sent at once above `partial_above`")]
    partial_above: Annotated[float | None, Field(description="notional, quote currency")]
    cooldown_s: Annotated[float, Field(ge=0)]
    adl: str


class Within(_OutputModel):
    """All that is forced up to a distance from the mark."""

    pct: Percent
    forced: Quote
    depth: Annotated[Quote | None, Field(description="what the book holds there; null: no book")]
    absorbed: Annotated[Fraction | None, Field(description="share of `forced` that it can take")]
    chance: Annotated[
        list[Fraction] | None, Field(description="of coming so far, within each of `horizons_s`")
    ]


class Holder(_OutputModel):
    """One of the largest whose positions are forced near the mark."""

    account: str
    notional: Quote
    share: Fraction


class Zones(_OutputModel):
    """Columns: what is forced in each zone, by mode and leverage (gross notional over equity)."""

    zone: list[Zone]
    mode: list[ModeName]
    leverage: list[str]
    notional: list[Quote]


class Stages(_OutputModel):
    """Columns: notional by the zone of the stressed liquidation price, of what waits for the path's
    pause, of the backstop's price and of the bankruptcy price.
    """

    zone: list[Zone]
    stage: list[Literal["stressed", "held_back", "backstop", "bankrupt"]]
    notional: list[Quote]


class SideBands(_OutputModel):
    """Longs, which a fall forces, or shorts, which a rise forces."""

    nearest: Annotated[float | None, Field(description="price; null: nobody within 50 %")]
    distance_pct: Percent | None
    chance: Annotated[list[Fraction] | None, Field(description="of reaching `nearest`")]
    within: list[Within]
    holders: list[Holder]
    holders_within_pct: Percent
    zones: Zones
    stages: Stages


class MarketBandsRecord(_OutputModel):
    """One market's bands: zone z lies from z to z + 1 times `zone_bps` from the mark."""

    kind: Literal["bands"]
    ts: Ns
    symbol: str
    mark: Annotated[float, Field(gt=0)]
    regime: str
    estimate: Annotated[bool, Field(description="no account is known; see `assumptions`")]
    assumptions: dict[str, str | float]
    sigma: Annotated[float | None, Field(description="realised volatility, a year")]
    grain_s: Annotated[float, Field(description="how far apart the mark's steps are, s", ge=0)]
    horizons_s: list[float]
    zone_bps: float
    path: LiquidationPath
    long: SideBands
    short: SideBands


class ForcedByZone(_OutputModel):
    """Columns: gross notional by the zone of the factor's move."""

    zone: list[Zone]
    notional: list[Quote]


class Factor(_OutputModel):
    """Cross accounts, when all markets move together."""

    fall: ForcedByZone
    rise: ForcedByZone


class VenueBandsRecord(_OutputModel):
    """What belongs to no market."""

    kind: Literal["bands"]
    ts: Ns
    symbol: None
    pools: Annotated[int, Field(ge=0)]
    unknown_pools: Annotated[int, Field(description="without mark, table or margin", ge=0)]
    assumed_margins: Annotated[int, Field(description="taken from leverage", ge=0)]
    zone_bps: float
    common_factor: Factor


OUTPUT_MODELS: dict[str, tuple[type[BaseModel], ...]] = {
    "alert": (Alert,),
    "bands": (MarketBandsRecord, VenueBandsRecord),
}
"""The models of each kind of output that is JSON."""
