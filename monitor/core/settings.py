"""The engine's settings, with their units and bounds. Configuration files fill these in."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from monitor.core.budget import AlertBudget, BudgetShare, moments_per_day
from monitor.core.contract.events import TOPICS
from monitor.core.contract.feature_catalogue import FEATURE_NAMES, FEATURES, VENUE_FEATURES
from monitor.core.contract.units import DAY_MS, MILLISECOND_NS, SECOND_NS

Parameter = float | int | str | bool
Seconds = Annotated[float, Field(gt=0, le=31_622_400)]
"""A length of time, s: a year at most."""
TopicName = Annotated[str, Field(min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")]
"""What Kafka takes as the name of a topic."""


class StrictModel(BaseModel):
    """Configuration never guesses: an unknown key is an error. The text below a key describes it,
    here and in `docs/configuration.md`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _reject_flag(cls, value: Any, info: ValidationInfo) -> Any:
        """To pydantic true is 1."""
        types = _types_in(cls.model_fields[info.field_name or ""].annotation)
        if isinstance(value, bool) and bool not in types and {int, float} & types:
            raise ValueError("true or false where a number belongs")
        return value


def _types_in(annotation: Any) -> set[Any]:
    """The types of a value that may be of one or of several."""
    return {annotation} | {each for part in get_args(annotation) for each in _types_in(part)}


def _reject_repeats(names: tuple[Any, ...]) -> tuple[Any, ...]:
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]} stands twice: leave one out")
    return names


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

    symbols: Annotated[int, Field(ge=1, le=1_000_000)] = 4_096
    """Symbols in one window of a shard; those with the lowest hash stay."""
    accounts: Annotated[int, Field(ge=1, le=1_000_000_000)] = 250_000
    """Pairs of symbol and account in one window of a shard; those with the lowest hash stay."""
    names: Annotated[int, Field(ge=1_000, le=1_000_000_000)] = 2_000_000
    """Names of accounts in a shard's memory; beyond it, names no longer in use are dropped."""
    cells: Annotated[int, Field(ge=1, le=100_000_000)] = 65_536
    """Windows times symbols that are measured and judged together."""


class AccountSettings(StrictModel):
    """The accounts of the venue, and how often their bands are computed."""

    most: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1_000_000
    """Accounts kept; beyond it, idle flat ones leave first, then those with the highest hash."""
    positions: Annotated[int, Field(ge=1, le=10_000_000_000)] = 10_000_000
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
    """Of the detector, by name; what is left out has the detector's own default."""
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


def _moment(feature: str, score: str, **parameters: Parameter) -> StreamSettings:
    """`score`: how the feature that is the score ends; it is the feature itself where that is
    empty."""
    inputs = feature, f"{feature}_{score}" if score else feature
    return _stream(feature, "moment", inputs, **parameters)


DEFAULT_STREAMS = (
    *map(_stream, ("cancels", "orders", "cancels_near", "leverage_raises", "leverage_first_high")),
    *map(_stream, ("mode_switches", "liquidations", "late", "missing", "trades")),
    _stream("depth_25bps", "level", direction="down", least=2.5),
    _stream("spread_lasting_bps", "level", direction="up", least=2.5),
    _stream("mark_to_index_bps", "level", direction="both", signed=True),
    _stream("cancels_to_orders", "ratio", inputs=("cancels", "orders")),
    _stream("sweep_bps", "peak", least=25.0),
    _stream("refill_s", "peak", least=30.0),
    _stream(
        "levels_shrunk", "likelihood", inputs=("levels_shrunk", "levels_shrunk_nats"), least=5.0
    ),
    _stream("step_back_bps", "peak", least=0.5),
    _moment("price_move_1s", "sd", least=5.0, score_least=9.0),
    _moment("price_move_10s", "sd", least=5.0, score_least=8.0),
    _moment("price_move_60s", "sd", least=5.0, score_least=6.5),
    _moment("trades_10s", "ratio", least=10.0, score_least=5.0),
    _moment("trade_notional_10s", "ratio", least=1_000.0, score_least=20.0),
    _moment("depth_lack_10s", "", least=2.0),
    _moment("spread_10s", "above", least=1.0, score_least=1.0),
    _stream("layering", "peak", least=1.0),
    _stream("crowding", "peak", least=3.0),
    *map(_stream, ("raised_notional", "raised_near_tier", "opened_high_to_depth")),
    *map(_stream, ("churned_notional", "unexplained")),
    _stream("forced_to_depth", "peak", least=1.0),
)  # fmt: skip
"""What is watched by default; a stream begins only where a venue's feeds have its number. From what
score on a moment is no chance (`score_least`) is measured on simulated markets whose volatility and
activity wander by half over ten minutes (docs/decisions/0053-moments-are-beside-the-budget.md)."""


