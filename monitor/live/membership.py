"""Which partitions are this member's: the group's answer, told again whenever it changes.

The group is joined on the control topic, which has as many partitions as all others; partition p of
every topic goes with it. Nothing is read or committed here: correctness does not rest on the group
(the transactions fence), only who works on what.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from monitor.config import Config
from monitor.kafka.clients import Clients, stop_consumer

_DAY_MS = 86_400_000
HEARTBEATS = 3
"""In one `member_timeout_s`."""


class GroupMembership(ConsumerRebalanceListener):  # type: ignore[misc]
    """`changed` is called, in the event loop, with all partitions that are this member's now."""

    def __init__(self, changed: Callable[[frozenset[int]], None]) -> None:
        self._on_change = changed
        self._consumer: AIOKafkaConsumer | None = None

    async def join(self, config: Config, clients: Clients) -> None:
        """Become a member; partitions are told of as soon as the group has shared them out."""
        kafka = config.kafka
        timeout_ms = round(kafka.member_timeout_s * 1000)
        consumer = await clients.consumer(
            client_id="brinkwatch-member",
            group_id=f"{kafka.group}-members",
            group_instance_id=kafka.member or None,
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=timeout_ms,
            heartbeat_interval_ms=timeout_ms // HEARTBEATS,
            # Membership is not about reading: how long a turn takes is for `alive` to say.
            max_poll_interval_ms=_DAY_MS,
            rebalance_timeout_ms=timeout_ms,
        )
        self._consumer = consumer
        consumer.subscribe([kafka.control_topic], listener=self)

    async def leave(self) -> None:
        """The others are told at once, unless this member has a name and may come back."""
        if self._consumer is not None:
            await stop_consumer(self._consumer)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Work goes on until somebody else has them: what they then fence is lost to nobody."""

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        assert self._consumer is not None
        for tp in assigned:
            self._consumer.pause(tp)
        self._on_change(frozenset(tp.partition for tp in assigned))
        await asyncio.sleep(0)
