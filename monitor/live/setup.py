"""What the sessions of a process share, and what names the owner of one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from monitor.config import Config
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.event_time.watermark import PartitionClock
from monitor.core.settings import EngineSettings
from monitor.kafka.clients import Clients
from monitor.kafka.partitions import PartitionKey
from monitor.live.progress_board import ProgressBoard
from monitor.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Setup:
    """What all sessions of a process share."""

    config: Config
    settings: EngineSettings
    factories: list[DetectorFactory]
    clients: Clients
    metrics: Metrics
    progress_board: ProgressBoard
    partitions: int
    """Of each topic of the venue."""
    shards_thread: ThreadPoolExecutor
    """One thread for all shards. Code that holds the interpreter's lock would wait anyway, and code
    that does not runs beside the loop that talks to Kafka. Four threads took a third more CPU time
    for the same work (`bench_live`, four partitions on two cores)."""


class Owner(NamedTuple):
    """A shard or the venue stage, as Kafka knows it."""

    name: str
    """"0" and so on for the shard of a partition, "venue" for the venue stage."""
    partition: int
    """Of the topics of reports and snapshots: where the owner writes."""
    metadata_partition: PartitionKey
    """The topic partition whose committed offset carries the owner's metadata; its records are
    never read under this group."""


class Stage(Protocol):
    """A shard or the venue stage: the pure object at the heart of a session."""

    @property
    def clocks(self) -> dict[PartitionKey, PartitionClock]: ...
    def snapshot(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...
