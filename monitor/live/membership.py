"""Which partitions the consumer group assigns to this member.

A member subscribes to the control topic, which has as many partitions as all others; with partition
p of it goes partition p of every topic. Nothing is read or committed here: the group decides who
works on what, and correctness rests on the fencing of transactions alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from monitor.config import Config
from monitor.core.contract.units import DAY_MS
from monitor.kafka.clients import Clients, stop_consumer

HEARTBEATS = 3
"""In one `member_timeout_s`."""
METADATA_MS = 5_000
"""Between two looks at the control topic: right after it is created a broker may not know it yet,
and the group then shares out nothing."""


class GroupMembership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Calls `on_change`, in the event loop, with all partitions that are this member's now."""

    def __init__(self, on_change: Callable[[frozenset[int]], None]) -> None:
        self._on_change = on_change
        self._consumer: AIOKafkaConsumer | None = None

    async def join(self, config: Config, clients: Clients) -> None:
        """Become a member; `on_change` is called as soon as the group has assigned partitions."""
        kafka = config.kafka
        timeout_ms = round(kafka.member_timeout_s * 1000)
        consumer = await clients.consumer(
            client_id="brinkwatch-member",
            group_id=f"{kafka.group}-members",
            group_instance_id=kafka.member or None,
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=timeout_ms,
            heartbeat_interval_ms=timeout_ms // HEARTBEATS,
            # This consumer never reads: `Sidecar.alive` judges whether the work goes on.
            max_poll_interval_ms=DAY_MS,
            metadata_max_age_ms=METADATA_MS,
            rebalance_timeout_ms=timeout_ms,
        )
        self._consumer = consumer
        consumer.subscribe([kafka.control_topic], listener=self)

    async def leave(self) -> None:
        """Leave the group at once; a member with a name stays in it until its timeout."""
        if self._consumer is not None:
            await stop_consumer(self._consumer)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Keep working until another member fences this one: so no time is lost between the two."""

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        assert self._consumer is not None
        for tp in assigned:
            self._consumer.pause(tp)
        self._on_change(frozenset(tp.partition for tp in assigned))
        await asyncio.sleep(0)
