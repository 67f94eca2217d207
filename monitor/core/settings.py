"""The engine's settings, with their units and bounds. Configuration files fill these in."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitor.core.budget import AlertBudget
from monitor.core.contract.events import TOPICS
from monitor.core.contract.feature_catalogue import VENUE_FEATURES
from monitor.core.contract.units import DAY_MS, MILLISECOND_NS, SECOND_NS

Parameter = float | int | str | bool
Seconds = Annotated[float, Field(gt=0)]


class StrictModel(BaseModel):
    """Configuration never guesses: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeSettings(StrictModel):
    """How event time is cut into windows, and how long a window waits for its records."""

    window_ms: Annotated[int, Field(ge=10, le=60_000)] = 1_000
    """Length of a window, ms."""
    lateness_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 1_000
    """A record is late when its time lies more than this below the highest time at lower offsets of
    its own topic partition, ms: at most. Once the log has shown how far its records run behind, it
    is twice what one in a thousand exceeds, and not below 50 ms
    (docs/decisions/0017-time-with-a-witness.md)."""

    @property
    def window_ns(self) -> int:
        return self.window_ms * MILLISECOND_NS

    @property
    def lateness_ns(self) -> int:
        return self.lateness_ms * MILLISECOND_NS

    @property
    def window_s(self) -> float:
        return self.window_ms / 1000

    @property
    def windows_per_day(self) -> float:
        return DAY_MS / self.window_ms


class Limits(StrictModel):
    """Bounds on memory. Names alone decide what is dropped, never arrival; it is counted."""

    symbols: Annotated[int, Field(ge=1)] = 4_096
    """Symbols in one window of a shard; those with the lowest hash stay."""
    accounts: Annotated[int, Field(ge=1)] = 250_000
    """Pairs of symbol and account in one window of a shard; those with the lowest hash stay."""
    names: Annotated[int, Field(ge=1_000)] = 2_000_000
    """Names of accounts in a shard's memory; beyond it, names no longer in use are dropped."""
    cells: Annotated[int, Field(ge=1)] = 65_536
    """Windows times symbols that are measured and judged together."""


class AccountSettings(StrictModel):
    """The accounts of the venue, and how often their bands are computed."""

    most: Annotated[int, Field(ge=1)] = 1_000_000
    """Accounts kept; beyond it, idle flat ones leave first, then those with the highest hash."""
    positions: Annotated[int, Field(ge=1)] = 10_000_000
    """Pairs of account and market kept, flat ones with a leverage set included."""
    idle_s: Seconds = 86_400.0
    """A flat account is idle after this long without a record, s."""
    bands_every_s: Annotated[float, Field(ge=0.01, le=3_600)] = 1.0
    """Positions and bands are as of multiples of this in event time, s. A refresh takes one core
    about 3 ms for 2,000 accounts in 8 markets; `make bench` measures it for a million."""

    @property
    def bands_interval_ns(self) -> int:
        """`bands_every_s` in ns."""
        return round(self.bands_every_s * SECOND_NS)


class StreamSettings(StrictModel):
    """One number watched for every symbol, and the detector that watches it."""

    feature: str
    """Name of a feature (`feature_catalogue.FEATURES`)."""
    detector: str = "burst"
    """Name of a detector's entry point, or path of one of river's anomaly detectors, such as
    anomaly.GaussianScorer."""
    parameters: dict[str, Parameter] = {}
    inputs: tuple[str, ...] = ()
    """The features that the detector reads, in its order, where `feature` alone is not enough: a
    ratio reads the count of events and the count of trials."""

    @property
    def input_features(self) -> tuple[str, ...]:
        return self.inputs or (self.feature,)

    @property
    def key(self) -> tuple[str, str, tuple[str, ...]]:
        """What two streams may not both have."""
        return self.feature, self.detector, self.input_features


def _stream(
    feature: str, detector: str = "burst", inputs: tuple[str, ...] = (), **parameters: Parameter
) -> StreamSettings:
    return StreamSettings(feature=feature, detector=detector, inputs=inputs, parameters=parameters)


DEFAULT_STREAMS = (
    *map(_stream, ("cancels", "orders", "cancels_near", "leverage_raises", "leverage_first_high")),
    *map(_stream, ("mode_switches", "liquidations", "late", "missing")),
    _stream("depth_25bps_least", "level", direction="down", least=2.5),
    _stream("spread_bps", "level", direction="up", least=2.5),
    _stream("mark_to_index_bps", "level", direction="both", signed=True),
    _stream("cancels_to_orders", "ratio", inputs=("cancels", "orders")),
    _stream("sweep_bps", "peak", least=25.0),
    _stream("refill_s", "peak", least=30.0),
    _stream("layering", "peak", least=1.0),
    _stream("crowding", "peak", least=3.0),
    *map(_stream, ("raised_notional", "raised_near_tier", "opened_high_to_depth")),
    *map(_stream, ("churned_notional", "unexplained")),
    _stream("forced_to_depth", "peak", least=1.0),
)  # fmt: skip
"""What is watched by default; a stream begins only where a venue's feeds have its number."""


