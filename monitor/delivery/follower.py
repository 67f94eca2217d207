"""One receiver follows the alerts topic: committed alerts go out, and how far it got is kept.

The topic is the queue. While a receiver is away nothing more is read for it, and nobody else waits.
How far it got is an offset of a group of its own, committed behind each alert that it took; what
is sent twice is so at most the one alert under way when the process was killed, with the same key.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata
from pydantic import ValidationError

from monitor.core.contract.alert import Alert, parse_alert
from monitor.delivery.counters import DeliveryCounters
from monitor.delivery.incidents import Notice, ReceiverIncidents
from monitor.delivery.receivers.base import DeliveryError, Receiver, RejectedError
from monitor.delivery.settings import ReceiverSettings
from monitor.delivery.texts import without_accounts
from monitor.errors import BrinkwatchError
from monitor.kafka.clients import Clients, stop_consumer
from monitor.kafka.partitions import committed_offsets, offset_range, read_between

BACK_OFF_S, BACK_OFF_MAX_S = 1.0, 60.0
"""The first wait after a failure and the longest; it doubles, and is cut by up to half at random:
those that failed together are not asked together."""
POLL_MS = 500
POLL_RECORDS = 50
FETCH_WAIT_MS = 500
"""The broker answers at once where there is an alert; it is asked twice a second where not."""
COMMIT_AGAIN_S = 3_600.0
"""Kafka forgets offsets that nobody commits for a week."""
READ_BACK_MAX = 100_000
"""Offsets that are read back, at most, to know what fires."""


class ReceiverFollower:
    """Runs until it is cancelled.

    group: keeps the offset. since_ms: a receiver that has none yet begins with what was published
    from then on (Unix time).
    """

    def __init__(
        self,
        settings: ReceiverSettings,
        receiver: Receiver,
        clients: Clients,
        tp: TopicPartition,
        group: str,
        since_ms: int,
        counters: DeliveryCounters,
    ) -> None:
        self._settings, self._receiver = settings, receiver
        self._clients, self._tp, self._group = clients, tp, group
        self._since_ms, self._counters = since_ms, counters
        self._incidents = ReceiverIncidents(settings)
        self._next: int | None = None
        """The offset of the next alert; None: not read yet."""
        self._committed: tuple[int, str] | None = None
        self._commit_again_s = self._resend_at_s = 0.0
        self._failures = 0
        """In a row."""
        self._log = structlog.get_logger().bind(receiver=settings.name)

    async def run(self) -> None:
        """Follow the topic; failures of Kafka begin it anew."""
        self._counters.begin(self._settings.name)
        tries = 0
        while True:
            began_s = time.monotonic()
            try:
                await self._follow()
            except OffsetOutOfRangeError:
                self._log.warning("alerts topic made anew: delivering from its start")
                self._next, self._incidents = 0, ReceiverIncidents(self._settings)
            except (KafkaError, OSError, BrinkwatchError) as error:
                self._log.warning("delivery waits for Kafka", why=str(error))
            except Exception as error:
                # Of a library: its message may hold the address, which may be a secret.
                self._counters.count_failure(self._settings.name)
                self._log.error("delivery fails", why=type(error).__name__)
            tries = 0 if time.monotonic() - began_s > BACK_OFF_MAX_S else tries + 1
            await asyncio.sleep(back_off_s(tries))

    async def _follow(self) -> None:
        options = {"group_id": self._group, "fetch_max_wait_ms": FETCH_WAIT_MS}
        consumer = await self._clients.consumer(**options)
        try:
            if self._next is None:
                self._next = await self._restore(consumer)
            first, end = await offset_range(consumer, self._tp)
            if not first <= self._next <= end:
                self._next = first
            consumer.assign([self._tp])
            consumer.seek(self._tp, self._next)
            await self._commit(consumer)
            while True:
                await self._turn(consumer)
        finally:
            await stop_consumer(consumer)

    async def _turn(self, consumer: AIOKafkaConsumer) -> None:
        polled = await consumer.getmany(self._tp, timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        for record in polled.get(self._tp, ()):
            await self._deliver(consumer, record)
        self._next = max(self._next or 0, await consumer.position(self._tp))
        await self._commit(consumer)
        await self._count_waiting(consumer)
        resend_s, now_s = self._receiver.resend_s, time.monotonic()
        active = self._incidents.active(time.time())
        if resend_s is not None and now_s >= self._resend_at_s:
            self._resend_at_s = now_s + resend_s
            if active:
                await self._insist(consumer, lambda: self._receiver.resend(active), 0)

    async def _deliver(self, consumer: AIOKafkaConsumer, record: Any) -> None:
        notice = self._take(record)
        if notice is not None:
            alert_id = notice.alert.id
            await self._insist(consumer, lambda: self._receiver.send(notice), 1, alert_id)
        self._next = record.offset + 1
        if notice is not None:
            await self._commit(consumer)

    def _take(self, record: Any) -> Notice | None:
        try:
            alert = parse_alert(record.value or b"")
        except ValidationError:
            self._log.warning("no alert of this version: left out", offset=record.offset)
            return None
        return self._incidents.take(self._shown(alert), record.offset, record.timestamp / 1000)

    def _shown(self, alert: Alert) -> Alert:
        return alert if self._settings.accounts else without_accounts(alert)

    async def _insist(
        self,
        consumer: AIOKafkaConsumer,
        attempt: Callable[[], Awaitable[None]],
        alerts: int,
        alert_id: str = "",
    ) -> None:
        """Try until the receiver has taken it, or says that it never will."""
        name = self._settings.name
        while True:
            try:
                await attempt()
            except RejectedError as error:
                self._counters.count_rejected(name)
                self._log.error("alert rejected by its receiver", id=alert_id, why=str(error))
                break
            except DeliveryError as error:
                self._counters.count_failure(name)
                if not self._failures:
                    self._log.warning("receiver fails", why=str(error), waiting=alert_id)
                wait_s = back_off_s(self._failures)
                self._failures += 1
                await asyncio.sleep(max(wait_s, error.retry_after_s or 0.0))
                with suppress(KafkaError, OSError):
                    await self._count_waiting(consumer)
            else:
                if self._failures:
                    self._log.info("receiver takes alerts again", failures=self._failures)
                self._failures = 0
                self._counters.count_sent(name, alerts)
                break

    async def _count_waiting(self, consumer: AIOKafkaConsumer) -> None:
        end = (await consumer.end_offsets([self._tp]))[self._tp]
        self._counters.set_waiting(self._settings.name, max(0, end - (self._next or 0)))

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """Keep how far the receiver got, and from where to read back what it knows."""
        position = self._next or 0
        first = self._incidents.first_offset()
        now = position, str(position if first is None else first)
        now_s = time.monotonic()
        if now != self._committed or now_s > self._commit_again_s:
            await consumer.commit({self._tp: OffsetAndMetadata(*now)})
            self._committed, self._commit_again_s = now, now_s + COMMIT_AGAIN_S

    async def _restore(self, consumer: AIOKafkaConsumer) -> int:
        """The next offset for this receiver; what it knows is read back up to there."""
        self._incidents = ReceiverIncidents(self._settings)
        first, end = await offset_range(consumer, self._tp)
        committed = (await committed_offsets(self._clients, self._group)).get(self._tp)
        if committed is not None:
            position: int = min(committed.offset, end)
            text = committed.metadata or ""
            start = int(text) if text.isascii() and text.isdigit() else first
        else:
            after = (await consumer.offsets_for_times({self._tp: self._since_ms}))[self._tp]
            position, start = end if after is None else after.offset, first
        start = max(first, start, position - READ_BACK_MAX)
        async for record in read_between(consumer, self._tp, start, position):
            if record.offset < position:
                self._take(record)
        firing = len(self._incidents.active(time.time()))
        self._log.info("delivering", offset=position, firing=firing)
        return position


def back_off_s(failures: int) -> float:
    """The wait after so many failures in a row, s."""
    longest = min(BACK_OFF_S * 2.0 ** min(failures, 16), BACK_OFF_MAX_S)
    return longest * random.uniform(0.5, 1.0)
