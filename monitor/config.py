"""Configuration: a TOML file, over it the environment, over both the command line."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from monitor.configuration.environment import read_variables
from monitor.configuration.faults import fault_text
from monitor.configuration.origins import Origins, ValueSource
from monitor.core.contract.events import CONTROL_TOPIC, TOPICS
from monitor.core.settings import DEFAULT_STREAMS, EngineSettings, Seconds, StrictModel, TopicName
from monitor.delivery.settings import ReceiverSettings
from monitor.errors import ConfigError, read_text, reason_unread
from monitor.security import KafkaSecurity
from monitor.silences.silence import AlertSilence, alert_kinds, check_kinds, check_patterns
from monitor.sources.formats.base import PARQUET
from monitor.sources.registry import SchemaRegistrySettings
from monitor.sources.settings import SourceSettings, anchor_schema_files
from monitor.sources.start import EARLIEST, LATEST, start_time_ms

FILE_BYTES_MAX = 1 << 20
LINE_MAX = 4_096
"""Characters. The time and memory of Python's TOML parser grow with the square of the parts of a
dotted key, which cannot be broken over lines."""
ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")
NO_STREAMS = (
    "no stream is named: name one as [[streams]] with a `feature`, or leave this key out to watch "
    "the default ones"
)
ENGINE_KEYS = tuple(EngineSettings.model_fields)
INPUT_PREFIX = "brinkwatch.in."
"""Of the topics into which the records of sources are re-keyed, where `topics` does not name
them."""


def _check_addresses(text: str) -> str:
    for address in text.split(","):
        if "://" in address:
            raise ValueError(f"{address} has a protocol in it: write host:port alone")
        fits = ADDRESS.fullmatch(address.strip())
        if fits is None or not 0 < int(fits["port"]) <= 65_535:
            raise ValueError(f"{address or text!r} is not host:port (several with commas)")
    return text


Addresses = Annotated[str, AfterValidator(_check_addresses)]


class OutputCluster(StrictModel):
    """Another cluster, for all that brinkwatch writes."""

    bootstrap_servers: Addresses
    """host:port, several with commas."""
    security: KafkaSecurity = KafkaSecurity()


class KafkaSettings(StrictModel):
    """The event bus. The topics of each kind are in `topics`."""

    bootstrap_servers: Addresses = "127.0.0.1:9092"
    """The venue's cluster: host:port, several with commas."""
    output: OutputCluster | None = None
    """Where all topics of brinkwatch's own and its group are, if not on the venue's cluster: that
    one is only read."""
    group: Annotated[str, Field(min_length=1, max_length=128)] = "brinkwatch"
    """Names the offsets, the snapshots and the transactions. Sidecars with the same one share the
    partitions."""
    member: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    """This sidecar's own name in its group, kept over restarts (of a host or a pod). Started again
    within `member_timeout_s` it has its partitions at once, and no other partition moves."""
    member_timeout_s: Annotated[float, Field(ge=6, le=1_800)] = 10.0
    """A member that sends no heartbeat for so long is gone: others take its partitions, s."""
    security: KafkaSecurity = KafkaSecurity()
    control_topic: TopicName = CONTROL_TOPIC
    """That time has passed in topic partitions that bring nothing."""
    alerts_topic: TopicName = "brinkwatch.alerts"
    """Alerts, one partition."""
    bands_topic: TopicName = "brinkwatch.bands"
    """Liquidation bands, keyed by symbol."""
    dlq_topic: TopicName = "brinkwatch.dlq"
    """Records that were refused, with their bytes."""
    positions_topic: TopicName = "brinkwatch.positions"
    """How far each source was read."""
    windows_topic: TopicName = "brinkwatch.windows"
    """The reports of the shards to the venue stage."""
    snapshots_topic: TopicName = "brinkwatch.snapshots"
    """What a restart goes on from."""
    silences_topic: TopicName = "brinkwatch.silences"
    """What `brinkwatch silence` adds, one partition."""
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Of each topic of the venue's records that is created here. The sidecars of a group share
    them; each partition has its share of the budget of alerts."""
    replication: Annotated[int, Field(ge=1, le=32_767)] = 1
    """Copies of each partition of the topics that are created here; 3 where there are as many
    brokers."""
    silence_s: Seconds = 2.0
    """A topic partition that was read to its end and brings nothing for so long is silent: a
    control record lets the others go on without it, s."""
    commit_s: Seconds = 0.5
    """Offsets are committed at least this often; alerts at once, s."""
    poll_records: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """Records in one step of the engine, at most."""
    fetch: Literal["batches", "getmany"] = "batches"
    """How records of the venue are taken from Kafka's client: `batches` reads whole record batches
    without a Python object for each record, with the versions of aiokafka that this was tested
    with, and `getmany` with any other; `getmany` always reads record by record."""
    ahead_s: Seconds = 60.0
    """A topic partition this far ahead of the slowest one is paused, s of event time."""


OWN_TOPIC_KEYS = [name for name in KafkaSettings.model_fields if name.endswith("_topic")]
"""The settings that name the sidecar's own topics."""


