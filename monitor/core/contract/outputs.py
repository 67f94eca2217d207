"""The contract of what goes out as JSON: bands here, alerts in `alert.py`.

These models describe what `monitor/core/bands/records.py` writes; a test holds the two together.
Fields may be added: a reader ignores those that it does not know.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from monitor.core.contract.alert import Alert, Fraction, Ns, Percent, Quote
from monitor.core.contract.units import ZONE_BINS

Zone = Annotated[int, Field(ge=0, lt=ZONE_BINS)]
ModeName = Literal["cross", "isolated"]


class _OutputModel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class BandPathRecord(_OutputModel):
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


class ForcedWithin(_OutputModel):
    """All that is forced up to a distance from a price."""

    pct: Percent
    forced: Quote


class SideAtMarket(_OutputModel):
    """Longs or shorts, from the market's own price; 0 % away: due already."""

    nearest: float | None
    distance_pct: Percent | None
    within: list[ForcedWithin]


class AtMarket(_OutputModel):
    """Bands from `market_price` in place of a mark that is old or far from it."""

    price: Annotated[float, Field(gt=0)]
    long: SideAtMarket
    short: SideAtMarket


class SideCascadeRecord(_OutputModel):
    """Falls, which force longs, or rises: a number for each of `survives`; null: not known, or no
    such shock within reach."""

    r: Annotated[
        list[float | None], Field(description="reproduction number at the mark, over 50 bp")
    ]
    critical_shock: Annotated[
        list[float | None],
        Field(description="fraction of the mark at which its rest jumps furthest, below 0: a fall"),
    ]
    jump: Annotated[list[float | None], Field(description="how much further, log distance")]
    forced: Annotated[list[float | None], Field(description="up to there, quote currency")]


class CascadeRecord(_OutputModel):
    """What a shock would set off, zone by zone; never a stopping price."""

    survives: Annotated[
        list[Fraction | None],
        Field(description="shares of the book; the last is what the market has shown"),
    ]
    kappa: Annotated[Fraction, Field(description="part of the book's move that the mark takes")]
    hour_move: Annotated[
        float | None, Field(description="one standard deviation of an hour's return", ge=0)
    ]
    long: SideCascadeRecord
    short: SideCascadeRecord


class MarketBandsRecord(_OutputModel):
    """One market's bands: zone z lies from z to z + 1 times `zone_bps` from the mark."""

    kind: Literal["bands"]
    ts: Ns
    symbol: str
    mark: Annotated[float, Field(gt=0)]
    mark_age_s: Annotated[float | None, Field(description="how old the mark was at `ts`", ge=0)]
    market_price: Annotated[
        float | None, Field(description="middle of the last sound book, else last price", gt=0)
    ]
    doubts: Annotated[list[str], Field(description="kinds of open alerts on the market's data")]
    at_market: Annotated[
        AtMarket | None, Field(description="null: the mark is not in doubt, or no other price")
    ]
    regime: str
    estimate: Annotated[bool, Field(description="no account is known; see `assumptions`")]
    assumptions: dict[str, str | float]
    sigma: Annotated[float | None, Field(description="realised volatility, a year")]
    grain_s: Annotated[float, Field(description="how far apart the mark's steps are, s", ge=0)]
    horizons_s: list[float]
    zone_bps: float
    path: BandPathRecord
    cascade: Annotated[CascadeRecord | None, Field(description="null: an estimate")]
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


class CollateralOutside(_OutputModel):
    """What counts for accounts beside the collateral on record, as printed prices show."""

    accounts: Annotated[int, Field(ge=0)]
    sum: Annotated[float, Field(description="quote currency; may be negative")]


class VenueBandsRecord(_OutputModel):
    """What belongs to no market."""

    kind: Literal["bands"]
    ts: Ns
    symbol: None
    pools: Annotated[int, Field(ge=0)]
    unknown_pools: Annotated[int, Field(description="without mark, table or margin", ge=0)]
    assumed_margins: Annotated[int, Field(description="taken from leverage", ge=0)]
    left_out: Annotated[
        dict[str, str], Field(description="markets whose positions cannot be counted, and why")
    ]
    collateral_outside: CollateralOutside
    printed_prices: Annotated[
        dict[str, int],
        Field(description="liquidation prices that the venue printed so far, by what came of them"),
    ]
    zone_bps: float
    common_factor: Factor


OUTPUT_MODELS: dict[str, tuple[type, ...]] = {
    "alert": (Alert,),
    "bands": (MarketBandsRecord, VenueBandsRecord),
}
"""The types of each kind of output that is JSON."""