class AccountBurstSettings(StrictModel):
    """Bursts by account: each account in each market, against its own ordinary activity."""

    streams: tuple[Literal["cancels", "orders"], ...] = ("cancels", "orders")
    """What is watched."""
    budget_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Their share of `AlertSettings.per_day`."""
    most: Annotated[int, Field(ge=1)] = 1_000_000
    """Pairs of market and account that a shard keeps for each stream; who acted last stays."""
    warm_up: Annotated[int, Field(ge=1)] = 1800
    """Windows to learn before the first judgement."""


class AlertSettings(StrictModel):
    """How many alerts, and when they begin, end and rise in severity."""

    per_day: Annotated[float, Field(gt=0, le=100_000)] = 10.0
    """False alerts a day that the desk will bear, for the whole venue."""
    venue_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """The share of the venue's streams (`feature_catalogue.VENUE_FEATURES`)."""
    quiet_s: Seconds = 30.0
    """An alert is resolved after this long without new evidence, s."""
    together_s: Seconds = 5.0
    """Evidence in several markets that begins within this long is one incident, s."""
    stake_notional: Annotated[float, Field(gt=0)] = 1_000_000.0
    """An alert is one step more severe where a move of 2 % would force at least this notional,
    quote currency."""


class JointSettings(StrictModel):
    """Joint evidence: small changes in several streams at once."""

    window_s: Seconds = 5.0
    """Windows are joined to blocks of this length, s."""
    streams: tuple[str, ...] = (
        "cancels", "cancels_top_share", "trades", "liquidations", "leverage_raises",
        "depth_25bps_least", "spread_bps", "mark_gap_bps",
    )  # fmt: skip
    """Features whose evidence is added; with fewer than two, joint evidence is off. Two that
    measure the same thing would count it twice. The first must be a count: the forecast of its rate
    is an input of all."""
    budget_share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The share of `AlertSettings.per_day` for joint evidence in one market."""
    across_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """The share for evidence across markets; 0: off."""
    warm_up: Annotated[int, Field(ge=10)] = 100
    """Blocks that a stream learns before its evidence counts."""


class EngineSettings(StrictModel):
    """All that the engine's output depends on, beside the records."""

    time: TimeSettings = TimeSettings()
    limits: Limits = Limits()
    alerts: AlertSettings = AlertSettings()
    account_bursts: AccountBurstSettings = AccountBurstSettings()
    accounts: AccountSettings = AccountSettings()
    cost_notional: Annotated[float, Field(gt=0, le=1e12)] = 100_000.0
    """The cost to trade is measured for an order of this notional, quote currency."""
    topics: dict[str, str] = dict(TOPICS)
    """The topic of each kind."""
    streams: tuple[StreamSettings, ...] = DEFAULT_STREAMS
    joint: JointSettings = JointSettings()

    @property
    def joint_block(self) -> int:
        """Windows of a block of joint evidence."""
        return self.window_count(self.joint.window_s)

    @property
    def stream_labels(self) -> tuple[str, ...]:
        """What each stream is called: its feature; where several watch it, also its detector, and
        where one detector does several times, also what it reads."""
        features = Counter(stream.feature for stream in self.streams)
        pairs = Counter((stream.feature, stream.detector) for stream in self.streams)
        labels = []
        for stream in self.streams:
            label = stream.feature
            if features[stream.feature] > 1:
                label += f" by {stream.detector}"
            if pairs[stream.feature, stream.detector] > 1:
                label += f" of {', '.join(stream.input_features)}"
            labels.append(label)
        return tuple(labels)

    @property
    def budget(self) -> AlertBudget:
        """The false alerts a day, split between the kinds of evidence; 0 for those that are off."""
        joint = len(self.joint.streams) >= 2
        venue = any(stream.feature in VENUE_FEATURES for stream in self.streams)
        return AlertBudget.split(
            self.alerts.per_day,
            joint=self.joint.budget_share if joint else 0.0,
            cross_market=self.joint.across_share if joint else 0.0,
            account_bursts=self.account_bursts.budget_share if self.account_bursts.streams else 0.0,
            venue_streams=self.alerts.venue_share if venue else 0.0,
        )

    @model_validator(mode="after")
    def _check_budget(self) -> Self:
        self.budget  # noqa: B018  (it raises where the shares leave nothing)
        return self

    def window_count(self, seconds: float) -> int:
        """A length of time in windows, at least one."""
        return max(1, round(seconds * 1000 / self.time.window_ms))

    def fingerprint(self) -> str:
        """Twelve hex digits that change with any of the settings."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
