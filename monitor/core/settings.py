"""The engine's numbers, with their units and bounds. Configuration files fill these in."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitor.core.contract.events import TOPICS
from monitor.core.contract.feature_catalogue import VENUE_FEATURES

Seconds = Annotated[float, Field(gt=0)]


class StrictModel(BaseModel):
    """Configuration never guesses: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeSettings(StrictModel):
    """How time is cut and how long it waits."""

    window_ms: Annotated[int, Field(ge=10, le=60_000)] = 1_000
    """Length of a window, ms."""
    lateness_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 50
    """A record is late when its time lies more than this behind the highest time at lower offsets
    of its own topic partition, ms."""

    @property
    def window_ns(self) -> int:
        return self.window_ms * 1_000_000

    @property
    def lateness_ns(self) -> int:
        return self.lateness_ms * 1_000_000

    @property
    def windows_per_day(self) -> float:
        return 86_400_000 / self.window_ms


class Limits(StrictModel):
    """Every bound on memory. What lies beyond is dropped by a rule on names alone, and counted."""

    symbols: Annotated[int, Field(ge=1)] = 4_096
    """Symbols in one window of a shard: those with the lowest hash stay."""
    accounts: Annotated[int, Field(ge=1)] = 250_000
    """Pairs of symbol and account in one window of a shard: those with the lowest hash stay."""
    names: Annotated[int, Field(ge=1_000)] = 2_000_000
    """Names of accounts held at once, before those no longer in use are forgotten."""
    cells: Annotated[int, Field(ge=1)] = 65_536
    """Windows times symbols that are closed in one go."""


class AccountSettings(StrictModel):
    """The accounts of the venue, and how often what hangs on them is made anew."""

    most: Annotated[int, Field(ge=1)] = 1_000_000
    """Accounts held: idle flat ones leave first, then those with the highest hash."""
    positions: Annotated[int, Field(ge=1)] = 10_000_000
    """Accounts times markets held, those flat but with a leverage set included."""
    idle_s: Seconds = 86_400.0
    """A flat account may leave when nothing was heard of it for so long, s."""
    bands_every_s: Annotated[float, Field(ge=0.01, le=3_600)] = 1.0
    """Positions and bands are as of multiples of this in event time, s. A refresh costs about 3 ms
    of one core for 2,000 accounts in 8 markets; `make bench` says what a million costs."""

    @property
    def bands_interval_ns(self) -> int:
        """`bands_every_s` in ns."""
        return round(self.bands_every_s * 1e9)


class StreamSettings(StrictModel):
    """One number watched for every symbol, and the detector that watches it."""

    feature: str
    """Name of a feature (`compute.NAMES`)."""
    detector: str = "burst"
    """A detector's entry point, or the path of a river anomaly detector (`anomaly.LODA`)."""
    parameters: dict[str, float | int | str | bool] = {}
    inputs: tuple[str, ...] = ()
    """The features that the detector reads, in its order, where that is not `feature` alone (a
    ratio: what is counted, and out of how many)."""

    @property
    def input_features(self) -> tuple[str, ...]:
        return self.inputs or (self.feature,)


def _stream(
    feature: str,
    detector: str,
    inputs: tuple[str, ...] = (),
    **parameters: float | int | str | bool,
) -> StreamSettings:
    return StreamSettings(feature=feature, detector=detector, inputs=inputs, parameters=parameters)


DEFAULT_STREAMS = (
    *(
        StreamSettings(feature=name)
        for name in (
            "cancels", "orders", "cancels_near", "leverage_raises", "leverage_first_high",
            "mode_switches", "liquidations", "late", "missing",
        )
    ),
    _stream("depth_25bps_least", "level", direction="down", least=2.5),
    _stream("spread_bps", "level", direction="up", least=2.5),
    _stream("mark_to_index_bps", "level", direction="both", signed=True),
    _stream("cancels_to_orders", "ratio", inputs=("cancels", "orders")),
    _stream("sweep_bps", "peak", least=25.0),
    _stream("refill_s", "peak", least=30.0),
    _stream("layering", "peak", least=1.0),
    _stream("crowding", "peak", least=3.0),
    *(
        StreamSettings(feature=name)
        for name in (
            "raised_notional", "raised_near_tier", "opened_high_to_depth", "churned_notional",
            "unexplained",
        )
    ),
    _stream("forced_to_depth", "peak", least=1.0),
)  # fmt: skip
"""What is watched by default: a stream begins only where a venue tells its number."""