class AccountBurstSettings(StrictModel):
    """Bursts by account: each account in each market, against its own ordinary activity."""

    streams: tuple[Literal["cancels", "orders"], ...] = ("cancels", "orders")
    """What is watched; none: bursts by account are off."""
    budget_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Their share of `alerts.per_day`."""
    most: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1_000_000
    """Pairs of market and account that a shard keeps for each stream; who acted last stays."""
    warm_up: Annotated[int, Field(ge=1, le=100_000_000)] = 1800
    """Windows to learn before the first judgement."""

    @field_validator("streams")
    @classmethod
    def _check_streams(cls, streams: tuple[str, ...]) -> tuple[str, ...]:
        return _reject_repeats(streams)


class AlertSettings(StrictModel):
    """How many alerts, and when they begin, end and rise in severity."""

    per_day: Annotated[float, Field(gt=0, le=100_000)] = 10.0
    """False alerts a day that the desk will bear, for the whole venue."""
    venue_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """The share of `per_day` of streams on the venue's accounts together."""
    quiet_s: Seconds = 30.0
    """An incident is resolved after this long without new evidence, s; where its evidence has come
    back before, after twice its longest pause, but at most `reopen_s`."""
    reopen_s: Seconds = 900.0
    """Evidence in the market of an incident within this long of its resolution reopens it, s."""
    longest_s: Annotated[float, Field(ge=3_600, le=31_622_400)] = 86_400.0
    """An incident whose evidence lasts longer, pauses included, is closed, and what comes then is
    another one, s."""
    together_s: Seconds = 5.0
    """Evidence in several markets that begins within this long is one incident, s."""
    stake_notional: Annotated[float, Field(gt=0, le=1e15)] = 1_000_000.0
    """So much is much, quote currency: an alert is one step more severe where a cascade that an
    hour's move may set off would force it, or a move of 2 % would and the book takes less than half
    of it (`docs/severity.md`)."""


class JointSettings(StrictModel):
    """Joint evidence: small changes in several streams at once."""

    window_s: Seconds = 5.0
    """Windows are joined to blocks of this length, s."""
    streams: tuple[str, ...] = (
        "cancels", "cancels_top_share", "trades", "liquidations", "leverage_raises",
        "depth_missing", "spread_bps", "mark_gap_bps",
    )  # fmt: skip
    """Features whose evidence is added; with fewer than two, joint evidence is off. Two that
    measure the same thing would count it twice. The first must be a count: the forecast of its rate
    is an input of all."""
    budget_share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The share of `alerts.per_day` for joint evidence in one market."""
    across_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """The share for evidence across markets; 0: off."""
    warm_up: Annotated[int, Field(ge=10, le=100_000_000)] = 100
    """Blocks that a stream learns before its evidence counts."""

    @field_validator("streams")
    @classmethod
    def _check_streams(cls, streams: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in streams if name not in FEATURE_NAMES]:
            near = difflib.get_close_matches(unknown[0], FEATURE_NAMES, 1)
            mend = f"did you mean {near[0]}?" if near else "feature_catalogue.py lists them"
            raise ValueError(f"no feature is called {unknown[0]!r}: {mend}")
        _reject_repeats(streams)
        if len(streams) >= 2 and FEATURES[streams[0]].form != "count":
            raise ValueError(
                f"the first stream must be a count, as cancels is; {streams[0]} is none"
            )
        return streams


class DriftSettings(StrictModel):
    """Drift: depth, spread, cancels to orders, funding, leverage raises and the concentration of
    cancels of each market, beside their usual for the hour of the day."""

    budget_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Its share of `alerts.per_day`; 0: off."""


class EngineSettings(StrictModel):
    """All that the engine's output depends on, beside the records."""

    time: TimeSettings = TimeSettings()
    limits: Limits = Limits()
    alerts: AlertSettings = AlertSettings()
    account_bursts: AccountBurstSettings = AccountBurstSettings()
    accounts: AccountSettings = AccountSettings()
    cost_notional: Annotated[float, Field(gt=0, le=1e12)] = 100_000.0
    """The cost to trade is measured for an order of this notional, quote currency."""
    topics: Annotated[
        dict[str, TopicName],
        Field(json_schema_extra={"propertyNames": {"enum": list(TOPICS)}}),
    ] = dict(TOPICS)
    """The topic of each kind of records. A kind that is left out keeps its own."""
    streams: tuple[StreamSettings, ...] = DEFAULT_STREAMS
    joint: JointSettings = JointSettings()
    drift: DriftSettings = DriftSettings()

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
            drift=self.drift.budget_share,
        )

    @property
    def moments(self) -> BudgetShare:
        """How many moments a day each stream of them reports, of all markets together; they are
        beside the false alerts."""
        return BudgetShare(moments_per_day(self.alerts.per_day))

    @field_validator("topics")
    @classmethod
    def _check_topics(cls, topics: dict[str, str]) -> dict[str, str]:
        if unknown := [kind for kind in topics if kind not in TOPICS]:
            kinds = ", ".join(TOPICS)
            raise ValueError(f"no kind of records is called {unknown[0]!r}: there are {kinds}")
        every = {**TOPICS, **topics}
        for kind, topic in every.items():
            if others := [k for k, t in every.items() if t == topic and k != kind]:
                raise ValueError(
                    f"{topic!r} is the topic of {kind} and of {others[0]}: give each kind its own"
                )
        return every

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
