"""Have a consumer's `getmany` give whole record batches of some topics: a seam in aiokafka.

aiokafka makes a Python object of each record, which costs more than all else that reading does. The
seam lies where its fetcher puts an answer of the broker away for `getmany`: what would iterate over
records iterates over batches there. Fetching, positions, pauses, checksums, control batches and the
data of aborted transactions stay aiokafka's own work, in the code that `getmany` always runs. The
names it rests on are not public, so it is for versions only with which the tests were run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import aiokafka
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.protocol.fetch import FetchRequest

from monitor.kafka.record_batches.raw_batch import RawBatch, RawBatches

TESTED_VERSIONS = ("0.14.0",)
"""Of aiokafka. To add one: run the tests of this folder and `tests/live/test_raw_batches.py`."""
BATCHES, GETMANY = "batches", "getmany"


def fetch_in_use(wanted: str) -> str:
    """`BATCHES` where that is `wanted` and this aiokafka is one of `TESTED_VERSIONS`."""
    is_tested = aiokafka.__version__ in TESTED_VERSIONS
    return BATCHES if wanted == BATCHES and is_tested else GETMANY


def untested_version() -> str:
    """Why records are read one by one although batches are wanted, and what to do."""
    return (
        f"whole record batches were tested with aiokafka {', '.join(TESTED_VERSIONS)} and not "
        f"with {aiokafka.__version__}, which is installed: install a tested one, or set fetch = "
        '"getmany" in [kafka] to have no more of this warning'
    )


def hand_out_batches(consumer: AIOKafkaConsumer, topics: Collection[str]) -> None:
    """From now on `getmany` gives a `RawBatch` in place of its records, for these topics.

    Its limit of records counts batches then. Call it before topic partitions are assigned.
    """
    fetcher = consumer._fetcher
    answers = _Answers(fetcher._client)
    fetcher._client, fetcher._records = answers, _FetchedBatches(answers, topics)


class _Answers:
    """A client that remembers the bytes of its last fetched answer, by topic partition."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.message_sets: dict[TopicPartition, bytes] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any) -> Any:
        answer = await self._client.send(node_id, request)
        if isinstance(request, FetchRequest):
            # The fetcher works through the answer at once, before another one can come.
            self.message_sets = {
                TopicPartition(topic, partition): data[-1]
                for topic, partitions in answer.topics
                for partition, *data in partitions
            }
        return answer


class _FetchedBatches(OrderedDict[TopicPartition, Any]):
    """What was fetched and waits for `getmany`, by topic partition."""

    def __init__(self, answers: _Answers, topics: Collection[str]) -> None:
        super().__init__()
        self._answers, self._topics = answers, frozenset(topics)

    def __setitem__(self, at: TopicPartition, fetched: Any) -> None:
        if isinstance(fetched, FetchResult) and at.topic in self._topics:
            old, batches = fetched._partition_records, RawBatches(self._answers.message_sets[at])
            fetched._partition_records = _PartitionBatches(
                at, batches, old._aborted_transactions, old.next_fetch_offset, None, None,
                old._check_crcs, old._isolation_level,
            )  # fmt: skip
        super().__setitem__(at, fetched)


class _PartitionBatches(PartitionRecords):  # type: ignore[misc]
    """What is fetched of one topic partition, by batches."""

    def _consumer_record(self, tp: TopicPartition, record: Any) -> Any:
        if not isinstance(record, RawBatch):
            return super()._consumer_record(tp, record)
        record.first_offset = self.next_fetch_offset
        return record
