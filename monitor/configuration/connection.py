"""Whether the brokers let the sidecar do what it will do: one sentence for each thing tried.

Nothing is created and no record is written: reading begins at the end of a topic, and whether one
may write is asked for with a transaction that is aborted while it is empty.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    KafkaError,
    NotCoordinatorError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)

from monitor.config import Config
from monitor.errors import BrinkwatchError, ConfigError
from monitor.kafka import topics
from monitor.kafka.clients import Clients, run_async, stop_consumer

READ_MS = 500
TRANSACTION_MS = 10_000
TRIES, PAUSE_S = 50, 0.1
NOT_YET = (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)
"""What a broker answers while it is still busy with what was before."""


class Finding(NamedTuple):
    """What one attempt came to; `sentence` says how to mend it where it is not `ok`."""

    ok: bool
    sentence: str


def try_connection(config: Config) -> list[Finding]:
    """Try the brokers, the topics, reading and writing; end with what all the rest needs."""
    trial = _Trial(config)
    try:
        run_async(trial.run())
    except BrinkwatchError as error:
        trial.findings.append(Finding(False, str(error)))
    return trial.findings


class _Trial:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._clients = Clients(config.kafka)
        self._user = config.kafka.security.username or "this client"
        self.findings: list[Finding] = []

    def _say(self, sentence: str, ok: bool = True) -> None:
        self.findings.append(Finding(ok, sentence))

    async def run(self) -> None:
        """Raises `BrinkwatchError` or `KafkaError` where nothing more can be tried."""
        async with self._clients.admin() as admin:
            there = await topics.partition_counts(admin)
            self._say(f"{self._config.kafka.bootstrap_servers} accepts these settings")
            number, names = await self._venue_topics()
            each = "1 partition" if number == 1 else f"{number} partitions"
            self._say(f"the topics of the venue have {each} each: {', '.join(names)}")
            own = topics.sidecar_topics(self._config, number)
            present = [name for name in own if name in there]
            for name in present:
                if there[name] != own[name].num_partitions:
                    self._say(
                        f"the topic {name} has {there[name]} partitions and needs "
                        f"{own[name].num_partitions}: make it anew, or name another in [kafka]",
                        ok=False,
                    )
            if missing := [name for name in own if name not in there]:
                self._say(f"brinkwatch run creates the topics {', '.join(missing)}")
            await self._try_reading([*names, *present])
            await self._try_writing(admin, present)

    async def _venue_topics(self) -> tuple[int, list[str]]:
        try:
            return await topics.venue_partitions(self._clients, self._config)
        except ConfigError as error:
            user = self._config.kafka.security.username
            hint = f"; where they are there, allow {user} to read them" if user else ""
            raise ConfigError(f"{error}{hint}") from None

    async def _try_reading(self, names: list[str]) -> None:
        consumer = await self._clients.consumer()
        refused: set[str] = set()
        try:
            for name in names:
                partition = TopicPartition(name, 0)
                consumer.assign([partition])
                try:
                    await consumer.seek_to_end(partition)
                    await consumer.getmany(partition, timeout_ms=READ_MS // len(names))
                except TopicAuthorizationFailedError:
                    refused.add(name)
        finally:
            await stop_consumer(consumer)
        if refused:
            shown = ", ".join(sorted(refused))
            self._say(f"{self._user} may not read {shown}: allow Read on these topics", ok=False)
        else:
            self._say("all these topics can be read")

    async def _try_writing(self, admin: AIOKafkaAdminClient, names: list[str]) -> None:
        group = self._config.kafka.group
        transaction = _Transaction(admin, f"brinkwatch-{group}-check")
        try:
            await transaction.begin()
        except TransactionalIdAuthorizationFailed:
            self._say(
                f"{self._user} may not write in transactions: allow Describe and Write on "
                f"transactional ids that begin with brinkwatch-{group}-",
                ok=False,
            )
            return
        try:
            refused = await transaction.refused_topics(names)
            groups = [group, f"{group}-members"]
            closed = [name for name in groups if not await transaction.can_commit(name)]
        finally:
            await transaction.abort()
        if refused:
            shown = ", ".join(refused)
            self._say(f"{self._user} may not write {shown}: allow Write on these topics", ok=False)
        elif names:
            self._say("the topics of brinkwatch's own can be written")
        if closed:
            self._say(
                f"{self._user} may not use the group {closed[0]}: allow Read on groups that begin "
                f"with {group}",
                ok=False,
            )
        else:
            self._say(f"the group {group} can be used")


class _Transaction:
    """Asks what a transaction may hold, and aborts it before it holds anything."""

    def __init__(self, admin: AIOKafkaAdminClient, name: str) -> None:
        self._client = admin._client
        self._producer: tuple[Any, ...] = (name,)

    async def begin(self) -> None:
        """Raises `TransactionalIdAuthorizationFailed` where it may not be."""
        reply = await self._ask(InitProducerIdRequest(*self._producer, TRANSACTION_MS))
        if reply.error_code:
            raise for_code(reply.error_code)
        self._producer += reply.producer_id, reply.producer_epoch

    async def refused_topics(self, names: list[str]) -> list[str]:
        """Those of the topics that may not be written."""
        if not names:
            return []
        partitions = [(name, [0]) for name in names]
        reply = await self._ask(AddPartitionsToTxnRequest(*self._producer, partitions))
        refused = TopicAuthorizationFailedError.errno
        return sorted(topic for topic, ((_, code),) in reply.errors if code == refused)

    async def can_commit(self, group: str) -> bool:
        """Whether offsets of the group may be committed."""
        reply = await self._ask(AddOffsetsToTxnRequest(*self._producer, group))
        code: int = reply.error_code
        return code != GroupAuthorizationFailedError.errno

    async def abort(self) -> None:
        """The broker refuses to end what nothing was added to: that is as good."""
        await self._ask(EndTxnRequest(*self._producer, False))

    async def _ask(self, request: Any) -> Any:
        """The coordinator's answer, once it is ready to give one."""
        for _ in range(TRIES):
            try:
                node = await self._client.coordinator_lookup(
                    CoordinationType.TRANSACTION, self._producer[0]
                )
                reply = await self._client.send(node, request)
            except NOT_YET as not_yet:
                error: type[KafkaError] = type(not_yet)
            else:
                error = for_code(getattr(reply, "error_code", 0))
                if error not in NOT_YET:
                    return reply
            await asyncio.sleep(PAUSE_S)
        raise error