class AccountBurstSettings(StrictModel):
    """Bursts by account: each account of each market beside its own habits."""

    streams: tuple[Literal["cancels", "orders"], ...] = ("cancels", "orders")
    """What is watched."""
    budget_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The part of the alerts a day that is theirs."""
    most: Annotated[int, Field(ge=1)] = 1_000_000
    """Pairs of market and account held by a shard for each of the streams: who acted last stays."""
    warm_up: Annotated[int, Field(ge=1)] = 1800
    """Windows to learn before the first judgement."""


class AlertSettings(StrictModel):
    """The one knob."""

    per_day: Annotated[float, Field(gt=0, le=100_000)] = 10.0
    """False alerts a day that the desk will bear, for the whole venue."""
    venue_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """The part of it for what needs the accounts of a market (`feature_catalogue.VENUE_FEATURES`)."""
    quiet_s: Seconds = 30.0
    """An alert is resolved after this long without new evidence, s."""
    together_s: Seconds = 5.0
    """Evidence in several markets that begins within this time is one incident, s."""
    stake_notional: Annotated[float, Field(gt=0)] = 1_000_000.0
    """Where a move of 2 % would force at least this much, an alert is one step more severe, quote
    currency."""


class JointSettings(StrictModel):
    """Weak signs in several streams at once."""

    window_s: Seconds = 5.0
    """Windows are taken together to this length, s."""
    streams: tuple[str, ...] = (
        "cancels",
        "cancels_top_share",
        "trades",
        "liquidations",
        "leverage_raises",
        "depth_25bps_least",
        "spread_bps",
        "mark_gap_bps",
    )
    """Features whose evidence is added; fewer than two: none is. What measures the same thing
    twice should not be in it twice. The first is a count: its forecast sets the pace."""
    budget_share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Of the alerts a day: what joint evidence may spend; single streams spend the rest."""
    across_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Of the alerts a day: what evidence of many markets together may spend; 0: none is looked
    for."""
    warm_up: Annotated[int, Field(ge=10)] = 100
    """Windows of this length that a stream learns before its evidence counts."""


class EngineSettings(StrictModel):
    """All that decides what the engine makes of a set of records."""

    time: TimeSettings = TimeSettings()
    limits: Limits = Limits()
    alerts: AlertSettings = AlertSettings()
    account_bursts: AccountBurstSettings = AccountBurstSettings()
    accounts: AccountSettings = AccountSettings()
    cost_notional: Annotated[float, Field(gt=0, le=1e12)] = 100_000.0
    """Notional whose cost to trade is measured, quote currency."""
    topics: dict[str, str] = dict(TOPICS)
    """The topic of each kind."""
    streams: tuple[StreamSettings, ...] = DEFAULT_STREAMS
    joint: JointSettings = JointSettings()

    @property
    def joint_per_day(self) -> float:
        """False alerts a day that joint evidence may make: 0 where it is off."""
        on = len(self.joint.streams) >= 2
        return self.alerts.per_day * self.joint.budget_share if on else 0.0

    @property
    def joint_block(self) -> int:
        """Windows that are taken together for joint evidence."""
        return self.window_count(self.joint.window_s)

    @property
    def cross_market_per_day(self) -> float:
        """False alerts a day that joint evidence across markets may make: 0 where it is off."""
        return self.alerts.per_day * self.joint.across_share if self.joint_per_day else 0.0

    @property
    def account_bursts_per_day(self) -> float:
        """False alerts a day that bursts by account may make: 0 where nothing is watched."""
        bursts = self.account_bursts
        return self.alerts.per_day * bursts.budget_share if bursts.streams else 0.0

    @property
    def venue_per_day(self) -> float:
        """False alerts a day that streams of the venue may make: 0 where none is watched."""
        on = any(stream.feature in VENUE_FEATURES for stream in self.streams)
        return self.alerts.per_day * self.alerts.venue_share if on else 0.0

    @property
    def single_per_day(self) -> float:
        """False alerts a day that single streams of the shards may make."""
        joint = self.joint_per_day + self.cross_market_per_day
        others = joint + self.account_bursts_per_day + self.venue_per_day
        return self.alerts.per_day - others

    @model_validator(mode="after")
    def _check_budget_shares(self) -> Self:
        if self.single_per_day <= 0:
            raise ValueError(
                "joint.budget_share, joint.across_share, account_bursts.budget_share and "
                "alerts.venue_share leave nothing for single streams: make them less than 1 "
                "together"
            )
        return self

    def window_count(self, seconds: float) -> int:
        """A length of time in windows, at least one."""
        return max(1, round(seconds * 1000 / self.time.window_ms))

    def fingerprint(self) -> str:
        """Twelve hex digits that change with any of the numbers."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