class HttpSettings(StrictModel):
    """/metrics /livez /readyz /state, /alerts /alerts/ID /alerts.jsonl /events, and what a desk
    asks: /stress /account /rules."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address to listen at; 0.0.0.0: all of this machine's."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 9_464
    """0: a free one, which is logged."""
    token: SecretStr | None = None
    """What requests to all but /livez and /readyz must carry after `Authorization: Bearer`. Without
    one accounts are named on loopback alone."""
    token_file: Path | None = None
    """The file that holds `token`, in its place."""
    cert_file: Path | None = None
    """PEM, the server's certificate; with it the port speaks TLS."""
    key_file: Path | None = None
    """PEM, the key of `cert_file`."""
    lag_limit_s: Seconds = 60.0
    """Not ready while records wait and the last one read came to Kafka longer ago than this, s."""

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("give token or token_file, not both")
        if self.token is not None and not self.token.get_secret_value():
            raise ValueError("token is empty: anybody could send it; leave it out to ask for none")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs its certificate: set cert_file, or the port is plain")
        return self


class StateSettings(StrictModel):
    """Snapshots, from which a restart goes on, and the verdicts of people on alerts."""

    every_s: Seconds = 5.0
    """Seconds between snapshots."""
    dir: Path = Path("brinkwatch-state")
    """Where `feedback` is kept."""


