"""Records as the messages that carry them: what a recorded day sends, and Kafka takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class MessageRun:
    """Messages of one topic partition, in the order of their offsets."""

    topic: str
    partition: int
    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes]
    ts: int
    """The highest event time of the topic partition up to here, ns."""
