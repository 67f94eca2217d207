"""The life of the venue stage: words and the records of accounts in, alerts out."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiokafka import TopicPartition

from monitor.core.bandrecords import lines
from monitor.core.decode import UNKNOWN
from monitor.core.snapshot import SnapshotError
from monitor.core.venuestage import STAGE_KINDS, Heard, Output, VenueStage
from monitor.core.watermark import NEVER
from monitor.core.word import Word
from monitor.errors import BrinkwatchError
from monitor.kafka import words
from monitor.kafka.pace import At, Stand
from monitor.kafka.reader import Polled
from monitor.kafka.transactions import Work
from monitor.live.life import Life, Setup

OWNER = "venue"
BAND_THREADS = 2
"""More than the loops of one side each could not all be used."""
POLL_MS = 10
"""Silence cannot be told while a fetch is under way."""


class VenueLife(Life):
    """`unknown`: whether there is a topic of records that name no kind."""

    def __init__(self, setup: Setup, unknown: bool) -> None:
        self.venue = VenueStage(setup.settings, setup.factories, setup.partitions)
        carrier = setup.config.kafka.alerts_topic, 0
        # Not the shards': a refresh of all bands takes longer than a shard may wait.
        super().__init__(setup, OWNER, 0, carrier, self.venue, ThreadPoolExecutor(1))
        self._unknown = unknown
        self._listener = words.Listener(setup.settings.fingerprint())
        self._inbox: deque[Word] = deque()
        self._came = asyncio.Event()
        self._polling: asyncio.Task[Polled] | None = None
        # Both cores for the bands: their loops hold no lock.
        self._threads = ThreadPoolExecutor(BAND_THREADS)
        self.venue.scope.run = self._threads.map
        self.foreign = 0
        """Words of another version or other settings, left unread."""

    @property
    def published(self) -> int:
        """Alerts that are in the topic."""
        return self.out.note.alerts

    def inputs(self) -> list[TopicPartition]:
        names = [self.setup.settings.topics[kind] for kind in STAGE_KINDS]
        names.append(self.setup.config.kafka.windows_topic)
        every = [TopicPartition(n, p) for n in names for p in range(self.setup.partitions)]
        return [*every, TopicPartition(UNKNOWN, 0)] if self._unknown else every

    def controls(self) -> Sequence[int]:
        return range(self.setup.partitions)

    def hear(self, word: Word) -> None:
        """A word that a shard of this process has committed."""
        self._inbox.append(word)
        self._came.set()

    async def poll(self) -> Polled:
        """What Kafka brings, or nothing when a word of this process comes first."""
        if self._polling is None:
            self._polling = asyncio.create_task(self.reader.poll(POLL_MS))
        coming = asyncio.create_task(self._came.wait())
        await asyncio.wait((self._polling, coming), return_when=asyncio.FIRST_COMPLETED)
        coming.cancel()
        self._came.clear()
        if not self._polling.done():
            return Polled([], [])
        polled, self._polling = self._polling.result(), None
        return polled

    def waiting(self) -> bool:
        return bool(self._inbox)

    async def nothing_underway(self) -> bool:
        if self._polling is None:
            return True
        polled = await self._polling
        if polled.parts or polled.controls or polled.words:
            return False
        self._polling = None
        return True

    async def end(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait((self._polling,))
        self._threads.shutdown(wait=False)
        self._thread.shutdown(wait=False)
        await super().end()

    def take(self, polled: Polled) -> None:
        before = self.venue.alerts, self.venue.cells
        made = Output()
        if polled.controls:
            self.venue.control(polled.controls)
        for part in polled.parts:
            batch = part.decode()
            self._add(made, self.venue.step(batch))
            refused = [*batch.refused, *part.jumped(self.venue.jumped)]
            if refused:
                self.refuse(part, refused)
        while self._inbox:
            # With a gap before it, it comes round by Kafka, after what is missing.
            word = self._inbox.popleft()
            if self.venue.take(word):
                self._heard(word)
        for record in polled.words:
            self._hear(record)
        self._add(made, self.venue.advance())
        if made.bands:
            self.setup.metrics.bands.last = made.bands[-1]
        # What was published before the crash is made again, alike, and not sent again.
        ahead = self.published + len(self.work.alerts)
        self.work.alerts += made.alerts[max(0, ahead - before[0]) :]
        ahead = self.out.note.cells + len(self.work.bands)
        self.work.bands += [lines(cell) for cell in made.bands[max(0, ahead - before[1]) :]]

    def _add(self, made: Output, more: Output) -> None:
        made.alerts += more.alerts
        made.bands += more.bands

    def _hear(self, record: Any) -> None:
        head = words.head(record)
        if head is not None and self.venue.heard[head.partition].knows(head.until, head.high):
            return
        try:
            word = self._listener.take(record)
        except SnapshotError:
            self.foreign += 1
            return
        if word is not None and not self.venue.take(word):
            raise BrinkwatchError(
                f"words of partition {word.partition} are missing before offset {record.offset} of "
                f"{record.topic}: they were deleted before they were read; delete the topic "
                f"{self.setup.config.kafka.snapshots_topic} to begin anew"
            )
        if word is not None:
            self._heard(word)

    def _heard(self, word: Word) -> None:
        at = self.setup.config.kafka.windows_topic, word.partition
        self.pace.heard(at, time.monotonic())

    def stands(self) -> dict[At, Stand]:
        topic = self.setup.config.kafka.windows_topic
        told = {(topic, p): _Told(heard) for p, heard in enumerate(self.venue.heard)}
        return {**self.venue.parts, **told}

    def others_ns(self) -> int:
        return NEVER

    def held_back(self) -> set[tuple[str, int]]:
        told = [heard.closed_ns for heard in self.venue.heard]
        slowest = min(told)
        ahead = self.pace.ahead(self.venue.parts, self.lag, slowest if slowest != NEVER else None)
        if slowest != NEVER:
            far_ns = slowest + round(self.setup.config.kafka.ahead_s * 1e9)
            topic = self.setup.config.kafka.windows_topic
            ahead |= {(topic, p) for p, ns in enumerate(told) if ns > far_ns}
        return ahead

    def urgent(self) -> bool:
        return bool(self.work.alerts)

    def before_commit(self) -> None:
        """All of it is in `work` already."""

    def told(self, work: Work) -> None:
        """Nobody in this process waits for alerts."""


class _Told:
    """A shard, as one that the venue stage waits for."""

    position = 0

    def __init__(self, heard: Heard) -> None:
        self.high = heard.latest_ns
        self.watermark = heard.closed_ns
