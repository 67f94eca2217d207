"""The ids that Kafka gives to topics: a topic that is deleted and created again has another one.

aiokafka (0.14) speaks versions of Metadata that do not hold them; here is the one that does.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from io import BytesIO

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

NO_TAGS: dict[int, bytes] = {}
OPERATIONS = {"read": 3, "write": 4, "describe": 8}
"""Kafka's codes of what an ACL allows; each is a bit of the broker's answer."""


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


_TEXT, _TAGS = CompactString("utf-8"), ("tags", TaggedFields)
_BROKER = ("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS
_PARTITION = (
    ("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)), ("isr", CompactArray(Int32)),
    ("offline", CompactArray(Int32)), _TAGS,
)  # fmt: skip
_TOPIC = (
    ("error_code", Int16), ("name", _TEXT), ("topic_id", _Uuid), ("is_internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)), ("operations", Int32), _TAGS,
)  # fmt: skip


class _MetadataResponseV12(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("brokers", CompactArray(*_BROKER)), ("cluster_id", _TEXT),
        ("controller_id", Int32), ("topics", CompactArray(*_TOPIC)), _TAGS,
    )  # fmt: skip


class _MetadataRequestV12(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY, API_VERSION = 3, 12
    RESPONSE_TYPE = _MetadataResponseV12
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _TEXT), _TAGS)),
        ("allow_auto_topic_creation", Boolean), ("with_operations", Boolean), _TAGS,
    )  # fmt: skip


class _TopicIdsRequest(Request[_MetadataRequestV12]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Collection[str], with_operations: bool = False) -> None:
        # A zero id: the broker finds the topic by its name.
        self._topics = [(bytes(16), name, NO_TAGS) for name in topics]
        self._with_operations = with_operations

    def build(self, request_struct_class: type[_MetadataRequestV12]) -> _MetadataRequestV12:
        return request_struct_class(self._topics, False, self._with_operations, NO_TAGS)


async def topic_ids(client: AIOKafkaClient, topics: Collection[str]) -> dict[str, str]:
    """The id of each of these topics that exists; empty for a Kafka before 2.8, which has none."""
    node = client.get_random_node()
    try:
        reply = await client.send(node, _TopicIdsRequest(topics))
    except (NotImplementedError, IncompatibleBrokerVersion):
        return {}
    return {
        name: str(uuid.UUID(bytes=topic_id))
        for error, name, topic_id, *_ in reply.topics
        if not error and any(topic_id)
    }


async def topic_operations(
    client: AIOKafkaClient, topics: Collection[str]
) -> dict[str, frozenset[str]]:
    """What the broker allows this client to do with each of these topics that it may see, among
    `OPERATIONS`; empty for a Kafka that does not say."""
    try:
        reply = await client.send(
            client.get_random_node(), _TopicIdsRequest(topics, with_operations=True)
        )
    except (NotImplementedError, IncompatibleBrokerVersion):
        return {}
    return {
        name: frozenset(word for word, bit in OPERATIONS.items() if operations >> bit & 1)
        for error, name, *_, operations, _ in reply.topics
        if not error
    }
