"""One life of the sidecar: restore, read on, publish; until it is stopped or Kafka fails it.

Whatever fails ends the life; the next one begins from what is committed, as after a crash. So there
is one way to recover, and it is used all the time.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from monitor.config import Config
from monitor.core.engine import Engine
from monitor.core.snapshot import SnapshotError
from monitor.core.watch import Factory
from monitor.errors import ConfigError
from monitor.kafka import snapshots, topics
from monitor.kafka.clients import Clients
from monitor.kafka.pace import Pace
from monitor.kafka.reader import Part, Polled, Position, Reader, committed
from monitor.kafka.transactions import Letter, Transactions, Work
from monitor.metrics import Metrics

ASK_S = 1.0
"""With nothing read for so long, Kafka is asked whether it is there."""
LETTERS_MAX = 1_000
"""Dead letters that wait for a commit, at most."""


class Life:
    """Made by `begin`; `turn` after `turn` until `end`."""

    def __init__(
        self, config: Config, engine: Engine, reader: Reader, out: Transactions, metrics: Metrics
    ) -> None:
        self._config = config
        self.engine = engine
        self.busy = asyncio.Lock()
        """Held while the engine is at work, in a thread of its own."""
        self._reader = reader
        self._out = out
        self._metrics = metrics
        self._pace = Pace(
            config.kafka.silence_s,
            config.time.window_ns,
            round(config.kafka.ahead_s * 1e9),
            time.monotonic(),
        )
        self.positions: Position = {}
        self.published = 0
        """Alerts that are in the topic."""
        self.lag: Position = {}
        self.delay_s = 0.0
        """How long ago the oldest record that is being read came to Kafka; 0 with none waiting."""
        self._settled: Position = {}
        """What transactions before this life have committed: refused records below these offsets
        are in the dead letters already."""
        self._work = Work()
        self._committed_s = self._snapshot_s = self._answered_s = time.monotonic()

    @classmethod
    async def begin(cls, config: Config, factories: list[Factory], metrics: Metrics) -> Life:
        """Fence the owner before, restore what it left, and stand where it stood."""
        clients = Clients(config.kafka)
        partitions, names = await topics.partitions(clients, config)
        await topics.create(clients, topics.own(config, partitions))
        out = await Transactions.start(config.kafka, clients)
        try:
            held = await snapshots.latest(clients, config.kafka.snapshots_topic, config.kafka.group)
            engine = Engine(config.engine(), factories, partitions)
            reader = await Reader.start(config, clients, partitions, names)
        except BaseException:
            await out.stop()
            raise
        life = cls(config, engine, reader, out, metrics)
        try:
            await life._restore(held, clients)
        except BaseException:
            await life.end()
            raise
        return life

    async def _restore(self, held: snapshots.Held | None, clients: Clients) -> None:
        if held is None:
            self.positions = await self._reader.seek({})
            # The first thing ever committed, before anything was read: from now on there is a
            # snapshot, or somebody has removed it to begin anew.
            await self._commit(snapshot=True)
            return
        try:
            await asyncio.to_thread(self.engine.restore, held.engine)
        except SnapshotError as error:
            raise ConfigError(str(error)) from error
        self.positions = await self._reader.seek(held.positions)
        self._settled, published = await committed(clients, self._config.kafka.group)
        self.published = max(self.engine.alerts, published)

    async def end(self) -> None:
        """Close the connections; what was not committed is forgotten."""
        await self._reader.stop()
        await self._out.stop()

    async def turn(self) -> None:
        """Take in what there is, and publish what it shows."""
        polled = await self._reader.poll()
        now = time.monotonic()
        for part in polled.parts:
            self._pace.heard((part.topic, part.partition), now)
            self._work.offsets[part.topic, part.partition] = part.offsets[-1] + 1
        async with self.busy:
            await asyncio.to_thread(self._take, polled)
            self.positions.update(self._work.offsets)
        await self._look(polled)
        silent = self._pace.silent(self.engine.parts, self.lag, now)
        due = now - self._committed_s >= self._config.kafka.commit_s and self._work.offsets
        if silent or due or self._work.alerts or len(self._work.letters) >= LETTERS_MAX:
            self._work.controls = silent
            await self._commit(now - self._snapshot_s >= self._config.state.every_s)
        if silent:
            # Committed before it is acted on, and acted on before anything more is read.
            async with self.busy:
                await asyncio.to_thread(self._take, Polled(silent, []))

    async def _look(self, polled: Polled) -> None:
        """See what waits, and read on from what is not too far ahead."""
        now = time.monotonic()
        if polled.parts:
            self._answered_s = now
        elif now - self._answered_s >= ASK_S:
            # A fetch that brings nothing looks alike with Kafka there and with Kafka away.
            await self._reader.ask()
            self._answered_s = now
        self.lag = await self._reader.lag()
        oldest = min((part.timestamps_ms[-1] for part in polled.parts), default=None)
        if oldest is not None:
            self.delay_s = max(0.0, time.time() - oldest / 1000)
        elif not any(self.lag.values()):
            self.delay_s = 0.0
        self._reader.hold(self._pace.ahead(self.engine.parts, self.lag))
        self._metrics.looked(self.lag, self.delay_s, polled)

    def _take(self, polled: Polled) -> None:
        """In a worker thread: records into the engine, and out what is new."""
        began = time.perf_counter()
        before = self.engine.alerts
        alerts = self.engine.control(polled.controls).alerts if polled.controls else []
        records = 0
        for part in polled.parts:
            records += len(part.offsets)
            batch = part.decode()
            alerts += self.engine.step(batch).alerts
            if batch.refused:
                self._refuse(part, batch.refused)
        # What was published before the crash is made again, alike, and not sent again.
        self._work.alerts += alerts[max(0, self.published - before) :]
        self._metrics.stepped(records, time.perf_counter() - began)

    def _refuse(self, part: Part, refused: list[Any]) -> None:
        sent_to = self._settled.get((part.topic, part.partition), 0)
        when = dict(zip(part.offsets, part.timestamps_ms, strict=True))
        for record in refused:
            if record.offset >= sent_to:
                self._work.letters.append(Letter(record, when[record.offset]))

    async def _commit(self, snapshot: bool) -> None:
        """One transaction of all that waits."""
        began = time.monotonic()
        work, self._work = self._work, Work()
        work.published = max(self.published, self.engine.alerts)
        if snapshot:
            work.offsets = dict(self.positions)
            work.snapshot = await asyncio.to_thread(self._snapshot)
            self._snapshot_s = began
        # While it catches up with the life before, it does not take back what that had committed.
        work.offsets = {at: max(o, self._settled.get(at, 0)) for at, o in work.offsets.items()}
        await self._out.commit(work)
        self.published = work.published
        self._committed_s = time.monotonic()
        self._metrics.committed(work, self._committed_s - began)

    def _snapshot(self) -> list[snapshots.Message]:
        group = self._config.kafka.group
        return snapshots.chunks(group, self.engine.snapshot(), self.positions)

    async def settle(self) -> None:
        """The last transaction, with a snapshot to go on from."""
        await self._commit(snapshot=True)
