"""`brinkwatch topics create`."""

from __future__ import annotations

from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.kafka import topics
from monitor.kafka.clients import Clients, run_async


def create_topics(config: Config, partitions: int, console: Console) -> dict[str, Any]:
    """Create the topics of the venue and of the sidecar that are missing."""
    wanted = topics.venue_topics(config, list(config.topics.values()), partitions)
    wanted |= topics.sidecar_topics(config, partitions)
    created = run_async(topics.create(Clients(config.kafka), wanted))
    console.say(f"created {', '.join(created)}" if created else "all topics were there")
    return {"created": created, "partitions": partitions}