class Config(EngineSettings):
    """Everything that can be set."""

    # A model that holds secrets hides input in errors: pydantic asks the outermost.
    model_config = ConfigDict(hide_input_in_errors=True)

    replace_streams: bool = False
    """Whether `streams` are all that is watched. By default they are watched beside the default
    ones; one with the feature, the detector and the inputs of a default one takes its place."""
    kafka: KafkaSettings = KafkaSettings()
    http: HttpSettings = HttpSettings()
    state: StateSettings = StateSettings()
    silences: tuple[AlertSilence, ...] = ()
    """Maintenance windows and other times of which nobody need be notified; `brinkwatch silence`
    adds more while the sidecar runs."""
    receivers: tuple[ReceiverSettings, ...] = ()
    """Who is notified of alerts, and of which."""
    source: dict[str, SourceSettings] = Field(default_factory=dict)
    """The field maps of the venue's topics or files, by names of your choice."""
    schema_registry: SchemaRegistrySettings = SchemaRegistrySettings()

    @property
    def sources(self) -> dict[str, SourceSettings]:
        """The sources that are read from Kafka, by name."""
        return {name: source for name, source in self.source.items() if source.topic}

    @model_validator(mode="before")
    @classmethod
    def _name_input_topics(cls, given: Any) -> Any:
        """Where records go through topics of our own, these must not be the venue's."""
        source, kafka = given.get("source") or {}, given.get("kafka") or {}
        if not isinstance(source, dict) or not isinstance(given.get("topics", {}), dict):
            return given  # no tables: that is an error of their own
        is_live = any(_setting(each, "topic") for each in source.values())
        own = {kind: INPUT_PREFIX + topic for kind, topic in TOPICS.items()}
        if is_live:
            return {**given, "topics": {**own, **given.get("topics", {})}}
        if _setting(kafka, "output"):
            # The venue's topics are in the contract's form: each is a source as it is.
            names = {**TOPICS, **given.get("topics", {})}
            canonical = {
                kind: SourceSettings(topic=topic, format="canonical", kind=kind)
                for kind, topic in names.items()
            }
            return {**given, "topics": own, "source": {**source, **canonical}}
        return given

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        for source in self.sources.values():
            if source.start not in (EARLIEST, LATEST):
                start_time_ms(source.start)
            if source.format == PARQUET:
                raise ValueError(
                    f"parquet is a format of files, and {source.topic} a topic: its records are "
                    "json, csv, avro, protobuf or a venue's own"
                )
        topics = [source.topic for source in self.sources.values()]
        if twice := sorted({topic for topic in topics if topics.count(topic) > 1}):
            raise ValueError(f"two sources read the topic {twice[0]}: make one table of them")
        if self.kafka.output is None and (own := sorted({*topics} & {*self.topics.values()})):
            raise ValueError(
                f"{own[0]} is the topic of a source and one of [topics], to which brinkwatch "
                "writes: leave [topics] out, or name others there"
            )
        return self

    @model_validator(mode="after")
    def _check_silences(self) -> Self:
        names = [silence.name for silence in self.silences]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two silences are called {twice[0]}: give each a name of its own")
        check_kinds(self.silences, alert_kinds(self))
        return self

    @model_validator(mode="after")
    def _check_receivers(self) -> Self:
        names = [receiver.name for receiver in self.receivers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two receivers are called {twice[0]}: give each a name of its own")
        kinds = alert_kinds(self)
        for receiver in self.receivers:
            check_patterns(f"receiver {receiver.name}", receiver.alert_kind, kinds)
        return self

    @model_validator(mode="after")
    def _check_own_topics(self) -> Self:
        kafka = self.kafka
        own = {name: getattr(kafka, name) for name in sorted(OWN_TOPIC_KEYS)}
        used = {topic: f"topics.{kind}" for kind, topic in self.topics.items()}
        if kafka.output is None:
            used |= {source.topic: f"source.{key}.topic" for key, source in self.sources.items()}
        for name, topic in own.items():
            if topic in used:
                raise ValueError(
                    f"kafka.{name} and {used[topic]} are both the topic {topic}: brinkwatch writes "
                    "there and would read it as something else; give each a topic of its own"
                )
            used[topic] = f"kafka.{name}"
        return self

    def engine(self) -> EngineSettings:
        """The settings that decide what the engine makes of a set of records."""
        return EngineSettings(**{key: getattr(self, key) for key in ENGINE_KEYS})


def _setting(section: Any, name: str) -> Any:
    """A setting of a section that may be a model already, or None."""
    return section.get(name) if isinstance(section, dict) else getattr(section, name, None)


def load(path: Path | None = None, **overrides: Any) -> Config:
    """Read the configuration; raises `ConfigError` that names the key and how to mend it."""
    return load_with_origins(path, **overrides)[0]


def load_with_origins(path: Path | None = None, **overrides: Any) -> tuple[Config, Origins]:
    """The configuration, and where each of its values is from: `overrides` are the command line's.

    Raises `ConfigError` as `load` does.
    """
    origins = Origins(
        [
            ValueSource("the command line", overrides),
            *(
                ValueSource(f"the environment variable {name}", values)
                for name, values in read_variables(Config, os.environ).items()
            ),
            ValueSource(str(path), _read_file(path)),
        ]
    )
    values = origins.merged()
    try:
        return _join_streams(Config(**values)), origins
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deep for a configuration") from error
    except ValidationError as error:
        faults = [fault_text(fault, origins, Config) for fault in error.errors()]
        raise ConfigError("\n".join(dict.fromkeys(faults))) from error


def _join_streams(config: Config) -> Config:
    """With the default streams beside those given, unless these replace them."""
    if "streams" not in config.model_fields_set:
        if config.replace_streams:
            raise ConfigError(f"replace_streams: {NO_STREAMS}")
        return config
    if not config.streams:
        raise ConfigError(f"streams: {NO_STREAMS}")
    given = {}
    for stream in config.streams:
        if stream.key in given:
            raise ConfigError(
                f"streams: {stream.feature} by {stream.detector} is there twice: leave one out, or "
                "give them different inputs"
            )
        given[stream.key] = stream
    if config.replace_streams:
        return config
    kept = tuple(stream for stream in DEFAULT_STREAMS if stream.key not in given)
    return config.model_copy(update={"streams": kept + config.streams})


def _read_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    text = read_text(path, FILE_BYTES_MAX)
    if max(map(len, text.splitlines()), default=0) > LINE_MAX:
        raise ConfigError(f"{path} has a line of over {LINE_MAX} characters: break it up")
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {reason_unread(error)}") from error
    anchor_schema_files(values, path.parent)
    return values
