"""Configuration: a TOML file, over it the environment, over both the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as Source

from monitor.core.contract.events import CONTROL_TOPIC, TOPICS
from monitor.core.settings import EngineSettings, Seconds, StrictModel
from monitor.errors import ConfigError, nearest_name, read_text, reason_unread
from monitor.security import KafkaSecurity
from monitor.sources.formats.base import PARQUET
from monitor.sources.registry import SchemaRegistrySettings
from monitor.sources.settings import SourceSettings, anchor_schema_files
from monitor.sources.start import EARLIEST, LATEST, start_time_ms

FILE_BYTES_MAX = 1 << 20
LINE_MAX = 4_096
"""Characters. The time and memory of Python's TOML parser grow with the square of the parts of a
dotted key, which cannot be broken over lines."""
ENGINE_KEYS = tuple(EngineSettings.model_fields)
INPUT_PREFIX = "brinkwatch.in."
"""Of the topics into which the records of sources are re-keyed, where `topics` does not name
them."""


class OutputCluster(StrictModel):
    """Another cluster, for all that brinkwatch writes."""

    bootstrap_servers: str
    """host:port, several with commas."""
    security: KafkaSecurity = KafkaSecurity()


class KafkaSettings(StrictModel):
    """The event bus. The topics of each kind are in `topics`."""

    bootstrap_servers: str = "127.0.0.1:9092"
    """The venue's cluster: host:port, several with commas."""
    output: OutputCluster | None = None
    """Where all topics of brinkwatch's own and its group are, if not on the venue's cluster: that
    one is only read."""
    group: str = "brinkwatch"
    """Names the offsets, the snapshots and the transactions. Sidecars with the same one share the
    partitions."""
    member: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    """This sidecar's own name in its group, kept over restarts (of a host or a pod). Started again
    within `member_timeout_s` it has its partitions at once, and no other partition moves."""
    member_timeout_s: Annotated[float, Field(ge=6, le=1_800)] = 10.0
    """A member that sends no heartbeat for so long is gone: others take its partitions, s."""
    security: KafkaSecurity = KafkaSecurity()
    control_topic: str = CONTROL_TOPIC
    alerts_topic: str = "brinkwatch.alerts"
    bands_topic: str = "brinkwatch.bands"
    dlq_topic: str = "brinkwatch.dlq"
    positions_topic: str = "brinkwatch.positions"
    """How far each source was read."""
    windows_topic: str = "brinkwatch.windows"
    """The reports of the shards to the venue stage."""
    snapshots_topic: str = "brinkwatch.snapshots"
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
    """Records taken in at a time, at most."""
    ahead_s: Seconds = 60.0
    """A topic partition this far ahead of the slowest one is paused, s of event time."""


class HttpSettings(StrictModel):
    """/metrics /livez /readyz /state."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 9_464
    """0: a free one, which is logged."""
    token: SecretStr | None = None
    token_file: Path | None = None
    """What requests to /metrics and /state must carry after `Authorization: Bearer`."""
    cert_file: Path | None = None
    key_file: Path | None = None
    """PEM; with them the port speaks TLS."""
    lag_limit_s: Seconds = 60.0
    """Not ready while records wait and the last one read came to Kafka longer ago than this, s."""


class StateSettings(StrictModel):
    """Snapshots, from which a restart goes on, and the verdicts of people on alerts."""

    every_s: Seconds = 5.0
    """Seconds between snapshots."""
    dir: Path = Path("brinkwatch-state")
    """Where `feedback` is kept."""


class Config(EngineSettings, BaseSettings):
    """Everything that can be set. Environment: `BRINKWATCH_`, with `__` between levels."""

    model_config = SettingsConfigDict(
        env_prefix="BRINKWATCH_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    http: HttpSettings = HttpSettings()
    state: StateSettings = StateSettings()
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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: Source,
        env_settings: Source,
        dotenv_settings: Source,
        file_secret_settings: Source,
    ) -> tuple[Source, ...]:
        """The command line's values, then the environment's, then the file's."""
        assert isinstance(init_settings, InitSettingsSource)
        given = dict(init_settings.init_kwargs)
        file = given.pop("_from_file", {})
        from_file = InitSettingsSource(settings_cls, file)
        return InitSettingsSource(settings_cls, given), env_settings, from_file

    def engine(self) -> EngineSettings:
        """The settings that decide what the engine makes of a set of records."""
        return EngineSettings(**{key: getattr(self, key) for key in ENGINE_KEYS})


def _setting(section: Any, name: str) -> Any:
    """A setting of a section that may be a model already, or None."""
    return section.get(name) if isinstance(section, dict) else getattr(section, name, None)


def load(path: Path | None = None, **overrides: Any) -> Config:
    """Read the configuration; raises `ConfigError` that names the key and how to mend it."""
    from_file: dict[str, Any] = {}
    if path is not None:
        try:
            from_file = tomllib.loads(_read_lines(path))
            anchor_schema_files(from_file, path.parent)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path} is not TOML: {reason_unread(error)}") from error
    try:
        return Config(**{"_from_file": from_file, **overrides})
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deep for a configuration") from error
    except ValidationError as error:
        raise ConfigError("\n".join(_error_text(e, path) for e in error.errors())) from error


def _read_lines(path: Path) -> str:
    text = read_text(path, FILE_BYTES_MAX)
    if max(map(len, text.splitlines()), default=0) > LINE_MAX:
        raise ConfigError(f"{path} has a line of over {LINE_MAX} characters: break it up")
    return text


def _error_text(error: Any, path: Path | None) -> str:
    where = ".".join(str(part) for part in error["loc"])
    source = f" ({path}, or the environment)" if path else ""
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}{source}"
    mend = nearest_name(str(error["loc"][-1]), _keys_beside(error["loc"]))
    return f"{where}: no such key{source}; {mend}"


def _keys_beside(location: tuple[Any, ...]) -> list[str]:
    """The keys that there are where the last key of `location` was given."""
    model: Any = Config
    for part in location[:-1]:
        if part in model.model_fields:
            annotation = model.model_fields[part].annotation
            types = annotation, *getattr(annotation, "__args__", ())
            models = [t for t in types if isinstance(t, type) and issubclass(t, BaseModel)]
            model = next(iter(models), model)
    return sorted(model.model_fields)
